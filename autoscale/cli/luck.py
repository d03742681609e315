"""The options that switch sources of chance on."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.chance import Chance


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Luck:
    """What may go otherwise than planned; all of it is off by default."""

    chance: Annotated[
        str | None,
        Parameter(help="A TOML file of chance, or a shipped one by name; options add to it."),
    ] = None
    noise: Annotated[
        float | None, Parameter(help="Runtimes: coefficient of variation, e.g. 0.2.")
    ] = None
    lease_noise: Annotated[
        float | None, Parameter(help="Speed of machines: coefficient of variation.")
    ] = None
    estimate_error: Annotated[
        float | None, Parameter(help="Estimates of runtimes: coefficient of variation.")
    ] = None
    boot_noise: Annotated[
        float | None, Parameter(help="Boot times: coefficient of variation about the plan's.")
    ] = None
    boot_failure: Annotated[
        float | None, Parameter(help="Probability that a machine never becomes ready.")
    ] = None
    task_failure: Annotated[
        float | None, Parameter(help="Probability that an attempt of a task fails.")
    ] = None
    retries: Annotated[
        int | None, Parameter(help="How often a task that failed is tried again; 3.")
    ] = None
    instance_failure: Annotated[
        float | None, Parameter(help="Machines that die, per machine and hour.")
    ] = None
    spot_rate: Annotated[
        float | None, Parameter(help="Interruptions of spot machines, per machine and hour.")
    ] = None
    spot_trace: Annotated[
        str | None, Parameter(help="Replay a trace of a spot market: prices or availability.")
    ] = None
    bid: Annotated[
        str | None, Parameter(help="With a trace of prices: the most that is paid, per hour.")
    ] = None
    notice: Annotated[
        str | None, Parameter(help="An interruption is announced so long before; 2m.")
    ] = None
    contention: Annotated[
        bool | None,
        Parameter(help="Transfers share links max-min fairly.", negative="--no-contention"),
    ] = None
    service_bandwidth: Annotated[
        str | None,
        Parameter(help="What the storage service grants all machines together, e.g. 10Gbit/s."),
    ] = None
    cache: Annotated[
        bool | None,
        Parameter(help="Files on a machine's disk are not fetched again.", negative="--no-cache"),
    ] = None

    def made(self, boot_s: float) -> Chance:
        """Return the chance that file and options describe together.

        Raises
        ------
        InputError
            A wrong file or figure.
        """
        from simulator.chance import Chance, read_chance

        chance = read_chance(self.chance) if self.chance is not None else Chance()
        return chance.replace(**self._factors(chance, boot_s), **self._failures(chance))

    def _factors(self, chance: Chance, boot_s: float) -> dict[str, Any]:
        from autoscale.units import parse_bandwidth
        from simulator.chance import Boot, EstimateError, Network, Runtime
        from simulator.distributions import Constant, Lognormal, factor

        found: dict[str, Any] = {}
        factors = {"task": self.noise, "lease": self.lease_noise}
        given = {k: _named(k, factor, cv) for k, cv in factors.items() if cv is not None}
        if given:
            found["runtime"] = dataclasses.replace(chance.runtime or Runtime(), **given)
        if self.estimate_error is not None:
            wrong = _named("estimate-error", factor, self.estimate_error)
            found["estimate_error"] = dataclasses.replace(
                chance.estimate_error or EstimateError(), task=wrong
            )
        if self.boot_noise is not None:
            cv = self.boot_noise
            time_s = Lognormal(mean=boot_s, cv=cv) if boot_s > 0 else Constant(value=0.0)
            found["boot"] = Boot(time_s=time_s)
        network: dict[str, Any] = {}
        if self.contention is not None:
            network["sharing"] = "max-min" if self.contention else "fixed"
        if self.service_bandwidth is not None:
            network["service_bandwidth"] = parse_bandwidth(self.service_bandwidth)
            network.setdefault("sharing", "max-min")
        if self.cache is not None:
            network["cache"] = self.cache
        if network:
            found["network"] = dataclasses.replace(chance.network or Network(), **network)
        return found

    def _failures(self, chance: Chance) -> dict[str, Any]:
        from autoscale.errors import InputError
        from simulator.chance import BootFailure, InstanceFailure, TaskFailure

        found: dict[str, Any] = {}
        if self.boot_failure is not None:
            old = chance.boot_failure or BootFailure(probability=0.0)
            found["boot_failure"] = dataclasses.replace(old, probability=self.boot_failure)
        task = {"probability": self.task_failure, "retries": self.retries}
        given: dict[str, Any] = {k: v for k, v in task.items() if v is not None}
        if given:
            if self.task_failure is None and chance.task_failure is None:
                raise InputError("--retries: needs --task-failure, or a chance with [task_failure]")
            base = chance.task_failure or TaskFailure(probability=0.0)
            found["task_failure"] = dataclasses.replace(base, **given)
        if self.instance_failure is not None:
            found["instance_failure"] = InstanceFailure(rate_per_hour=self.instance_failure)
        return {**found, **self._spot(chance)}

    def _spot(self, chance: Chance) -> dict[str, Any]:
        from autoscale.errors import InputError
        from autoscale.units import parse_duration, parse_money
        from simulator.chance import Spot
        from simulator.market import Market, read_trace

        given: dict[str, Any] = {}
        if self.spot_rate is not None:
            given["rate_per_hour"] = self.spot_rate
        if self.notice is not None:
            given["notice_s"] = parse_duration(self.notice)
        if self.spot_trace is not None:
            bid = parse_money(self.bid) if self.bid is not None else math.inf
            market = Market(trace=read_trace(self.spot_trace), bid_usd_per_hour=bid)
            given["markets"] = (market,)
        elif self.bid is not None:
            raise InputError("--bid: needs --spot-trace with a trace of prices")
        if not given:
            return {}
        return {"spot": dataclasses.replace(chance.spot or Spot(), **given)}


def _named(option: str, make: Callable[[float], Any], value: float) -> Any:
    from autoscale.errors import InputError

    name = {"task": "noise", "lease": "lease-noise"}.get(option, option)
    try:
        return make(value)
    except InputError as error:
        raise InputError(f"--{name}: {error}") from None
