"""What the views of the examples 01 to 08 must hold: prices, volume, indicators, statistics."""

import numpy as np
import pandas as pd
import talib
from comparison import FITTED, Comparison
from derived import bars, side_by_side, signed, windows, with_ends
from scipy import stats

BAR = ["window_start", "symbol"]
TICK = ["symbol", "ts"]
PROFILE_TICK, VALUE_SHARE = 0.05, 0.7


def price_monitoring(market):
    grouped = market.trades.groupby("symbol")
    board = pd.DataFrame({
        "last_price": grouped.price.last(),
        "change_pct": (grouped.price.last() / grouped.price.first() - 1) * 100,
        "low": grouped.price.min(), "high": grouped.price.max(), "volume": grouped["size"].sum(),
        "vwap": grouped.apply(lambda t: np.average(t.price, weights=t["size"])),
        "trades": grouped.size(),
    }).reset_index()
    moves = market.trades.assign(move_bps=grouped.price.pct_change(10) * 1e4)
    return [
        Comparison("price_board", ["symbol"], board),
        Comparison("price_jumps", TICK, moves[moves.move_bps.abs() > 5]),
    ]


def value_area(levels, volumes):
    """The point of control and the area around it, grown level by level to its share."""
    low = high = center = int(np.argmax(volumes))
    while volumes[low : high + 1].sum() < VALUE_SHARE * volumes.sum():
        below = volumes[low - 1] if low > 0 else -1
        above = volumes[high + 1] if high + 1 < len(volumes) else -1
        low, high = (low, high + 1) if above > below else (low - 1, high)
    return levels[center], levels[low], levels[high]


def volume_analysis(market):
    made = bars(market.trades, "10s")
    usual = made.groupby("symbol").volume.transform(
        lambda v: v.shift().rolling(20, min_periods=1).mean())
    surprises = made.assign(relative_volume=made.volume / usual)
    rows = []
    for (start, symbol), trades in windows(market.trades, "1min"):
        nearest = np.rint(trades.price / PROFILE_TICK)
        levels, place = np.unique(nearest, return_inverse=True)
        volumes = np.bincount(place, weights=trades["size"])
        rows.append((start, symbol, *value_area(levels * PROFILE_TICK, volumes)))
    profiles = pd.DataFrame(rows, columns=[*BAR, "poc", "value_low", "value_high"])
    return [
        Comparison("volume_bars", BAR, made),
        Comparison("volume_surprises", BAR, surprises),
        Comparison("volume_by_price", BAR, profiles),
    ]


def trend_detection(market):
    made = bars(market.trades, "5s")
    parts = []
    for _, part in made.groupby("symbol"):
        high, low, close = (part[name].to_numpy() for name in ["high", "low", "close"])
        parts.append(part.assign(fast=talib.EMA(close, 5), slow=talib.EMA(close, 15),
                                 slope=talib.LINEARREG_SLOPE(close, 10),
                                 adx=talib.ADX(high, low, close, 7)))
    trend = pd.concat(parts)
    turns = []
    for _, part in trend.dropna(subset=["slow"]).groupby("symbol"):
        ahead = part.fast - part.slow
        up, down = (ahead > 0) & (ahead.shift() <= 0), (ahead < 0) & (ahead.shift() >= 0)
        turns.append(part.assign(turn=np.where(up, "up", "down"))[up | down])
    return [
        Comparison("trend_bars", BAR, made),
        Comparison("trend", BAR, trend),
        Comparison("trend_turns", BAR, pd.concat(turns)),
    ]


def order_flow(quotes):
    before = quotes.shift()
    bid = np.where(
        quotes.bid > before.bid, quotes.bid_size,
        np.where(quotes.bid < before.bid, -before.bid_size, quotes.bid_size - before.bid_size))
    ask = np.where(
        quotes.ask < before.ask, quotes.ask_size,
        np.where(quotes.ask > before.ask, -before.ask_size, quotes.ask_size - before.ask_size))
    return float(np.nansum(bid - ask))


def market_sentiment(market):
    trades = market.trades.assign(signed=signed(market.trades))
    flows = windows(trades, "10s").agg(signed_volume=("signed", "sum"), volume=("size", "sum"))
    flows["trade_imbalance"] = flows.signed_volume / flows.volume
    books = windows(market.quotes, "10s").apply(order_flow).rename("order_flow").to_frame()
    flows, books = with_ends(flows, "10s"), with_ends(books, "10s")
    net = flows.assign(net_volume=flows.groupby("symbol").signed_volume.cumsum())
    return [
        Comparison("trade_sentiment", BAR, flows),
        Comparison("quote_sentiment", BAR, books),
        Comparison("sentiment", BAR, flows.merge(books, on=BAR)),
        Comparison("net_flow", BAR, net),
    ]


