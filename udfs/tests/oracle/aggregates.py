"""Aggregates against NumPy, SciPy, statsmodels and empyrical over real bars and drawn trades.

Those of real trades and quotes are in candles.py, paths.py and profiles.py, portfolios in
portfolios.py.

Usage: aggregates.py DIRECTORY, as talib_functions.py. Prints JSON lines, see oracle/main.rs.
"""

import csv
import io
import json
import math
import pathlib
import sys
import zipfile

import candles
import empyrical
import numpy
import paths
import portfolios
import profiles
import statsmodels.api
from scipy import stats
from scipy.optimize import brentq
from statement import GROUPS, Table

COLUMNS = ["open", "high", "low", "close", "volume"]


def closes(symbol):
    path = pathlib.Path(sys.argv[1]) / f"equity_daily/{symbol}_daily.csv.zip"
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = [row for row in csv.reader(io.StringIO(text))][-1500:]
    return {n: numpy.array([float(row[i + 1]) for row in rows]) for i, n in enumerate(COLUMNS)}


def money_weighted():
    """Cash flows over some years and the rate that solves them."""
    random = numpy.random.default_rng(5)
    lines = []
    for _ in range(40):
        count = random.integers(2, 12)
        seconds = numpy.sort(random.choice(5 * 365 * 86400, count, replace=False))
        flows = -random.uniform(1, 100, count)
        flows[-1] = -flows[:-1].sum() * random.uniform(0.3, 3)
        years = (seconds - seconds[0]) / (365 * 86400)
        rate = brentq(lambda r: (flows / (1 + r) ** years).sum(), -0.999999, 1e8, xtol=1e-15)
        if rate > 1e6 or rate < -0.9999:
            continue
        rows = ", ".join(f"({float(f)!r}, {int(s)})" for f, s in zip(flows, seconds))
        lines.append((rows, rate))
    assert len(lines) > 20
    for rows, rate in lines:
        sql = f"SELECT mwr(f, to_timestamp_seconds(s)) FROM (VALUES {rows}) AS t(f, s)"
        print(json.dumps({"sql": sql, "values": [[float(rate)]], "tolerance": 1e-8}))


def performance(t):
    e = empyrical
    t.check("annual_return(r)", e.annual_return, "r")
    t.check("annual_return(r, 52)", lambda r: e.annual_return(r, annualization=52), "r")
    t.check("annual_volatility(r)", e.annual_volatility, "r")
    t.check("sharpe_ratio(r)", e.sharpe_ratio, "r")
    t.check("sharpe_ratio(r, 0.0001, 52)", lambda r: e.sharpe_ratio(r, 1e-4, annualization=52), "r")
    t.check("sortino_ratio(r)", e.sortino_ratio, "r")
    t.check("sortino_ratio(r, 0.001)", lambda r: e.sortino_ratio(r, 0.001), "r")
    t.check("downside_risk(r)", e.downside_risk, "r")
    t.check("omega_ratio(r)", e.omega_ratio, "r")
    t.check("profit_factor(r)", lambda r: r[r > 0].sum() / -r[r < 0].sum(), "r")
    t.check("hit_rate(r)", lambda r: (r > 0).mean(), "r")
    t.check("information_ratio(r, b)", e.excess_sharpe, "r", "b")
    t.check("tracking_error(r, b)", lambda r, b: (r - b).std(ddof=1) * 252**0.5, "r", "b")
    t.check("alpha(r, b)", e.alpha, "r", "b", tolerance=1e-8)
    t.check("alpha(r, b, 0.0001)", lambda r, b: e.alpha(r, b, 1e-4), "r", "b", tolerance=1e-8)
    t.check("beta_agg(r, b)", e.beta, "r", "b")
    t.check(
        "treynor_ratio(r, b, 0.0001)", lambda r, b: (r - 1e-4).mean() * 252 / e.beta(r, b), "r", "b"
    )
    t.check("up_capture(r, b)", e.up_capture, "r", "b")
    t.check("down_capture(r, b)", e.down_capture, "r", "b")
    t.check("max_drawdown_agg(r, ts)", e.max_drawdown, "r")
    t.check("calmar_ratio(r, ts)", e.calmar_ratio, "r")
    t.check("tail_ratio(r)", e.tail_ratio, "r")


