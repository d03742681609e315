"""Every code block of the documentation runs as it stands, page by page, in a folder of its own.

Blocks of a page share the folder and, in Python, their names. Of shell blocks the lines that call
``autoscale`` run in this process; where a block shows output, it must be what is printed, ``...``
standing for anything. Titled blocks are files. Remarks in HTML comments, which the site leaves out:
``<!-- run first ... -->`` has Python code that prepares what the page takes for given,
``<!-- run with WORD=text ... -->`` says what placeholders stand for, and ``<!-- not run: why -->``
excepts the next block. Planners get at most a second, whatever the page grants them.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from autoscale.cli import main
from autoscale.optimize import planner

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("console", "sh", "bash")
SETTING_UP = "python3 -m venv"
"""Commands that set the project up are run by ``.ci/run``."""
TEXTS = ("", "text", "mermaid")
MOST_S = 1.0

PARTS = re.compile(
    r"<!-- (?P<remark>run first|run with|not run:)(?P<told>.*?)-->"
    r"|^(?P<indent> *)```(?P<language>\w*)(?P<more>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A code block: its language, its title if it is a file, its text, and the line above it."""

    language: str
    title: str | None
    code: str
    line: int = 0


def blocks_of(text: str) -> Iterator[Block]:
    """Yield what is to be run, in order."""
    words: dict[str, str] = {}
    skip = False
    for part in PARTS.finditer(text):
        line = text.count("\n", 0, part.start()) + (part["remark"] is None)
        if part["remark"] == "run first":
            yield Block("python", None, part["told"], line)
        elif part["remark"] == "run with":
            words |= dict(pair.split("=", 1) for pair in shlex.split(part["told"]))
        elif part["remark"]:
            skip = True
        elif skip:
            skip = False
        else:
            code = "".join(
                line.removeprefix(part["indent"]) for line in part["code"].splitlines(True)
            )
            for word, meant in words.items():
                code = re.sub(rf"\b{word}\b", meant, code)
            title = re.search(r'title="([^"]+)"', part["more"])
            yield Block(part["language"], title and title[1], code, line)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_runs(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hurried(monkeypatch)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks_of(page.read_text("utf-8")):
        if block.title:
            (tmp_path / block.title).write_text(block.code, "utf-8")
        if block.language == "python":
            # Lines are counted as in the page, for tracebacks.
            exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
        elif block.language in SHELLS:
            run_shell(block.code, capsys)
        else:
            check_text(block)


def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let planners and fronts end soon."""
    from autoscale.optimize import compare
    from autoscale.optimize import pareto as fronts

    whole = planner.solve
    front = fronts.pareto_front

    def solve(problem: Any, **how: Any) -> Any:
        return whole(problem, **{**how, "time_limit_s": min(MOST_S, how.get("time_limit_s", 20.0))})

    def pareto_front(problem: Any, **how: Any) -> Any:
        return front(problem, **{**how, "time_limit_s": 2.0})

    monkeypatch.setattr(planner, "solve", solve)
    monkeypatch.setattr(compare, "solve", solve)
    monkeypatch.setattr(fronts, "pareto_front", pareto_front)


def run_shell(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the lines that call ``autoscale``, and compare what is printed where it is shown."""
    for command, shown in commands_of(code):
        words = shlex.split(command, comments=True)
        code_wanted = re.search(r"# exit code (\d+)", command)
        code_found = main(words[1:])
        printed = capsys.readouterr()
        wanted = int(code_wanted[1]) if code_wanted else 0
        assert code_found == wanted, f"{command}: exit code {code_found}: {printed.err}"
        if shown:
            assert_alike(shown, printed.out)


def commands_of(code: str) -> Iterator[tuple[str, str]]:
    """Yield commands with the output that follows them; other programs' are left out."""
    found: list[tuple[str, list[str]]] = []
    with_prompts = any(line.startswith("$ ") for line in code.splitlines())
    for line in code.replace("\\\n", " ").splitlines():
        if with_prompts and not line.startswith("$ "):
            found[-1][1].append(line)
        elif line.strip() and not line.startswith(("#", SETTING_UP)):
            found.append((line.removeprefix("$ "), []))
    for command, shown in found:
        assert command.startswith("autoscale "), f"cannot be run here: {command}"
        yield command, "\n".join(shown)


def assert_alike(shown: str, printed: str) -> None:
    """Compare line by line without regard to white space; ``...`` stands for any text."""
    words = [re.escape(" ".join(piece.split())) for piece in shown.split("...")]
    pattern = r"\s*" + r".*?".join(w.replace(r"\ ", r"\s+") for w in words) + r"\s*"
    assert re.fullmatch(pattern, printed, re.DOTALL), f"printed:\n{printed}\nshown:\n{shown}"


def check_text(block: Block) -> None:
    """Read data files; other languages are refused, so that nothing goes unchecked."""
    if block.language == "toml":
        tomllib.loads(block.code)
    elif block.language == "json":
        json.loads(block.code)
    elif block.language == "csv":
        widths = {len(row) for row in csv.reader(io.StringIO(block.code))}
        assert len(widths) == 1, f"rows of {sorted(widths)} cells"
    else:
        assert block.language in TEXTS, f"blocks of {block.language} are not checked"


def test_the_runner_sees_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "<!-- not run: why -->\n```sh\nrm x\n```\n<!-- run with A=b -->\n```sh\nautoscale A\n```\n"
    )
    assert [b.code for b in blocks_of(text)] == ["autoscale b\n"]
    with pytest.raises(AssertionError, match="exit code 2"):
        run_shell("$ autoscale show nothing.json\n", capsys)
    with pytest.raises(AssertionError, match="cannot be run here"):
        run_shell("pip install x\n", capsys)
    with pytest.raises(AssertionError, match="printed"):
        assert_alike("a ... c", "a b d")
    assert_alike("a ...\nc", "a\n b\n  c\n")
    with pytest.raises(AssertionError, match="not checked"):
        check_text(Block("perl", None, ""))
