"""The numbers of every example against numpy, pandas, SciPy and TA-Lib over the same rows."""

import functools
import re

import expected_prices
import expected_risk
import expected_trading
import pytest
from comparison import agree, eventually
from conftest import EXAMPLES, statements

EXPECTED = {
    "01-price-monitoring": expected_prices.price_monitoring,
    "02-volume-analysis": expected_prices.volume_analysis,
    "03-trend-detection": expected_prices.trend_detection,
    "04-market-sentiment": expected_prices.market_sentiment,
    "05-technical-indicators": expected_prices.technical_indicators,
    "06-statistical-analysis": expected_prices.statistical_analysis,
    "07-correlation-studies": expected_prices.correlation_studies,
    "08-market-impact": expected_prices.market_impact,
    "09-position-monitoring": expected_risk.position_monitoring,
    "10-exposure": expected_risk.exposure,
    "11-value-at-risk": expected_risk.value_at_risk,
    "12-stress-testing": expected_risk.stress_testing,
    "13-limit-checking": expected_risk.limit_checking,
    "14-counterparty-risk": expected_risk.counterparty_risk,
    "15-market-risk": expected_risk.market_risk,
    "16-operational-risk": expected_risk.operational_risk,
    "17-signal-generation": expected_trading.signal_generation,
    "18-backtesting": expected_trading.backtesting,
    "19-execution-quality": expected_trading.execution_quality,
    "20-performance-monitoring": expected_trading.performance_monitoring,
    "21-risk-controls": expected_trading.risk_controls,
    "22-portfolio-optimisation": expected_trading.portfolio_optimisation,
    "23-market-making": expected_trading.market_making,
    "24-statistical-arbitrage": expected_trading.statistical_arbitrage,
}

# Columns that nothing is compared with, as "view.column": why not. None so far.
EXCUSED = {}


@functools.cache
def comparisons(market, example):
    """What the views of an example must hold over a market."""
    return EXPECTED[example](market)


def views_of(example):
    """The views that an example makes."""
    text = (EXAMPLES / f"{example}.sql").read_text()
    return re.findall(r"^CREATE STREAMING VIEW (\w+)", text, re.MULTILINE)


@pytest.mark.parametrize("example", EXPECTED)
def test_views_hold_what_pandas_computes(market, example):
    for comparison in comparisons(market, example):
        left_out = [name for name in EXCUSED if name.startswith(f"{comparison.view}.")]
        left_out = [name.partition(".")[2] for name in left_out]

        def check(comparison=comparison, left_out=left_out):
            found = market.view(comparison.view, comparison.keys[-1])
            agree(found.drop(columns=left_out), comparison)

        eventually(check)


def test_every_column_of_every_view_is_compared(market):
    """A view or a column that is added to an example needs an expectation, or an excuse."""
    assert list(EXPECTED) == sorted(path.stem for path in EXAMPLES.glob("[0-9]*.sql"))
    open_questions, excuses = [], set(EXCUSED)
    for example in EXPECTED:
        expected = {each.view: set(each.expected.columns) for each in comparisons(market, example)}
        views = views_of(example)
        assert views and set(expected) <= set(views), example
        for view in views:
            columns = market.server.frame(f"SELECT * FROM {view} LIMIT 0").columns
            names = {f"{view}.{column}" for column in columns}
            compared = {f"{view}.{column}" for column in expected.get(view, [])}
            open_questions += sorted(names - compared - set(EXCUSED))
            excuses -= names
    assert not open_questions, f"not compared: {', '.join(open_questions)}"
    assert not excuses, f"excused, but in no view: {', '.join(excuses)}"


def test_every_example_shows_rows(market):
    """The question at the end of each file has an answer, and each file says what it is for."""
    index = (EXAMPLES / "README.md").read_text()
    for example in EXPECTED:
        path = EXAMPLES / f"{example}.sql"
        assert path.name in index, f"{path.name} is not in the index"
        assert path.read_text().startswith("-- "), path.name
        *_, question = statements(path, market.renamed)
        assert question.startswith("SELECT"), path.name

        def check(question=question, example=example):
            assert len(market.server.frame(question)) > 0, example

        eventually(check)
