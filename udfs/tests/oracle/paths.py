"""Aggregates of a path of prices or quotes against NumPy, over recorded ones that arrive late."""

import math

import numpy
import ticks
from statement import emit
from ticks import MINUTE, TIME

TEN_SECONDS = 10_000_000


def check_groups(table, rows, length, call, function, columns, tolerance=1e-9):
    """States what a call gives for each stretch of time; rows are in order of time."""
    known = rows.dropna(subset=columns)
    groups = known.groupby(known.day // length)
    expected = [function(*(part[name].to_numpy() for name in columns)) for _, part in groups]
    assert len(expected) > 10
    groups = f"SELECT day / {length} AS m, {call} AS x FROM {table} GROUP BY day / {length}"
    emit(f"SELECT x FROM ({groups}) AS g ORDER BY m", [expected], tolerance)


def log_returns(price):
    return numpy.diff(numpy.log(price))


def bipower(price):
    r = numpy.abs(log_returns(price))
    return math.pi / 2 * numpy.dot(r[1:], r[:-1])


def semivariance(price, sign):
    r = log_returns(price)
    return (r[sign * r > 0] ** 2).sum()


def jump_ratio(price):
    return max(0.0, 1 - bipower(price) / (log_returns(price) ** 2).sum())


def roll_spread(price):
    change = numpy.diff(price)
    covariance = numpy.cov(change[1:], change[:-1])[0, 1]
    return 2 * math.sqrt(-covariance) if covariance < 0 else math.nan


def standing(value, time):
    """The mean of values, each as long as it stood; of those at one time the last stood."""
    if time[-1] == time[0]:
        return value[-1]
    return numpy.average(value[:-1], weights=numpy.diff(time))


def order_flow(bid, bid_size, ask, ask_size):
    """Cont, Kukanov and Stoikov (2014), equation 2, quote by quote."""
    total = 0.0
    for now in range(1, len(bid)):
        before = now - 1
        if bid[now] >= bid[before]:
            total += bid_size[now]
        if bid[now] <= bid[before]:
            total -= bid_size[before]
        if ask[now] <= ask[before]:
            total -= ask_size[now]
        if ask[now] >= ask[before]:
            total += ask_size[before]
    return total


def prices(rows):
    def add(call, function, *columns, tolerance=1e-9):
        # In parts per million: what is below a thousandth is compared less strictly.
        call, scaled = f"1000000.0 * {call}", lambda *values: 1e6 * function(*values)
        check_groups("trade_path", rows, MINUTE, call, scaled, list(columns), tolerance)

    add(f"bipower_variation(price, {TIME})", bipower, "price", tolerance=1e-8)
    add(f"realized_semivar_up(price, {TIME})", lambda p: semivariance(p, 1), "price")
    add(f"realized_semivar_down(price, {TIME})", lambda p: semivariance(p, -1), "price")
    add(f"realized_variance(price, {TIME})", lambda p: (log_returns(p) ** 2).sum(), "price")
    year = 252 * 390
    add(
        f"realized_vol(price, {TIME}, {year})",
        lambda p: math.sqrt(year * (log_returns(p) ** 2).sum()),
        "price",
    )
    add(f"jump_ratio(price, {TIME})", jump_ratio, "price", tolerance=1e-8)
    add(f"roll_spread(price, {TIME})", roll_spread, "price", tolerance=1e-8)
    add(f"twap(price, {TIME})", standing, "price", "day")


def books(rows):
    def add(call, function, *columns):
        check_groups("quote_path", rows, TEN_SECONDS, call, function, list(columns))

    add(
        f"quoted_spread_tw(bid, ask, {TIME})",
        lambda b, a, t: standing(a - b, t),
        "bid",
        "ask",
        "day",
    )
    add(
        f"order_flow_imbalance(bid, bid_size, ask, ask_size, {TIME})",
        order_flow,
        "bid",
        "bid_size",
        "ask",
        "ask_size",
    )


def check(directory):
    prices(ticks.emit_ticks("trade_path", ticks.trades(directory)))
    books(ticks.emit_ticks("quote_path", ticks.quotes(directory)))
