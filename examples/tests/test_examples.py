"""The numbers of every example against numpy and pandas over the same rows."""

import functools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from conftest import EXAMPLES, statements

WAIT_SECONDS_MAX = 60
WINDOW = ["window_start"]


def eventually(check):
    """Runs a check until it passes: views get there while their sources are read."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        try:
            return check()
        except (AssertionError, ValueError, KeyError, IndexError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def agree(found, expected, keys, columns, tolerance=1e-9):
    """The same keys, and the same numbers beside them."""
    found = found.sort_values(keys, kind="stable", ignore_index=True)
    expected = expected.sort_values(keys, kind="stable", ignore_index=True)
    assert len(found) == len(expected) > 0, f"{len(found)} rows, not {len(expected)}"
    for key in keys:
        assert list(found[key]) == list(expected[key]), key
    for column in columns:
        a = pd.to_numeric(found[column]).to_numpy(dtype=float)
        b = pd.to_numeric(expected[column]).to_numpy(dtype=float)
        floor = tolerance * max(1e-9, float(np.nanmax(np.abs(b), initial=0)))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=floor, err_msg=column)


def bars(trades, length):
    """Bars by symbol: the last of equal times is the last to come."""
    start = trades.ts.dt.floor(length)
    grouped = trades.groupby([start.rename("window_start"), "symbol"])
    made = grouped.agg(open=("price", "first"), high=("price", "max"), low=("price", "min"),
                       close=("price", "last"), volume=("size", "sum"), trades=("size", "count"))
    return made.reset_index()


def signed(trades):
    return trades["size"].where(trades.side == "buy", -trades["size"])


def mids_at(rows, quotes):
    """Each row with the quote that stood at its time."""
    right = quotes[["ts", "symbol", "bid", "ask"]]
    return pd.merge_asof(rows, right, on="ts", by="symbol").dropna(subset=["bid"])


def fills_of(market):
    return market.trades[market.trades.id % 10 == 0].reset_index(drop=True)


def position_rows(fills):
    """Quantity, average cost and realized profit after each fill, by average cost."""
    rows = []
    state = {}
    for fill, quantity in zip(fills.itertuples(), signed(fills), strict=True):
        held, basis, realized = state.get(fill.symbol, (0.0, 0.0, 0.0))
        if held == 0 or (held > 0) == (quantity > 0):
            basis += quantity * fill.price
        else:
            closed = np.sign(quantity) * min(abs(quantity), abs(held))
            cost = basis / held
            realized += -closed * (fill.price - cost)
            basis += closed * cost
            rest = quantity - closed
            if rest != 0:
                basis = rest * fill.price
        held += quantity
        basis = basis if held != 0 else 0.0
        state[fill.symbol] = (held, basis, realized)
        rows.append((fill.symbol, fill.ts, held, basis / held if held else np.nan, realized))
    return pd.DataFrame(rows, columns=["symbol", "ts", "qty", "avg_cost", "realized_pnl"])


def marked(market):
    last = position_rows(fills_of(market)).groupby("symbol").last()
    quotes = market.quotes.groupby("symbol").last()
    last["mark"] = (quotes.bid + quotes.ask) / 2
    last["market_value"] = last.qty * last["mark"]
    last["unrealized_pnl"] = last.qty * (last["mark"] - last.avg_cost)
    return last.reset_index()


def second_returns(market):
    made = bars(market.trades, "1s")
    made["r"] = made.groupby("symbol").close.pct_change()
    made["ts"] = made.window_start + pd.Timedelta("999999us")
    return made


def pair_prices(market, symbols=("AAPL", "NVDA")):
    names = [market.pair(symbol) for symbol in symbols]
    made = bars(market.trades[market.trades.symbol.isin(names)], "1s")
    return made.pivot(index="window_start", columns="symbol", values="close")[names].ffill()


def test_01_price_monitoring(market):
    grouped = market.trades.groupby("symbol")
    expected = pd.DataFrame({
        "last_price": grouped.price.last(),
        "change_pct": (grouped.price.last() / grouped.price.first() - 1) * 100,
        "low": grouped.price.min(), "high": grouped.price.max(), "volume": grouped["size"].sum(),
        "vwap": grouped.apply(lambda t: np.average(t.price, weights=t["size"])),
    }).reset_index()
    moves = market.trades.assign(move_bps=grouped.price.pct_change(10) * 1e4)
    jumps = moves[moves.move_bps.abs() > 5]

    def check():
        agree(market.view("price_board", "symbol"), expected, ["symbol"],
              ["last_price", "change_pct", "low", "high", "volume", "vwap"])
        agree(market.view("price_jumps", "ts"), jumps, ["symbol", "ts"], ["price", "move_bps"])

    eventually(check)


def test_02_volume_analysis(market):
    made = bars(market.trades, "10s")
    usual = made.groupby("symbol").volume.transform(lambda v: v.shift().rolling(20, min_periods=1).mean())
    made["relative_volume"] = made.volume / usual
    rows = []
    minutes = market.trades.groupby([market.trades.ts.dt.floor("1min"), "symbol"])
    for (start, symbol), trades in minutes:
        level = np.floor(trades.price / 0.05 + 1e-9) * 0.05
        by_level = trades["size"].groupby(level.round(4)).sum()
        rows.append((start, symbol, by_level.max(), by_level.sum()))
    profiles = pd.DataFrame(rows, columns=["window_start", "symbol", "most", "all"])

    def check():
        agree(market.view("volume_surprises", "window_start"), made, ["window_start", "symbol"],
              ["volume", "relative_volume"])
        found = market.view("volume_by_price", "window_start")
        agree(found, profiles, ["window_start", "symbol"], [])
        assert (found.value_low <= found.poc).all() and (found.poc <= found.value_high).all()

    eventually(check)


def test_03_trend_detection(market):
    talib = pytest.importorskip("talib")
    made = bars(market.trades, "5s")
    parts = []
    for _, part in made.groupby("symbol"):
        high, low, close = (part[name].to_numpy() for name in ["high", "low", "close"])
        parts.append(part.assign(fast=talib.EMA(close, 5), slow=talib.EMA(close, 15),
                                 slope=talib.LINEARREG_SLOPE(close, 10),
                                 adx=talib.ADX(high, low, close, 7)))
    expected = pd.concat(parts)
    turns = []
    for _, part in expected.dropna(subset=["slow"]).groupby("symbol"):
        ahead = part.fast - part.slow
        up, down = (ahead > 0) & (ahead.shift() <= 0), (ahead < 0) & (ahead.shift() >= 0)
        turns.append(part[up | down].assign(turn=np.where(ahead[up | down] > 0, 1, 0)))
    turns = pd.concat(turns)

    def check():
        agree(market.view("trend", "window_start"), expected, ["window_start", "symbol"],
              ["close", "fast", "slow", "slope", "adx"], 1e-7)
        found = market.view("trend_turns", "window_start")
        found["turn"] = (found.turn == "up").astype(int)
        agree(found, turns, ["window_start", "symbol"], ["close", "turn"])

    eventually(check)


def order_flow(quotes):
    before = quotes.shift()
    bid = np.where(quotes.bid > before.bid, quotes.bid_size,
                   np.where(quotes.bid < before.bid, -before.bid_size, quotes.bid_size - before.bid_size))
    ask = np.where(quotes.ask < before.ask, quotes.ask_size,
                   np.where(quotes.ask > before.ask, -before.ask_size, quotes.ask_size - before.ask_size))
    return float(np.nansum(bid - ask))


def test_04_market_sentiment(market):
    trades = market.trades.assign(signed=signed(market.trades))
    flows = trades.groupby([trades.ts.dt.floor("10s").rename("window_start"), "symbol"])
    expected = flows.agg(signed_volume=("signed", "sum"), volume=("size", "sum"))
    expected["trade_imbalance"] = expected.signed_volume / expected.volume
    quotes = market.quotes
    books = quotes.groupby([quotes.ts.dt.floor("10s").rename("window_start"), "symbol"])
    expected["order_flow"] = books.apply(order_flow)
    expected = expected.reset_index()
    expected["net_volume"] = expected.groupby("symbol").signed_volume.cumsum()
    both = expected.dropna(subset=["order_flow"])

    def check():
        agree(market.view("sentiment", "window_start"), both, ["window_start", "symbol"],
              ["trade_imbalance", "signed_volume", "order_flow"])
        agree(market.view("net_flow", "window_start"), expected, ["window_start", "symbol"],
              ["net_volume"])

    eventually(check)


def test_05_technical_indicators(market):
    talib = pytest.importorskip("talib")
    parts = []
    for _, part in bars(market.trades, "5s").groupby("symbol"):
        high, low, close = (part[name].to_numpy() for name in ["high", "low", "close"])
        volume = part.volume.to_numpy(dtype=float)
        macd, signal, _ = talib.MACD(close, 6, 13, 5)
        upper, _, lower = talib.BBANDS(close, 20, 2, 2)
        parts.append(part.assign(
            rsi=talib.RSI(close, 14), macd=macd, macd_signal=signal, bb_upper=upper, bb_lower=lower,
            atr=talib.ATR(high, low, close, 14), stoch_k=talib.STOCH(high, low, close)[0],
            obv=talib.OBV(close, volume), mfi=talib.MFI(high, low, close, volume, 14)))
    expected = pd.concat(parts)

    def check():
        agree(market.view("indicators", "window_start"), expected, ["window_start", "symbol"],
              ["close", "rsi", "macd", "macd_signal", "bb_upper", "bb_lower", "atr", "stoch_k", "obv",
               "mfi"], 1e-7)

    eventually(check)


def test_06_statistical_analysis(market):
    trades = market.trades.copy()
    trades["r"] = np.log(trades.price).groupby(trades.symbol).diff()
    trades["autocorrelation"] = trades.groupby("symbol").r.transform(
        lambda r: r.rolling(50).apply(lambda w: np.corrcoef(w[1:], w[:-1])[0, 1], raw=True))
    rows = []
    for (start, symbol), part in trades.groupby([trades.ts.dt.floor("1min"), "symbol"]):
        inside = np.diff(np.log(part.price))
        r = part.r.dropna()
        realized = np.sum(inside**2)
        bipower = np.pi / 2 * np.sum(np.abs(inside[1:] * inside[:-1]))
        rows.append((start, symbol, len(r), r.mean(), r.std(), stats.skew(r, bias=False),
                     np.sqrt(realized), max(realized - bipower, 0) / realized))
    names = ["window_start", "symbol", "n", "mean", "deviation", "skewness", "realized_vol", "jump_ratio"]
    expected = pd.DataFrame(rows, columns=names)

    def check():
        agree(market.view("return_statistics", "window_start"), expected, ["window_start", "symbol"],
              ["n", "mean", "deviation", "realized_vol"], 1e-8)
        found = market.view("return_memory", "ts")
        agree(found, trades, ["symbol", "ts"], [])
        a = found.sort_values(["symbol", "ts"], kind="stable").autocorrelation.to_numpy(dtype=float)
        b = trades.sort_values(["symbol", "ts"], kind="stable").autocorrelation.to_numpy(dtype=float)
        both = np.isfinite(a) & np.isfinite(b)
        assert both.sum() > 100
        np.testing.assert_allclose(a[both], b[both], atol=1e-6)

    eventually(check)


def test_07_correlation_studies(market):
    prices = np.log(pair_prices(market))
    returns = prices.diff()
    a, b = returns.columns
    expected = pd.DataFrame({
        "correlation": returns[a].rolling(60).corr(returns[b]),
        "beta": returns[b].rolling(60).cov(returns[a]) / returns[a].rolling(60).var(),
    }).reset_index()

    def check():
        agree(market.view("pair_correlation", "window_start"), expected, WINDOW,
              ["correlation", "beta"], 1e-6)

    eventually(check)


def test_08_market_impact(market):
    trades = market.trades.assign(signed=signed(market.trades))
    trades["change"] = trades.groupby("symbol").price.diff()
    trades["r"] = trades.groupby("symbol").price.pct_change()
    rows = []
    for (start, symbol), part in trades.groupby([trades.ts.dt.floor("1min"), "symbol"]):
        known = part.dropna(subset=["change"])
        slope = np.cov(known.change, known.signed)[0, 1] / known.signed.var()
        amihud = (known.r.abs() / (known.price * known["size"])).mean() * 1e6
        rows.append((start, symbol, slope, amihud, len(part)))
    expected = pd.DataFrame(rows, columns=["window_start", "symbol", "kyle_lambda",
                                           "amihud_per_million", "trades"])

    def check():
        agree(market.view("impact", "window_start"), expected, ["window_start", "symbol"],
              ["kyle_lambda", "amihud_per_million", "trades"], 1e-8)

    eventually(check)


def test_09_position_monitoring(market):
    history = position_rows(fills_of(market))
    board = marked(market)

    def check():
        agree(market.view("positions", "ts"), history, ["symbol", "ts"],
              ["qty", "avg_cost", "realized_pnl"], 1e-8)
        agree(market.view("position_board", "symbol"), board, ["symbol"],
              ["qty", "avg_cost", "mark", "realized_pnl", "unrealized_pnl", "market_value"], 1e-8)

    eventually(check)


def test_10_exposure(market):
    board = marked(market)
    value = board.market_value
    weights = value.abs() / value.abs().sum()
    book = {"gross": value.abs().sum(), "net": value.sum(), "leverage": value.abs().sum() / 1e7,
            "largest_three": weights.nlargest(3).sum(), "herfindahl": (weights**2).sum()}

    def check():
        sectors = market.server.frame("SELECT * FROM sectors").set_index("symbol").sector
        by_sector = value.groupby(board.symbol.map(sectors).fillna("other"))
        expected = pd.DataFrame({
            "gross": by_sector.apply(lambda v: v.abs().sum()), "net": by_sector.sum(),
            "long": by_sector.apply(lambda v: v[v > 0].sum()),
            "short": by_sector.apply(lambda v: v[v < 0].abs().sum()),
        }).rename_axis("sector").reset_index()
        found = market.view("exposure", "sector")
        found["short"] = pd.to_numeric(found.short).abs()
        agree(found, expected, ["sector"], ["gross", "net", "long", "short"], 1e-8)
        agree(market.view("book_exposure", "gross").assign(one=1), pd.DataFrame([book]).assign(one=1),
              ["one"], list(book), 1e-8)

    eventually(check)


def test_11_value_at_risk(market):
    made = second_returns(market)
    rows = []
    first = made.ts.min().floor("10s") - pd.Timedelta("110s")
    for start in pd.date_range(first, made.ts.max(), freq="10s"):
        inside = made[(made.ts >= start) & (made.ts < start + pd.Timedelta("2min"))]
        for symbol, part in inside.groupby("symbol"):
            r = np.sort(part.r.dropna().to_numpy())
            if len(r) < 4:
                continue
            mean, sd, z = r.mean(), r.std(ddof=1), stats.norm.ppf(0.05)
            worst = r[: int((len(r) - 1) * 0.05) + 1]
            skew, kurt = stats.skew(r), stats.kurtosis(r)
            corrected = (z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * kurt / 24
                         - (2 * z**3 - 5 * z) * skew**2 / 36)
            rows.append((start, symbol, len(r), -np.quantile(r, 0.05), -(mean + z * sd),
                         -(mean + corrected * sd), -worst.mean()))
    names = ["window_start", "symbol", "n", "historical", "normal", "cornish_fisher", "shortfall"]
    expected = pd.DataFrame(rows, columns=names)

    def check():
        found = market.view("var_by_method", "window_start")
        found = found[found.n >= 4]
        agree(found, expected, ["window_start", "symbol"], ["n", "historical", "normal", "shortfall"], 1e-7)
        many = expected.n.to_numpy() >= 30
        a = found.sort_values(["window_start", "symbol"]).cornish_fisher.to_numpy(dtype=float)
        np.testing.assert_allclose(a[many], expected.cornish_fisher[many], rtol=1e-6)
        assert pd.to_numeric(found.student_t[found.n >= 30]).notna().all()

    eventually(check)


def test_12_stress_testing(market):
    board = marked(market)

    def check():
        sectors = market.server.frame("SELECT * FROM sectors")
        scenarios = market.server.frame("SELECT * FROM scenarios")
        rows = board.merge(sectors, on="symbol").merge(scenarios, on="sector")
        rows["pnl"] = rows.qty * rows["mark"] * rows.shock_pct / 100
        expected = rows.groupby("scenario").agg(pnl=("pnl", "sum"), positions=("pnl", "size"))
        agree(market.view("stress", "scenario"), expected.reset_index(), ["scenario"],
              ["pnl", "positions"], 1e-8)

    eventually(check)


def test_13_limit_checking(market):
    board = marked(market)
    events = []
    levels = {}
    for row in position_rows(fills_of(market)).itertuples():
        before, used = levels.get(row.symbol, 0), abs(row.qty)
        edges = [limit - (500 if before > index else 0) for index, limit in enumerate([2000, 5000])]
        level = sum(used > edge for edge in edges)
        if level != before:
            events.append((row.symbol, row.ts, row.qty, level))
        levels[row.symbol] = level
    expected = pd.DataFrame(events, columns=["symbol", "ts", "qty", "level"])

    def check():
        limits = market.server.frame("SELECT * FROM limits")
        used = board.merge(limits, on="symbol")
        used["utilization"] = used.market_value.abs() / used.max_value
        used["level"] = np.select([used.utilization > 1, used.utilization >= 0.8], [2, 1], 0)
        agree(market.view("limit_board", "symbol"), used, ["symbol"], ["utilization", "level"], 1e-8)
        found = market.view("limit_events", "ts")
        assert len(found) == len(expected)
        if len(expected):
            agree(found, expected, ["symbol", "ts"], ["qty", "level"])

    eventually(check)


def test_14_counterparty_risk(market):
    fills = fills_of(market)
    fills = fills.assign(qty=signed(fills))
    fills["cost"] = fills.qty * fills.price
    sums = fills.groupby(["venue", "symbol"])[["qty", "cost"]].sum().reset_index()
    quotes = market.quotes.groupby("symbol").last()
    value = sums.qty * sums.symbol.map((quotes.bid + quotes.ask) / 2)
    sums["replacement_cost"], sums["gross"] = (value - sums.cost).clip(lower=0), value.abs()
    exposure = sums.groupby("venue")[["replacement_cost", "gross"]].sum().reset_index()

    def check():
        agree(market.view("counterparty_exposure", "venue"), exposure, ["venue"],
              ["replacement_cost", "gross"], 1e-6)
        lines = market.server.frame("SELECT * FROM counterparties")
        board = exposure.merge(lines, on="venue")
        board["at_risk"] = (board.replacement_cost - board.collateral).clip(lower=0)
        board["line_used"] = board.at_risk / board.credit_line
        agree(market.view("counterparty_board", "venue"), board, ["venue"], ["at_risk", "line_used"], 1e-6)

    eventually(check)


def test_15_market_risk(market):
    made = second_returns(market)
    parts = []
    for _, part in made.groupby("symbol"):
        moment, variance, rows = np.nan, 1e-10 / (1 - 0.08 - 0.9), []
        for r in part.r:
            if np.isnan(r):
                rows.append((np.nan, np.nan))
                continue
            moment = r * r if np.isnan(moment) else 0.94 * moment + 0.06 * r * r
            rows.append((np.sqrt(moment), np.sqrt(variance)))
            variance = 1e-10 + 0.08 * r * r + 0.9 * variance
        parts.append(part.assign(ewma_vol=[a for a, _ in rows], garch_vol=[b for _, b in rows]))
    expected = pd.concat(parts)
    expected["var_99"] = expected.ewma_vol * stats.norm.ppf(0.99)
    wide = made.assign(market=made.groupby("window_start").r.transform("mean"))
    parts = []
    for _, part in wide.groupby("symbol"):
        # A row without a return does not count towards the sixty.
        known = part.dropna(subset=["r", "market"])
        beta = known.r.rolling(60).cov(known.market) / known.market.rolling(60).var()
        parts.append(part.assign(beta=beta, correlation=known.r.rolling(60).corr(known.market)))
    betas = pd.concat(parts)

    def check():
        agree(market.view("volatility_now", "ts"), expected, ["ts", "symbol"],
              ["ewma_vol", "var_99", "garch_vol"], 1e-8)
        agree(market.view("market_beta", "ts"), betas, ["ts", "symbol"], ["beta", "correlation"], 1e-6)

    eventually(check)


def test_16_operational_risk(market):
    trades = market.trades.copy()
    trades["gap_seconds"] = trades.groupby("symbol").ts.diff().dt.total_seconds()
    gaps = trades[trades.gap_seconds > 3]
    crossed = market.quotes[market.quotes.bid >= market.quotes.ask]
    last = market.quotes.groupby("symbol").ts.max()
    behind = (last.max() - last).dt.total_seconds()
    stale = behind[behind > 2]

    def check():
        found = market.view("feed_gaps", "ts")
        assert len(found) == len(gaps)
        if len(gaps):
            agree(found, gaps, ["symbol", "ts"], ["gap_seconds"], 1e-6)
        assert len(market.view("crossed_books", "ts")) == len(crossed)
        found = market.view("stale_quotes", "symbol")
        assert sorted(found.symbol) == sorted(stale.index)
        counted = market.server.frame("SELECT sum(quotes) AS n FROM last_quotes")
        assert int(counted.n[0]) == len(market.quotes)

    eventually(check)


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
            states.append(is_long)
        parts.append(part.assign(z=z, is_long=states))
    return pd.concat(parts)


def test_17_signal_generation(market):
    made = with_signals(market)

    def check():
        found = market.view("signals", "ts")
        agree(found, made, ["ts", "symbol"], ["close", "z"], 1e-6)
        order = ["ts", "symbol"]
        a = found.sort_values(order).is_long.tolist()
        b = made.sort_values(order).is_long.tolist()
        assert a == [None if value is None else bool(value) for value in b]
        assert len(market.view("signal_events", "ts")) > 0

    eventually(check)


def strategy(market):
    parts = []
    for _, part in with_signals(market).groupby("symbol"):
        shifted = [False] + [bool(value) for value in part.is_long][:-1]
        held = pd.Series(shifted, index=part.index)
        before = held.shift(fill_value=False)
        r = part.r.where(held, 0.0).fillna(0.0) - np.where(held != before, 0.00005, 0.0)
        equity = (1 + r).cumprod()
        parts.append(part.assign(r=r, equity=equity, drawdown=equity / equity.cummax() - 1))
    return pd.concat(parts)


def test_18_backtesting(market):
    expected = strategy(market)

    def check():
        agree(market.view("backtest", "ts"), expected, ["ts", "symbol"], ["r", "equity", "drawdown"], 1e-7)

    eventually(check)


def test_19_execution_quality(market):
    fills = mids_at(fills_of(market), market.quotes)
    middle = (fills.bid + fills.ask) / 2
    direction = np.where(fills.side == "buy", 1, -1)
    fills = fills.assign(cost=direction * (fills.price - middle) / middle, middle=middle,
                         spread=2 * (fills.price - middle).abs())
    rows = []
    for symbol, part in fills.groupby("symbol"):
        size = part["size"]
        paid = (np.where(part.side == "buy", 1, -1) * (part.price - part.middle) * size).sum()
        rows.append((symbol, len(part), size.sum(), 1e4 * paid / (part.middle * size).sum(),
                     np.average(part.spread, weights=size)))
    expected = pd.DataFrame(rows, columns=["symbol", "fills", "shares", "slippage_bps", "effective_spread"])
    quotes = market.quotes
    seconds = quotes.assign(mid=(quotes.bid + quotes.ask) / 2).groupby(
        ["symbol", quotes.ts.dt.floor("1s").rename("second")]).mid.last()
    marks = []
    for fill in fills_of(market).itertuples():
        for back in [5, 6]:
            at = (fill.ts + pd.Timedelta(seconds=back)).floor("1s")
            closing = at + pd.Timedelta("999999us")
            inside = fill.ts + pd.Timedelta("5s") <= closing <= fill.ts + pd.Timedelta("6s")
            if inside and (fill.symbol, at) in seconds.index:
                mid = seconds[(fill.symbol, at)]
                sign = 1 if fill.side == "buy" else -1
                marks.append((fill.id, closing, sign * (mid - fill.price) / fill.price * 1e4))
    marks = pd.DataFrame(marks, columns=["id", "mid_at", "markout_bps"])

    def check():
        agree(market.view("execution_costs", "symbol"), expected, ["symbol"],
              ["fills", "shares", "slippage_bps", "effective_spread"], 1e-6)
        agree(market.view("markouts", "id"), marks, ["id", "mid_at"], ["markout_bps"], 1e-6)

    eventually(check)


def test_20_performance_monitoring(market):
    rows = []
    made = strategy(market)
    year = 5_896_800
    for (start, symbol), part in made.groupby([made.ts.dt.floor("2min"), "symbol"]):
        r = part.r.to_numpy()
        sd, down = r.std(ddof=1), np.sqrt(np.mean(np.minimum(r, 0) ** 2))
        equity = np.concatenate([[1.0], np.cumprod(1 + r)])
        deepest = (equity / np.maximum.accumulate(equity) - 1).min()
        losses = -r[r < 0].sum()
        rows.append((start, symbol, len(r),
                     r.mean() / sd * np.sqrt(year) if sd > 0 else np.nan,
                     r.mean() / down * np.sqrt(year) if down > 0 else np.nan,
                     sd * np.sqrt(year), deepest,
                     r[r > 0].sum() / losses if losses > 0 else np.nan))
    names = ["window_start", "symbol", "bars", "sharpe", "sortino", "annual_volatility", "max_drawdown",
             "profit_factor"]
    expected = pd.DataFrame(rows, columns=names)

    def check():
        agree(market.view("performance", "window_start"), expected, ["window_start", "symbol"],
              names[2:], 1e-5)

    eventually(check)


def test_21_risk_controls(market):
    rows = mids_at(market.trades, market.quotes)
    middle = (rows.bid + rows.ask) / 2
    rows["distance_bps"] = (rows.price - middle) / middle * 1e4
    wrong = rows[(rows.distance_bps.abs() > 50) | (rows["size"] > 5000)]
    rates = bars(market.trades, "1s").assign(orders=lambda made: made.trades)
    switches = []
    state = {}
    for row in position_rows(fills_of(market)).itertuples():
        stops, resumes = row.realized_pnl < -2000, row.realized_pnl > -1000
        state[row.symbol] = not resumes and (state.get(row.symbol, False) or stops)
        switches.append((row.symbol, row.ts, float(state[row.symbol])))
    switches = pd.DataFrame(switches, columns=["symbol", "ts", "is_off"])

    def check():
        found = market.view("fat_fingers", "id")
        assert sorted(found.id) == sorted(wrong.id)
        agree(market.view("collars", "id"), rows, ["id"], ["distance_bps"], 1e-6)
        agree(market.view("order_rates", "window_start"), rates, ["window_start", "symbol"], ["orders"])
        found = market.view("kill_switch", "ts")
        agree(found.assign(is_off=found.is_off.astype(float)), switches, ["symbol", "ts"], ["is_off"])

    eventually(check)


def test_22_portfolio_optimisation(market):
    names = [market.pair(symbol) for symbol in ["AAPL", "NVDA", "TSLA"]]
    made = bars(market.trades, "1s")
    wide = made.pivot(index="window_start", columns="symbol", values="close")[names].ffill()
    returns = wide.pct_change(fill_method=None)
    rows = []
    for place in range(len(returns)):
        inside = returns.iloc[max(0, place - 59): place + 1].dropna()
        if len(inside) < 60:
            continue
        matrix = inside.cov().to_numpy()
        weights = np.linalg.solve(matrix, np.ones(3))
        weights /= weights.sum()
        at = returns.index[place] + pd.Timedelta("999999us")
        rows.append((at, *weights, weights @ matrix @ weights))
    expected = pd.DataFrame(rows, columns=["ts", "w0", "w1", "w2", "variance"])

    def check():
        found = market.view("minimum_variance", "ts")
        for place in range(3):
            found[f"w{place}"] = [weights[place] for weights in found.weights]
        agree(found, expected, ["ts"], ["w0", "w1", "w2", "variance"], 1e-5)
        parts = np.array(found.parts_of_var.tolist(), dtype=float).sum(axis=1)
        variance = pd.to_numeric(found.variance).to_numpy()
        np.testing.assert_allclose(parts, stats.norm.ppf(0.95) * np.sqrt(variance), rtol=1e-6)

    eventually(check)


def test_23_market_making(market):
    fills = fills_of(market)
    inventory = fills.assign(q=signed(fills))
    inventory["inventory"] = inventory.groupby("symbol").q.cumsum()
    inventory = inventory.groupby(["symbol", "ts"]).inventory.last().reset_index().sort_values("ts")
    quotes = market.quotes
    rows = pd.merge_asof(quotes, inventory, on="ts", by="symbol").fillna({"inventory": 0})
    rows["fair"] = ((rows.ask * rows.bid_size + rows.bid * rows.ask_size)
                    / (rows.bid_size + rows.ask_size))
    rows["skew"] = 0.01 * rows.inventory / 2000
    rows["place"] = np.arange(len(rows))

    def check():
        found = market.view("maker_quotes", "ts")
        agree(found, rows, ["symbol", "ts"], ["fair", "inventory", "skew"], 1e-8)
        order = ["symbol", "ts"]
        normal = rows.sort_values(order, kind="stable").eval("bid < ask").to_numpy()
        found = found.sort_values(order, kind="stable", ignore_index=True)
        bid, ask = pd.to_numeric(found.our_bid), pd.to_numeric(found.our_ask)
        assert (bid < ask)[normal].all()
        assert (bid <= found.fair - found["skew"] + 1e-9)[normal].all()
        assert (ask >= found.fair - found["skew"] - 1e-9)[normal].all()

    eventually(check)


def test_24_statistical_arbitrage(market):
    prices = pair_prices(market)
    a, b = prices.columns
    rows = []
    for place in range(len(prices)):
        inside = prices.iloc[max(0, place - 59): place + 1].dropna()
        if len(inside) < 60:
            rows.append((prices.index[place], np.nan, np.nan))
            continue
        slope, intercept = np.polyfit(inside[a], inside[b], 1)
        residuals = inside[b] - intercept - slope * inside[a]
        rows.append((prices.index[place], slope, residuals.iloc[-1] / residuals.std(ddof=1)))
    expected = pd.DataFrame(rows, columns=["window_start", "hedge_ratio", "z"])
    short, long, signal = False, False, []
    for z in expected.z:
        if not np.isnan(z):
            short, long = z >= 0 and (short or z > 2), z <= 0 and (long or z < -2)
        signal.append(0 if np.isnan(z) else 1 if short else -1 if long else 0)
    expected["signal"] = signal

    def check():
        agree(market.view("pair_signal", "window_start"), expected, WINDOW,
              ["hedge_ratio", "z", "signal"], 1e-5)

    eventually(check)


def test_every_example_shows_rows(market):
    """The question at the end of each file has an answer, and each file says what it is for."""
    files = sorted(EXAMPLES.glob("[0-9]*.sql"))
    assert len(files) == 24
    index = (EXAMPLES / "README.md").read_text()
    for path in files:
        assert path.name in index, f"{path.name} is not in the index"
        assert path.read_text().startswith("-- "), path.name
        *_, question = statements(path, market.renamed)
        assert question.startswith("SELECT"), path.name
        market.server.frame(question)
