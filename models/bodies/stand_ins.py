"""Stand-ins for the objects that pickled body models are made of, and the numbers that they stand for.

A stand-in keeps what a file says of an object and does nothing with it; :func:`resolve` then turns it into plain numpy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse

from ...config import UserError

_DTYPE = re.compile(r"[<>=|]?[biufcSUO]\d{0,6}$")


@dataclass(frozen=True)
class Mahalanobis:
    """The pose prior of SMPLify and SMIL: distance of a pose to a Gaussian.

    Attributes:
        mean: (D,) pose, radians. prec: (D, D), a matrix L; the prior is the norm of L' (pose[prefix:] - mean).
        prefix: leading pose entries that it leaves out, 3 for the global orientation.
    """

    mean: np.ndarray
    prec: np.ndarray
    prefix: int


@dataclass(frozen=True)
class Expression:
    """A chumpy object that is no array but a computation, such as a product; its numbers are unknown without chumpy.

    Attributes:
        name: "chumpy.ch.MatVecMult".
    """

    name: str


class Holder:
    """Base of the stand-ins: keeps what the file says of an object, and does nothing with it."""

    label = ""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class DtypeHolder(Holder):
    """A numpy dtype: its code, and the byte order that its state adds."""

    def numpy(self) -> np.dtype[Any]:
        """The dtype, of numbers or text; records are refused."""
        code = self.arguments[0] if self.arguments else None
        if isinstance(code, bytes):
            code = code.decode("latin1")
        if not isinstance(code, str) or not _DTYPE.match(code):
            raise ValueError(f"dtype {code!r} is not one of numbers or text")
        plain: np.dtype[Any] = np.dtype(code)
        if self.state is None:
            return plain
        order, subtype, names, fields = self.state[1:5]
        if subtype is not None or names is not None or fields is not None:
            raise ValueError("an array of records")
        order = order.decode("latin1") if isinstance(order, bytes) else order
        return plain.newbyteorder(">" if order == ">" else "<") if order in ("<", ">") else plain


class ArrayHolder(Holder):
    """An array of numpy in the making: state (version, shape, dtype, column-major, data)."""


class SparseHolder(Holder):
    """A matrix of scipy.sparse."""


class ChumpyHolder(Holder):
    """An array or expression of chumpy."""


class PriorHolder(Holder):
    """A Mahalanobis prior."""


class ObjectHolder(Holder):
    """``object``, the base that protocols 0 and 1 name."""


class Caller:
    """A function that a file may call, behind an object without attributes that it could set."""

    __slots__ = ("_function",)

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("it sets the state of a function")


def assemble(dtype: Any, shape: Any, data: Any, columns: bool) -> np.ndarray:
    """An array from raw bytes, whose number must match shape and dtype; object arrays from their list."""
    if not isinstance(dtype, DtypeHolder):
        raise ValueError("an array without a dtype")
    kind = dtype.numpy()
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"an array of shape {shape!r}")
    order: Literal["F", "C"] = "F" if columns else "C"
    if kind.hasobject:
        if not isinstance(data, list):
            raise ValueError("an object array without its items")
        items = np.empty(len(data), object)
        items[:] = data
        return items.reshape(shape, order=order)
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(raw, bytes | bytearray):
        raise ValueError("an array without data")
    return np.frombuffer(raw, kind).reshape(shape, order=order).copy()


def resolve(value: Any, seen: dict[int, Any], source: str) -> Any:
    """Replace stand-ins by what they hold, in containers of any depth."""
    if id(value) in seen:
        return seen[id(value)][1]
    if isinstance(value, dict):
        result: Any = {}
        seen[id(value)] = (value, result)
        result.update((resolve(k, seen, source), resolve(v, seen, source)) for k, v in value.items())
        return result
    if isinstance(value, list | set | frozenset):  # sets as lists: arrays cannot be members of a set
        result = []
        seen[id(value)] = (value, result)
        result.extend(resolve(item, seen, source) for item in value)
        return result
    if isinstance(value, tuple):
        result = tuple(resolve(item, seen, source) for item in value)
    elif isinstance(value, Holder):
        seen[id(value)] = (value, None)  # an object inside itself resolves to None rather than for ever
        result = _held(value, seen, source)
    elif isinstance(value, np.ndarray) and value.dtype.hasobject:
        result = np.empty(value.shape, object)
        for place, item in np.ndenumerate(value):
            result[place] = resolve(item, seen, source)
    elif isinstance(value, type | Caller):
        raise ValueError("it holds a bare type or function")
    else:
        return value
    seen[id(value)] = (value, result)
    return result


def _held(holder: Holder, seen: dict[int, Any], source: str) -> Any:
    """The value that one stand-in stands for."""
    if isinstance(holder, DtypeHolder):
        return holder.numpy()
    if isinstance(holder, ArrayHolder):
        _, shape, dtype, columns, data = holder.state
        return resolve(assemble(dtype, shape, data, bool(columns)), seen, source)
    state = resolve(holder.state, seen, source)
    if isinstance(holder, PriorHolder):
        names = ("mean", "prec", "prefix")
        given = (
            state
            if isinstance(state, dict)
            else dict(zip(names, resolve(holder.arguments, seen, source), strict=False))
        )
        if set(names) - set(given):
            raise UserError(f"{source} holds a Mahalanobis prior without {', '.join(sorted(set(names) - set(given)))}")
        return Mahalanobis(np.asarray(given["mean"]), np.asarray(given["prec"]), int(given["prefix"]))
    if not isinstance(state, dict):
        raise ValueError(f"a {holder.label} without content")
    return _sparse(holder.label, state) if isinstance(holder, SparseHolder) else _chumpy(holder, state)


def _sparse(kind: str, state: dict[str, Any]) -> Any:
    """A scipy matrix whose indices have been checked against its shape."""
    shape = state["_shape"] if "_shape" in state else state["shape"]
    make = scipy.sparse.csc_matrix if kind == "csc" else scipy.sparse.csr_matrix
    matrix = make((state["data"], state["indices"], state["indptr"]), shape=shape)
    matrix.check_format(full_check=True)
    return matrix


def _chumpy(holder: Holder, state: dict[str, Any]) -> np.ndarray | Expression:
    """The numbers of a chumpy array, or of one that only reorders another."""
    kind = holder.label.rpartition(".")[2]
    operand = state.get("x" if kind == "Ch" else "a")
    if operand is None or isinstance(operand, Expression):
        return Expression(holder.label)
    array = np.asarray(operand)
    if kind == "Ch":
        return array
    if kind == "Select" and "idxs" in state:
        chosen = array.ravel()[np.asarray(state["idxs"])]
        return chosen.reshape(state.get("preferred_shape", chosen.shape))
    if kind == "Reshape" and "newshape" in state:
        return array.reshape(state["newshape"])
    if kind == "transpose":
        return np.transpose(array, state.get("axes"))
    return Expression(holder.label)
