"""Pickles are read without chumpy and without running anything from them."""

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from sim2pose.config import UserError
from sim2pose.models.bodies import stand_ins
from sim2pose.models.bodies.unpickle import Expression, Mahalanobis, loads, read_pickle


def content() -> dict:
    rng = np.random.default_rng(0)
    return {
        "floats": rng.standard_normal((3, 4)),
        "columns": np.asfortranarray(rng.standard_normal((3, 4)).astype(np.float32)),
        "big_endian": np.arange(5, dtype=">u4"),
        "strided": np.arange(12).reshape(3, 4)[:, ::2],
        "empty": np.zeros((0, 3), np.float16),
        "flag": np.array([True, False]),
        "text": np.array(["left", "right"]),
        "scalar": np.float32(2.5),
        "dtype": np.dtype("<f8"),
        "objects": np.array([1, None, np.arange(2)], dtype=object),
        "sparse": scipy.sparse.csc_matrix(np.eye(4)[:, [2, 0]]),
        "rows": scipy.sparse.csr_matrix(np.eye(3)),
        "named": OrderedDict(a=1),
        "set": {1},
        "nested": [(1, b"raw"), {"deep": np.ones(2)}],
    }


def same(a: object, b: object) -> bool:
    if scipy.sparse.issparse(a):
        return type(a) is type(b) and np.array_equal(a.toarray(), b.toarray())  # type: ignore[attr-defined]
    if isinstance(a, np.ndarray) and a.dtype == object:
        return a.shape == b.shape and all(same(x, y) for x, y in zip(a.ravel(), b.ravel(), strict=True))  # type: ignore
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)  # type: ignore[arg-type, index]
    if isinstance(a, list | tuple):
        return type(a) is type(b) and all(same(x, y) for x, y in zip(a, b, strict=True))  # type: ignore[call-overload]
    return [*a] == b if isinstance(a, set) else a == b


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_come_back_from_every_protocol(protocol: int) -> None:
    original = content()
    found = loads(pickle.dumps(original, protocol=protocol), "toy.pkl")
    assert list(found) == list(original)
    for key, value in original.items():
        assert same(value, found[key]), key


def test_python2_files(write_python2, tmp_path: Path) -> None:
    original = {key: content()[key] for key in ("floats", "columns", "big_endian", "scalar", "sparse")}
    path = write_python2(original, tmp_path / "old.pkl")
    data = path.read_bytes()
    assert b"numpy.core.multiarray" in data and b"scipy.sparse.csc\n" in data and b"_codecs" not in data
    found = read_pickle(path)
    for key, value in original.items():
        assert same(value, found[key]), key


@pytest.mark.parametrize("protocol", range(6))
def test_chumpy_arrays_without_chumpy(protocol: int, foreign) -> None:
    with foreign("chumpy.ch", "Ch") as ch, foreign("chumpy.reordering", "transpose") as turned:
        inner, outer = ch(), turned()
        inner.x, inner._dirty_vars = np.arange(6.0).reshape(2, 3), {"x"}
        outer.a, outer.axes = inner, None
        data = pickle.dumps({"plain": inner, "turned": outer}, protocol=protocol)
    found = loads(data, "toy.pkl")
    assert np.array_equal(found["plain"], np.arange(6.0).reshape(2, 3))
    assert np.array_equal(found["turned"], np.arange(6.0).reshape(2, 3).T)


def test_chumpy_expressions_are_not_taken_for_arrays(foreign) -> None:
    with foreign("chumpy.ch_ops", "sqrt") as kind:
        made = kind()
        made.x = np.ones(3)  # the operand, not the value
        with foreign("chumpy.reordering", "Reshape") as kind:
            turned = kind()
            turned.a, turned.newshape = made, (3, 1)
            data = pickle.dumps([made, turned])
    assert loads(data, "toy.pkl") == [Expression("chumpy.ch_ops.sqrt"), Expression("chumpy.reordering.Reshape")]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("module", ["prior", "smil.fitting.priors", "sbody.mesh_sequence"])
