"""Instance types and the catalogue of what is on offer."""

from __future__ import annotations

import fnmatch
import math
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from autoscale.errors import InputError, unknown
from autoscale.units import BYTES_PER_GBIT, GIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from autoscale.model.arrays import FloatArray, IntArray

Purchase = Literal["on-demand", "spot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """A rentable machine shape with its price.

    Parameters
    ----------
    name, provider, region
        How the cloud calls it and where it is offered.
    vcpus, memory_gib, gpus
        Capacities: whole vCPUs >= 1, GiB (2**30 bytes) > 0, GPUs >= 0.
    price_usd_per_hour
        What a lease pays, USD per hour, > 0.
    spot_usd_per_hour
        Spot price, USD per hour, or None where spot is not offered.
    speed
        Speed per vCPU under full load; the reference is 1.0.
    network_gbps
        Bandwidth of the link in Gbit/s, or None where unknown (then unlimited).
    category, arch, gpu_name, interruption_band
        Descriptions for filtering; free text.
    purchase
        How ``price_usd_per_hour`` is bought.

    Raises
    ------
    InputError
        When a figure is out of range or not finite.
    """

    name: str
    vcpus: int
    memory_gib: float
    price_usd_per_hour: float
    provider: str = ""
    region: str = ""
    gpus: int = 0
    spot_usd_per_hour: float | None = None
    speed: float = 1.0
    network_gbps: float | None = None
    category: str = ""
    arch: str = ""
    gpu_name: str = ""
    interruption_band: str = ""
    purchase: Purchase = "on-demand"

    def __post_init__(self) -> None:
        positive = {
            "vcpus": self.vcpus,
            "memory_gib": self.memory_gib,
            "price_usd_per_hour": self.price_usd_per_hour,
            "spot_usd_per_hour": self.spot_usd_per_hour,
            "speed": self.speed,
            "network_gbps": self.network_gbps,
        }
        for label, value in positive.items():
            if value is not None and not 0 < value < math.inf:
                raise InputError(
                    f"instance type {self.name!r}: {label} must be a finite number > 0, "
                    f"got {value!r}"
                )
        if self.gpus < 0 or int(self.vcpus) != self.vcpus or int(self.gpus) != self.gpus:
            raise InputError(
                f"instance type {self.name!r}: vcpus and gpus must be whole numbers >= 0, "
                f"got {self.vcpus!r} and {self.gpus!r}"
            )
        if self.purchase not in ("on-demand", "spot"):
            raise InputError(
                f"instance type {self.name!r}: purchase must be 'on-demand' or 'spot', "
                f"got {self.purchase!r}"
            )

    @property
    def family(self) -> str:
        """The name without its size: ``m5``, ``n2-standard``, ``Standard_Ds_v5``."""
        if "." in self.name:
            return self.name.split(".", 1)[0]
        if self.name.startswith("Standard_"):
            return re.sub(r"^(Standard_[A-Z]+)\d+(-\d+)?", r"\1", self.name)
        return self.name.rsplit("-", 1)[0]

    @property
    def memory_bytes(self) -> float:
        """Memory in bytes."""
        return self.memory_gib * GIB

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Bandwidth of the link in bytes per second; infinite where unknown."""
        return math.inf if self.network_gbps is None else self.network_gbps * BYTES_PER_GBIT

    @property
    def key(self) -> str:
        """The name, with how it is bought where that is not on demand."""
        return self.name if self.purchase == "on-demand" else f"{self.name}@{self.purchase}"

    def as_spot(self) -> InstanceType | None:
        """Return the same type bought on the spot market, or None where that is not offered."""
        if self.spot_usd_per_hour is None:
            return None
        return replace(self, price_usd_per_hour=self.spot_usd_per_hour, purchase="spot")


@dataclass(frozen=True, eq=True)
class Catalog:
    """What is on offer: a sequence of instance types.

    Parameters
    ----------
    types
        The instance types; (provider, region, key) is unique.
    name
        What messages call it.
    """

    types: tuple[InstanceType, ...]
    name: str = "catalogue"

    def __post_init__(self) -> None:
        if not self.types:
            raise InputError(f"{self.name}: the catalogue offers no instance type")
        seen: set[tuple[str, str, str]] = set()
        for t in self.types:
            key = (t.provider, t.region, t.key)
            if key in seen:
                raise InputError(f"{self.name}: {t.key!r} is listed twice for region {t.region!r}")
            seen.add(key)

    def __len__(self) -> int:
        return len(self.types)

    def __iter__(self) -> Iterator[InstanceType]:
        return iter(self.types)

    def __getitem__(self, which: int | str) -> InstanceType:
        if isinstance(which, str):
            for t in self.types:
                if t.key == which:
                    return t
            raise InputError(f"{self.name}: {unknown('instance type', which, self.names)}")
        return self.types[which]

    def __repr__(self) -> str:
        return f"Catalog({self.name!r}: {len(self)} types in {', '.join(self.regions)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Keys of the types, in order."""
        return tuple(t.key for t in self.types)

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions on offer, sorted."""
        return tuple(sorted({t.region for t in self.types}))

    def where(self, keep: Callable[[InstanceType], bool], why: str) -> Catalog:
        """Return the types for which ``keep`` holds.

        Raises
        ------
        InputError
            When none is left; the message says ``why``.
        """
        kept = tuple(t for t in self.types if keep(t))
        if not kept:
            raise InputError(f"{self.name}: no instance type is left after {why}")
        return replace(self, types=kept)

    def in_region(self, region: str) -> Catalog:
        """Return the types of one region.

        Raises
        ------
        InputError
            Unknown region, with the nearest known ones.
        """
        if region not in self.regions:
            raise InputError(f"{self.name}: {unknown('region', region, self.regions)}")
        return self.where(lambda t: t.region == region, f"choosing region {region!r}")

    def matching(self, patterns: Sequence[str]) -> Catalog:
        """Return the types whose name matches any pattern such as ``c7*`` or ``m5.large``.

        Raises
        ------
        InputError
            A pattern that matches nothing, with the nearest known names.
        """
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(t.name, pattern) for t in self.types):
                message = unknown("instance type or pattern", pattern, [t.name for t in self.types])
                raise InputError(f"{self.name}: {message}")
        return self.where(
            lambda t: any(fnmatch.fnmatchcase(t.name, p) for p in patterns),
            f"keeping types that match {', '.join(patterns)}",
        )

    def bought(self, purchase: Literal["on-demand", "spot", "both"]) -> Catalog:
        """Return the catalogue with prices as bought on demand, on the spot market, or both."""
        on_demand = self.types if purchase != "spot" else ()
        spot = tuple(s for t in self.types if (s := t.as_spot())) if purchase != "on-demand" else ()
        if not on_demand and not spot:
            raise InputError(f"{self.name}: no instance type is offered on the spot market")
        return replace(self, types=on_demand + spot)

    @cached_property
    def price_per_s(self) -> FloatArray:
        """USD per second, shape (types,)."""
        return np.array([t.price_usd_per_hour / 3600 for t in self.types])

    @cached_property
    def vcpus(self) -> IntArray:
        """vCPUs, shape (types,)."""
        return np.array([t.vcpus for t in self.types], dtype=np.int64)

    @cached_property
    def memory_bytes(self) -> FloatArray:
        """Memory in bytes, shape (types,)."""
        return np.array([t.memory_bytes for t in self.types])

    @cached_property
    def gpus(self) -> IntArray:
        """GPUs, shape (types,)."""
        return np.array([t.gpus for t in self.types], dtype=np.int64)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a type, one column a field."""
        import pandas as pd

        columns = {
            name: [getattr(t, name) for t in self.types]
            for name in InstanceType.__dataclass_fields__
        }
        return pd.DataFrame(columns).rename(columns={"name": "instance_type"})
