"""Volume by price against NumPy: the profile itself, its point of control, its value area."""

from decimal import ROUND_HALF_UP, Decimal

import numpy
import ticks
from statement import emit, emit_table
from ticks import MINUTE


def profile(prices, sizes, tick):
    """Levels and volumes: the nearest multiple of the tick, half away from zero, in decimals."""
    if len(prices) == 0:
        return numpy.array([]), numpy.array([])
    ratio = [Decimal(repr(float(price))) / Decimal(tick) for price in prices]
    nearest = [int(x.to_integral_value(ROUND_HALF_UP)) for x in ratio]
    levels, place = numpy.unique(nearest, return_inverse=True)
    return levels * float(tick), numpy.bincount(place, weights=sizes)


def value_area(levels, volumes, share):
    """From the lowest of the fullest levels on, the fuller neighbour, of equal ones the lower."""
    if len(volumes) == 0:
        return numpy.nan, numpy.nan
    low = high = int(numpy.argmax(volumes))
    while volumes[low : high + 1].sum() < share * volumes.sum():
        below = volumes[low - 1] if low > 0 else -1.0
        above = volumes[high + 1] if high + 1 < len(volumes) else -1.0
        if above > below:
            high += 1
        else:
            low -= 1
    return levels[low], levels[high]


def check_profiles(table, rows, length, tick):
    profiles = []
    for minute, part in rows.groupby(rows.day // length):
        counted = part.dropna()
        counted = counted[counted["size"] > 0]
        profiles.append((minute, *profile(counted.price, counted["size"], tick)))
    call = f"volume_profile(price, size, {tick})"
    groups = f"SELECT day / {length} AS m, {call} AS p FROM {table} GROUP BY day / {length}"
    emit(
        f"SELECT m, l['price'], l['volume'] FROM (SELECT m, unnest(p) AS l FROM ({groups}) AS g) "
        f"AS u ORDER BY m, l['price']",
        [
            numpy.concatenate([numpy.full(len(levels), m) for m, levels, _ in profiles]),
            numpy.concatenate([levels for _, levels, _ in profiles]),
            numpy.concatenate([volumes for *_, volumes in profiles]),
        ],
    )
    centers = [
        levels[numpy.argmax(volumes)] if len(volumes) else numpy.nan
        for _, levels, volumes in profiles
    ]
    emit(f"SELECT poc(p) FROM ({groups}) AS g ORDER BY m", [centers])
    for share in [None, 0, 0.3, 0.7, 0.95, 1]:
        areas = [
            value_area(levels, volumes, 0.7 if share is None else share)
            for _, levels, volumes in profiles
        ]
        area = "value_area(p)" if share is None else f"value_area(p, {share})"
        emit(
            f"SELECT a['low'], a['high'] FROM (SELECT m, {area} AS a FROM ({groups}) AS g) AS v "
            f"ORDER BY m",
            list(zip(*areas)),
        )


def check(directory):
    rows = ticks.emit_ticks("volume_ticks", ticks.trades(directory))
    for tick in ["0.05", "0.03", "0.02"]:
        check_profiles("volume_ticks", rows, MINUTE, tick)
    # Quarters on halves: every other price is between two levels; equal volumes are common.
    random = numpy.random.default_rng(9)
    drawn = rows.iloc[:600].assign(
        price=random.integers(-40, 41, 600) / 4, size=random.integers(-1, 4, 600).astype(float))
    emit_table("quarters", {column: drawn[column].to_numpy() for column in drawn})
    check_profiles("quarters", drawn, MINUTE // 6, "0.5")
