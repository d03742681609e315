"""Array types used throughout, and small helpers on columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Int32Array: TypeAlias = NDArray[np.int32]
BoolArray: TypeAlias = NDArray[np.bool_]
StringArray: TypeAlias = Any
"""A numpy array of variable-width strings (``StringDType``): no Python object a row."""


def string_array(values: Iterable[str]) -> StringArray:
    """Return the strings as one read-only numpy column."""
    out = np.array(list(values), dtype=np.dtypes.StringDType())
    out.flags.writeable = False
    return out


def frozen(values: Any, dtype: Any) -> NDArray[Any]:
    """Return ``values`` as a contiguous read-only array of ``dtype``."""
    out = np.ascontiguousarray(values, dtype=dtype)
    if out.flags.writeable:
        if out is values:
            out = out.view()
        out.flags.writeable = False
    return out


def csr(owner: Any, member: Any, n_owners: int) -> tuple[IntArray, Int32Array]:
    """Return ``(ptr, members)``: the members of each owner, in the order given.

    Parameters
    ----------
    owner, member
        Equal-length integer arrays; row ``r`` says that ``member[r]`` belongs to ``owner[r]``.
    n_owners
        How many owners there are.
    """
    owner = np.asarray(owner, dtype=np.int64)
    ptr = np.zeros(n_owners + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=n_owners), out=ptr[1:])
    order = np.argsort(owner, kind="stable")
    return frozen(ptr, np.int64), frozen(np.asarray(member)[order], np.int32)


def distinct(values: IntArray) -> IntArray:
    """Return the distinct values, ascending: ``numpy.unique``, much faster on millions."""
    ordered = np.sort(values)
    first = np.ones(ordered.size, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def number_rows(columns: Sequence[Any]) -> tuple[Int32Array, IntArray]:
    """Return the number of each row, and the first row of each number.

    Rows are numbered by first appearance; two rows are alike when every column has the same bits.

    Parameters
    ----------
    columns
        Equal-length numeric arrays, at most 64 bits an entry.
    """
    from autoscale.model import kernels

    rows = np.empty((len(columns[0]), len(columns)), dtype=np.int64)
    for j, column in enumerate(columns):
        column = np.asarray(column)
        rows[:, j] = column.view(np.int64) if column.dtype == np.float64 else column
    number, first = kernels.number_rows(rows)
    return number, first
