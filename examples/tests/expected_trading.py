"""What the views of the examples 17 to 24 must hold: signals, backtests, costs, portfolios."""

import functools

import numpy as np
import pandas as pd
from comparison import FITTED, Comparison
from derived import (
    MICROSECOND,
    SECOND,
    bars,
    fills_of,
    mids,
    position_rows,
    quotes_at,
    second_returns,
    side_by_side,
    signed,
    windows,
    with_ends,
)
from scipy import stats

BARS_A_YEAR = 5_896_800
COST = 0.00005
LENGTH = 60
STOP, RESUME = -100, -50
TICK = ["symbol", "ts"]
BAR = ["window_start", "symbol"]


def zscore(window):
    """Added up from left to right: a price at its mean must be so to the last bit."""
    mean = functools.reduce(lambda sum_, x: sum_ + x, window, 0.0) / len(window)
    deviation = np.std(window, ddof=1)
    return (window[-1] - mean) / deviation if deviation > 1e-9 else np.nan


def with_signals(market):
    parts = []
    for _, part in second_returns(market).groupby("symbol"):
        z = part.close.rolling(20).apply(zscore, raw=True)
        is_long, states = False, []
        for value in z:
            if np.isnan(value):
                states.append(None)
                continue
            is_long = value < 0 and (is_long or value < -1.5)
            states.append(bool(is_long))
        parts.append(part.assign(z=z, is_long=pd.Series(states, part.index, dtype=object)))
    return pd.concat(parts)


def signal_generation(market):
    made = with_signals(market)
    on = made.is_long.eq(True)
    changed = on != on.groupby(made.symbol).shift(fill_value=False)
    return [
        Comparison("signal_scores", TICK, made),
        Comparison("signals", TICK, made),
        Comparison("signal_events", TICK, made[changed & made.is_long.notna()]),
    ]


def strategy(market):
    """Each bar's return of the strategy beside that of the price."""
    parts = []
    for _, part in with_signals(market).groupby("symbol"):
        held = part.is_long.eq(True).shift(fill_value=False)
        held_before = held.shift(fill_value=False)
        earned = part.r.where(held, 0.0).fillna(0.0) - np.where(held != held_before, COST, 0.0)
        equity = (1 + earned).cumprod()
        parts.append(part.assign(held=held, held_before=held_before, earned=earned, equity=equity,
                                 drawdown=equity / equity.cummax() - 1))
    return pd.concat(parts)


def backtesting(market):
    bought = strategy(market)
    earned = bought.assign(r=bought.earned)
    return [
        Comparison("backtest_bars", TICK, bought),
        Comparison("strategy_returns", TICK, earned),
        Comparison("backtest", TICK, earned),
    ]


def execution_quality(market):
    sides = quotes_at(fills_of(market), market.quotes)
    fills = sides.assign(mid=mids(sides), sign=np.where(sides.side == "buy", 1, -1))
    rows = []
    for symbol, part in fills.groupby("symbol"):
        size = part["size"]
        paid = (part.sign * (part.price - part.mid) * size).sum()
        spread = np.average(2 * (part.price - part.mid).abs(), weights=size)
        slippage = 1e4 * paid / (part.mid * size).sum()
        rows.append((symbol, len(part), size.sum(), slippage, spread))
    names = ["symbol", "fills", "shares", "slippage_bps", "effective_spread"]
    quotes = market.quotes.assign(mid=mids(market.quotes))
    seconds = with_ends(windows(quotes, "1s").mid.last(), "1s")
    later = fills_of(market).merge(seconds.rename(columns={"window_time": "mid_at"}), on="symbol")
    wait = later.mid_at - later.ts
    marks = later[(wait >= 5 * SECOND) & (wait <= 6 * SECOND)]
    sign = np.where(marks.side == "buy", 1, -1)
    marks = marks.assign(markout_bps=sign * (marks.mid - marks.price) / marks.price * 1e4)
    return [
        Comparison("fills_with_quote", ["id"], fills),
        Comparison("execution_costs", ["symbol"], pd.DataFrame(rows, columns=names)),
        Comparison("mids", BAR, seconds),
        Comparison("markouts", ["id", "mid_at"], marks),
    ]


