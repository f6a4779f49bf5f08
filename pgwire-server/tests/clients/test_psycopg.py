"""psycopg 3: values, parameters, errors, cursors on the server that follow a view, COPY."""

import datetime
import decimal

import pytest

psycopg = pytest.importorskip("psycopg")

UTC = datetime.timezone.utc


@pytest.fixture
def connection(server):
    with psycopg.connect(server.conninfo, autocommit=True) as connected:
        yield connected


def test_values_have_their_python_types(connection):
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        row = cursor.execute("SELECT * FROM trades ORDER BY ts LIMIT 1").fetchone()
        assert row == (
            "AAPL", 189.5, 100, decimal.Decimal("18950.0000"),
            datetime.datetime(2026, 1, 2, 15, 30, 0, 123456, UTC),
        )
        assert [column.name for column in cursor.description] == [
            "symbol", "price", "size", "amount", "ts",
        ]


def test_parameters_of_every_kind(connection):
    since = datetime.datetime(2026, 1, 2, 15, 30, 1, tzinfo=UTC)
    found = connection.execute(
        "SELECT symbol FROM trades WHERE symbol = %s AND price > %s AND size >= %s AND ts >= %s",
        ("AAPL", 190.0, 200, since),
    ).fetchall()
    assert found == [("AAPL",)]
    found = connection.execute(
        "SELECT count(*) FROM trades WHERE amount = %s", (decimal.Decimal("20500"),)
    ).fetchone()
    assert found == (1,)
    found = connection.execute("SELECT symbol FROM trades WHERE size > %s LIMIT %s", (60, 1))
    assert len(found.fetchall()) == 1
    for _ in range(8):
        # After a few rounds psycopg prepares the statement by itself.
        assert connection.execute("SELECT trades FROM volumes WHERE symbol = %s", ("MSFT",)).fetchone() == (1,)


def test_an_error_carries_its_fields(connection):
    with pytest.raises(psycopg.errors.UndefinedColumn) as raised:
        connection.execute("SELECT prize FROM trades")
    diagnosis = raised.value.diag
    assert diagnosis.statement_position == "8"
    assert "price" in diagnosis.message_hint
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_failed_transaction_says_so_until_its_end(server):
    with psycopg.connect(server.conninfo) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nothing")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_cursor_on_the_server_follows_a_view(server):
    with psycopg.connect(server.conninfo, autocommit=True) as writer, psycopg.connect(
        server.conninfo
    ) as reader:
        writer.execute("CREATE TABLE IF NOT EXISTS followed (v BIGINT)")
        reader.execute("DECLARE changes CURSOR FOR SUBSCRIBE followed")
        seen = []
        for value in range(3):
            writer.execute("INSERT INTO followed VALUES (%s)", (value,))
            while len(seen) <= value:
                seen += reader.execute("FETCH 100 FROM changes").fetchall()
        assert [(op, value) for _, op, value in seen] == [("insert", v) for v in range(3)]


def test_a_subscription_streams_row_by_row(server):
    with psycopg.connect(server.conninfo, autocommit=True) as writer, psycopg.connect(
        server.conninfo, autocommit=True
    ) as reader:
        writer.execute("CREATE TABLE IF NOT EXISTS streamed (v BIGINT)")
        writer.execute("INSERT INTO streamed VALUES (7)")
        seen = []
        with pytest.raises(psycopg.errors.QueryCanceled):
            for row in reader.cursor().stream("SUBSCRIBE streamed"):
                seen.append(row[1:])
                if len(seen) < 3:
                    writer.execute("INSERT INTO streamed VALUES (%s)", (7 + len(seen),))
                else:
                    reader.cancel_safe()
        assert seen == [("insert", 7), ("insert", 8), ("insert", 9)]
        assert reader.execute("SELECT 1").fetchone() == (1,)


def test_copy_both_ways(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS copied (k TEXT, v BIGINT)")
    rows = [("a\tb", 1), ("ü\n", None), (None, 3)]
    with connection.cursor().copy("COPY copied FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute("FLUSH")
    with connection.cursor().copy("COPY (SELECT v, k FROM copied ORDER BY v) TO STDOUT") as copy:
        copied = sorted(copy.rows(), key=str)
    assert copied == sorted([("1", "a\tb"), (None, "ü\n"), ("3", None)], key=str)
