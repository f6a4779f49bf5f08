"""What the views of the examples 09 to 16 must hold: positions, exposure, risk, limits, feeds."""

import numpy as np
import pandas as pd
from comparison import FITTED, SECONDS, Comparison
from derived import (
    fills_of,
    last_marks,
    marked,
    position_rows,
    second_returns,
    signed,
)
from scipy import stats

CAPITAL = 1e7
SOFT, HARD, HYSTERESIS = 2000, 5000, 500
GAP_SECONDS, STALE_SECONDS = 3, 2
TICK = ["symbol", "ts"]
BAR = ["window_start", "symbol"]


def position_monitoring(market):
    fills = fills_of(market)
    history, board = position_rows(fills), marked(market)
    return [
        Comparison("fills", ["id"], fills),
        Comparison("positions", TICK, history),
        Comparison("position_now", ["symbol"], board),
        Comparison("marks", ["symbol"], last_marks(market).reset_index()),
        Comparison("position_board", ["symbol"], board),
    ]


def exposure(market):
    board = marked(market)
    sectors = market.table("sectors").set_index("symbol").sector
    value = board.market_value
    by_sector = value.groupby(board.symbol.map(sectors).fillna("other"))
    sides = pd.DataFrame({
        "gross": by_sector.apply(lambda v: v.abs().sum()), "net": by_sector.sum(),
        "long": by_sector.apply(lambda v: v[v > 0].sum()),
        "short": by_sector.apply(lambda v: -v[v < 0].sum()),
    }).rename_axis("sector").reset_index()
    weights = value.abs() / value.abs().sum()
    book = {
        "gross": value.abs().sum(), "net": value.sum(), "leverage": value.abs().sum() / CAPITAL,
        "largest_three": weights.nlargest(3).sum(), "herfindahl": (weights**2).sum(),
    }
    return [
        Comparison("exposure", ["sector"], sides),
        Comparison("book_exposure", ["gross"], pd.DataFrame([book])),
    ]


def normal_quantile(r):
    return r.mean() + r.std(ddof=1) * stats.norm.ppf(0.05)


def cornish_fisher_quantile(r):
    z, skew, excess = stats.norm.ppf(0.05), stats.skew(r), stats.kurtosis(r)
    corrected = (z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24
                 - (2 * z**3 - 5 * z) * skew**2 / 36)
    return r.mean() + r.std(ddof=1) * corrected


def student_quantile(r):
    """Of the t distribution with the mean, deviation and excess of the returns."""
    excess = stats.kurtosis(r)
    if not excess > 0:
        return normal_quantile(r)
    freedom = 4 + 6 / excess
    scale = r.std(ddof=1) * np.sqrt((freedom - 2) / freedom)
    return stats.t.ppf(0.05, freedom, loc=r.mean(), scale=scale)


def value_at_risk(market):
    made = second_returns(market)
    length, slide = pd.Timedelta("2min"), pd.Timedelta("10s")
    first = made.ts.min().floor("10s") - length + slide
    rows = []
    for start in pd.date_range(first, made.ts.max(), freq=slide):
        inside = made[(made.ts >= start) & (made.ts < start + length)]
        for symbol, part in inside.groupby("symbol"):
            r = np.sort(part.r.dropna().to_numpy())
            quantiles = [np.nan] * 5
            if len(r) > 0:
                worst = r[: int((len(r) - 1) * 0.05) + 1]
                quantiles = [np.quantile(r, 0.05), *[np.nan] * 3, worst.mean()]
            if len(r) > 1:
                methods = [normal_quantile, cornish_fisher_quantile, student_quantile]
                quantiles[1:4] = [method(r) for method in methods]
            rows.append((start, start + length, symbol, len(r), *[-q for q in quantiles]))
    names = ["window_start", "window_end", "symbol", "n", "historical", "normal", "cornish_fisher",
             "student_t", "shortfall"]
    return [
        Comparison("second_bars", BAR, made),
        Comparison("second_returns", TICK, made),
        Comparison("var_by_method", BAR, pd.DataFrame(rows, columns=names)),
    ]


def stress_testing(market):
    rows = marked(market).merge(market.table("sectors"), on="symbol")
    rows = rows.merge(market.table("scenarios"), on="sector")
    rows["pnl"] = rows.qty * rows["mark"] * rows.shock_pct / 100
    stress = rows.groupby("scenario").agg(pnl=("pnl", "sum"), positions=("pnl", "size"))
    return [Comparison("stress", ["scenario"], stress.reset_index())]


