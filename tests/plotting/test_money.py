"""The bars of where money goes add up to it."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from autoscale.optimize.explain import explain_plan
from autoscale.plotting import plot_money
from autoscale.plotting.money import MOST_TYPES
from tests.plans import hand_worked_plan, random_plan


def test_bars_add_up_to_the_cost() -> None:
    """Each type has a bar, made of its categories end to end, as long as what it costs."""
    found = explain_plan(random_plan(3, 25), prices=False)
    ax = plot_money(found)
    assert isinstance(ax.figure, Figure)
    bars = [p for p in ax.patches if isinstance(p, Rectangle)]
    assert sum(b.get_width() for b in bars) == pytest.approx(found.plan.cost_usd)
    for row, money in enumerate(found.by_type[:MOST_TYPES]):
        own = [b for b in bars if abs(b.get_y() + b.get_height() / 2 - row) < 0.3]
        assert max(b.get_x() + b.get_width() for b in own) == pytest.approx(money.money.total_usd)
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == [f"{t.leases} x {t.instance_type}" for t in found.by_type]


def test_the_legend_tells_the_shares() -> None:
    """The legend names every category with its share of the cost; given axes are used."""
    ax = Figure().add_subplot()
    assert plot_money(explain_plan(hand_worked_plan(), prices=False), ax) is ax
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [
        "compute 4.2%", "transfers 2.8%", "boot 2.8%", "idle 12.5%", "rounding 77.8%",
    ]  # fmt: skip
