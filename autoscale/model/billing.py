"""Billing: the ONE place that rounds a lease up to what is charged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.errors import InputError
from autoscale.units import TIME_TOL_S

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray


def billed_seconds(held_s: float, quantum_s: float, minimum_s: float) -> float:
    """Return the seconds charged for a lease held ``held_s`` seconds.

    ``billed = max(minimum, ceil(held / quantum) * quantum)``, where an overshoot of less than
    ``TIME_TOL_S`` buys no further quantum. The compiled kernels call this same function.

    Examples
    --------
    >>> billed_seconds(3600.0000001, 3600.0, 3600.0), billed_seconds(10.2, 1.0, 60.0)
    (3600.0, 60.0)
    """
    return max(minimum_s, math.ceil(held_s / quantum_s - TIME_TOL_S / quantum_s) * quantum_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """How a lease is charged.

    Parameters
    ----------
    quantum_s
        Leases are charged in whole quanta of this many seconds, > 0.
    minimum_s
        Shortest time charged, in seconds, >= 0.

    Raises
    ------
    InputError
        When a figure is out of range or not finite.
    """

    quantum_s: float = 1.0
    minimum_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.quantum_s < math.inf:
            raise InputError(f"billing: quantum_s must be finite and > 0, got {self.quantum_s!r}")
        if not 0 <= self.minimum_s < math.inf:
            raise InputError(f"billing: minimum_s must be finite and >= 0, got {self.minimum_s!r}")

    def billed_s(self, held_s: float) -> float:
        """Return the seconds charged for a lease held ``held_s`` seconds."""
        return billed_seconds(held_s, self.quantum_s, self.minimum_s)

    def billed_array_s(self, held_s: FloatArray) -> FloatArray:
        """Return the seconds charged for each of many leases."""
        quanta = np.ceil(held_s / self.quantum_s - TIME_TOL_S / self.quantum_s)
        return np.maximum(self.minimum_s, quanta * self.quantum_s)


PER_SECOND = Billing()
"""Today's rule: by the second, at least a minute."""

HOURLY = Billing(quantum_s=3600.0, minimum_s=3600.0)
"""The rule of the early 2010s: whole hours."""
