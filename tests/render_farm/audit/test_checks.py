"""Sound labels pass every check; each kind of wrong label fails the check that is made for it, and is named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sim2pose.datasets.frames import Frame
from sim2pose.datasets.masks import decode_mask, encode_mask
from sim2pose.datasets.shards import FramesFolder
from sim2pose.models.joints import joint_set
from sim2pose.render_farm.audit import measure
from sim2pose.render_farm.audit.checks import CHECKS, Context, Tally
from sim2pose.render_farm.audit.measure import Audit

from .conftest import Spoil

COCO = joint_set("coco17")


def tally(audit: Audit, name: str) -> Tally:
    return next(tally for tally in audit.tallies if tally.name == name)


@pytest.mark.parametrize("name", ["coco17", "openpose25"])
def test_rendered_labels_pass(infants: FramesFolder, name: str) -> None:
    audit = measure(infants, name)
    assert (audit.frames, audit.joints.name) == (32, name)
    assert {tally.name: tally.verdict for tally in audit.tallies if tally.verdict != "pass"} == {
        "limbs, same body": "not applicable"
    }
    assert audit.errors == 0


def _move_box(frame: Frame) -> None:
    frame.persons[0].bbox[0] += 3


def _count_area(frame: Frame) -> None:
    frame.persons[0].area += 1


def _point_beside(frame: Frame) -> None:
    """A visible wrist where the person is not."""
    mask = decode_mask(frame.persons[0].mask, frame.height, frame.width)
    corner = next(
        c for c in ((2, 2), (2, 125), (125, 2), (125, 125)) if not mask[c[1] - 2 : c[1] + 3, c[0] - 2 : c[0] + 3].any()
    )
    frame.persons[0].keypoints[9] = (*corner, 2)


def _out_of_picture(frame: Frame) -> None:
    frame.persons[0].keypoints[3] = (frame.width + 5, 10, 1)


def _swap_sides(frame: Frame) -> None:
    """What a flip without its pairs leaves behind."""
    swap = COCO.flip_permutation()
    person = frame.persons[0]
    person.keypoints, person.keypoints_3d = person.keypoints[swap], person.keypoints_3d[swap]


def _scale(frame: Frame) -> None:
    """Translation in other units than the rest."""
    frame.persons[0].transl *= 1.01


def _shift_points(frame: Frame) -> None:
    """Keypoints counted from pixel corners instead of centres."""
    shown = frame.persons[0].keypoints[:, 2] > 0
    frame.persons[0].keypoints[shown, :2] += 0.5


def _longer_arm(frame: Frame) -> None:
    points = frame.persons[0].keypoints_3d
    points[9] = points[7] + 1.5 * (points[9] - points[7])


def _other_mask(frame: Frame) -> None:
    person = frame.persons[0]
    mask = decode_mask(person.mask, frame.height, frame.width)
    rows, columns = np.nonzero(mask)
    mask[rows[len(rows) // 2], columns[len(rows) // 2]] = False
    person.mask, person.area = encode_mask(mask), person.area - 1


FAULTS: list[tuple[Callable[[Frame], None], str]] = [
    (_move_box, "box and area"),
    (_count_area, "box and area"),
    (_point_beside, "silhouette"),
    (_out_of_picture, "in picture"),
    (_swap_sides, "left and right"),
    (_swap_sides, "parameters"),
    (_scale, "parameters"),
    (_shift_points, "projection"),
    (_longer_arm, "limbs, left = right"),
    (_other_mask, "parts"),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS, ids=[f"{fault.__name__[1:]}-{name}" for fault, name in FAULTS])
def test_a_wrong_label_is_found(spoil: Spoil, fault: Callable[[Frame], None], name: str) -> None:
    whole = 5

    def edit(frames: list[Frame]) -> None:
        fault(frames[whole])

    audit = measure(spoil(edit))
    found = tally(audit, name)
    assert found.verdict == "FAIL"
    assert found.failed == 1
    assert [position for _, position, _ in found.examples()] == [whole]
    assert audit.errors >= 1


def test_a_hidden_point_called_visible(infants: FramesFolder, spoil: Spoil) -> None:
    """v = 2 on points that other parts hide lies on the silhouette, but not at its own flesh."""
    frames = list(infants.iterate())

    def edit(frames: list[Frame]) -> None:
        for frame in frames:
            for person in frame.persons:
                shown = person.keypoints[:, 2] > 0
                person.keypoints[shown, 2] = 2

    audit = measure(spoil(edit))
    assert tally(audit, "flesh").failed > len(frames) // 3


def test_limbs_of_one_body(spoil: Spoil) -> None:
    """Frames of one shape: lengths may not change; a person of another shape is not compared with them."""

    def edit(frames: list[Frame]) -> None:
        for i in range(8):
            frames[i].persons[0].betas[:] = 0.5 if i < 6 else i
            frames[i].persons[0].keypoints_3d = frames[0].persons[0].keypoints_3d * (1.0 if i < 5 else 1.4)

    found = tally(measure(spoil(edit)), "limbs, same body")
    assert (found.checked, found.failed) == (5, 1)
    assert found.examples()[0][1] == 5


def test_twins_of_a_frame_id(spoil: Spoil) -> None:
    def edit(frames: list[Frame]) -> None:
        frames[7].frame_id = frames[3].frame_id

    found = tally(measure(spoil(edit)), "frame ids")
    assert (found.verdict, found.failed) == ("FAIL", 1)


def test_values_of_v_and_nan(infants: FramesFolder) -> None:
    frame = next(infants.iterate())
    person = frame.persons[0]
    person.keypoints[0, 2], person.keypoints[1, 0] = 3, np.nan
    check = next(check for check in CHECKS if check.name == "v")
    assert check.measure(Context(frame, person, COCO)) == 2
    counted = Tally("any", "", 1.0, "")
    counted.add(float("nan"), 0, 0)
    assert counted.failed == 1


def test_labels_without_masks_and_3d_are_not_applicable(spoil: Spoil) -> None:
    def edit(frames: list[Frame]) -> None:
        for frame in frames:
            frame.camera = frame.parts = None
            for person in frame.persons:
                person.mask = person.keypoints_3d = person.pose = person.betas = person.transl = None

    audit = measure(spoil(edit))
    verdicts = {tally.name: tally.verdict for tally in audit.tallies}
    assert {name for name, verdict in verdicts.items() if verdict == "pass"} == {
        *("frame ids", "v", "in picture", "left and right, 2D")
    }
    assert set(verdicts.values()) == {"pass", "not applicable"}


def test_a_body_that_is_not_here_is_named(spoil: Spoil) -> None:
    def edit(frames: list[Frame]) -> None:
        for frame in frames:
            for person in frame.persons:
                person.body = "licensed-somewhere-else"

    audit = measure(spoil(edit))
    assert tally(audit, "parameters").verdict == "not applicable"
    assert audit.unknown_bodies == ["licensed-somewhere-else"]


def test_the_worst_are_kept_in_order() -> None:
    counted = Tally("any", "", 1.0, "px")
    for position in range(100):
        counted.add(float(position % 50), position, 0)
    assert [value for value, _, _ in counted.examples()] == [49, 49, 48, 48, 47, 47]
    assert [position for _, position, _ in counted.examples()[:2]] == [49, 99]
