"""The parts of the report's page: figures, sortable tables, and the one file that holds all."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from simulator.study.charts import Chart

MOST_ROWS = 1000
"""A table on the page has at most so many rows."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    key
        Its anchor.
    title
        Its heading.
    body
        HTML below the heading.
    charts
        Interactive pictures in it, by the id of their figure: what there is to choose from.
    """

    key: str
    title: str
    body: str
    charts: Mapping[str, Sequence[Chart]]


def paragraph(text: str, *, faint: bool = False) -> str:
    """Return a paragraph of plain text."""
    return f"<p{' class=faint' if faint else ''}>{escape(text)}</p>"


def figure(key: str, label: str, choices: Sequence[str] = ()) -> str:
    """Return the place of an interactive picture, with a menu where there is a choice."""
    menu = ""
    if len(choices) > 1:
        options = "".join(f"<option>{escape(c)}</option>" for c in choices)
        menu = f"<label>{escape(label)} <select>{options}</select></label>"
    return f'<figure id="{key}" style="margin:0">{menu}<div class="plot"></div></figure>'


def table(
    frame: pd.DataFrame,
    *,
    caption: str = "",
    names: Mapping[str, str] | None = None,
    forms: Mapping[str, Callable[[float], str]] | None = None,
) -> str:
    """Return a table whose columns sort at a click.

    Parameters
    ----------
    frame
        At most :data:`MOST_ROWS` rows are shown, and the caption says so.
    caption
        Plain text over it.
    names
        Headings, by column; the column's name where not given.
    forms
        How numbers are written, by column.
    """
    names, forms = names or {}, forms or {}
    columns = [str(c) for c in frame.columns]
    numeric = {c: str(frame[c].dtype).startswith(("int", "float")) for c in columns}
    if len(frame) > MOST_ROWS:
        caption += f" The first {MOST_ROWS:,} of {len(frame):,} rows."
    head = "".join(
        f"<th{' class=n' if numeric[c] else ''} scope=col>"
        f"<button>{escape(names.get(c, c.replace('_', ' ')))}</button></th>"
        for c in columns
    )
    rows = []
    for values in frame.head(MOST_ROWS).itertuples(index=False, name=None):
        cells = (
            _number(v, forms.get(c, _plain)) if numeric[c] else f"<td>{escape(str(v))}</td>"
            for c, v in zip(columns, values, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    told = f"<caption>{escape(caption.strip())}</caption>" if caption.strip() else ""
    return (
        f"<div class=scroll tabindex=0><table>{told}<thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:#,.4g}".rstrip(".")


def _number(value: float, form: Callable[[float], str]) -> str:
    if math.isnan(value):
        return '<td class=n data-v="NaN"></td>'
    text = "∞" if math.isinf(value) else escape(form(value))
    sort = "Infinity" if math.isinf(value) else repr(float(value))
    return f'<td class=n data-v="{sort}">{text}</td>'


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Return the whole page; it needs nothing from elsewhere.

    Parameters
    ----------
    title
        Plain text.
    lead
        HTML below the title.
    sections
        In order; those without a body are left out.

    Raises
    ------
    InputError
        plotly, whose script draws the pictures, is not installed.
    """
    shown = [s for s in sections if s.body]
    links = "".join(f'<a href="#{s.key}">{escape(s.title)}</a>' for s in shown)
    bodies = "".join(
        f'<section id="{s.key}"><h2>{escape(s.title)}</h2>{s.body}</section>' for s in shown
    )
    charts = {key: list(found) for s in shown for key, found in s.charts.items()}
    files = resources.files("simulator.study")
    css, js = (files.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{css}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>{lead}<nav>{links}</nav></header>"
        f"<main>{bodies}</main>"
        f'<script type="application/json" id="charts">{_inert(charts)}</script>'
        f"<script>{plotly_script()}</script><script>{js}</script></body></html>\n"
    )


def _inert(charts: dict[str, Any]) -> str:
    """Return JSON that cannot end the script element that holds it."""
    text = json.dumps(charts, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def plotly_script() -> str:
    """Return the script that draws the pictures."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError(
            "a report needs plotly; install it with: pip install 'autoscale[report]'"
        ) from None
    return str(get_plotlyjs())
