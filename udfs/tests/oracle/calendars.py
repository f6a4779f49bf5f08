"""Exchange calendars against Python's exchange_calendars, from which their data was made: what is
compared is the reading of the data, the time zones and the search.

Usage: calendars.py DIRECTORY (not used). Prints JSON lines as oracle/main.rs describes them.
"""

import json

import exchange_calendars
import numpy
import pandas

NAMES = ["XNYS", "XTSE", "XLON", "XETR", "XPAR", "XAMS", "XSWX", "XTKS", "XHKG", "XASX", "CMES"]


def main():
    random = numpy.random.default_rng(7)
    first, last = pandas.Timestamp("2000-03-01"), pandas.Timestamp("2026-10-01")
    seconds = numpy.sort(random.integers(first.timestamp(), last.timestamp(), 3000))
    print(json.dumps({"table": "times", "columns": {"day": seconds.tolist()}}))
    for name in NAMES:
        calendar = exchange_calendars.get_calendar(name, start="2000-01-03", end="2026-12-01")
        schedule = calendar.schedule
        opens = schedule["open"].astype("int64").to_numpy() // unit(schedule["open"])
        closes = schedule["close"].astype("int64").to_numpy() // unit(schedule["close"])
        places = numpy.searchsorted(closes, seconds, side="right")
        dates = [(schedule.index[place] - pandas.Timestamp(0)).days for place in places]
        after = numpy.searchsorted(opens, seconds, side="right")
        open_now = [float(calendar.is_open_at_time(pandas.Timestamp(int(each), unit="s", tz="UTC"),
                                                   side="left", ignore_breaks=False))
                    for each in seconds]
        time = "to_timestamp_seconds(day)"
        for sql, values in [
            (f"arrow_cast(session_date({time}, '{name}'), 'Int32')", dates),
            (f"arrow_cast(arrow_cast(next_session_open({time}, '{name}'), 'Int64'), 'Float64')",
             [float(opens[place]) for place in after]),
            (f"arrow_cast(is_trading_time({time}, '{name}'), 'Float64')", open_now),
        ]:
            line = {"sql": f"SELECT {sql} FROM times ORDER BY day", "values": [values], "tolerance": 0}
            print(json.dumps(line))


def unit(column):
    """How many units of a column's times a second has."""
    return {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.dtype.unit]


if __name__ == "__main__":
    main()
