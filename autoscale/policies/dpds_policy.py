"""DPDS: dynamic provisioning, dynamic scheduling of an ensemble (Malawski et al., SC'12).

See :mod:`autoscale.policies.ensembles`. Every workflow is run, by priority, whether or not it can
be finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscale.policies.about import About
from autoscale.policies.ensembles import Ensemble

if TYPE_CHECKING:
    from autoscale.policies.about import Terms

ABOUT = About(
    aim="ensemble",
    summary="a fleet by budget, deadline and utilisation; tasks in the order of priorities",
    source="Malawski, Juve, Deelman and Nabrzyski, SC'12 (DPDS)",
    reconstruction=(
        "running tasks are not killed: a task is not started that by its estimate ends after the "
        "deadline or holds its machine beyond the budget"
    ),
)


def make(terms: Terms) -> Ensemble:
    """Return DPDS for one run.

    Raises
    ------
    InputError
        No budget, or no horizon.
    """
    return Ensemble(terms)
