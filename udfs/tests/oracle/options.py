"""Options and the normal distribution against SciPy. Prints JSON lines, see oracle/main.rs."""

import json
import math

import numpy
from scipy.optimize import brentq
from scipy.stats import norm

ROWS = 400


def price(sign, s, k, t, r, q, v):
    d1 = (numpy.log(s / k) + (r - q + v * v / 2) * t) / (v * numpy.sqrt(t))
    d2 = d1 - v * numpy.sqrt(t)
    asset, money = s * numpy.exp(-q * t), k * numpy.exp(-r * t)
    return sign * (asset * norm.cdf(sign * d1) - money * norm.cdf(sign * d2))


def greeks(sign, s, k, t, r, q, v):
    d1 = (numpy.log(s / k) + (r - q + v * v / 2) * t) / (v * numpy.sqrt(t))
    d2 = d1 - v * numpy.sqrt(t)
    eq, er = numpy.exp(-q * t), numpy.exp(-r * t)
    decay = -s * eq * norm.pdf(d1) * v / (2 * numpy.sqrt(t))
    carry = sign * (q * s * eq * norm.cdf(sign * d1) - r * k * er * norm.cdf(sign * d2))
    return {
        "bs_delta": sign * eq * norm.cdf(sign * d1),
        "bs_gamma": eq * norm.pdf(d1) / (s * v * numpy.sqrt(t)),
        "bs_vega": s * eq * norm.pdf(d1) * numpy.sqrt(t),
        "bs_theta": decay + carry,
        "bs_rho": sign * k * t * er * norm.cdf(sign * d2),
    }


def emit(sql, values, tolerance):
    values = [None if x is None or not math.isfinite(x) else float(x) for x in values]
    line = {"sql": f"SELECT {sql} FROM options ORDER BY day", "values": [values]}
    print(json.dumps(line | {"tolerance": tolerance}))


def main():
    random = numpy.random.default_rng(7)
    s = random.uniform(50, 150, ROWS)
    k = random.uniform(50, 150, ROWS)
    t = random.uniform(0.02, 3, ROWS)
    r = random.uniform(-0.02, 0.1, ROWS)
    q = random.uniform(0, 0.05, ROWS)
    v = random.uniform(0.05, 0.9, ROWS)
    x = random.normal(0, 3, ROWS)
    p = random.uniform(0, 1, ROWS) ** 4
    kinds = ["c" if row % 2 == 0 else "p" for row in range(ROWS)]
    sign = numpy.array([1.0 if kind == "c" else -1.0 for kind in kinds])
    paid = price(sign, s, k, t, r, q, v)
    columns = {"s": s, "k": k, "t": t, "r": r, "q": q, "v": v, "x": x, "p": p, "paid": paid}
    columns = {name: values.tolist() for name, values in columns.items()}
    columns = {"day": list(range(ROWS)), "kind": kinds} | columns
    print(json.dumps({"table": "options", "columns": columns}))
    emit("norm_cdf(x)", norm.cdf(x), 1e-13)
    emit("norm_pdf(x)", norm.pdf(x), 1e-13)
    emit("norm_ppf(p)", norm.ppf(p), 1e-13)
    emit("bs_price(kind, s, k, t, r, q, v)", paid, 1e-9)
    for name, values in greeks(sign, s, k, t, r, q, v).items():
        emit(f"{name}(kind, s, k, t, r, q, v)", values, 1e-9)
    implied = []
    for row in range(ROWS):
        terms = (s[row], k[row], t[row], r[row], q[row])
        intrinsic = price(sign[row], *terms, 1e-9)
        # Without time value a price says nothing about volatility.
        if paid[row] - intrinsic < 1e-3:
            implied.append(None)
            continue
        root = brentq(lambda vol: price(sign[row], *terms, vol) - paid[row], 1e-6, 10, xtol=1e-15)
        implied.append(root)
    known = [value is not None for value in implied]
    emit(
        "CASE WHEN paid - bs_price(kind, s, k, t, r, q, 0.000000001) < 0.001 THEN NULL "
        "ELSE implied_vol(kind, paid, s, k, t, r, q) END",
        implied,
        1e-8,
    )
    assert sum(known) > ROWS / 2


if __name__ == "__main__":
    main()
