"""Reading a workflow in whatever format it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from autoscale.errors import InputError
from autoscale.formats.files import PathLike, read_bytes

if TYPE_CHECKING:
    from autoscale.model.workflow import Workflow

_EXPECTED = "expected WfFormat JSON, Pegasus DAX XML, or CSV with the columns id and runtime_s"


class _Parser(Protocol):
    def __call__(self, data: bytes, where: str, *, default_runtime_s: float | None) -> Workflow: ...


def read_workflow(path: PathLike, *, default_runtime_s: float | None = None) -> Workflow:
    """Read a workflow: WfFormat JSON, Pegasus DAX XML or CSV, plain or gzipped.

    The contents decide which it is; only text that is none of them is judged by its name.

    Parameters
    ----------
    path
        The file.
    default_runtime_s
        Runtime in seconds of tasks that state none; None makes that an error.

    Returns
    -------
    Workflow
        With ``path`` set, and in ``notes`` a line for each kind of doubtful data.

    Raises
    ------
    InputError
        The file cannot be read, is in no known format, or describes no valid workflow: cycles,
        unknown parents, duplicate ids, numbers that are negative or not finite, no tasks.
    """
    where = str(path)
    data = read_bytes(path)
    return _parser(data, where)(data, where, default_runtime_s=default_runtime_s)


def _parser(data: bytes, where: str) -> _Parser:
    from autoscale.formats.dax import parse_dax
    from autoscale.formats.wfformat import parse_wfformat
    from autoscale.formats.workflow_csv import parse_workflow_csv

    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return parse_wfformat
    if text[:1] == b"<":
        return parse_dax
    header = text.split(b"\n", 1)[0]
    if b"," in header and b"runtime" in header:
        return parse_workflow_csv
    name = where.lower().removesuffix(".gz")
    if name.endswith(".json"):
        return parse_wfformat
    if name.endswith((".xml", ".dax")):
        return parse_dax
    if name.endswith(".csv"):
        return parse_workflow_csv
    raise InputError(f"{where}: not a workflow: {_EXPECTED}; the file starts with {text[:16]!r}")
