"""Recorded trades and quotes as tables: a Monday morning of 2013, in microseconds from its start.

Rows arrive up to some seconds late, so that their order in time is not that of the table; some
have no price or no size. `day` is the time of a row, many rows share one.
"""

import io
import pathlib
import zipfile

import numpy
import pandas
from statement import emit_table

MINUTE = 60_000_000
HOUR_MS = 3_600_000
LATE_US = 3_000_000
TIME = "to_timestamp_micros(day)"


def read(directory, symbol, what):
    path = pathlib.Path(directory) / f"equity_tick/{symbol}_20131007_{what}_tick.csv.zip"
    with zipfile.ZipFile(path) as archive:
        return pandas.read_csv(io.BytesIO(archive.read(archive.namelist()[0])), header=None)


def arriving(rows, random):
    """The rows in a drawn order of arrival."""
    arrival = numpy.argsort(rows.day + random.uniform(0, LATE_US, len(rows)), kind="stable")
    return rows.iloc[arrival].reset_index(drop=True)


def trades(directory):
    """Twenty minutes of a stock's trades, as they arrive."""
    random = numpy.random.default_rng(3)
    rows = read(directory, "aig", "trade")
    rows.columns = ["ms", "price", "size", "venue", "condition", "bad"]
    rows = rows[rows.ms.between(10 * HOUR_MS, 10 * HOUR_MS + 1_199_999) & (rows.bad == 0)]
    made = pandas.DataFrame({
        "day": (rows.ms.astype(int) - 10 * HOUR_MS) * 1000,
        "price": (rows.price / 1e4).where(random.random(len(rows)) > 0.03),
        "size": rows["size"].astype(float).where(random.random(len(rows)) > 0.1),
    })
    return arriving(made, random)


def quotes(directory):
    """Five minutes of a stock's best prices at one exchange, as they arrive."""
    rows = read(directory, "ibm", "quote")
    rows.columns = ["ms", "bid", "bid_size", "ask", "ask_size", "venue", "condition", "bad"]
    rows = rows[(rows.ms < 10 * HOUR_MS + 300_000) & (rows.venue == "N")]
    # An update of one side leaves the other as it was.
    for side in ["bid", "ask"]:
        both = [side, f"{side}_size"]
        rows[both] = rows[both].astype(float).where(rows[side] > 0).ffill()
    rows = rows[rows.ms >= 10 * HOUR_MS].dropna(subset=["bid", "ask"])
    made = pandas.DataFrame({
        "day": (rows.ms.astype(int) - 10 * HOUR_MS) * 1000,
        "bid": rows.bid / 1e4, "ask": rows.ask / 1e4,
        "bid_size": rows.bid_size, "ask_size": rows.ask_size,
    })
    return arriving(made, numpy.random.default_rng(4))


def emit_ticks(name, rows):
    """Makes a table of them; returns them in the order of time, equal times as they arrived."""
    emit_table(name, {column: rows[column].to_numpy() for column in rows})
    return rows.sort_values("day", kind="stable", ignore_index=True)