def limit_checking(market):
    board = marked(market).merge(market.table("limits"), on="symbol")
    board["utilization"] = board.market_value.abs() / board.max_value
    board["breached"] = board.utilization > 1
    board["level"] = np.select([board.breached, board.utilization >= 0.8], [2, 1], 0)
    events, levels = [], {}
    for row in position_rows(fills_of(market)).itertuples():
        before, used = levels.get(row.symbol, 0), abs(row.qty)
        edges = [limit - (HYSTERESIS if before > index else 0)
                 for index, limit in enumerate([SOFT, HARD])]
        level = sum(used > edge for edge in edges)
        if level != before:
            events.append((row.symbol, row.ts, row.qty, level, before))
        levels[row.symbol] = level
    events = pd.DataFrame(events, columns=[*TICK, "qty", "level", "before"])
    # Both ways, or hysteresis would not matter.
    assert (events.level > events.before).any() and (events.level < events.before).any()
    return [
        Comparison("limit_board", ["symbol"], board),
        Comparison("limit_events", TICK, events),
    ]


def counterparty_risk(market):
    fills = fills_of(market)
    fills = fills.assign(qty=signed(fills))
    fills["cost"] = fills.qty * fills.price
    sums = fills.groupby(["venue", "symbol"])[["qty", "cost"]].sum().reset_index()
    value = sums.qty * sums.symbol.map(last_marks(market))
    at_stake = sums.assign(replacement_cost=(value - sums.cost).clip(lower=0), gross=value.abs())
    by_venue = at_stake.groupby("venue")[["replacement_cost", "gross"]].sum().reset_index()
    board = by_venue.merge(market.table("counterparties"), on="venue")
    board["at_risk"] = (board.replacement_cost - board.collateral).clip(lower=0)
    board["line_used"] = board.at_risk / board.credit_line
    return [
        Comparison("counterparty_positions", ["venue", "symbol"], sums),
        Comparison("counterparty_exposure", ["venue"], by_venue),
        Comparison("counterparty_board", ["venue"], board),
    ]


def volatilities(returns):
    """The RiskMetrics and the GARCH(1,1) volatility after and before each return."""
    moment, variance = np.nan, 1e-10 / (1 - 0.08 - 0.9)
    for r in returns:
        if np.isnan(r):
            yield np.nan, np.nan
            continue
        moment = r * r if np.isnan(moment) else 0.94 * moment + 0.06 * r * r
        yield np.sqrt(moment), np.sqrt(variance)
        variance = 1e-10 + 0.08 * r * r + 0.9 * variance


def market_risk(market):
    made = second_returns(market)
    made["market"] = made.groupby("window_start").r.transform("mean")
    parts, betas = [], []
    for _, part in made.groupby("symbol"):
        ewma_vol, garch_vol = zip(*volatilities(part.r), strict=True)
        part = part.assign(ewma_vol=ewma_vol, garch_vol=garch_vol)
        parts.append(part.assign(var_99=part.ewma_vol * stats.norm.ppf(0.99)))
        # A row without a return does not count towards the sixty.
        known = part.dropna(subset=["r", "market"])
        beta = known.r.rolling(60).cov(known.market) / known.market.rolling(60).var()
        betas.append(part.assign(beta=beta, correlation=known.r.rolling(60).corr(known.market)))
    by_second = made.drop_duplicates("window_start")
    return [
        Comparison("volatility_now", TICK, pd.concat(parts)),
        Comparison("market_returns", ["window_start"], by_second),
        Comparison("symbol_returns", BAR, made),
        Comparison("returns_with_market", TICK, made),
        Comparison("market_beta", TICK, pd.concat(betas), FITTED),
    ]


def operational_risk(market):
    trades, quotes = market.trades, market.quotes
    gaps = trades.assign(gap_seconds=trades.groupby("symbol").ts.diff().dt.total_seconds())
    crossed = quotes[quotes.bid >= quotes.ask]
    middle = (crossed.bid + crossed.ask) / 2
    crossed = crossed.assign(spread_bps=1e4 * (crossed.ask - crossed.bid) / middle)
    last = quotes.groupby("symbol").ts.agg(last_ts="max", quotes="size").reset_index()
    newest = pd.DataFrame({"one": [1], "newest": [last.last_ts.max()]})
    last["seconds_behind"] = (last.last_ts.max() - last.last_ts).dt.total_seconds()
    return [
        Comparison("feed_gaps", TICK, gaps[gaps.gap_seconds > GAP_SECONDS], SECONDS),
        Comparison("crossed_books", TICK, crossed),
        Comparison("last_quotes", ["symbol"], last),
        Comparison("newest_quote", ["one"], newest),
        Comparison("stale_quotes", ["symbol"], last[last.seconds_behind > STALE_SECONDS], SECONDS),
    ]
