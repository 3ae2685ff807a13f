"""Model files of every format, in every official layout, by smplx's parameters, held equal to smplx itself."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import smplx
import torch

from sim2pose.config import UserError
from sim2pose.models.bodies import Body, load_body
from sim2pose.models.bodies.files import OPEN_BODIES
from sim2pose.models.bodies.smplx_layer import smplx_layer

SIZES = {"smpl": (24, 6890), "smplh": (52, 6890), "smplx": (55, 10475), "mano": (16, 778)}
GENDERS = {"smplh": "male"}


def arguments(body: Body, count: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random parameters by smplx's names."""
    rng = np.random.default_rng(seed)
    coefficients = next((hand.size for hand in body.hands.values()), 45)
    widths = {
        "smpl": {"body_pose": 69},
        "smplh": {"body_pose": 63, "left_hand_pose": coefficients, "right_hand_pose": coefficients},
        "mano": {"hand_pose": coefficients},
    }
    widths["smplx"] = widths["smplh"] | {"jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "expression": 10}
    sizes = {"betas": body.num_betas, "transl": 3, "global_orient": 3} | widths[body.format]
    return {k: torch.from_numpy(0.4 * rng.standard_normal((count, n)).astype(np.float32)) for k, n in sizes.items()}


def posed(body: Body, given: dict[str, torch.Tensor]):
    parts = {key: value for key, value in given.items() if key not in ("betas", "transl", "expression")}
    return body(given["betas"], body.full_pose(**parts), given["transl"], given.get("expression"))


def assert_equal(ours: Any, theirs: Any, joints: int) -> None:
    assert (ours.vertices - theirs.vertices).abs().max() < 1e-5
    assert (ours.joints - theirs.joints[:, :joints]).abs().max() < 1e-5


# ---- equality with smplx, which reads the same files


ANGLES: dict[str, Any] = {"use_pca": False}
FLAT = ANGLES | {"flat_hand_mean": True}
COEFFICIENTS: dict[str, Any] = {"use_pca": True, "num_pca_comps": 9}
CASES = [
    *(("smpl", ANGLES), ("smplh", ANGLES), ("smplh", FLAT), ("smplh", COEFFICIENTS)),
    *(("smplx", ANGLES), ("smplx", COEFFICIENTS), ("mano", ANGLES), ("mano", FLAT), ("mano", COEFFICIENTS)),
]


@pytest.mark.parametrize(("kind", "hands"), CASES)
def test_folder_gives_what_smplx_gives(kind: str, hands: dict[str, Any], official: Path) -> None:
    gender = GENDERS.get(kind, "neutral")
    ext = "npz" if kind == "smplx" else "pkl"
    body = load_body(official, model_type=kind, gender=gender, num_betas=10, **hands)
    assert (body.format, body.official, body.num_betas) == (kind, True, 10)
    assert (body.joint_count, len(body.template)) == SIZES[kind]
    given = arguments(body)
    reference = smplx.create(str(official), model_type=kind, gender=gender, ext=ext, batch_size=2, **hands)
    assert_equal(posed(body, given), reference(**given), body.joint_count)


def test_smplx_file_of_twenty_columns(toys, tmp_path: Path) -> None:
    """The trap: with fewer than 400 columns betas are columns 0-9, expressions 10-19."""
    path = tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(path, **toys("smplx", 400) | {"shapedirs": toys("smplx", 400)["shapedirs"][:, :, 100:120]})
    body = load_body(path)
    assert (body.num_betas, body.num_expressions) == (10, 10)
    given = arguments(body)
    reference = smplx.create(str(path), ext="npz", use_pca=False, batch_size=2)
    assert_equal(posed(body, given), reference(**given), 55)


def test_full_smplx_file_keeps_expressions_apart(official: Path, toys) -> None:
    body = load_body(official / "smplx" / "SMPLX_NEUTRAL.npz", num_betas=300, num_expression_coeffs=3)
    assert (body.num_betas, body.num_expressions) == (300, 3)
    columns = body.mesh.shapedirs.numpy().reshape(-1, 3, 10475).transpose(2, 1, 0)
    assert np.array_equal(columns, toys("smplx", 400)["shapedirs"][:, :, :303].astype(np.float32))


def test_forty_five_components_mean_angles_for_mano(official: Path) -> None:
    body = load_body(official, model_type="mano", use_pca=True, num_pca_comps=45)
    given = arguments(body)
    reference = smplx.create(str(official), model_type="mano", use_pca=True, num_pca_comps=45, batch_size=2)
    assert_equal(posed(body, given), reference(**given), 16)


@pytest.mark.parametrize("kind", ["smpl", "smplh", "mano"])
def test_layer_holds_the_same_body(kind: str, official: Path) -> None:
    body = load_body(official, model_type=kind, gender=GENDERS.get(kind, "neutral"))
    given = arguments(body)
    assert_equal(posed(body, given), smplx_layer(body)(**given), body.joint_count)


def test_gradients_and_batches(official: Path) -> None:
    """Every parameter of a hand gets a gradient, and a batch is its members."""
    body = load_body(official, model_type="mano", use_pca=True)
    given = {key: value.double().requires_grad_() for key, value in arguments(body, 3).items()}
    precise = body.to(dtype=torch.float64)
    output = posed(precise, given)
    loss = (output.keypoints**2).sum()
    for key, gradient in zip(given, torch.autograd.grad(loss, list(given.values())), strict=True):
        assert torch.isfinite(gradient).all() and gradient.abs().amin(0).sum() > 0, key
    single = posed(precise, {key: value[1:2] for key, value in given.items()})
    assert (single.vertices[0] - output.vertices[1]).abs().max() < 1e-12

    def keypoints(hand_pose: torch.Tensor) -> torch.Tensor:
        return posed(precise, {k: v[:1].detach() for k, v in given.items()} | {"hand_pose": hand_pose}).keypoints

    assert torch.autograd.gradcheck(keypoints, (given["hand_pose"][:1].detach().requires_grad_(),))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", SIZES)
def test_same_body_on_a_gpu(kind: str, official: Path) -> None:
    body = load_body(official, model_type=kind, gender=GENDERS.get(kind, "neutral"))
    given = arguments(body)
    far = posed(body.to("cuda"), {key: value.cuda() for key, value in given.items()})
    direct = load_body(official, model_type=kind, gender=GENDERS.get(kind, "neutral"), device="cuda")
    assert direct.mesh.template.is_cuda
    near = posed(body, given)
    for name in ("vertices", "joints", "keypoints"):
        assert (getattr(far, name).cpu() - getattr(near, name)).abs().max() < 1e-5


# ---- open bodies

BUILT = [name for name, path in OPEN_BODIES.items() if path.is_file()]


@pytest.mark.parametrize("name", BUILT)
def test_open_bodies_agree_with_smplx(name: str) -> None:
    """The module made of the body's own arrays, with mean hands where the body has hands."""
    body = load_body(name, flat_hand_mean=any(hand.mean is None for hand in load_body(name).hands.values()))
    given = arguments(body)
    output = posed(body, given)
    assert_equal(output, smplx_layer(body)(**given), body.joint_count)
    assert torch.allclose(body.points(output, body.keypoint_set), output.keypoints, atol=1e-6)
    assert body.meta["name"] == name


@pytest.mark.parametrize("name", sorted(set(BUILT) - {"open-infant"}))
def test_smplx_itself_reads_the_open_files(name: str, tmp_path: Path) -> None:
    body = load_body(name)
    path = tmp_path / ("MANO_RIGHT.npz" if body.format == "mano" else "SMPLX_NEUTRAL.npz")
    path.write_bytes(OPEN_BODIES[name].read_bytes())
    given = arguments(body)
    reference = smplx.create(str(path), ext="npz", use_pca=False, batch_size=2, num_betas=body.num_betas)
    assert_equal(posed(body, given), reference(**given), body.joint_count)


# ---- parts of a pose


def test_what_is_left_out_is_zero_or_the_mean_hand(official: Path, toys) -> None:
    body = load_body(official, model_type="smplh", gender="male")
    pose = body.full_pose(body_pose=torch.ones(3, 21, 3))
    assert pose.shape == (3, 52, 3)
    assert (pose[:, 0] == 0).all() and (pose[:, 1:22] == 1).all()
    assert np.allclose(pose[1, 22:37].flatten(), toys("smplh")["hands_meanl"], atol=1e-6)
    assert np.allclose(pose[2, 37:].flatten(), toys("smplh")["hands_meanr"], atol=1e-6)
    assert body.full_pose().shape == (1, 52, 3)
    both = body.full_pose(global_orient=torch.ones(1, 3), body_pose=torch.zeros(4, 63))
    assert both.shape == (4, 52, 3) and (both[:, 0] == 1).all()
    with pytest.raises(UserError, match=r"has no jaw_pose; its pose has global_orient, body_pose"):
        body.full_pose(jaw_pose=torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"body_pose needs \(1, 63\)"):
        body.full_pose(body_pose=torch.zeros(1, 69))


def test_smplh_without_hands_says_so_when_they_are_wanted(toys, tmp_path: Path) -> None:
    """AMASS' layout: smplh/male/model.npz with 16 betas and no MANO hands."""
    folder = tmp_path / "smplh" / "male"
    folder.mkdir(parents=True)
    np.savez(folder / "model.npz", **{k: v for k, v in toys("smplh", 16).items() if not k.startswith("hands")})
    body = load_body(tmp_path, model_type="smplh", gender="male")
    assert (body.format, body.num_betas) == ("smplh", 16)
    assert body(torch.zeros(1, 16), torch.zeros(1, 52, 3), torch.zeros(1, 3)).vertices.shape == (1, 6890, 3)
    with pytest.raises(UserError, match="flat_hand_mean=True"):
        body.full_pose()
    flat = load_body(folder / "model.npz", flat_hand_mean=True)
    assert (flat.full_pose() == 0).all()
    with pytest.raises(UserError, match="has 0 hand components"):
        load_body(folder / "model.npz", use_pca=True)


# ---- the authors' own layouts


@pytest.mark.parametrize(("kind", "file", "betas"), [("smpl", "smil_web.pkl", 20), ("mano", "MANO_LEFT.pkl", 10)])
def test_chumpy_pickles_of_python2(kind: str, file: str, betas: int, toys, write_chumpy, tmp_path: Path) -> None:
    arrays = toys(kind, betas)
    path = write_chumpy(arrays, tmp_path / file)
    with pytest.raises(ModuleNotFoundError, match="chumpy"):
        pickle.loads(path.read_bytes(), encoding="latin1")
    body = load_body(path)
    assert (body.name, body.format, body.num_betas) == (path.stem, kind, betas)
    np.savez(tmp_path / "plain.npz", **arrays)
    plain = load_body(tmp_path / "plain.npz")
    given = arguments(body)
    assert torch.equal(posed(body, given).vertices, posed(plain, given).vertices)


def test_sparse_regressor_inside_an_npz(toys, tmp_path: Path) -> None:
    """``np.savez(**pickle.load(...))`` leaves scipy matrices as pickled objects."""
    import scipy.sparse

    regressor = scipy.sparse.csc_matrix(toys("mano")["J_regressor"])
    np.savez(tmp_path / "hand.npz", **toys("mano") | {"J_regressor": np.array(regressor, dtype=object)})
    body = load_body(tmp_path / "hand.npz")
    assert np.allclose(body.joint_regressor, toys("mano")["J_regressor"])


def test_smplx_texture_coordinates_are_turned_over(toys, tmp_path: Path) -> None:
    arrays = toys("mano") | {"vt": np.array([[0.0, 0], [1, 0], [0.25, 1]]), "ft": np.zeros((1538, 3), int)}
    np.savez(tmp_path / "hand.npz", **arrays)
    assert np.array_equal(load_body(tmp_path / "hand.npz").uv, np.array([[0, 1], [1, 1], [0.25, 0]], np.float32))


def test_zero_columns_of_open_bodies_are_dropped(toys, tmp_path: Path) -> None:
    arrays = dict(toys("smplx", 400))
    arrays["shapedirs"] = arrays["shapedirs"].copy()
    arrays["shapedirs"][:, :, 12:300] = 0
    arrays["shapedirs"][:, :, 307:] = 0
    arrays["meta"] = np.array('{"format": "smplx", "licence": "CC0"}')
    np.savez(tmp_path / "person.npz", **arrays)
    body = load_body(tmp_path / "person.npz")
    assert (body.num_betas, body.num_expressions, body.licence) == (12, 7, "CC0")
