from pathlib import Path

from sim2pose.models.joints import JOINT_SETS
from sim2pose.models.joints.describe import conversion_table, sets_table

DOCS = Path(__file__).parents[3] / "docs" / "joint_sets.md"


def test_the_documents_tables_are_those_of_the_code() -> None:
    """After a change: ``python -m sim2pose.models.joints.describe`` prints both."""
    text = DOCS.read_text(encoding="utf-8")
    assert sets_table() in text
    assert conversion_table() in text


def test_tables_have_a_row_a_set() -> None:
    rows = conversion_table().splitlines()
    assert len(rows) == len(JOINT_SETS) + 2
    assert {row.count("|") for row in rows} == {len(JOINT_SETS) + 2}
    coco = dict(zip(JOINT_SETS, rows[2].split("|")[2:-1], strict=True))
    assert coco["coco17"].strip() == "="
    assert coco["openpose25"].strip() == "17 +2"
    assert coco["smpl24"].strip() == "8 ≈4 +2"
    assert coco["freihand21"].strip() == "1"
