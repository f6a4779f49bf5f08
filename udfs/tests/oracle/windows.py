"""Rolling and cumulative functions against pandas, statsmodels and arch over real bars.

Signals and what is since something happened are in signals.py.

Usage: windows.py DIRECTORY, as talib_functions.py. Prints JSON lines, see oracle/main.rs.
"""

import csv
import io
import json
import math
import pathlib
import statistics
import sys
import zipfile

import numpy
import pandas
import signals
from arch.univariate.recursions_python import garch_recursion
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tools import add_constant

ROWS = 500


def closes(symbol):
    path = pathlib.Path(sys.argv[1]) / f"equity_daily/{symbol}_daily.csv.zip"
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = [row for row in csv.reader(io.StringIO(text))][-ROWS:]
    return pandas.Series([float(row[4]) / 10_000 for row in rows])


def cells(values):
    return [None if not math.isfinite(x) else float(x) for x in values]


def check(call, *outputs, table="bars", tolerance=1e-9):
    sql = f"SELECT {call} OVER (ORDER BY day) FROM {table} ORDER BY day"
    values = [cells(output) for output in outputs]
    print(json.dumps({"sql": sql, "values": values, "tolerance": tolerance}))


def emit_table(name, columns):
    columns = {key: cells(values) for key, values in columns.items()}
    columns["day"] = list(range(len(columns["y"])))
    print(json.dumps({"table": name, "columns": columns}))


