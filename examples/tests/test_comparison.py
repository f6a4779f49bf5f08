"""A comparison that could not fail would show nothing."""

import dataclasses
import decimal

import numpy as np
import pandas as pd
import pytest
from comparison import Comparison, agree

ROWS = pd.DataFrame({
    "symbol": ["A", "A", "B"],
    "ts": pd.date_range("2026-03-02", periods=3, freq="1s", tz="UTC"),
    "price": [np.nan, 2.0, 3.0],
    "amount": [decimal.Decimal("1.5"), decimal.Decimal("2.5"), decimal.Decimal("4")],
    "is_on": pd.Series([None, True, False], dtype=object),
    "weights": [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]],
})
COMPARISON = Comparison("view", ["symbol", "ts"], ROWS.assign(amount=ROWS.amount.astype(float)))


def test_the_same_rows_agree_in_any_order():
    agree(ROWS.iloc[::-1], COMPARISON)
    agree(ROWS.drop(columns=["price"]), COMPARISON)


@pytest.mark.parametrize(("column", "row", "cell"), [
    ("symbol", 2, "C"), ("ts", 2, ROWS.ts[2] + pd.Timedelta("1us")),
    ("price", 0, 0.0), ("price", 1, None), ("price", 2, 3.0000001),
    ("amount", 2, decimal.Decimal("4.0000001")), ("is_on", 0, False), ("is_on", 1, None),
    ("is_on", 2, True), ("weights", 1, [0.25, 0.7500001]),
])
def test_a_cell_that_differs_is_noticed(column, row, cell):
    cells = ROWS[column].tolist()
    cells[row] = cell
    with pytest.raises(AssertionError, match=column):
        agree(ROWS.assign(**{column: pd.Series(cells, dtype=ROWS[column].dtype)}), COMPARISON)


@pytest.mark.parametrize("found", [
    ROWS.iloc[:2], ROWS.iloc[:0], pd.concat([ROWS, ROWS.iloc[:1]]), ROWS.assign(more=1),
], ids=["one row less", "no rows", "one row more", "one column more"])
def test_rows_and_columns_without_a_counterpart_are_noticed(found):
    with pytest.raises(AssertionError, match="view"):
        agree(found, COMPARISON)


def test_nothing_to_compare_is_no_agreement():
    empty = dataclasses.replace(COMPARISON, expected=ROWS.assign(price=np.nan))
    with pytest.raises(AssertionError, match="no value"):
        agree(ROWS.assign(price=np.nan), empty)
    with pytest.raises(AssertionError, match="0 rows"):
        agree(ROWS.iloc[:0], dataclasses.replace(COMPARISON, expected=ROWS.iloc[:0]))
