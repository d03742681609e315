"""Where the data files that ship with the project are."""

from __future__ import annotations

from pathlib import Path


def data_path(*parts: str) -> Path:
    """Return the path of a shipped data file, e.g. ``data_path("catalog", "aws.csv")``.

    An installed package carries the files inside itself; a source checkout has them beside it.
    """
    here = Path(__file__).parent
    root = here / "_data"
    if not root.is_dir():
        root = here.parent / "data"
    return root.joinpath(*parts)