def ratio(gain, risk):
    return gain / risk if risk > 0 else np.nan


def performance_monitoring(market):
    rows = []
    for (start, symbol), part in windows(strategy(market), "2min"):
        r = part.earned.to_numpy()
        sd, down = r.std(ddof=1), np.sqrt(np.mean(np.minimum(r, 0) ** 2))
        equity = np.concatenate([[1.0], np.cumprod(1 + r)])
        deepest = (equity / np.maximum.accumulate(equity) - 1).min()
        with np.errstate(over="ignore"):
            a_year = equity[-1] ** (BARS_A_YEAR / len(r)) - 1
        # Two minutes' gain every two minutes may be more in a year than a number can hold.
        a_year = a_year if np.isfinite(a_year) else np.nan
        rows.append((
            start, symbol, len(r), equity[-1] - 1, ratio(r.mean(), sd) * np.sqrt(BARS_A_YEAR),
            ratio(r.mean(), down) * np.sqrt(BARS_A_YEAR), ratio(a_year, -deepest),
            sd * np.sqrt(BARS_A_YEAR), deepest, ratio(r[r > 0].sum(), -r[r < 0].sum()),
            np.mean(r > 0)))
    names = [*BAR, "bars", "total_return", "sharpe", "sortino", "calmar", "annual_volatility",
             "max_drawdown", "profit_factor", "hit_rate"]
    return [Comparison("performance", BAR, pd.DataFrame(rows, columns=names))]


def risk_controls(market):
    rows = quotes_at(market.trades, market.quotes)
    rows = rows.assign(mid=mids(rows))
    rows["distance_bps"] = (rows.price - rows.mid) / rows.mid * 1e4
    is_far = rows.distance_bps.abs() > 50
    reasons = rows.assign(reason=np.where(is_far, "price", "size"))
    rates = bars(market.trades, "1s")
    rates = rates.assign(orders=rates.trades, throttled=rates.trades > 5)
    switches, state = position_rows(fills_of(market)), {}
    for row in switches.itertuples():
        was_off = state.get(row.symbol, [False])[-1]
        is_off = row.realized_pnl <= RESUME and (was_off or row.realized_pnl < STOP)
        state.setdefault(row.symbol, []).append(bool(is_off))
    # By symbol, in the order of its fills.
    places = {symbol: iter(states) for symbol, states in state.items()}
    switches["is_off"] = [next(places[symbol]) for symbol in switches.symbol]
    fingers = reasons[is_far | (rows["size"] > 5000)]
    assert set(fingers.reason) == {"price", "size"} and rates.throttled.any()
    assert switches.is_off.any()
    return [
        Comparison("collars", ["id"], rows),
        Comparison("fat_fingers", ["id"], fingers),
        Comparison("order_rates", BAR, rates),
        Comparison("kill_switch", TICK, switches),
    ]


def portfolio_optimisation(market):
    names = [market.stand_in(symbol) for symbol in ["AAPL", "NVDA", "TSLA"]]
    traded, prices = side_by_side(market.trades, names)
    returns = prices.pct_change(fill_method=None)
    covariances = pd.DataFrame({
        x + y: returns[x].rolling(LENGTH).cov(returns[y])
        for x, y in ["aa", "ab", "ac", "bb", "bc", "cc"]})
    rows = []
    for place in range(LENGTH, len(returns)):
        inside = returns.iloc[place - LENGTH + 1 : place + 1]
        if inside.isna().any(axis=None):
            continue
        matrix = inside.cov().to_numpy()
        weights = np.linalg.solve(matrix, np.ones(3))
        weights /= weights.sum()
        variance = weights @ matrix @ weights
        parts = stats.norm.ppf(0.95) * weights * (matrix @ weights) / np.sqrt(variance)
        at = returns.index[place] + SECOND - MICROSECOND
        rows.append((at, weights.tolist(), variance, parts.tolist()))
    least = pd.DataFrame(rows, columns=["ts", "weights", "variance", "parts_of_var"])
    prices, returns, covariances = (
        with_ends(frame, "1s").assign(ts=lambda made: made.window_time)
        for frame in [prices, returns.add_prefix("r"), covariances])
    return [
        Comparison("basket_seconds", ["window_start"], with_ends(traded, "1s")),
        Comparison("basket_prices", ["ts"], prices),
        Comparison("basket_returns", ["ts"], returns),
        Comparison("covariances", ["ts"], covariances, FITTED),
        Comparison("minimum_variance", ["ts"], least, FITTED),
    ]


