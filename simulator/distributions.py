"""Distributions of non-negative figures: boot seconds, runtime factors.

A distribution is its quantile function, so that one uniform number gives one draw: entities keep
their luck whatever the family, and a longer tail is met by the same unlucky entity. The compiled
quantile functions in :mod:`simulator.kernels` are the only ones; engine and kernel share them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autoscale.errors import InputError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autoscale.model.arrays import FloatArray

CONSTANT, UNIFORM, LOGNORMAL, WEIBULL, GAMMA, TABLE = range(6)
"""Codes of the families, as the compiled kernel knows them."""

LEAST_CV = 1e-9


@dataclass(frozen=True, slots=True)
class Coded:
    """A distribution as the compiled kernel reads it: code, three figures, quantile table."""

    family: int
    figures: tuple[float, float, float]
    probabilities: tuple[float, ...] = ()
    values: tuple[float, ...] = ()


class Distribution:
    """Base of the families below; every one draws finite numbers >= 0."""

    __slots__ = ()

    family: ClassVar[str]

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        raise NotImplementedError

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        raise NotImplementedError

    def quantile(self, probability: Any) -> FloatArray:
        """Return the values below which the given shares of the draws lie.

        Parameters
        ----------
        probability
            Numbers strictly between 0 and 1, any shape.
        """
        from simulator import kernels

        u = np.asarray(probability, dtype=np.float64)
        c = self.coded()
        table = (np.array(c.probabilities), np.array(c.values))
        flat = kernels.quantiles(c.family, *c.figures, *table, u.ravel())
        out: FloatArray = flat.reshape(u.shape)
        return out

    def to_dict(self) -> dict[str, Any]:
        """Return the distribution as it is written in TOML."""
        stated = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in stated.items()}
        return {"family": self.family, **plain}

    def _refuse_below(self, least: float, *names: str, strictly: bool = False) -> None:
        for name in names:
            value = getattr(self, name)
            if not (least < value if strictly else least <= value) or not value < math.inf:
                sign = ">" if strictly else ">="
                raise InputError(
                    f"{self.family} distribution: {name} must be a finite number {sign} "
                    f"{least:g}, got {value!r}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Distribution):
    """Always the same value, >= 0."""

    value: float
    family: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        self._refuse_below(0, "value")

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        return self.value

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        return Coded(CONSTANT, (float(self.value), 0.0, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(Distribution):
    """Every value between ``low`` >= 0 and ``high`` is as likely."""

    low: float
    high: float
    family: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        self._refuse_below(0, "low")
        self._refuse_below(self.low, "high")

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        return (self.low + self.high) / 2

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        return Coded(UNIFORM, (float(self.low), float(self.high), 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal(Distribution):
    """A lognormal variable plus ``shift``.

    Parameters
    ----------
    mean, cv
        Mean (> 0) and coefficient of variation (>= 0) before the shift.
    shift
        Added to every draw, >= 0.
    """

    mean: float
    cv: float
    shift: float = 0.0
    family: ClassVar[str] = "lognormal"

    def __post_init__(self) -> None:
        self._refuse_below(0, "mean", strictly=True)
        self._refuse_below(0, "cv", "shift")

    @classmethod
    def from_logs(cls, mu: float, sigma: float, shift: float = 0.0) -> Lognormal:
        """Return the lognormal whose logarithm has mean ``mu`` and deviation ``sigma`` >= 0."""
        mean, cv = math.exp(mu + sigma**2 / 2), math.sqrt(math.expm1(sigma**2))
        return cls(mean=mean, cv=cv, shift=shift)

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        return self.mean + self.shift

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        variance = math.log1p(self.cv**2)
        return Coded(
            LOGNORMAL, (math.log(self.mean) - variance / 2, math.sqrt(variance), float(self.shift))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weibull(Distribution):
    """A Weibull variable plus ``shift``; shape 1 is the exponential distribution.

    Parameters
    ----------
    scale, shape
        Both > 0; the scale is the exponential's mean.
    shift
        Added to every draw, >= 0.
    """

    scale: float
    shape: float = 1.0
    shift: float = 0.0
    family: ClassVar[str] = "weibull"

    def __post_init__(self) -> None:
        self._refuse_below(0, "scale", "shape", strictly=True)
        self._refuse_below(0, "shift")

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        return self.shift + self.scale * math.gamma(1 + 1 / self.shape)

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        return Coded(WEIBULL, (float(self.scale), 1 / self.shape, float(self.shift)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma(Distribution):
    """A gamma variable plus ``shift``.

    Parameters
    ----------
    mean, cv
        Mean (> 0) and coefficient of variation (> 0) before the shift; the shape is ``cv**-2``.
    shift
        Added to every draw, >= 0.
    """

    mean: float
    cv: float
    shift: float = 0.0
    family: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        self._refuse_below(0, "mean", strictly=True)
        self._refuse_below(0, "shift")
        self._refuse_below(1e-3, "cv")  # below, the shape is over a million: take a lognormal

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        return self.mean + self.shift

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        return Coded(GAMMA, (self.cv**-2, self.mean * self.cv**2, float(self.shift)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles(Distribution):
    """An empirical distribution: a table of quantiles, straight lines between them.

    Parameters
    ----------
    probabilities
        Strictly increasing from 0 to 1.
    values
        The value at each probability, >= 0, non-decreasing.
    """

    probabilities: tuple[float, ...]
    values: tuple[float, ...]
    family: ClassVar[str] = "quantiles"

    def __post_init__(self) -> None:
        p, v = (np.asarray(x, dtype=np.float64) for x in (self.probabilities, self.values))
        if p.ndim != 1 or p.shape != v.shape or p.size < 2:
            raise InputError(
                "quantiles distribution: expected as many probabilities as values, at least two "
                f"of each, got {p.size} and {v.size}"
            )
        if not (p[0] == 0 and p[-1] == 1 and (np.diff(p) > 0).all()):
            raise InputError(
                "quantiles distribution: probabilities must increase strictly from 0 to 1, got "
                f"{p.tolist()}"
            )
        if not (np.isfinite(v).all() and v[0] >= 0 and (np.diff(v) >= 0).all()):
            raise InputError(
                "quantiles distribution: values must be finite, >= 0 and never decrease, got "
                f"{v.tolist()}"
            )
        object.__setattr__(self, "probabilities", tuple(p.tolist()))
        object.__setattr__(self, "values", tuple(v.tolist()))

    @classmethod
    def from_samples(cls, samples: Any, steps: int = 100) -> Quantiles:
        """Return the table of ``steps`` + 1 equally spaced quantiles of the samples."""
        p = np.linspace(0, 1, steps + 1)
        return cls(probabilities=tuple(p.tolist()), values=tuple(np.quantile(samples, p).tolist()))

    @property
    def expected(self) -> float:
        """The mean of the draws."""
        return float(np.trapezoid(self.values, self.probabilities))

    def coded(self) -> Coded:
        """Return the distribution as the compiled kernel reads it."""
        return Coded(TABLE, (0.0, 0.0, 0.0), self.probabilities, self.values)


FAMILIES: dict[str, type[Distribution]] = {
    kind.family: kind for kind in (Constant, Uniform, Lognormal, Weibull, Gamma, Quantiles)
}
"""The families by the name that TOML files use."""


def factor(cv: float) -> Lognormal:
    """Return a lognormal factor of mean 1 with the coefficient of variation ``cv`` >= 0."""
    return Lognormal(mean=1.0, cv=cv)


def distribution_of(value: Any, where: str) -> Distribution:
    """Return the distribution that a TOML value states: a number, or a table with a ``family``.

    Parameters
    ----------
    value
        For example ``90`` or ``{family = "lognormal", mean = 60, cv = 0.3}``.
    where
        What messages call the place.

    Raises
    ------
    InputError
        Unknown family, missing, unknown or wrong figures.
    """
    if isinstance(value, Distribution):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = {"family": "constant", "value": value}
    if not isinstance(value, dict) or not isinstance(value.get("family"), str):
        raise InputError(
            f"{where}: expected a number or a table with a family "
            f"({', '.join(FAMILIES)}), got {value!r}"
        )
    name = value["family"]
    if name not in FAMILIES:
        raise InputError(f"{where}: {unknown('family', name, tuple(FAMILIES))}")
    figures = {key: given for key, given in value.items() if key != "family"}
    return _made(FAMILIES[name], figures, where)


def _made(kind: type[Distribution], figures: Mapping[str, Any], where: str) -> Distribution:
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key, given in figures.items():
        if key not in known:
            raise InputError(f"{where}: {unknown('figure', key, tuple(known))}")
        numbers = given if isinstance(given, list) and kind is Quantiles else [given]
        if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in numbers):
            raise InputError(f"{where}: {key}: expected a number, got {given!r}")
    needed = ("mean", "cv") if "mean" in known else tuple(known)[: 1 if "scale" in known else None]
    missing = [name for name in needed if name not in figures]
    if missing:
        raise InputError(f"{where}: {kind.family} needs {' and '.join(missing)}")
    listed = {k: tuple(v) if isinstance(v, list) else v for k, v in figures.items()}
    try:
        return kind(**listed)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
