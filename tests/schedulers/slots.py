"""The slots of SPSS written plainly: every lease is asked for every place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from autoscale.schedulers.leasing import kernels

if TYPE_CHECKING:
    from autoscale.schedulers.leasing.instance import Instance, Leases


def plain_slots(x: Instance, s: Leases, order: Any, due: Any, kind: Any) -> float:
    """As ``ensembles.kernels.fill_slots``."""
    added = 0.0
    for i in order:
        lease, start = -1, kernels.ready_time(x, s, i, -1)
        usd = kernels.new_lease_cost(x, i, kind[i])
        for other in range(s.opened[0]):
            d = x.duration[x.task_class[i], s.kind[other]]
            for t in starts_on(x, s, i, other) if math.isfinite(d) else ():
                if t + d > due[i] + 1e-9:
                    continue
                cost = kernels.added_cost(x, s, other, t, t + d)
                earlier = lease < 0 or t < start - 1e-9
                if cost < usd - 1e-12 or (abs(cost - usd) <= 1e-12 and earlier):
                    lease, start, usd = other, t, cost
        if lease < 0:
            lease = kernels.open_lease(s, kind[i])
        kernels.commit(x, s, i, lease, start)
        added += usd
    return added


def starts_on(x: Instance, s: Leases, i: int, lease: int) -> list[float]:
    """Return the starts that are tried on a lease."""
    ready = kernels.ready_time(x, s, i, lease)
    d = x.duration[x.task_class[i], s.kind[lease]]
    first, last = s.first[lease], s.last[lease]
    paid = s.paid[lease] / x.price[s.kind[lease]]
    touching = abs(ready + d - first) <= 1e-9
    wanted = [
        ready,
        max(ready, first),
        first - d,
        max(ready, first - math.ceil(d / x.quantum) * x.quantum),
        max(ready, first - max(0.0, paid - (last - first + x.boot))),
    ]
    return [
        kernels.earliest_start(x, s, i, lease, max(t, first if touching else ready)) for t in wanted
    ]
