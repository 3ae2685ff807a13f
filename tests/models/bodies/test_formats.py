"""Model files that are refused: of another format than they claim, of arrays that do not fit, damaged or malicious."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim2pose.config import UserError
from sim2pose.models.bodies import load_body
from sim2pose.models.bodies.files import read_npz
from sim2pose.models.bodies.formats import FORMATS, claimed_format


@pytest.mark.parametrize(
    ("path", "format_"),
    [
        ("a/SMPLX_NEUTRAL.npz", "smplx"),
        ("a/smpl/SMPLH_MALE.pkl", "smplh"),
        ("MANO_LEFT.pkl", "mano"),
        ("smplh/male/model.npz", "smplh"),
        ("smplx/model.npz", "smplx"),
        ("smplx/my_smil.npz", None),
        ("smil_web.pkl", None),
        ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", None),
        ("smpl.npz", None),
    ],
)
def test_what_a_name_claims(path: str, format_: str | None) -> None:
    assert claimed_format(Path(path)) == format_


def test_formats_hold_together() -> None:
    for entry in FORMATS.values():
        assert entry.joint_count == len(entry.parents) and entry.parents[0] == -1
        assert entry.is_official(entry.vertices, entry.faces) and not entry.is_official(entry.vertices, 1)
    assert {entry.joint_count for entry in FORMATS.values()} == {24, 52, 55, 16}


def test_folders_say_what_they_lack(official: Path) -> None:
    with pytest.raises(UserError, match="is a folder: say which body"):
        load_body(official)
    with pytest.raises(UserError, match=r"no SMPLX_FEMALE\.npz or SMPLX_FEMALE\.pkl in"):
        load_body(official, model_type="smplx", gender="female")
    with pytest.raises(UserError, match=r"no MANO_LEFT\.npz"):
        load_body(official, model_type="mano", is_rhand=False)
    with pytest.raises(UserError, match="did you mean 'smplx'"):
        load_body(official, model_type="smpl-x")
    with pytest.raises(UserError, match="unknown gender 'femal': did you mean 'female'"):
        load_body(official, model_type="smplx", gender="femal")
    with pytest.raises(UserError, match="has 10 of num_betas, not 11"):
        load_body(official, model_type="smpl", num_betas=11)
    with pytest.raises(UserError, match="has 0 of num_expression_coeffs, not 5"):
        load_body(official, model_type="smpl", num_expression_coeffs=5)


def test_a_file_of_another_kind_than_it_claims(toys, tmp_path: Path) -> None:
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(path, **toys("mano"))
    with pytest.raises(UserError, match="SMPL-X by its file's name, but its arrays are MANO's"):
        load_body(path)
    path = path.rename(tmp_path / "hand.npz")
    with pytest.raises(UserError, match="SMPL-H by model_type, but its arrays are MANO's"):
        load_body(path, model_type="smplh")
    np.savez(path, **toys("mano"), meta=np.array('{"format": "smplx"}'))
    with pytest.raises(UserError, match="SMPL-X by its meta"):
        load_body(path)


def change(key: str, place: Any, value: Any):
    def changed(arrays: dict[str, Any]) -> dict[str, Any]:
        array = arrays[key].copy()
        array[place] = value
        return {key: array}

    return changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (lambda a: {"weights": a["weights"][:, :15]}, "no known format; joints are 16 (MANO), 24 (SMPL)"),
        (lambda a: {"weights": a["weights"][:-1]}, "weights is (777, 16), MANO needs (778, 16)"),
        (lambda a: {"posedirs": a["posedirs"][:, :, :-1]}, "posedirs is (778, 3, 134)"),
        (lambda a: {"J_regressor": a["J_regressor"].T}, "J_regressor is (778, 16)"),
        (lambda a: {"hands_mean": a["hands_mean"][:44]}, "hands_mean is (44,)"),
        (lambda a: {"f": a["f"].astype(float)}, "f holds float64 values, need whole numbers"),
        (change("f", (7, 1), 778), "f names item 778 of 778 (0 to 777)"),
        (change("v_template", (5, 0), np.nan), "v_template holds NaN"),
        (change("shapedirs", (5, 0, 0), np.inf), "shapedirs holds NaN or infinite"),
        (change("kintree_table", (0, 3), 1), "not the joint tree of MANO"),
        (lambda a: {"keypoint_regressor": np.zeros((17, 778))}, "MANO needs (21, 778) in the order of freihand21"),
        (lambda a: {"extra_vertices": np.array('{"thumb": 778}')}, "extra_vertices names vertex 778 of 778"),
        (lambda a: {"extra_vertices": np.array("thumb")}, "must be JSON"),
        (lambda a: {"f": a["f"][:-1]}, "no keypoint_regressor: of MANO only the official mesh (778, 1538)"),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes: Any, message: str, toys, tmp_path: Path) -> None:
    path = tmp_path / "hand.npz"
    np.savez(path, **toys("mano") | changes(toys("mano")))
    with pytest.raises(UserError) as caught:
        load_body(path)
    assert message in str(caught.value)


def test_joints_of_one_model_on_the_mesh_of_another(toys, tmp_path: Path) -> None:
    arrays, mesh = toys("mano"), toys("smpl")
    mixed = arrays | {key: mesh[key] for key in ("v_template", "f", "shapedirs")}
    mixed["weights"] = np.full((6890, 16), 1 / 16)
    mixed["posedirs"] = np.zeros((6890, 3, 135), np.float16)
    mixed["J_regressor"] = np.full((16, 6890), 1 / 6890)
    np.savez(tmp_path / "mixed.npz", **mixed)
    with pytest.raises(UserError, match="16 joints as MANO, but the mesh of SMPL"):
        load_body(tmp_path / "mixed.npz")


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):  # type: ignore[override]
        return open, (str(self.path), "w")


def test_objects_in_an_npz_never_run(toys, tmp_path: Path) -> None:
    sentinel, path = tmp_path / "ran", tmp_path / "hand.npz"
    np.savez(path, **toys("mano"), unused=np.array([Touch(sentinel)], dtype=object))
    assert load_body(path).format == "mano"  # nothing needs it, so it stays unopened
    np.savez(path, **toys("mano") | {"weights": np.array([Touch(sentinel)], dtype=object)})
    with pytest.raises(UserError, match=r"weights asks for 'io\.open'"):
        load_body(path)
    np.savez(path, **toys("mano") | {"weights": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(UserError, match=r"weights holds .* objects, which are not read"):
        load_body(path)
    assert not sentinel.exists()


def test_damaged_files(toys, tmp_path: Path) -> None:
    whole = tmp_path / "hand.npz"
    np.savez_compressed(whole, **toys("mano"))
    data = bytearray(whole.read_bytes())
    for length in (0, 10, 3000, len(data) // 2, len(data) - 10):
        (tmp_path / "short.npz").write_bytes(data[:length])
        with pytest.raises(UserError, match=r"short\.npz"):
            load_body(tmp_path / "short.npz")
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    (tmp_path / "flipped.npz").write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        read_npz(tmp_path / "flipped.npz")


def test_pickles_of_other_things(tmp_path: Path, foreign) -> None:
    path = tmp_path / "thing.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UserError, match="holds a list, need a dict of arrays"):
        load_body(path)
    path.write_bytes(pickle.dumps({"v_template": np.zeros((3, 3))}))
    with pytest.raises(UserError, match="lacks shapedirs, posedirs"):
        load_body(path)
    with foreign("chumpy.ch_ops", "sqrt") as kind:
        made = kind()
        made.x = np.ones((3, 3))
        path.write_bytes(pickle.dumps({"v_template": made}))
    with pytest.raises(UserError, match=r"v_template is a 'chumpy\.ch_ops\.sqrt', a chumpy expression"):
        load_body(path)
    with foreign("prior", "Mahalanobis") as kind:
        prior = kind()
        prior.mean, prior.prec, prior.prefix = np.zeros(3), np.eye(3), 0
        path.write_bytes(pickle.dumps(prior))
    with pytest.raises(UserError, match="holds a pose prior, not a body"):
        load_body(path)
