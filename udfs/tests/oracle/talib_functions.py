"""TA-Lib's Python wheel over real daily bars: every function that both libraries have.

Usage: talib_functions.py DIRECTORY, which holds equity_daily/*_daily.csv.zip (date, open, high,
low, close, volume; prices times 10,000). Prints JSON lines as oracle/main.rs describes them.
"""

import csv
import io
import json
import math
import pathlib
import sys
import zipfile

import numpy
import talib
import talib.abstract

ROWS = 700
COLUMNS = ["open", "high", "low", "close", "volume"]

# What the two versions do differently, by design of the newer one: 0.8.3 gives the last of equal
# extremes, 0.8.1 the first; and 50 as the RSI of a price that never moved, 0.8.1 gave 0.
TIES = {"MAXINDEX", "MININDEX", "MINMAXINDEX"}
FLAT = TIES | {"RSI"}


def bars(path):
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = [row for row in csv.reader(io.StringIO(text))][:ROWS]
    table = {name: [int(row[i + 1]) / 10_000 for row in rows] for i, name in enumerate(COLUMNS)}
    table["volume"] = [float(row[5]) for row in rows]
    return table


def with_gaps(table):
    """Every seventh row lacks one of its values: the function sees the others."""
    gaps = {name: list(values) for name, values in table.items()}
    for row in range(3, len(gaps["close"]), 7):
        for name in COLUMNS:
            gaps[name][row] = None
    return gaps


def emit_table(name, table):
    columns = {"day": list(range(len(table["close"])))} | table
    print(json.dumps({"table": name, "columns": columns}))


def series_of(info):
    """The argument columns in the order of TA-Lib's call."""
    names = []
    for key, value in info["input_names"].items():
        if key == "price0":
            names.append("close")
        elif key == "price1":
            names.append("open")
        elif key == "periods":
            names.append("periods")
        elif isinstance(value, list):
            names.extend(value)
        else:
            names.append("close")
    return names


def choices(parameters):
    """The defaults, and half of every period."""
    yield list(parameters.values())
    other = {
        name: value // 2 + 2 if isinstance(value, int) and "matype" not in name else value
        for name, value in parameters.items()
    }
    if other != parameters:
        yield list(other.values())


def check(table_name, table, name):
    info = talib.abstract.Function(name).info
    columns = series_of(info)
    present = [row for row, close in enumerate(table["close"]) if close is not None]
    series = [numpy.array([table[column][row] for row in present]) for column in columns]
    if any(numpy.isnan(values).any() for values in series):
        raise ValueError("a value is missing")
    for parameters in choices(info["parameters"]):
        found = getattr(talib, name)(*series, *parameters)
        found = found if isinstance(found, tuple) else (found,)
        outputs = []
        for output in found:
            values = [None] * len(table["close"])
            integers = numpy.issubdtype(output.dtype, numpy.integer)
            for place, (row, value) in enumerate(zip(present, output.tolist())):
                warm = not integers or place >= warm_up(name, parameters)
                values[row] = value if warm and math.isfinite(value) else None
            outputs.append(values)
        arguments = ", ".join(columns + [str(value) for value in parameters])
        sql = f"SELECT ta_{name.lower()}({arguments}) OVER (ORDER BY day) FROM {table_name}"
        print(json.dumps({"sql": sql + " ORDER BY day", "values": outputs, "tolerance": 1e-9}))


def warm_up(name, parameters):
    """How many rows of integers are no results: the wheel writes 0 there."""
    function = talib.abstract.Function(name)
    names = list(function.info["parameters"])
    function.parameters = dict(zip(names, parameters))
    return function.lookback


def main():
    for symbol in ["spy", "aapl", "uso"]:
        table = bars(pathlib.Path(sys.argv[1]) / f"equity_daily/{symbol}_daily.csv.zip")
        table["periods"] = [float(2 + row % 29) for row in range(len(table["close"]))]
        if symbol == "uso":
            table = with_gaps(table)
        emit_table(symbol, table)
        for name in talib.get_functions():
            if name not in TIES:
                check(symbol, table, name)
    flat = {name: [5.0] * 250 for name in COLUMNS} | {"periods": [4.0] * 250}
    emit_table("flat", flat)
    for name in talib.get_functions():
        if name not in FLAT:
            check("flat", flat, name)


if __name__ == "__main__":
    main()