def moments(r, confidence):
    s, k = stats.skew(r), stats.kurtosis(r)
    return r.mean(), r.std(ddof=1), s, k, stats.norm.ppf(1 - confidence)


def normal_var(r, c):
    m, sd, _, _, z = moments(r, c)
    return -(m + z * sd)


def fisher(r, z):
    s, k = stats.skew(r), stats.kurtosis(r)
    third = (2 * z**3 - 5 * z) * s**2 / 36
    return z + (z * z - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - third


def fisher_var(r, c):
    m, sd, _, _, z = moments(r, c)
    return -(m + fisher(r, z) * sd)


def fisher_shortfall(r, c):
    m, sd, _, _, z = moments(r, c)
    grid = lambda x: fisher(r, x) * stats.norm.pdf(x)
    from scipy.integrate import quad

    return -(m + sd * quad(grid, -numpy.inf, z, epsabs=1e-14)[0] / (1 - c))


def student(r):
    m, sd, _, k, _ = moments(r, 0.5)
    freedom = 4 + 6 / k if k > 0 else None
    return freedom, m, sd * math.sqrt((freedom - 2) / freedom) if freedom else sd


def student_var(r, c):
    freedom, m, scale = student(r)
    q = stats.t.ppf(1 - c, freedom) if freedom else stats.norm.ppf(1 - c)
    return -(m + scale * q)


def student_shortfall(r, c):
    freedom, m, scale = student(r)
    if freedom is None:
        return -(m - scale * stats.norm.pdf(stats.norm.ppf(1 - c)) / (1 - c))
    q = stats.t.ppf(1 - c, freedom)
    mean = stats.t.pdf(q, freedom) / (1 - c) * (freedom + q * q) / (freedom - 1)
    return -m + scale * mean


def risk(t):
    e = empyrical
    for c in [0.95, 0.99]:
        p = f", {c}"
        t.check(f"value_at_risk(r{p})", lambda r: -e.value_at_risk(r, 1 - c), "r")
        t.check(
            f"expected_shortfall(r{p})", lambda r: -e.conditional_value_at_risk(r, 1 - c), "r"
        )
        t.check(f"value_at_risk(r{p}, 'normal')", lambda r: normal_var(r, c), "r")
        t.check(f"value_at_risk(r{p}, 'cornish_fisher')", lambda r: fisher_var(r, c), "r")
        t.check(f"value_at_risk(r{p}, 'student_t')", lambda r: student_var(r, c), "r")
        t.check(
            f"expected_shortfall(r{p}, 'normal')",
            lambda r: -(r.mean() - r.std(ddof=1) * stats.norm.pdf(stats.norm.ppf(c)) / (1 - c)),
            "r",
        )
        t.check(
            f"expected_shortfall(r{p}, 'cornish_fisher')",
            lambda r: fisher_shortfall(r, c),
            "r",
            tolerance=1e-7,
        )
        t.check(f"expected_shortfall(r{p}, 'student_t')", lambda r: student_shortfall(r, c), "r")


def one_variable(x):
    x = x * 1.0
    return [
        len(x), x.sum(), x.mean(), x.var(ddof=1), x.std(ddof=1),
        stats.skew(x), stats.kurtosis(x, fisher=False),
    ]


def two_variables(y, x):
    fit = stats.linregress(x, y)
    cov = numpy.cov(y, x)
    return [
        len(x), y.sum(), x.sum(), y.mean(), x.mean(), cov[0, 0], cov[1, 1],
        y.std(ddof=1), x.std(ddof=1), cov[0, 1], fit.rvalue, fit.slope, fit.intercept,
        -fit.intercept / fit.slope, fit.rvalue**2,
    ]


def kyle(change, volume):
    return statsmodels.api.OLS(change, statsmodels.api.add_constant(volume)).fit().params[1]


def yang_zhang(o, h, l, c):
    n = len(o) - 1
    over, within = numpy.log(o[1:] / c[:-1]), numpy.log(c[1:] / o[1:])
    o, h, l, c = o[1:], h[1:], l[1:], c[1:]
    rs = (numpy.log(h / c) * numpy.log(h / o) + numpy.log(l / c) * numpy.log(l / o)).mean()
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return math.sqrt(over.var(ddof=1) + k * within.var(ddof=1) + (1 - k) * rs)


def garman_klass(o, h, l, c):
    return numpy.log(h / l) ** 2 / 2 - (2 * math.log(2) - 1) * numpy.log(c / o) ** 2


def satchell(o, h, l, c):
    return numpy.log(h / c) * numpy.log(h / o) + numpy.log(l / c) * numpy.log(l / o)


def histogram(values, low, high, buckets):
    counts, _ = numpy.histogram(values[(low <= values) & (values < high)], buckets, (low, high))
    return [(values < low).sum(), *counts, (values >= high).sum()]


def triangle(values, count):
    """Which rows largest-triangle-three-buckets keeps, by Steinarsson's description."""
    rows = numpy.arange(len(values)) * float(GROUPS)
    edges = [int(i * (len(values) - 2) / (count - 2)) + 1 for i in range(count - 1)]
    kept = [0]
    for i in range(count - 2):
        behind = edges[i + 1 : i + 3] if i < count - 3 else [len(values) - 1, len(values)]
        x, y = rows[slice(*behind)].mean(), values[slice(*behind)].mean()
        a = kept[-1]
        bucket = numpy.arange(edges[i], edges[i + 1])
        area = abs(
            (rows[a] - x) * (values[bucket] - values[a]) - (rows[a] - rows[bucket]) * (y - values[a])
        )
        kept.append(bucket[area.argmax()])
    return [*kept, len(values) - 1]


def kurtosis(x):
    d = x - x.mean()
    return (d**4).mean() / (d * d).mean() ** 2


def smoothest(values, resolution):
    """The moving average that ASAP's definition asks for, of means of as many rows."""
    width = max(len(values) // resolution, 1)
    points = values[: len(values) // width * width].reshape(-1, width).mean(axis=1)
    best, least = points, numpy.diff(points).std()
    for length in range(2, len(points) // 10 + 1):
        averages = numpy.convolve(points, numpy.ones(length) / length, "valid")
        rough = numpy.diff(averages).std()
        if rough < least and kurtosis(averages) >= kurtosis(points):
            best, least = averages, rough
    return best


def time_weighted(values, volume):
    flows = volume / 1e9
    return numpy.prod((values[1:] - flows[1:]) / values[:-1]) - 1


def market(t):
    step = GROUPS * 1e-6
    low, high = float(t.columns["close"].min()) * 1.05, float(t.columns["close"].max()) * 0.9
    for bucket in range(1, 10):
        t.check(
            f"histogram(close, {low!r}, {high!r}, 7)[{bucket}]",
            lambda c: histogram(c, low, high, 7)[bucket - 1],
            "close",
        )
    for point in [1, 2, 7, 19, 20]:
        t.check(
            f"lttb(ts, close, 20)[{point}]['value']",
            lambda c: c[triangle(c, 20)[point - 1]],
            "close",
        )
    for resolution in [20, 60, 1000]:
        smooth = f"asap(ts, close, {resolution})"
        count = lambda c, resolution=resolution: len(smoothest(c, resolution))
        t.check(f"array_length({smooth})", count, "close")
        for point in [0, 3, -1]:
            t.check(
                f"{smooth}[{point if point < 0 else point + 1}]['value']",
                lambda c, resolution=resolution, point=point: smoothest(c, resolution)[point],
                "close",
            )
    for p in [0.0, 0.001, 0.05, 0.5, 0.9, 1.0]:
        # Within a share of ranks that is widest in the middle.
        wide = 0.01 if 0.01 < p < 0.99 else 0.002
        call = f"approx_percentile({p}, tdigest(200, close))"
        t.between(
            call,
            lambda c: numpy.quantile(c, max(p - wide, 0)),
            lambda c: numpy.quantile(c, min(p + wide, 1)),
            "close",
        )
    t.check("average(tdigest(50, close))", lambda c: c.mean(), "close")
    t.check("approx_percentile_rank(0, tdigest(50, r))", lambda r: (r <= 0).mean(), "r", tolerance=0.02)
    end = len(t.columns["close"])
    t.check(
        f"twap(close, ts, to_timestamp_micros(100), to_timestamp_micros({end + 90}))",
        lambda c, d: numpy.average(
            c,
            weights=numpy.clip(numpy.append(d[1:], end + 90) - numpy.maximum(d, 100), 0, None),
        ),
        "close",
        "stamp",
    )
    t.rollup("stats_agg(close)", one_variable, "close", tolerance=1e-7)
    t.rollup("stats_agg(r)", one_variable, "r", tolerance=1e-8)
    t.rollup("stats_agg(r, b)", two_variables, "r", "b", tolerance=1e-8)
    t.rollup("stats_agg(close, volume)", two_variables, "close", "volume", tolerance=1e-7)
    t.check("amihud(r, volume, 1000000)", lambda r, v: 1e6 * (abs(r) / v).mean(), "r", "volume")
    t.check("value_at_risk(r, 0.99, 'normal', 10)", lambda r: 10**0.5 * normal_var(r, 0.99), "r")
    t.check("twr(close, volume / 1e9, ts)", time_weighted, "close", "volume")
    t.check(
        "integral(time_weight('LINEAR', ts, close))",
        lambda c: numpy.trapezoid(c, dx=step),
        "close",
    )
    t.check("average(time_weight('LOCF', ts, close))", lambda c: c[:-1].mean(), "close")
    t.check(
        "approx_percentile(0.9, uddsketch(2000, 0.001, close))",
        lambda c: numpy.quantile(c, 0.9, method="nearest"),
        "close",
        tolerance=0.0021,
    )
    t.check("stats_agg(close)", one_variable, "close", tolerance=1e-7)
    t.check("stats_agg(r)", one_variable, "r")
    t.check("stats_agg(r, b)", two_variables, "r", "b")
    t.check("stats_agg(close, volume)", two_variables, "close", "volume", tolerance=1e-8)
    t.check("kyle_lambda(r, volume)", kyle, "r", "volume", tolerance=1e-6)
    t.check("yang_zhang_vol(open, high, low, close, ts)", yang_zhang, *COLUMNS[:4])
    t.check(
        "parkinson_vol(high, low)",
        lambda h, l: math.sqrt((numpy.log(h / l) ** 2).mean() / (4 * math.log(2))),
        "high",
        "low",
    )
    for annualization in [1, 252]:
        for call, daily in [("garman_klass_vol", garman_klass), ("rogers_satchell_vol", satchell)]:
            t.check(
                f"{call}(open, high, low, close, {annualization})",
                lambda *bar, daily=daily, a=annualization: math.sqrt(a * daily(*bar).mean()),
                *COLUMNS[:4],
            )
    t.check(
        "realized_variance(close, ts)", lambda c: (numpy.diff(numpy.log(c)) ** 2).sum(), "close"
    )
    t.check("vwap(close, volume)", lambda c, v: (c * v).sum() / v.sum(), "close", "volume")
    t.check("gross_exposure(r)", lambda r: abs(r).sum(), "r")
    t.check("net_exposure(r)", lambda r: r.sum(), "r", tolerance=1e-8)
    t.check("long_exposure(r)", lambda r: r[r > 0].sum(), "r")
    t.check("short_exposure(r)", lambda r: -r[r < 0].sum(), "r")
    t.check("hhi(volume)", lambda v: ((v / v.sum()) ** 2).sum(), "volume")
    t.check("concentration(volume, 3)", lambda v: numpy.sort(v)[-3:].sum() / v.sum(), "volume")


def vpin(size, side, bucket, count):
    balances, filled, balance = [], 0.0, 0.0
    for s, d in zip(size, side):
        sign = 1 if d == "B" else -1
        for _ in range(int(s)):
            filled, balance = filled + 1, balance + sign
            if filled == bucket:
                balances.append(abs(balance) / bucket)
                filled, balance = 0.0, 0.0
    return numpy.mean(balances[-count:]) if len(balances) >= count else math.nan


def trading():
    random = numpy.random.default_rng(11)
    rows = 1200
    mid = 100 + numpy.cumsum(random.normal(0, 0.05, rows))
    later = mid + random.normal(0, 0.05, rows)
    sides = random.choice(["B", "S"], rows)
    sign = numpy.where(sides == "B", 1.0, -1.0)
    price = mid + sign * random.uniform(0, 0.05, rows)
    size = random.integers(1, 60, rows).astype(float)
    fee = random.uniform(0, 1, rows)
    t = Table(
        "fills",
        {"mid": mid, "later": later, "side": sides, "price": price, "size": size, "fee": fee},
    )
    s = lambda d: numpy.where(d == "B", 1.0, -1.0)
    t.check(
        "realized_spread(price, mid, later, side)",
        lambda p, l, d: (2 * s(d) * (p - l)).mean(),
        "price",
        "later",
        "side",
    )
    t.check(
        "arrival_slippage(side, price, size, mid)",
        lambda d, p, q, m: 1e4 * (s(d) * (p - m) * q).sum() / (m * q).sum(),
        "side",
        "price",
        "size",
        "mid",
    )
    t.check(
        "implementation_shortfall(side, price, size, mid, fee)",
        lambda d, p, q, m, f: 1e4 * ((s(d) * (p - m) * q).sum() + f.sum()) / (m * q).sum(),
        "side",
        "price",
        "size",
        "mid",
        "fee",
    )
    t.check(
        "effective_spread(price, mid, size)",
        lambda p, m, q: numpy.average(2 * abs(p - m), weights=q),
        "price",
        "mid",
        "size",
    )
    # Sizes at or below zero do not count.
    t.check(
        "effective_spread(price, mid, size - 20)",
        lambda p, m, q: numpy.average(2 * abs(p - m), weights=numpy.maximum(q - 20, 0)),
        "price",
        "mid",
        "size",
    )
    t.check(
        "trade_imbalance(size, CASE WHEN fee < 0.8 THEN side ELSE 'unknown' END, 'total')",
        lambda q, d, f: (s(d) * q)[f < 0.8].sum() / q.sum(),
        "size",
        "side",
        "fee",
    )
    t.check(
        "trade_imbalance(size, side)", lambda q, d: (s(d) * q).sum() / q.sum(), "size", "side"
    )
    t.check("fill_ratio(size, size + fee)", lambda q, f: q.sum() / (q + f).sum(), "size", "fee")
    t.check(
        "participation_rate(fee, size)", lambda f, q: f.sum() / q.sum(), "fee", "size"
    )
    t.check(
        "vpin(size, side, ts, 100, 20)", lambda q, d: vpin(q, d, 100, 20), "size", "side"
    )
    t.check("vpin(size, side, ts, 7, 9)", lambda q, d: vpin(q, d, 7, 9), "size", "side")


def main():
    bars, market_bars = closes("ibm"), closes("spy")
    returns = {
        "r": bars["close"][1:] / bars["close"][:-1] - 1,
        "b": market_bars["close"][1:] / market_bars["close"][:-1] - 1,
    }
    columns = {name: values[1:] for name, values in bars.items()} | returns
    columns["stamp"] = numpy.arange(len(returns["r"])).astype(float)
    t = Table("daily", columns)
    performance(t)
    risk(t)
    market(t)
    trading()
    money_weighted()
    candles.check(sys.argv[1])
    paths.check(sys.argv[1])
    profiles.check(sys.argv[1])
    portfolios.check()


if __name__ == "__main__":
    main()
