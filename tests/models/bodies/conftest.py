"""Model files in each official layout and size, with random numbers in place of the licensed ones."""

from __future__ import annotations

import pickle
import struct
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from sim2pose.models.bodies.formats import FORMATS

Arrays = dict[str, Any]


def toy_arrays(kind: str, shape_columns: int = 10, seed: int = 0) -> Arrays:
    """Arrays of a format at its official size: small random shape, sparse weights and correctives, random hands."""
    entry, rng = FORMATS[kind], np.random.default_rng(seed)
    vertices, joints = entry.vertices, entry.joint_count
    rows = np.arange(vertices)
    weights = np.zeros((vertices, joints))
    share = rng.uniform(0.3, 0.7, vertices)
    weights[rows, rows % joints] = share
    weights[rows, (rows // joints) % joints] += 1 - share
    regressor = np.zeros((joints, vertices))
    regressor[np.arange(joints)[:, None], rng.integers(vertices, size=(joints, 8))] = 0.125
    regressor /= regressor.sum(1, keepdims=True)
    posedirs = np.zeros((vertices, 3, 9 * (joints - 1)), np.float16)
    posedirs[:, :, rng.choice(posedirs.shape[2], 12, replace=False)] = 0.01 * rng.standard_normal((vertices, 3, 12))
    tree = np.stack([np.array(entry.parents), np.arange(joints)]).astype(np.int64)
    tree[0, 0] = 2**32 - 1
    arrays: Arrays = {
        "v_template": 0.3 * rng.standard_normal((vertices, 3)),
        "shapedirs": (0.02 * rng.standard_normal((vertices, 3, shape_columns), np.float32)).astype(np.float16),
        "posedirs": posedirs,
        "J_regressor": regressor,
        "kintree_table": tree.astype(np.uint32),
        "weights": weights,
        "f": ((np.arange(entry.faces)[:, None] + np.array([0, 1, 2])) % vertices).astype(np.uint32),
    }
    for ending in entry.hands.values():
        arrays[f"hands_components{ending}"] = np.linalg.qr(rng.standard_normal((45, 45)))[0]
        arrays[f"hands_mean{ending}"] = 0.2 * rng.standard_normal(45)
    if kind == "smplx":
        arrays["lmk_faces_idx"] = rng.integers(entry.faces, size=51)
        arrays["lmk_bary_coords"] = rng.dirichlet([1, 1, 1], 51)
        arrays["dynamic_lmk_faces_idx"] = rng.integers(entry.faces, size=(79, 17))
        arrays["dynamic_lmk_bary_coords"] = rng.dirichlet([1, 1, 1], (79, 17))
    return arrays


@contextmanager
def foreign_class(module: str, name: str) -> Iterator[type]:
    """A class that pickles as ``module.name`` although no such package is installed; gone afterwards."""
    kind = type(name, (), {"__module__": module})
    parts = module.split(".")
    made = [".".join(parts[: i + 1]) for i in range(len(parts))]
    made = [path for path in made if path not in sys.modules]
    for path in made:
        sys.modules[path] = types.ModuleType(path)
    old = getattr(sys.modules[module], name, None)
    setattr(sys.modules[module], name, kind)
    try:
        yield kind
    finally:
        if old is None:
            delattr(sys.modules[module], name)
        for path in made:
            del sys.modules[path]


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes text and bytes as Python 2's ``str``, and numpy and scipy under their names of then."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_py2(self, value: Any) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else bytes(value)
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        old = {"numpy._core": "numpy.core", "scipy.sparse._csc": "scipy.sparse.csc"}
        module = obj.__module__
        for new, then in old.items():
            module = then + module.removeprefix(new) if module.startswith(new) else module
        self.write(f"c{module}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch[str] = dispatch[bytes] = save_py2
    dispatch[type] = dispatch[types.FunctionType] = save_global


def dump_python2(value: Any, path: Path) -> Path:
    """Pickle as Python 2 did, protocol 2."""
    with path.open("wb") as stream:
        Python2Pickler(stream, 2).dump(value)
    return path


def chumpy_pickle(arrays: Arrays, path: Path, dump: Callable[[Any, Path], Path] = dump_python2) -> Path:
    """A model file as its authors pickled it: chumpy arrays and a sparse joint regressor."""
    with foreign_class("chumpy.ch", "Ch") as ch, foreign_class("chumpy.reordering", "Select") as select:

        def wrap(array: np.ndarray) -> Any:
            made = ch()
            made.__dict__.update({"x": array, "_dirty_vars": set(), "_itr": None, "_status": "undefined"})
            return made

        content = dict(arrays) | {"bs_type": "lrotmin", "bs_style": "lbs", "J_regressor_prior": None}
        content["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
        for key in ("v_template", "weights", "posedirs"):
            content[key] = wrap(arrays[key])
        chosen = select()
        both = np.concatenate([arrays["shapedirs"], np.zeros_like(arrays["shapedirs"])], -1)
        places = np.arange(both.size).reshape(both.shape)[..., : arrays["shapedirs"].shape[-1]]
        chosen.__dict__.update({"a": wrap(both), "idxs": places.ravel(), "preferred_shape": arrays["shapedirs"].shape})
        content["shapedirs"] = chosen
        return dump(content, path)


@pytest.fixture(scope="session")
def toys() -> Callable[..., Arrays]:
    """``toys(kind, shape_columns)``: official arrays, made once."""
    made: dict[tuple[str, int], Arrays] = {}

    def get(kind: str, shape_columns: int = 10) -> Arrays:
        key = (kind, shape_columns)
        if key not in made:
            made[key] = toy_arrays(kind, shape_columns)
        return made[key]

    return get


@pytest.fixture(scope="session")
def write_chumpy() -> Callable[..., Path]:
    return chumpy_pickle


@pytest.fixture(scope="session")
def write_python2() -> Callable[[Any, Path], Path]:
    return dump_python2


@pytest.fixture(scope="session")
def foreign() -> Callable[[str, str], Any]:
    return foreign_class


@pytest.fixture(scope="session")
def official(toys: Callable[..., Arrays], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``smplx.create`` wants it: SMPL, SMPL-H and MANO pickled with numpy and scipy, SMPL-X as npz."""
    root = tmp_path_factory.mktemp("models")
    for kind, file in (("smpl", "SMPL_NEUTRAL"), ("smplh", "SMPLH_MALE"), ("mano", "MANO_RIGHT")):
        (root / kind).mkdir()
        arrays = dict(toys(kind))
        arrays["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
        (root / kind / f"{file}.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    (root / "smplx").mkdir()
    named = {"joint2num": np.array({"Pelvis": 0}, dtype=object), "part2num": np.array({"Body": 0}, dtype=object)}
    np.savez(root / "smplx" / "SMPLX_NEUTRAL.npz", **toys("smplx", 400), **named)
    return root
