"""talipp, which computes indicators bar by bar, over real daily bars: a second opinion beside TA-Lib's
own wheel, and the only one for what that wheel lacks.

Usage: talipp_functions.py DIRECTORY, as talib_functions.py. Prints JSON lines, see oracle/main.rs.

The two start some averages from other values (TA-Lib's ATR leaves out the first bar, its MACD seeds
both averages at the slow one's start), which fades: those are compared from row 500 on. Not compared,
because the libraries define them differently: ZLEMA (lag), KC (average), KVO and TRIX (scale), STC
(smoothing).
"""

import json
import math
import pathlib
import sys

from talib_functions import COLUMNS, bars, emit_table
from talipp import indicators as ta
from talipp.ohlcv import OHLCV

SETTLED = 60
FADED = 500


def numbers(indicator, field, rows):
    """One number a bar, NaN where there is none."""
    values = [value if field is None or value is None else getattr(value, field) for value in indicator]
    values = [math.nan if value is None else float(value) for value in values]
    return [math.nan] * (rows - len(values)) + values


def check(table, rows, call, indicator, field=None, start=SETTLED):
    name, _, output = call.partition("|")
    output = f"['{output}']" if output else ""
    values = numbers(indicator, field, rows)[start:]
    assert sum(map(math.isfinite, values)) > 100, call
    # What is zero but for rounding is zero.
    values = [round(value, 11) if abs(value) < 1e-10 else value for value in values]
    values = [value if math.isfinite(value) else None for value in values]
    inner = f"SELECT day, ({name} OVER (ORDER BY day)){output} AS x FROM {table}"
    sql = f"SELECT x FROM ({inner}) WHERE day >= {start} ORDER BY day"
    print(json.dumps({"sql": sql, "values": [values], "tolerance": 1e-9}))


def averages(add, bar, close):
    for length in [9, 20]:
        for name in ["SMA", "EMA", "WMA", "DEMA", "TEMA", "HMA"]:
            add(f"{name.lower()}(close, {length})", getattr(ta, name)(length, close))
        add(f"rma(close, {length})", ta.SMMA(length, close))
        add(f"vwma(close, volume, {length})", ta.VWMA(length, bar))
        add(f"kama(close, {length})", ta.KAMA(length, 2, 30, close))
        bands = ta.BB(length, 2, close)
        call = f"bbands(close, {length}, 2, 2, 0)"
        for output, field in [("upperband", "ub"), ("middleband", "cb"), ("lowerband", "lb")]:
            add(f"{call}|{output}", bands, field)
        channel = ta.DonchianChannels(length, bar)
        for output, field in [("upperband", "ub"), ("middleband", "cb"), ("lowerband", "lb")]:
            add(f"donchian(high, low, {length})|{output}", channel, field)
    add("t3(close, 5, 0.7)", ta.T3(5, 0.7, close))
    # TA-Lib rounds the centre of the weights down to a row: this one is on one.
    add("alma(close, 9, 6, 0.75)", ta.ALMA(9, 0.75, 6, close))
    add("sar(high, low, 0.02, 0.2)", ta.ParabolicSAR(0.02, 0.02, 0.2, bar), "value", FADED)
    add("mcgd(close, 14)", ta.McGinleyDynamic(14, close), None, FADED)
    clouds = ta.Ichimoku(26, 9, 26, 52, 26, bar)
    add("ichimoku(high, low, 9, 26, 52)|tenkansen", clouds, "conversion_line")
    add("ichimoku(high, low, 9, 26, 52)|kijunsen", clouds, "base_line")
    add("supertrend(high, low, close, 10, 3)|supertrend", ta.SuperTrend(10, 3, bar), "value", FADED)