def round_to_cent(prices, rounded):
    """Down or up to a cent, where a billionth of one does not matter."""
    cents = prices / 0.01
    nearest = np.rint(cents)
    return np.where(np.abs(cents - nearest) <= 1e-9, nearest, rounded(cents)) * 0.01


def market_making(market):
    fills = fills_of(market)
    held = fills.assign(quantity=signed(fills)).groupby(TICK).quantity.sum()
    # Fills of one time are peers: each has the sum of all of them.
    inventory = held.groupby("symbol").cumsum().rename("inventory").reset_index()
    inventory = inventory.sort_values("ts", kind="stable")
    rows = pd.merge_asof(market.quotes, inventory, on="ts", by="symbol").fillna({"inventory": 0})
    both = rows.bid_size + rows.ask_size
    rows["fair"] = (rows.ask * rows.bid_size + rows.bid * rows.ask_size) / both
    rows["imbalance"] = (rows.bid_size - rows.ask_size) / both
    rows["skew"] = 0.01 * rows.inventory / 2000
    half = (rows.ask - rows.bid) / 2
    quoted = rows.assign(
        our_bid=round_to_cent(rows.fair - rows["skew"] - half, np.floor),
        our_ask=round_to_cent(rows.fair - rows["skew"] + half, np.ceil))
    return [
        Comparison("inventory", TICK, fills[TICK].merge(inventory, on=TICK)),
        Comparison("quote_inputs", TICK, rows),
        Comparison("maker_quotes", TICK, quoted),
    ]


def half_life(window):
    slope = np.polyfit(window[:-1], np.diff(window), 1)[0]
    return -np.log(2) / np.log1p(slope) if -1 < slope < 0 else np.nan


def statistical_arbitrage(market):
    names = [market.stand_in(symbol) for symbol in ["AAPL", "NVDA"]]
    _, prices = side_by_side(market.trades[market.trades.symbol.isin(names)], names)
    fits = pd.DataFrame(np.nan, prices.index, ["hedge_ratio", "residual", "z"])
    for place in range(LENGTH - 1, len(prices)):
        inside = prices.iloc[place - LENGTH + 1 : place + 1]
        if inside.isna().any(axis=None):
            continue
        slope, intercept = np.polyfit(inside.a, inside.b, 1)
        residuals = inside.b - intercept - slope * inside.a
        last = residuals.iloc[-1]
        fits.iloc[place] = slope, last, last / residuals.std(ddof=1)
    spread = prices.join(fits)
    signal = spread.assign(half_life=spread.residual.rolling(LENGTH).apply(half_life, raw=True))
    short, long, states = False, False, []
    for z in spread.z:
        if not np.isnan(z):
            short, long = z >= 0 and (short or z > 2), z <= 0 and (long or z < -2)
        states.append(0 if np.isnan(z) else 1 if short else -1 if long else 0)
    signal["signal"] = states
    assert set(states) == {-1, 0, 1}
    return [
        Comparison("pair_spread", ["window_start"], with_ends(spread, "1s"), FITTED),
        Comparison("pair_signal", ["window_start"], signal.reset_index(), FITTED),
    ]