def technical_indicators(market):
    made = bars(market.trades, "5s")
    parts = []
    for _, part in made.groupby("symbol"):
        high, low, close = (part[name].to_numpy() for name in ["high", "low", "close"])
        volume = part.volume.to_numpy(dtype=float)
        macd, signal, _ = talib.MACD(close, 6, 13, 5)
        upper, _, lower = talib.BBANDS(close, 20, 2, 2)
        parts.append(part.assign(
            rsi=talib.RSI(close, 14), macd=macd, macd_signal=signal, bb_upper=upper, bb_lower=lower,
            atr=talib.ATR(high, low, close, 14), stoch_k=talib.STOCH(high, low, close)[0],
            obv=talib.OBV(close, volume), mfi=talib.MFI(high, low, close, volume, 14)))
    return [
        Comparison("indicator_bars", BAR, made),
        Comparison("indicators", BAR, pd.concat(parts)),
    ]


def autocorrelation(returns):
    """Of the returns but the first with those but the last; none where one of them never moves."""
    now, before = returns[1:], returns[:-1]
    if np.ptp(now) == 0 or np.ptp(before) == 0:
        return np.nan
    return np.corrcoef(now, before)[0, 1]


def statistical_analysis(market):
    trades = market.trades.copy()
    trades["r"] = np.log(trades.price).groupby(trades.symbol).diff()
    trades["autocorrelation"] = trades.groupby("symbol").r.transform(
        lambda r: r.rolling(50).apply(autocorrelation, raw=True))
    rows = []
    for (start, symbol), part in windows(trades, "1min"):
        inside = np.diff(np.log(part.price))
        r = part.r.dropna()
        realized = np.sum(inside**2)
        bipower = np.pi / 2 * np.sum(np.abs(inside[1:] * inside[:-1]))
        rows.append((start, symbol, len(r), r.mean(), r.std(), stats.skew(r, bias=True),
                     np.sqrt(realized), max(1 - bipower / realized, 0)))
    names = [*BAR, "n", "mean", "deviation", "skewness", "realized_vol", "jump_ratio"]
    return [
        Comparison("tick_returns", TICK, trades),
        Comparison("return_statistics", BAR, pd.DataFrame(rows, columns=names)),
        Comparison("return_memory", TICK, trades, FITTED),
    ]


def correlation_studies(market):
    names = [market.stand_in(symbol) for symbol in ["AAPL", "NVDA"]]
    traded, prices = side_by_side(market.trades[market.trades.symbol.isin(names)], names)
    returns = np.log(prices).diff().set_axis(["ra", "rb"], axis=1)
    beta = returns.rb.rolling(60).cov(returns.ra) / returns.ra.rolling(60).var()
    both = pd.DataFrame({"correlation": returns.ra.rolling(60).corr(returns.rb), "beta": beta})
    keys = ["window_start"]
    return [
        Comparison("pair_seconds", keys, with_ends(traded, "1s")),
        Comparison("pair_prices", keys, with_ends(prices, "1s")),
        Comparison("pair_returns", keys, with_ends(returns, "1s")),
        Comparison("pair_correlation", keys, both.reset_index(), FITTED),
    ]


def roll_spread(price):
    change = np.diff(price)
    if len(change) < 3:
        return np.nan
    covariance = np.cov(change[1:], change[:-1])[0, 1]
    return 2 * np.sqrt(-covariance) if covariance < 0 else np.nan


def market_impact(market):
    trades = market.trades.assign(signed_size=signed(market.trades))
    trades["price_change"] = trades.groupby("symbol").price.diff()
    trades["r"] = trades.groupby("symbol").price.pct_change()
    rows = []
    for (start, symbol), part in windows(trades, "1min"):
        known = part.dropna(subset=["price_change"])
        slope = np.cov(known.price_change, known.signed_size)[0, 1] / known.signed_size.var()
        amihud = (known.r.abs() / (known.price * known["size"])).mean() * 1e6
        rows.append((start, symbol, slope, amihud, roll_spread(part.price), len(part)))
    names = [*BAR, "kyle_lambda", "amihud_per_million", "roll_spread", "trades"]
    return [
        Comparison("signed_trades", TICK, trades),
        Comparison("impact", BAR, pd.DataFrame(rows, columns=names)),
    ]