def test_prior_of_any_module(module: str, protocol: int, foreign, tmp_path: Path) -> None:
    mean, prec = np.arange(69.0), np.eye(69)
    with foreign(module, "Mahalanobis") as kind:
        made = kind()
        made.mean, made.prec, made.prefix = mean, prec, 3
        (tmp_path / "prior.pkl").write_bytes(pickle.dumps(made, protocol=protocol))
    found = read_pickle(tmp_path / "prior.pkl")
    assert isinstance(found, Mahalanobis)
    assert np.array_equal(found.mean, mean) and np.array_equal(found.prec, prec) and found.prefix == 3


def test_prior_of_an_old_style_class() -> None:
    """Python 2 wrote instances of classes without ``object`` by name, then their attributes."""
    state = pickle.dumps({"mean": [1.0], "prec": [[2.0]], "prefix": 0}, protocol=0)[:-1]
    found = loads(b"(i__main__\nMahalanobis\n" + state + b"b.", "prior.pkl")
    assert (found.mean.tolist(), found.prec.tolist(), found.prefix) == ([1.0], [[2.0]], 0)


def test_names_asked_for_are_told(foreign, tmp_path: Path) -> None:
    with foreign("chumpy.ch", "Ch") as ch:
        made = ch()
        made.x = np.ones(2)
        (tmp_path / "toy.pkl").write_bytes(pickle.dumps(made))
    asked: set[str] = set()
    read_pickle(tmp_path / "toy.pkl", asked)
    assert "chumpy.ch.Ch" in asked


# ---- damage


def test_absent_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*absent\.pkl"):
        read_pickle(tmp_path / "absent.pkl")
    for data, words in ((b"", "is empty"), (b"<html>404</html>", "no pickle"), (b"\x00" * 40, "no pickle")):
        (tmp_path / "bad.pkl").write_bytes(data)
        with pytest.raises(UserError, match=words):
            read_pickle(tmp_path / "bad.pkl")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_files_cut_short_anywhere(protocol: int) -> None:
    data = pickle.dumps(content(), protocol=protocol)
    for length in [*range(1, 60), *range(60, len(data), 37), len(data) - 1]:
        with pytest.raises(UserError, match="cut short"):
            loads(data[:length], "short.pkl")


def test_flipped_bytes_never_escape_as_another_error() -> None:
    data = bytearray(pickle.dumps(content(), protocol=2))
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(600):
        place, value = int(rng.integers(len(data))), int(rng.integers(256))
        damaged = bytearray(data)
        damaged[place] = value
        try:
            loads(bytes(damaged), "flipped.pkl")
            outcomes.add("read")
        except UserError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"indices": np.array([0, 9], np.int32)}, "index beyond the rows"),
        ({"indptr": np.array([0, 1, 700], np.int32)}, "pointer beyond the data"),
        ({"_shape": (4, -2)}, "negative shape"),
    ],
)
def test_sparse_matrices_that_point_outside_are_refused(changes: dict, what: str) -> None:
    matrix = scipy.sparse.csc_matrix(np.eye(4)[:, [2, 0]])
    for key, value in changes.items():
        matrix.__dict__[key] = value
    with pytest.raises(UserError, match="damaged"):
        loads(pickle.dumps(matrix), what)


def test_array_larger_than_its_data_is_refused() -> None:
    data = pickle.dumps(np.zeros((3, 4)), protocol=2)
    state = b"K\x03K\x04\x86"  # the shape (3, 4)
    assert data.count(state) == 1
    for shape in (b"K\x03K\x05\x86", b"K\x03J\xff\xff\xff\xff\x86", b"J\x00\x00\x00\x7fJ\x00\x00\x00\x7f\x86"):
        with pytest.raises(UserError, match="damaged"):
            loads(data.replace(state, shape), "large.pkl")


# ---- malice


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self):  # type: ignore[override]
        return self.call


