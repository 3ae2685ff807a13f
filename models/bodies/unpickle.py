"""Read pickles of the SMPL family without running code from them, and without chumpy.

A pickle is a small program that may call any importable function. Here every name that a file asks for is answered from
a fixed list of stand-ins that only collect numbers: numpy arrays, dtypes and scalars (names of all numpy versions),
``scipy.sparse`` matrices, chumpy's arrays, and the ``Mahalanobis`` prior of SMPLify and SMIL, whichever module it names.
Any other name is refused. Not even numpy's own unpickling code sees the file's data: arrays are assembled from raw
bytes whose length has been checked. The stand-ins are made anew for each file, so that none can be altered for the next.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from ...config import UserError
from .stand_ins import (
    ArrayHolder,
    Caller,
    ChumpyHolder,
    DtypeHolder,
    Expression,
    Holder,
    Mahalanobis,
    ObjectHolder,
    PriorHolder,
    SparseHolder,
    assemble,
    resolve,
)

__all__ = ["Expression", "Mahalanobis", "loads", "read_pickle"]

_NUMPY_CORE = ("numpy.core", "numpy._core")
_SPARSE = {"csc_matrix": "csc", "csc_array": "csc", "csr_matrix": "csr", "csr_array": "csr"}


def read_pickle(path: str | Path, asked: set[str] | None = None) -> Any:
    """Content of a pickle file: plain Python values, numpy arrays, scipy matrices, :class:`Mahalanobis`.

    Byte strings of Python 2 are read as latin-1 text; a chumpy array becomes its numpy array, other chumpy objects an
    :class:`Expression`.

    Args:
        asked: is filled with the names that the file asks for ("chumpy.ch.Ch").

    Raises:
        UserError: if the file is absent, empty, cut short or no pickle, or asks for anything not listed above (named).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not data:
        raise UserError(f"{path} is empty: fetch it again")
    return loads(data, str(path), asked)


def loads(data: bytes, source: str, asked: set[str] | None = None) -> Any:
    """As :func:`read_pickle`, from bytes; ``source`` names them in messages."""
    try:
        reader = _Unpickler(data, source)
        content = resolve(reader.load(), {}, source)
        if asked is not None:
            asked.update(reader.asked())
        return content
    except UserError:
        raise
    except Exception as error:  # pickle documents that damaged data may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{source} is no pickle, or is damaged or cut short ({reason}): fetch it again") from error


class _Unpickler(pickle.Unpickler):
    """Answers every global from the table below."""

    def __init__(self, data: bytes, source: str) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._source = source
        self._made: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        key = (module, name)
        if key not in self._made:
            self._made[key] = self._stand_in(module, name)
        return self._made[key]

    def asked(self) -> list[str]:
        """Names that the file asked for."""
        return [f"{module}.{name}" for module, name in self._made]

    def _stand_in(self, module: str, name: str) -> Any:
        inside = module.startswith
        if (module, name) in (("numpy", "dtype"), *((core + ".multiarray", "dtype") for core in _NUMPY_CORE)):
            return _fresh(DtypeHolder, "dtype")
        if (module, name) in (("numpy", "ndarray"), ("numpy", "matrix"), ("numpy.matrixlib.defmatrix", "matrix")):
            return _fresh(ArrayHolder, name)
        if inside(_NUMPY_CORE):
            helper = {"_reconstruct": _reconstruct, "scalar": _scalar, "_frombuffer": _frombuffer}.get(name)
            if helper is not None and module.rpartition(".")[2] in ("multiarray", "numeric"):
                return _caller(helper)
        if (module == "scipy.sparse" or inside("scipy.sparse.")) and name in _SPARSE:
            return _fresh(SparseHolder, _SPARSE[name])
        if module == "chumpy" or inside("chumpy."):
            return _fresh(ChumpyHolder, f"{module}.{name}")
        if name == "Mahalanobis":
            return _fresh(PriorHolder, name)
        if module in ("__builtin__", "builtins"):
            if name == "object":
                return _fresh(ObjectHolder, name)
            if name in ("set", "frozenset"):
                return _caller(list)
            if name in ("bytes", "bytearray"):
                return _caller(_raw)
        if (module, name) == ("collections", "OrderedDict"):
            return _caller(OrderedDict)
        if (module, name) == ("_codecs", "encode"):
            return _caller(_latin1)
        if module in ("copy_reg", "copyreg") and name == "_reconstructor":
            return _caller(_reconstructor)
        raise UserError(
            f"{self._source} asks for '{module}.{name}', which body model files do not need and which could run code: "
            "do not open it elsewhere, fetch the file from its authors"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError("it refers to objects outside the file")


def _fresh(kind: type[Holder], label: str) -> type[Holder]:
    """A subclass for this file alone, so that what a file does to it ends with the file."""
    return type(kind.__name__, (kind,), {"label": label})


def _caller(function: Any) -> Any:
    """The function behind a new object for this file alone; it has no attributes that a file could set."""
    return Caller(function)


def _reconstruct(kind: Any, *_: Any) -> ArrayHolder:
    """An empty array, to be filled by its state (numpy.core.multiarray._reconstruct)."""
    if not (isinstance(kind, type) and issubclass(kind, ArrayHolder)):
        raise ValueError("it reconstructs something that is no array")
    return kind()


def _reconstructor(kind: Any, *_: Any) -> Holder:
    """An instance without arguments (copyreg._reconstructor of protocols 0 and 1)."""
    if not (isinstance(kind, type) and issubclass(kind, Holder)):
        raise ValueError("it constructs something that is no array")
    return kind()


def _scalar(dtype: Any, data: Any = None) -> Any:
    """A numpy scalar (numpy.core.multiarray.scalar)."""
    return assemble(dtype, (), data, False)[()]


def _frombuffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """An array of pickle protocol 5 (numpy.core.numeric._frombuffer)."""
    return assemble(dtype, shape, buffer, order == "F")


def _latin1(text: Any, encoding: Any = "latin1") -> bytes:
    """Bytes as Python 3 writes them in protocols 0 to 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes in another encoding than latin-1")
    return text.encode("latin1")


def _raw(data: Any = b"", encoding: Any = "latin1") -> bytes:
    """Bytes from bytes or text, never a number of zeros."""
    return data if isinstance(data, bytes) else _latin1(data, {"latin-1": "latin1"}.get(encoding, encoding))
