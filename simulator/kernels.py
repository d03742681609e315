"""Compiled draws and the replay of a fixed plan. Imported lazily: numba is slow to import.

Random numbers are counter-based (Philox4x64-10; Salmon et al., SC'11): the draw of an entity is a
pure function of the key of its source, the run, the entity's number and the attempt. No draw
depends on the order in which others are made.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from autoscale.model.kernels import billed

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)
_M0 = np.uint64(0xD2E7470EE14C6C93)
_M1 = np.uint64(0xCA5A826395121157)
_W0 = np.uint64(0x9E3779B97F4A7C15)
_W1 = np.uint64(0xBB67AE8584CAA73B)
_ULP = 1.1102230246251565e-16  # 2**-53


@numba.njit(cache=True, inline="always")
def _high(a, b):
    """Return the upper half of the product of two 64-bit numbers."""
    a0, a1 = a & _LOW, a >> _32
    b0, b1 = b & _LOW, b >> _32
    middle = a1 * b0 + ((a0 * b0) >> _32)
    other = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> _32) + (other >> _32)


@numba.njit(cache=True)
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four 64-bit numbers of a counter under a key, as numpy's Philox does."""
    for _ in range(10):
        high0, low0 = _high(_M0, c0), _M0 * c0
        high1, low1 = _high(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0 += _W0
        k1 += _W1
    return c0, c1, c2, c3


@numba.njit(cache=True, inline="always")
def _unit(raw):
    """Return a number strictly between 0 and 1."""
    return (np.float64(raw >> _11) + 0.5) * _ULP


@numba.njit(cache=True)
def uniform(k0, k1, run, entity, attempt):
    """Return the uniform number of one entity."""
    e = np.uint64(entity)
    block = e // np.uint64(4) + np.uint64(1)  # numpy steps its counter before the first block
    four = philox(block, np.uint64(attempt), np.uint64(run), np.uint64(0), k0, k1)
    place = e % np.uint64(4)
    if place == 0:
        return _unit(four[0])
    if place == 1:
        return _unit(four[1])
    if place == 2:
        return _unit(four[2])
    return _unit(four[3])


@numba.njit(cache=True)
def uniforms(k0, k1, run, attempt, out):
    """Fill ``out`` with the uniform numbers of entities 0, 1, 2, ..."""
    n = out.size
    for block in range((n + 3) // 4):
        a, b, c, d = philox(
            np.uint64(block + 1), np.uint64(attempt), np.uint64(run), np.uint64(0), k0, k1
        )
        at = 4 * block
        out[at] = _unit(a)
        if at + 3 < n:
            out[at + 1] = _unit(b)
            out[at + 2] = _unit(c)
            out[at + 3] = _unit(d)
        else:
            if at + 1 < n:
                out[at + 1] = _unit(b)
            if at + 2 < n:
                out[at + 2] = _unit(c)


@numba.njit(cache=True)
def normal_quantile(p):
    """Return the quantile of the standard normal distribution (Wichura, AS 241, PPND16)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = ((((((2509.0809287301226727 * r + 33430.575583588128105) * r
            + 67265.770927008700853) * r + 45921.953931549871457) * r
            + 13731.693765509461125) * r + 1971.5909503065514427) * r
            + 133.14166789178437745) * r + 3.387132872796366608  # fmt: skip
        low = ((((((5226.495278852545925 * r + 28729.085735721942674) * r
            + 39307.89580009271061) * r + 21213.794301586595867) * r
            + 5394.1960214247511077) * r + 687.1870074920579083) * r
            + 42.313330701600911252) * r + 1.0  # fmt: skip
        return q * top / low
    r = math.sqrt(-math.log(p if q < 0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        top = ((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
            + 0.24178072517745061177) * r + 1.27045825245236838258) * r
            + 3.64784832476320460504) * r + 5.7694972214606914055) * r
            + 4.6303378461565452959) * r + 1.42343711074968357734  # fmt: skip
        low = ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
            + 0.0151986665636164571966) * r + 0.14810397642748007459) * r
            + 0.68976733498510000455) * r + 1.6763848301838038494) * r
            + 2.05319162663775882187) * r + 1.0  # fmt: skip
    else:
        r -= 5.0
        top = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
            + 0.0012426609473880784386) * r + 0.026532189526576123093) * r
            + 0.29656057182850489123) * r + 1.7848265399172913358) * r
            + 5.4637849111641143699) * r + 6.6579046435011037772  # fmt: skip
        low = ((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
            + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r
            + 0.0148753612908506148525) * r + 0.13692988092273580531) * r
            + 0.59983220655588793769) * r + 1.0  # fmt: skip
    return -top / low if q < 0 else top / low


@numba.njit(cache=True)
def _gamma_below(shape, x):
    """Return the regularised lower incomplete gamma function: a series, or a fraction."""
    if x <= 0.0:
        return 0.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1.0:
        term = 1.0 / shape
        total = term
        k = shape
        for _ in range(100_000):
            k += 1.0
            term *= x / k
            total += term
            if term < total * 1e-17:
                break
        return front * total
    b = x + 1.0 - shape
    c = 1e300
    d = 1.0 / b
    h = d
    for i in range(1, 100_000):
        a = -i * (i - shape)
        b += 2.0
        d = a * d + b
        d = 1.0 / (d if abs(d) > 1e-300 else 1e-300)
        c = b + a / c
        c = c if abs(c) > 1e-300 else 1e-300
        h *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return 1.0 - front * h


@numba.njit(cache=True)
def gamma_quantile(shape, p):
    """Return the quantile of the gamma distribution of scale 1, by Newton within brackets."""
    z = normal_quantile(p)
    x = shape * (1.0 - 1.0 / (9.0 * shape) + z / (3.0 * math.sqrt(shape))) ** 3  # Wilson, Hilferty
    if not x > 1e-2 * shape:
        x = math.exp((math.log(p) + math.lgamma(shape + 1.0)) / shape)
    low, high = 0.0, math.inf
    for _ in range(200):
        error = _gamma_below(shape, x) - p
        if error > 0.0:
            high = min(high, x)
        else:
            low = max(low, x)
        density = math.exp((shape - 1.0) * math.log(x) - x - math.lgamma(shape)) if x > 0 else 0.0
        step = error / density if density > 0.0 else math.inf
        new = x - step
        if not low < new < high:
            new = 0.5 * (low + high) if high < math.inf else 2.0 * x + 1e-300
        if abs(new - x) <= 1e-15 * x:
            return new
        x = new
    return x


@numba.njit(cache=True)
def quantile(family, a, b, c, table_p, table_v, p):
    """Return one draw of a coded distribution; see :mod:`simulator.distributions`."""
    if family == 2:
        return c + math.exp(a + b * normal_quantile(p))
    if family == 0:
        return a
    if family == 1:
        return a + (b - a) * p
    if family == 3:
        return c + a * (-math.log1p(-p)) ** b
    if family == 4:
        return c + b * gamma_quantile(a, p)
    at = min(max(np.searchsorted(table_p, p, side="right") - 1, 0), table_p.size - 2)
    share = (p - table_p[at]) / (table_p[at + 1] - table_p[at])
    return table_v[at] + share * (table_v[at + 1] - table_v[at])


@numba.njit(cache=True)
def quantiles(family, a, b, c, table_p, table_v, p):
    """Return the draws that many uniform numbers stand for."""
    out = np.empty(p.size)
    for i in range(p.size):
        out[i] = quantile(family, a, b, c, table_p, table_v, p[i])
    return out


# Numbers of the streams, as in simulator.luck.
_BOOT, _NOBOOT, _TASK, _LEASE, _TRUTH, _CATEGORY, _FAIL, _MOMENT, _DEATH, _SPOT = range(10)

OK, UNDECIDED, FULL = 0, 1, 2
"""Endings of a run: completed; may have to be given up, which the engine decides; pool full."""


@numba.njit(cache=True)
def _draw(luck, run, stream, entity, attempt):
    """Return one draw of a stream's distribution."""
    keys, family, figures, table_ptr, table_p, table_v = luck
    a, b, c = figures[stream, 0], figures[stream, 1], figures[stream, 2]
    if family[stream] == 0:
        return a
    u = uniform(keys[stream, 0], keys[stream, 1], run, entity, attempt)
    first, stop = table_ptr[stream], table_ptr[stream + 1]
    return quantile(family[stream], a, b, c, table_p[first:stop], table_v[first:stop], u)


@numba.njit(cache=True)
def _draw_all(luck, run, stream, out):
    """Fill ``out`` with the first draw of every entity."""
    keys, family, figures, table_ptr, table_p, table_v = luck
    a, b, c = figures[stream, 0], figures[stream, 1], figures[stream, 2]
    kind = family[stream]
    if kind == 0:
        out[:] = a
        return
    uniforms(keys[stream, 0], keys[stream, 1], run, 0, out)
    if kind == 2:  # the usual case, without the calls
        for i in range(out.size):
            out[i] = c + math.exp(a + b * normal_quantile(out[i]))
        return
    p, v = table_p[table_ptr[stream] : table_ptr[stream + 1]], table_v[table_ptr[stream] :]
    for i in range(out.size):
        out[i] = quantile(kind, a, b, c, p, v[: p.size], out[i])


@numba.njit(cache=True, inline="always")
def _heap_push(end, task, first, size, e, x):
    """Add a task that ends at ``e`` to the heap that begins at ``first``."""
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if end[first + up] <= e:
            break
        end[first + i] = end[first + up]
        task[first + i] = task[first + up]
        i = up
    end[first + i] = e
    task[first + i] = x


@numba.njit(cache=True, inline="always")
def _heap_pop(end, task, first, size):
    """Drop the first of the heap's ``size`` tasks."""
    e, x = end[first + size - 1], task[first + size - 1]
    n = size - 1
    i = 0
    while True:
        down = 2 * i + 1
        if down >= n:
            break
        if down + 1 < n and end[first + down + 1] < end[first + down]:
            down += 1
        if e <= end[first + down]:
            break
        end[first + i] = end[first + down]
        task[first + i] = task[first + down]
        i = down
    end[first + i] = e
    task[first + i] = x


@numba.njit(cache=True)
def _new_machine(
    pool, count, rules, luck, run, lease, attempt, requested, blocked, unready, is_spot
):
    """Draw the fate of a machine and return its number; -1 when the pool is full.

    ``pool`` holds one row a machine: floats requested, usable, closes, dies, last start, last
    end, slowness, blocked; integers lease, attempt, next, unready, boot fails.
    """
    floats, numbers = pool
    g = count[0]
    if g == floats.shape[0]:
        return -1
    count[0] += 1
    keys = luck[0]
    p_noboot, detect_s, notice_s = rules[0], rules[1], rules[5]
    fails = (
        p_noboot > 0.0
        and uniform(keys[_NOBOOT, 0], keys[_NOBOOT, 1], run, lease, attempt) < p_noboot
    )
    dies = requested + _draw(luck, run, _DEATH, lease, attempt)
    closes = dies
    if is_spot:
        killed = requested + _draw(luck, run, _SPOT, lease, attempt)
        closes = min(dies, max(requested, killed - notice_s))
        dies = min(dies, killed)
    noboot = 0
    if fails:
        noticed = requested + detect_s
        closes = min(closes, noticed)
        if noticed < dies:
            dies = noticed
            noboot = 1
    ready = math.inf if fails else requested + _draw(luck, run, _BOOT, lease, attempt)
    floats[g, 0] = requested
    floats[g, 1] = max(ready, blocked)
    floats[g, 2] = closes
    floats[g, 3] = dies
    floats[g, 4] = -math.inf
    floats[g, 5] = -math.inf
    floats[g, 6] = _draw(luck, run, _LEASE, lease, attempt)
    floats[g, 7] = blocked
    numbers[g, 0] = lease
    numbers[g, 1] = attempt
    numbers[g, 2] = -1
    numbers[g, 3] = unready + 1 if ready > closes else 0
    numbers[g, 4] = noboot
    return g


@numba.njit(cache=True)
def _next_machine(pool, count, rules, luck, run, g, is_spot):
    """Return the machine that takes over from ``g``, requested when ``g`` closed."""
    floats, numbers = pool
    if numbers[g, 2] >= 0:
        return numbers[g, 2]
    gone = min(floats[g, 3], max(floats[g, 2], floats[g, 5]))
    blocked = max(floats[g, 7], gone)
    new = _new_machine(
        pool, count, rules, luck, run, numbers[g, 0], numbers[g, 1] + 1, floats[g, 2], blocked,
        numbers[g, 3], is_spot,
    )  # fmt: skip
    if new >= 0:
        numbers[g, 2] = new
    return new


@numba.njit(cache=True, nogil=True)
def replay(run, plan, leases, luck, rules, pool, heap, scratch, out, times):
    """Play one replication of a fixed plan; the rule is that of :mod:`simulator.following`.

    Tasks are swept in the plan's order, which is topological: when one is reached, all that it
    may wait for is known, since nothing overtakes it on its lease.

    Parameters
    ----------
    run
        Number of the replication.
    plan
        In sweep order: task, lease, planned start, earliest start, fetch, compute, store,
        needs (n, 3), parent_ptr, parents (as sweep positions), category.
    leases
        Type's capacities (leases, 3), start, hold, end, price per hour, tasks, spot, room of heap.
    luck
        Coded draws, see :func:`_draw`.
    rules
        Probability of no boot, seconds until that is noticed, whether it is billed, attempts;
        probability of task failure is rules[4]; notice, retries, quantum, minimum, most machines.
    pool, heap
        Machines, and the ends of the tasks that run on each; where each heap begins.
    scratch
        Arrays over tasks: end (sweep order), truth, factor, luck of failure (task order).
    out
        Figures of the run.
    times
        First start, start, end by task; not filled when empty.
    """
    task_of, lease_of, planned, earliest, fetch, compute, store, need, ptr, parents, category = plan
    capacity, lease_start, hold, lease_end, price, n_tasks, spot, room = leases
    floats, numbers = pool
    heap_end, heap_task, heap_at, heap_size, free = heap
    end, truth, factor, fate, by_category, current, last_end = scratch
    keys = luck[0]
    p_noboot, billed_noboot, most_noboot = rules[0], rules[2], rules[3]
    p_fail, retries = rules[4], rules[6]
    quantum, minimum, most = rules[7], rules[8], rules[9]
    n, n_leases = lease_of.size, lease_start.size
    count = np.zeros(1, dtype=np.int64)
    heap_top = 0
    errs = luck[1][_TRUTH] != 0 or luck[2][_TRUTH, 0] != 1.0
    errs_alike = luck[1][_CATEGORY] != 0 or luck[2][_CATEGORY, 0] != 1.0
    noisy = luck[1][_TASK] != 0 or luck[2][_TASK, 0] != 1.0
    if errs or errs_alike:
        if errs:
            _draw_all(luck, run, _TRUTH, truth)
        else:
            truth[:] = 1.0
        if errs_alike:
            _draw_all(luck, run, _CATEGORY, by_category)
            for i in range(n):
                truth[i] *= by_category[category[i]]
    if noisy:
        _draw_all(luck, run, _TASK, factor)
    if p_fail > 0.0:
        uniforms(keys[_FAIL, 0], keys[_FAIL, 1], run, 0, fate)
    for f in range(out.size):
        out[f] = 0.0
    heap_size[:] = -1
    current[:] = -1
    last_end[:] = 0.0
    makespan = 0.0
    for x in range(n):
        lease = lease_of[x]
        i = task_of[x]
        is_spot = spot[lease]
        g = current[lease]
        if g < 0:
            # The first machine of a lease has the lease's number, so that it can be found again.
            g = _new_machine(
                pool, count, rules, luck, run, lease, 0, max(0.0, lease_start[lease]), 0.0, 0,
                is_spot,
            )  # fmt: skip
            if g < 0:
                return FULL
            current[lease] = g
        ready = 0.0
        for edge in range(ptr[x], ptr[x + 1]):
            ready = max(ready, end[parents[edge]])
        floor = max(earliest[x], ready)
        c, m, u = need[x, 0], need[x, 1], need[x, 2]
        attempt, failures, done = 0, 0, False
        first_start, t, e = 0.0, 0.0, 0.0
        while not done:
            if heap_size[g] < 0:
                heap_at[g] = heap_top
                heap_top += room[lease]
                heap_size[g] = 0
                free[g, 0] = capacity[lease, 0]
                free[g, 1] = capacity[lease, 1]
                free[g, 2] = capacity[lease, 2]
                if heap_top > heap_end.size:
                    return FULL
            usable, closes, before = floats[g, 1], floats[g, 2], floats[g, 4]
            s = max(floor, max(usable, before))
            at, size = heap_at[g], heap_size[g]
            while (
                size > 0
                and s < closes
                and (heap_end[at] <= s or c > free[g, 0] or m > free[g, 1] or u > free[g, 2])
            ):
                s = max(s, heap_end[at])
                y = heap_task[at]
                free[g, 0] += need[y, 0]
                free[g, 1] += need[y, 1]
                free[g, 2] += need[y, 2]
                _heap_pop(heap_end, heap_task, at, size)
                size -= 1
            heap_size[g] = size
            if s >= closes:
                new = _next_machine(pool, count, rules, luck, run, g, is_spot)
                if new < 0:
                    return FULL
                if numbers[new, 1] >= most or (p_noboot > 0.0 and numbers[new, 3] >= most_noboot):
                    return UNDECIDED
                if attempt == 0:
                    current[lease] = new
                g = new
                continue
            floats[g, 4] = s
            if attempt == 0:
                first_start = s
                since = planned[x]
                later = max(since, ready)
                out[7] += later - since
                since = max(later, usable)
                out[8] += since - later
                later = max(since, before)
                out[9] += later - since
                out[10] += max(later, s) - later
            t = s
            while True:
                length = compute[x]
                if errs or errs_alike:
                    length *= truth[i]
                if noisy:
                    length *= factor[i] if attempt == 0 else _draw(luck, run, _TASK, i, attempt)
                length *= floats[g, 6]
                computed = length
                fails = False
                if p_fail > 0.0:
                    if attempt == 0:
                        fails = fate[i] < p_fail
                    else:
                        fails = uniform(keys[_FAIL, 0], keys[_FAIL, 1], run, i, attempt) < p_fail
                if fails:
                    length *= uniform(keys[_MOMENT, 0], keys[_MOMENT, 1], run, i, attempt)
                    e = t + (fetch[x] + length)
                else:
                    e = t + (fetch[x] + length + store[x])
                attempt += 1
                if attempt >= most:
                    return UNDECIDED
                if e > floats[g, 3]:
                    break
                if not fails:
                    done = True
                    out[12] += computed - compute[x]
                    break
                failures += 1
                if failures > retries:
                    return UNDECIDED
                t = e
            left = min(e, floats[g, 3])
            floats[g, 5] = max(floats[g, 5], left)
            out[5] += c * (left - s)
            if c > 0 and left > s:
                free[g, 0] -= c
                free[g, 1] -= m
                free[g, 2] -= u
                _heap_push(heap_end, heap_task, heap_at[g], heap_size[g], left, x)
                heap_size[g] += 1
            if not done:
                floor = max(floor, floats[g, 3])
                new = _next_machine(pool, count, rules, luck, run, g, is_spot)
                if new < 0:
                    return FULL
                if numbers[new, 1] >= most or (p_noboot > 0.0 and numbers[new, 3] >= most_noboot):
                    return UNDECIDED
                g = new
        end[x] = e
        makespan = max(makespan, e)
        last_end[lease] = max(last_end[lease], e)
        out[2] += attempt
        out[11] += t - first_start
        if times.shape[0]:
            times[i, 0] = first_start
            times[i, 1] = t
            times[i, 2] = e
    cost = 0.0
    machine = 0
    while machine < count[0]:  # machines that are never used may still be requested on the way
        g = machine
        machine += 1
        lease = numbers[g, 0]
        if numbers[g, 2] < 0 and floats[g, 2] < last_end[lease]:
            new = _next_machine(pool, count, rules, luck, run, g, spot[lease])
            if new < 0:
                return FULL
            if numbers[new, 1] >= most or (p_noboot > 0.0 and numbers[new, 3] >= most_noboot):
                return UNDECIDED
        if numbers[g, 2] >= 0:
            released = min(floats[g, 3], max(floats[g, 2], floats[g, 5]))
        else:
            released = min(floats[g, 2], last_end[lease] + hold[lease])
        floats[g, 8] = released
        out[3] += 1.0
        out[6] += (released - floats[g, 0]) * capacity[lease, 0]
        if released >= floats[g, 3]:
            out[4] += 1.0
        if numbers[g, 4] and not billed_noboot > 0.0 and released >= floats[g, 3]:
            floats[g, 9] = 0.0
            continue
        floats[g, 9] = price[lease] / 3600.0 * billed(released - floats[g, 0], quantum, minimum)
        cost += floats[g, 9]
    for lease in range(n_leases):
        if n_tasks[lease] == 0:
            start = max(0.0, lease_start[lease])
            held = max(0.0, lease_end[lease] - start)
            cost += price[lease] / 3600.0 * billed(held, quantum, minimum)
            out[3] += 1.0
            out[6] += held * capacity[lease, 0]
    out[0] = cost
    out[1] = makespan
    return OK