def rolling(y, x, r):
    n = 20
    mean, deviation = y.rolling(n).mean(), y.rolling(n).std()
    check(f"zscore(y, {n})", (y - mean) / deviation, tolerance=1e-7)
    check(f"rolling_corr(y, x, {n})", y.rolling(n).corr(x), tolerance=1e-7)
    check(f"rolling_cov(y, x, {n})", y.rolling(n).cov(x), tolerance=1e-7)
    check(f"rolling_rank(y, {n})", y.rolling(n).rank())
    check(f"rolling_quantile(y, {n}, 0.3)", y.rolling(n).quantile(0.3))
    check(f"rolling_skew(r, {n})", r.rolling(n).skew(), tolerance=1e-6)
    check(f"rolling_kurt(r, {n})", r.rolling(n).kurt(), tolerance=1e-6)
    auto = r.rolling(n).apply(lambda w: pandas.Series(w).autocorr(2), raw=True)
    check(f"autocorr(r, 2, {n})", auto, tolerance=1e-7)
    fit = RollingOLS(y.values, add_constant(x.values), window=n).fit()
    alpha, beta = fit.params[:, 0], fit.params[:, 1]
    residual = y - alpha - beta * x
    check(f"rolling_beta(y, x, {n})", beta, tolerance=1e-6)
    check(f"rolling_ols(y, x, {n})", alpha, beta, fit.rsquared, residual, tolerance=1e-6)
    z = [math.nan] * len(y)
    for row in range(n - 1, len(y)):
        window = slice(row - n + 1, row + 1)
        rest = y[window] - alpha[row] - beta[row] * x[window]
        z[row] = rest.iloc[-1] / rest.std()
    check(f"pair_spread_z(y, x, {n})", z, tolerance=1e-6)
    for length in [8, 40, 120]:
        exponent = [math.nan] * len(y)
        for row in range(length - 1, len(y)):
            window = y.values[row - length + 1 : row + 1]
            lags = numpy.arange(1, min(length // 4, 20) + 1)
            spread = [((window[lag:] - window[:-lag]) ** 2).mean() for lag in lags]
            if min(spread) > 0:
                exponent[row] = numpy.polyfit(numpy.log(lags), numpy.log(spread) / 2, 1)[0]
        check(f"hurst(y, {length})", exponent, tolerance=1e-7)
    half = [math.nan] * len(y)
    for row in range(n - 1, len(y)):
        window = y.values[row - n + 1 : row + 1]
        slope = numpy.polyfit(window[:-1], numpy.diff(window), 1)[0]
        half[row] = -math.log(2) / math.log1p(slope) if -1 < slope < 0 else math.nan
    check(f"half_life(y, {n})", half, tolerance=1e-5)


def decaying(y, x, r):
    for decay, kind in [(0.1, "alpha"), (20, "span"), (7.5, "halflife"), (4, "com")]:
        for adjust in [False, True]:
            terms = f"{decay}, '{kind}', '{str(adjust).lower()}'"
            ewm = y.ewm(**{kind: decay}, adjust=adjust)
            check(f"ewma(y, {terms})", ewm.mean())
            check(f"ewm_var(y, {terms})", ewm.var())
            check(f"ewm_std(y, {terms})", ewm.std())
            check(f"ewm_cov(y, x, {terms})", ewm.cov(x))
            check(f"ewm_corr(y, x, {terms})", ewm.corr(x), tolerance=1e-8)
    variances = [r[0] ** 2]
    for change in r[1:]:
        variances.append(0.94 * variances[-1] + 0.06 * change**2)
    check("ewma_vol(r)", numpy.sqrt(variances))
    seeded = [0.97 * 0.02**2 + 0.03 * r[0] ** 2]
    for change in r[1:]:
        seeded.append(0.97 * seeded[-1] + 0.03 * change**2)
    check("ewma_vol(r, 0.97, 0.02)", numpy.sqrt(seeded))
    stamps = numpy.arange(len(y)) ** 2
    means = y.ewm(halflife="40s", times=pandas.to_datetime(stamps, unit="s"), adjust=False).mean()
    check("ewma_time(y, to_timestamp_seconds(day * day), INTERVAL '40 seconds')", means)
    quantile = statistics.NormalDist().inv_cdf(0.99)
    check("ewma_var(r, 0.94, 0.99)", quantile * numpy.sqrt(variances))
    covariance = [r[0] * x[0]]
    for a, b in zip(r[1:], x[1:]):
        covariance.append(0.9 * covariance[-1] + 0.1 * a * b)
    check("ewma_cov(r, x, 0.9)", covariance)
    parameters = numpy.array([1e-6, 0.08, 0.9])
    variance = numpy.zeros(len(r))
    start = parameters[0] / (1 - parameters[1] - parameters[2])
    bounds = numpy.array([[0.0, 1e6]] * len(r))
    squares, signs = r.values**2, numpy.sign(r.values)
    garch_recursion(parameters, squares, signs, variance, 1, 0, 1, len(r), start, bounds)
    check("garch11_vol(r, 0.000001, 0.08, 0.9)", numpy.sqrt(variance))


def cumulative(y, r, g):
    check("returns(y)", y.pct_change())
    check("returns(y, 5)", y.pct_change(5))
    check("log_returns(y, 3)", numpy.log(y / y.shift(3)))
    check("cumsum(r)", r.cumsum())
    check("cumprod(1 + r)", (1 + r).cumprod())
    check("cummax(y)", y.cummax())
    check("cummin(y)", y.cummin())
    check("drawdown(y)", y / y.cummax() - 1)
    check("max_drawdown(y)", (y / y.cummax() - 1).cummin())
    peak = (y == y.cummax()).cumsum()
    check("drawdown_duration(y)", peak.groupby(peak).cumcount())
    check("ffill(g)", g.ffill())
    times = pandas.to_datetime(numpy.arange(len(g)) ** 2, unit="s")
    between = pandas.Series(g.values, index=times).interpolate("time", limit_area="inside")
    check("interpolate(g, to_timestamp_seconds(day * day))", between)
    flags = (y > y.shift()).cumsum()
    check("rising(y, 3)", (y.diff() > 0).rolling(3).sum().eq(3).astype(float))
    check("falling(y)", (y.diff() < 0).astype(float))
    del flags


def main():
    y, x = closes("ibm"), closes("spy")
    r = y.pct_change().fillna(0.001)
    g = y.where(numpy.arange(ROWS) % 5 != 0)
    emit_table("bars", {"y": y, "x": x, "r": r, "g": g})
    rolling(y, x, r)
    decaying(y, x, r)
    cumulative(y, r, g)
    signals.check()


if __name__ == "__main__":
    main()
