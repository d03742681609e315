"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoscale.errors import InputError
from autoscale.formats.files import atomic_write


def test_replaces_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with atomic_write(path) as out:
        out.write(b"new")
        out.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail() -> None:
        with atomic_write(path) as out:
            out.write(b"new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link") as out:
        out.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"


def test_a_device_is_written_not_replaced(tmp_path: Path) -> None:
    with atomic_write("/dev/null") as out:
        out.write(b"x")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "it is a folder"),
        ("missing/a.txt", "missing does not exist"),
        ("plain/a.txt", "Not a directory"),
        ("a" * 300, "File name too long"),
    ],
)
def test_unwritable_paths(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "plain").write_bytes(b"")
    path = tmp_path / name
    with pytest.raises(InputError) as caught, atomic_write(path) as out:
        out.write(b"x")
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert expected in str(caught.value)
    assert os.listdir(tmp_path) == ["plain"]


def test_full_disk() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    expected = pytest.raises(InputError, match="/dev/full: cannot be written: No space left")
    with expected, atomic_write("/dev/full") as out:
        out.write(b"x" * 100_000)


def test_errors_about_other_files_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "other").read_bytes()
    assert os.listdir(tmp_path) == []