def attacks(sentinel: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that would make ``sentinel`` if they ran, and the name to be refused."""
    shell = f"touch {sentinel}"
    code = f"open({str(sentinel)!r}, 'w').close()"
    system = ("posix" if os.name == "posix" else "nt") + ".system"
    nested = {"v_template": np.zeros(3), "list": [({"deep": Call(os.system, shell)},)]}
    by_getattr = Call(getattr, [], "append")
    inside_array = np.array([Call(os.system, shell)], dtype=object)
    return {
        "os.system": (pickle.dumps(Call(os.system, shell)), system),
        "os.system, protocol 0": (pickle.dumps(Call(os.system, shell), protocol=0), system),
        "eval": (pickle.dumps(Call(eval, code)), "builtins.eval"),
        "exec, Python 2's name": (pickle.dumps(Call(exec, code), protocol=2), "__builtin__.exec"),
        "open": (pickle.dumps(Call(open, str(sentinel), "w")), "io.open"),
        "numpy.load": (pickle.dumps(Call(np.load, str(sentinel))), "numpy.load"),
        "numpy.save": (pickle.dumps(Call(np.save, str(sentinel), np.ones(1))), "numpy.save"),
        "nested": (pickle.dumps(nested), system),
        "getattr": (pickle.dumps(by_getattr), "builtins.getattr"),
        "object array": (pickle.dumps(inside_array), system),
        "instance opcode": (f"(S'{shell}'\nios\nsystem\n.".encode(), "os.system"),
        "object opcode": (b"(cos\nsystem\nX" + bytes([len(shell)]) + b"\0\0\0" + shell.encode() + b"o.", "os.system"),
        "dotted name": (
            b"\x80\x04\x8c\x05numpy\x8c\x0elib.npyio.load\x93\x8c\x01x\x85R.",
            "numpy.lib.npyio.load",
        ),
        "prior's module": (b"c__main__\nos.system\n.", "__main__.os.system"),
        "subprocess": (b"csubprocess\nPopen\n(S'touch'\ntR.", "subprocess.Popen"),
    }


def test_malicious_pickles_are_refused_by_name_and_do_not_run(tmp_path: Path) -> None:
    sentinel = tmp_path / "ran"
    for what, (data, name) in attacks(sentinel).items():
        with pytest.raises(UserError, match=f"asks for '{name}'") as caught:
            loads(data, f"{what}.pkl")
        assert f"{what}.pkl" in str(caught.value)
        assert not sentinel.exists(), what


def test_the_attacks_would_have_run(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    sentinel = tmp_path / "ran"
    for what in ("os.system", "eval", "nested", "instance opcode"):
        pickle.Unpickler(io.BytesIO(attacks(sentinel)[what][0])).load()
        assert sentinel.exists(), what
        sentinel.unlink()


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy.core.multiarray\n_reconstruct\n(c__builtin__\nset\ntR.",  # reconstruct something that is no array
        b"cnumpy.core.multiarray\n_reconstruct\n}S'x'\nI1\nsb.",  # set attributes of a function
        b"cnumpy\nndarray\n}S'label'\nI1\nsb.",  # set attributes of a class
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.",
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"cnumpy\ndtype\n(S'V8'\nI0\nI1\ntR.",  # records
        b"cchumpy.ch\nCh\n.",  # a bare class
        b"P0\n.",  # an object outside of the file
        b"\x82\x01.",  # a registered extension
    ],
)
def test_permitted_names_cannot_be_turned_to_other_ends(data: bytes) -> None:
    before = {name: set(vars(kind)) for name, kind in vars(stand_ins).items() if isinstance(kind, type)}
    with pytest.raises(UserError):
        loads(data, "odd.pkl")
    assert before == {name: set(vars(kind)) for name, kind in vars(stand_ins).items() if isinstance(kind, type)}


def test_a_file_cannot_alter_the_reading_of_the_next() -> None:
    evil = b"cscipy.sparse\ncsc_matrix\n(N}S'label'\nS'evil'\nstb."  # slot state, which pickle sets by setattr
    with pytest.raises(UserError):
        loads(evil, "evil.pkl")
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    assert np.array_equal(loads(pickle.dumps(matrix), "good.pkl").toarray(), np.eye(3))
