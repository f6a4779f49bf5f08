"""What several examples derive from the same trades and quotes, in pandas."""

import numpy as np
import pandas as pd

MICROSECOND = pd.Timedelta("1us")
SECOND = pd.Timedelta("1s")


def windows(rows, length, by=("symbol",)):
    """Groups of rows by tumbling window and symbol."""
    start = rows.ts.dt.floor(length).rename("window_start")
    return rows.groupby([start, *by])


def with_ends(frame, length):
    """A frame with the other columns of a window beside its start."""
    frame = frame.reset_index()
    end = frame.window_start + pd.Timedelta(length)
    return frame.assign(window_end=end, window_time=end - MICROSECOND)


def bars(trades, length):
    """Bars by symbol: the last of equal times is the last to come."""
    made = windows(trades, length).agg(
        open=("price", "first"), high=("price", "max"), low=("price", "min"),
        close=("price", "last"), volume=("size", "sum"), trades=("size", "count"))
    return with_ends(made, length)


def signed(trades):
    return trades["size"].where(trades.side == "buy", -trades["size"])


def mids(quotes):
    return (quotes.bid + quotes.ask) / 2


def quotes_at(rows, quotes):
    """Each row that has one, with the quote that stood at its time."""
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


def last_marks(market):
    """The mid price of each symbol's last quote."""
    return mids(market.quotes.groupby("symbol").last()).rename("mark")


def marked(market):
    """The last position of each symbol at the mid price of its last quote."""
    # Cell by cell: `last` would look for the last average cost that there is.
    last = position_rows(fills_of(market)).groupby("symbol").tail(1).set_index("symbol")
    last["mark"] = last_marks(market)
    last["market_value"] = last.qty * last["mark"]
    last["unrealized_pnl"] = last.qty * (last["mark"] - last.avg_cost)
    return last.reset_index()


def second_returns(market):
    made = bars(market.trades, "1s")
    made["r"] = made.groupby("symbol").close.pct_change()
    made["ts"] = made.window_time
    return made


def side_by_side(trades, symbols):
    """The last price of each second, a column a symbol: as traded, and filled forward."""
    made = bars(trades, "1s").pivot(index="window_start", columns="symbol", values="close")
    traded = made[symbols].set_axis(list("abc"[: len(symbols)]), axis=1)
    return traded, traded.ffill()
