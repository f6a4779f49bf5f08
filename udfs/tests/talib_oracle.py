"""Computes EMA and RSI of real daily closes with TA-Lib's Python wheel, as JSON lines.

Usage: talib_oracle.py DIRECTORY, which holds equity_daily/*_daily.csv.zip (date, open, high, low,
close, volume; prices times 10,000). Each line: series, closes, indicator, period, values (null
during warm-up). Closes that are null stand for rows without a value: TA-Lib sees the others.
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

PERIODS = {"ema": [2, 5, 30, 200], "rsi": [2, 9, 14, 100]}
FUNCTIONS = {"ema": talib.EMA, "rsi": talib.RSI}


def closes(path):
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    return [int(row[4]) / 10_000 for row in csv.reader(io.StringIO(text))]


def emit(series, values):
    present = numpy.array([value for value in values if value is not None], dtype=float)
    for indicator, periods in PERIODS.items():
        for period in periods:
            compressed = iter(FUNCTIONS[indicator](present, timeperiod=period).tolist())
            spread = [None if value is None else next(compressed) for value in values]
            result = [None if x is None or math.isnan(x) else x for x in spread]
            line = {"series": series, "closes": values, "indicator": indicator}
            print(json.dumps(line | {"period": period, "values": result}))


def main():
    paths = sorted(pathlib.Path(sys.argv[1]).glob("equity_daily/*_daily.csv.zip"))
    for path in paths:
        values = closes(path)
        emit(path.name, values)
        gaps = [None if row % 7 == 3 else value for row, value in enumerate(values[:1000])]
        emit(path.name + " with gaps", gaps)
    emit("a ramp", [float(value) for value in range(300)])
    emit("a short series", [1.0, 2.0, 3.0])
    emit("a flat series", [5.0] * 250)


if __name__ == "__main__":
    main()
