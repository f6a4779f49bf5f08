"""What the view of an example must hold, and how that is compared: every column of every row."""

import dataclasses
import time

import numpy as np
import pandas as pd

WAIT_SECONDS_MAX = 60

# What is solved or summed over a window differs by the order in which that is done.
FITTED = 1e-7
# Seconds since 1970 are doubles, exact to a quarter of a microsecond, and gaps are some seconds.
SECONDS = 1e-6


@dataclasses.dataclass
class Comparison:
    """The rows that a view must have: `expected` has all of its columns, and may have more.

    Rows are compared in the order of `keys`; those with equal keys in the order they came in.
    """

    view: str
    keys: list
    expected: pd.DataFrame
    tolerance: float = 1e-9


def eventually(check):
    """Runs a check until it passes: views get there while their sources are read."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        try:
            return check()
        except (AssertionError, ValueError, KeyError, IndexError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def agree(found, comparison):
    """States that rows found are the rows expected, with something to compare in every column."""
    name, keys = comparison.view, comparison.keys
    missing = sorted(set(found.columns) - set(comparison.expected.columns))
    assert not missing, f"{name}: nothing is expected of {', '.join(missing)}"
    found = found.sort_values(keys, kind="stable", ignore_index=True)
    expected = comparison.expected.sort_values(keys, kind="stable", ignore_index=True)
    assert len(found) == len(expected) > 0, f"{name}: {len(found)} rows, not {len(expected)}"
    # Keys first: what follows would only say that the rows are shifted.
    for column in [*keys, *found.columns.difference(keys)]:
        cells_agree(f"{name}.{column}", found[column], expected[column], comparison.tolerance)


def cells_agree(what, found, expected, tolerance):
    """States that two columns agree: numbers to a tolerance, all else exactly, null with null."""
    known = expected.notna()
    assert known.any(), f"{what}: no value is expected"
    differ = np.flatnonzero(found.notna().to_numpy() != known.to_numpy())
    assert not len(differ), (
        f"{what}: {len(differ)} nulls differ, the first in row {differ[0]}: "
        f"{found[differ[0]]!r}, not {expected[differ[0]]!r}"
    )
    found, expected = found[known].tolist(), expected[known].tolist()
    if isinstance(expected[0], (bool, str, pd.Timestamp)):
        pairs = enumerate(zip(found, expected, strict=True))
        differ = [(row, a, b) for row, (a, b) in pairs if type(a) is not type(b) or a != b]
        assert not differ, f"{what}: {len(differ)} cells differ, the first: {differ[0]}"
        return
    a, b = np.array(found, dtype=float), np.array(expected, dtype=float)
    floor = tolerance * max(1e-9, float(np.abs(b).max()))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=floor, err_msg=what)
