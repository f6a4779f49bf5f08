"""Bars, and the first, last, lowest and highest of them, against pandas and DuckDB."""

import duckdb
import numpy
import pandas
import ticks
from statement import emit
from ticks import MINUTE, TIME

BAR = ["open", "high", "low", "close", "volume", "vwap", "trades"]
TIMES = ["open_time", "high_time", "low_time", "close_time"]


def bars(rows):
    """Bars of a minute, by pandas: rows in order of time."""
    at = pandas.to_datetime(rows.day, unit="us")
    rows = rows.assign(seconds=rows.day / 1e6, worth=rows.price * rows["size"]).set_index(at)
    known = rows.dropna(subset=["price"])
    minutes = known.resample("1min")
    made = minutes.price.ohlc()
    made["volume"] = minutes["size"].sum(min_count=1)
    made["vwap"] = minutes.worth.sum() / made.volume
    made["trades"] = minutes.price.count()
    made["open_time"], made["close_time"] = minutes.seconds.first(), minutes.seconds.last()
    # The first of equal prices is the earliest.
    for place, pick in [("high_time", "idxmax"), ("low_time", "idxmin")]:
        rank = known.reset_index(drop=True).groupby(known.index.floor("1min")).price
        made[place] = known.seconds.to_numpy()[getattr(rank, pick)()]
    return made


def candlesticks(rows):
    made = bars(rows)
    assert len(made) == 20 and (made.trades > 10).all()
    fields = ", ".join(
        [*(f"c['{name}']" for name in BAR), *(f"extract(epoch FROM {name}(c))" for name in TIMES)])
    outputs = [made[name] for name in [*BAR, *TIMES]]
    candle = f"candlestick_agg({TIME}, price, size) AS c"
    emit(
        f"SELECT {fields} FROM (SELECT day / {MINUTE} AS m, {candle} FROM ticks "
        f"GROUP BY day / {MINUTE}) AS b ORDER BY m",
        outputs,
    )
    # The same bars from parts, whose times overlap.
    emit(
        f"SELECT {fields} FROM (SELECT m, rollup(c) AS c FROM (SELECT day / {MINUTE} AS m, "
        f"{candle} FROM ticks GROUP BY day / {MINUTE}, day / 1000 % 7) AS p GROUP BY m) AS b "
        f"ORDER BY m",
        outputs,
    )
    # `vwap(c)` is told from the aggregate by the server's planner, which is not here.
    names = ["candlestick_vwap" if name == "vwap" else name for name in BAR]
    accessors = ", ".join(f"{name}(c)" for name in names)
    emit(
        f"SELECT {accessors} FROM (SELECT day / {MINUTE} AS m, {candle} FROM ticks "
        f"GROUP BY day / {MINUTE}) AS b ORDER BY m",
        outputs[: len(BAR)],
    )
    plain = f"candlestick_agg({TIME}, price)"
    emit(
        f"SELECT {', '.join(f'{name}(c)' for name in ['open', 'high', 'low', 'close'])} FROM "
        f"(SELECT day / {MINUTE} AS m, {plain} AS c FROM ticks GROUP BY day / {MINUTE}) AS b "
        f"ORDER BY m",
        outputs[:4],
    )
    fields = ", ".join(f"c['{name}']" for name in BAR[:5])
    emit(
        f"SELECT {fields} FROM (SELECT day / {MINUTE} AS m, ohlcv({TIME}, price, size) AS c "
        f"FROM ticks GROUP BY day / {MINUTE}) AS b ORDER BY m",
        outputs[:5],
    )


def picks(arrived, rows):
    """First and last by pandas; the same and the extremes by DuckDB, in the order of arrival."""
    minutes = rows.groupby(rows.day // MINUTE)
    for column in ["price", "size"]:
        for call in ["first", "last"]:
            emit(by_minute(f"{call}({column}, {TIME})"), [getattr(minutes[column], call)()])
    connection = duckdb.connect()
    # With one thread the first of equal keys is the first in the table.
    connection.execute("SET threads = 1")
    connection.register("ticks", arrived.astype({"day": "int64"}))
    calls = [
        ("arg_max", "size", "price"), ("arg_min", "size", "price"), ("arg_max", "price", "size"),
        ("arg_min", "price", "size"), ("arg_min", "price", "day"), ("arg_max", "size", "day"),
        ("max_by", "price", "size"), ("min_by", "price", "size"),
    ]
    for call, value, key in calls:
        sql = by_minute(f"{call}({value}, {key})").replace("day /", "day //")
        found = connection.execute(sql).fetchnumpy()["x"]
        keyed = key.replace("day", TIME)
        emit(by_minute(f"{call}({value}, {keyed})"), [numpy.ma.filled(found, numpy.nan)])
    earliest = connection.execute(
        by_minute("arg_min(price, day)").replace("day /", "day //")).fetchnumpy()["x"]
    emit(by_minute(f"first(price, {TIME})"), [numpy.ma.filled(earliest, numpy.nan)])


def by_minute(call):
    groups = f"SELECT day / {MINUTE} AS m, {call} AS x FROM ticks GROUP BY day / {MINUTE}"
    return f"SELECT x FROM ({groups}) AS g ORDER BY m"


def check(directory):
    arrived = ticks.trades(directory)
    rows = ticks.emit_ticks("ticks", arrived)
    candlesticks(rows)
    picks(arrived, rows)
