"""Compiled draws and the replay of a fixed plan. Imported lazily: numba is slow to import.

Random numbers are counter-based (Philox4x64-10; Salmon et al., SC'11): the draw of an entity is a
pure function of the key of its source, the run, the entity's number and the attempt. No draw
depends on the order in which others are made.
"""

from __future__ import annotations

import math

import numba
import numpy as np

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
