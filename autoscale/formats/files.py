"""Reading whole files and writing them atomically, with errors that people understand."""

from __future__ import annotations

import difflib
import gzip
import os
import uuid
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

from autoscale.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

PathLike: TypeAlias = "str | os.PathLike[str]"

GZIP_MAGIC = b"\x1f\x8b"


def read_bytes(path: PathLike) -> bytes:
    """Return the contents of a file, unpacked where its first bytes say gzip.

    Raises
    ------
    InputError
        Missing, a folder, not readable, empty, or a gzip that is cut off or damaged.
    """
    where = os.fspath(path)
    try:
        data = Path(where).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{where}: no such file{_similar_name(where)}") from None
    except IsADirectoryError:
        raise InputError(f"{where}: is a folder; give a file inside it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: cannot be read: {_reason(error)}") from None
    if data.startswith(GZIP_MAGIC):
        data = _unpacked(data, where)
    if not data.strip():
        raise InputError(f"{where}: the file is empty")
    return data


def _unpacked(data: bytes, where: str) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError:
        raise InputError(
            f"{where}: the gzip file is cut off before its end; fetch or copy it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{where}: the gzip file is damaged: {error}") from None


def _similar_name(where: str) -> str:
    path = Path(where)
    with suppress(OSError, ValueError):
        near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
        if near:
            return f"; did you mean {path.parent / near[0]}?"
        return ""
    return f"; the folder {path.parent} does not exist"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing bytes that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, which replaces ``path`` at the end of the
    ``with`` block; on any failure the temporary file is removed and what was there before stays.
    Devices and pipes are written directly.

    Raises
    ------
    InputError
        The path cannot be written, for example because its folder does not exist or the disk is
        full; other exceptions of the block pass through.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder, "a.txt")) as out:
    ...         _ = out.write(b"whole or not at all")
    ...     Path(folder, "a.txt").read_text()
    'whole or not at all'
    """
    where = os.fspath(path)
    target = Path(os.path.realpath(where))
    if os.path.isdir(target):
        raise InputError(f"{where}: cannot be written: it is a folder; give a file name")
    if os.path.exists(target) and not os.path.isfile(target):
        with _explained(where, target, target), target.open("wb") as out:
            yield out
        return
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with _explained(where, target, temporary):
            with temporary.open("xb") as out:
                yield cast("BinaryIO", out)
            os.replace(temporary, target)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def _explained(where: str, target: Path, temporary: Path) -> Iterator[None]:
    """Turn the system's refusals to write into InputError; leave other errors alone."""
    try:
        yield
    except OSError as error:
        # A failing write() names no file; an error about some other file is the caller's own.
        if error.filename not in (None, str(target), str(temporary)):
            raise
        if isinstance(error, FileNotFoundError):
            raise InputError(
                f"{where}: cannot be written: the folder {target.parent} does not exist"
            ) from None
        raise InputError(f"{where}: cannot be written: {_reason(error)}") from None