def momentum(add, bar, close):
    for length in [9, 14]:
        add(f"rsi(close, {length})", ta.RSI(length, close))
        add(f"cci(high, low, close, {length})", ta.CCI(length, bar))
        add(f"roc(close, {length})", ta.ROC(length, close))
        add(f"willr(high, low, close, {length})", ta.Williams(length, bar))
        aroon = ta.Aroon(length, bar)
        add(f"aroon(high, low, {length})|aroonup", aroon, "up")
        add(f"aroon(high, low, {length})|aroondown", aroon, "down")
        directions = ta.ADX(length, length, bar)
        for name, field in [("adx", "adx"), ("plus_di", "plus_di"), ("minus_di", "minus_di")]:
            add(f"{name}(high, low, close, {length})", directions, field, FADED)
        stochastic = ta.Stoch(length, 3, bar)
        add(f"stochf(high, low, close, {length}, 3, 0)|fastk", stochastic, "k")
        add(f"stochf(high, low, close, {length}, 3, 0)|fastd", stochastic, "d")
        vortex = ta.VTX(length, bar)
        add(f"vortex(high, low, close, {length})|plusvi", vortex, "plus_vtx")
        add(f"vortex(high, low, close, {length})|minusvi", vortex, "minus_vtx")
        add(f"chop(high, low, close, {length})", ta.CHOP(length, bar))
    macd = ta.MACD(12, 26, 9, close)
    for output, field in [("macd", "macd"), ("macdsignal", "signal"), ("macdhist", "histogram")]:
        add(f"macd(close, 12, 26, 9)|{output}", macd, field, FADED)
    add("tsi(close, 25, 13)", ta.TSI(13, 25, close))
    add("ultosc(high, low, close, 7, 14, 28)", ta.UO(7, 14, 28, bar))
    add("bop(open, high, low, close)", ta.BOP(bar))
    add("ao(high, low, 5, 34)", ta.AO(5, 34, bar))
    add("coppock(close, 10, 11, 14)", ta.CoppockCurve(11, 14, 10, close))
    add("dpo(close, 20)", ta.DPO(20, close))
    sure = ta.KST(10, 10, 15, 10, 20, 10, 30, 15, 9, close)
    add("kst(close)|kst", sure, "kst")
    add("kst(close)|kstsignal", sure, "signal")
    add("ibs(high, low, close)", ta.IBS(bar))


def volume_and_volatility(add, bar, close):
    add("obv(close, volume)", ta.OBV(bar))
    add("ad(high, low, close, volume)", ta.AccuDist(bar))
    add("adosc(high, low, close, volume, 3, 10)", ta.ChaikinOsc(3, 10, bar), None, FADED)
    add("efi(close, volume, 13)", ta.ForceIndex(13, bar))
    add("ta_vwap(high, low, close, volume)", ta.VWAP(bar))
    add("emv(high, low, volume, 14, 10000)", ta.EMV(14, 10000, bar))
    add("rogerssatchell(open, high, low, close, 10, 1)", ta.RogersSatchell(10, bar))
    add("massi(high, low, 9, 25)", ta.MassIndex(9, 9, 25, bar))
    for length in [10, 14]:
        add(f"atr(high, low, close, {length})", ta.ATR(length, bar), None, FADED)
        add(f"natr(high, low, close, {length})", ta.NATR(length, bar), None, FADED)
        add(f"ta_stddev(close, {length}, 1)", ta.StdDev(length, close))
        add(f"avgdev(close, {length})", ta.MeanDev(length, close))


def main():
    for symbol in ["spy", "aapl"]:
        table = bars(pathlib.Path(sys.argv[1]) / f"equity_daily/{symbol}_daily.csv.zip")
        emit_table(symbol, table)
        rows, close = len(table["close"]), table["close"]
        bar = [OHLCV(*values) for values in zip(*(table[name] for name in COLUMNS))]

        def add(call, indicator, field=None, start=SETTLED):
            check(symbol, rows, call, indicator, field, start)

        averages(add, bar, close)
        momentum(add, bar, close)
        volume_and_volatility(add, bar, close)


if __name__ == "__main__":
    main()
