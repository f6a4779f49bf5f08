"""SQLAlchemy over psycopg: reflection, expressions with parameters, rows in pieces."""

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")
pytest.importorskip("psycopg")


@pytest.fixture
def engine(server):
    engine = sqlalchemy.create_engine(server.url("postgresql+psycopg"))
    yield engine
    engine.dispose()


def test_names(engine):
    assert "trades" in sqlalchemy.inspect(engine).get_table_names()


def test_reflection(engine):
    columns = {column["name"]: column for column in sqlalchemy.inspect(engine).get_columns("trades")}
    assert list(columns) == ["symbol", "price", "size", "amount", "ts"]
    assert isinstance(columns["size"]["type"], sqlalchemy.BigInteger)
    assert columns["symbol"]["nullable"] is False


def test_expressions(engine):
    trades = sqlalchemy.table(
        "trades",
        sqlalchemy.column("symbol", sqlalchemy.Text),
        sqlalchemy.column("price", sqlalchemy.Double),
        sqlalchemy.column("size", sqlalchemy.BigInteger),
    )
    query = (
        sqlalchemy.select(trades.c.symbol, sqlalchemy.func.sum(trades.c.size))
        .where(trades.c.price > 100.0)
        .group_by(trades.c.symbol)
        .order_by(trades.c.symbol)
        .limit(10)
    )
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(query)] == [("AAPL", 300), ("MSFT", 50)]


def test_rows_in_pieces(engine):
    query = sqlalchemy.text("SELECT value FROM generate_series(1, 5000) AS g (value) ORDER BY value")
    with engine.connect().execution_options(stream_results=True, max_row_buffer=100) as connection:
        rows = connection.execute(query)
        assert [row.value for row in rows] == list(range(1, 5001))
