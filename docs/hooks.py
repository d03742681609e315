"""What the site does with pages that are also read where they lie, in the repository."""

from __future__ import annotations

import re
from typing import Any

FILES = re.compile(r"\[([^\]]+)\]\(\.\./(?:\.\./)?((?:benchmarks|data|notebooks)/[^)]*)\)")
"""Links to files of the repository that are not pages of the site."""

COMMENTS = re.compile(r"<!-- (?:run first|not run|run with)\b.*?-->\n?", re.DOTALL)
"""Remarks to the test that runs the code blocks."""

ROLES = re.compile(r":(?:data|func|class|meth|mod|attr):<code>(?:~(?:\w+\.)*)?")
"""Roles of references in docstrings; ``~`` stands for the last part of a name."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page as the site shows it: such links name the file, such remarks are left out."""
    return COMMENTS.sub("", FILES.sub(r"`\2`", markdown))


def on_page_content(html: str, **_: Any) -> str:
    """Return a page with docstrings' references as plain names."""
    return ROLES.sub("<code>", html)
