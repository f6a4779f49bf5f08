"""ADBC's Flight SQL driver through its DB-API."""

import decimal

import adbc_driver_flightsql.dbapi as dbapi
import adbc_driver_manager
import pyarrow as pa
import pytest


@pytest.fixture
def connection(server):
    with dbapi.connect(server, autocommit=True) as connection:
        yield connection


@pytest.fixture
def cursor(connection):
    with connection.cursor() as cursor:
        yield cursor


def test_a_query_is_fetched_as_rows_and_as_arrow(cursor):
    cursor.execute("SELECT symbol, n FROM volumes ORDER BY symbol")
    assert cursor.fetchall() == [("AAPL", 2), ("MSFT", 1)]
    cursor.execute("SELECT * FROM trades ORDER BY id")
    table = cursor.fetch_arrow_table()
    assert table.num_rows == 3
    assert table.column("price").to_pylist()[1] == decimal.Decimal("402.50")
    assert [column[0] for column in cursor.description][:2] == ["id", "symbol"]


def test_parameters_are_bound(cursor):
    cursor.execute("SELECT id FROM trades WHERE symbol = ? AND size > ? ORDER BY id", ("AAPL", 15))
    assert cursor.fetchall() == [(3,)]
    cursor.execute("SELECT id FROM trades WHERE id = $1", (2,))
    assert cursor.fetchall() == [(2,)]


def test_statements_without_rows_are_done(cursor):
    cursor.execute("CREATE TABLE notes (id BIGINT PRIMARY KEY, note TEXT)")
    cursor.execute("INSERT INTO notes VALUES (1, 'one')")
    cursor.executemany("INSERT INTO notes VALUES (?, ?)", [(2, "two"), (3, "three")])
    cursor.execute("FLUSH")
    cursor.execute("SELECT count(*) FROM notes")
    assert cursor.fetchall() == [(3,)]


def test_rows_are_ingested_in_bulk(cursor):
    cursor.execute("CREATE TABLE bulk (id BIGINT PRIMARY KEY, price NUMERIC(12, 4))")
    ids = list(range(50_000))
    rows = pa.table({"id": ids, "price": pa.array([i / 4 for i in ids], pa.float64())})
    assert cursor.adbc_ingest("bulk", rows, mode="append") == 50_000
    cursor.execute("FLUSH")
    cursor.execute("SELECT count(*), max(price) FROM bulk")
    assert cursor.fetchall() == [(50_000, decimal.Decimal("12499.7500"))]
    with pytest.raises(adbc_driver_manager.Error, match="CREATE TABLE"):
        cursor.adbc_ingest("another", rows, mode="create")


def test_a_subscription_is_read_batch_by_batch_and_cancelled(server, cursor):
    cursor.execute("CREATE TABLE live (id BIGINT)")
    with dbapi.connect(server, autocommit=True) as other, other.cursor() as reader:
        reader.execute("SUBSCRIBE live")
        batches = reader.fetch_record_batch()
        assert batches.schema.names == ["rtsap_time", "rtsap_op", "id"]
        cursor.execute("INSERT INTO live VALUES (1), (2)")
        seen = []
        while len(seen) < 2:
            seen += batches.read_next_batch().to_pylist()
        assert sorted(row["id"] for row in seen) == [1, 2]
        reader.adbc_cancel()
    cursor.execute("DROP TABLE live")


def test_objects_are_browsed(connection):
    objects = connection.adbc_get_objects(db_schema_filter="public").read_all().to_pylist()
    catalog = next(each for each in objects if each["catalog_name"] == "rtsap")
    schema = next(
        each for each in catalog["catalog_db_schemas"] if each["db_schema_name"] == "public"
    )
    tables = {table["table_name"]: table for table in schema["db_schema_tables"]}
    assert tables["trades"]["table_type"] == "TABLE"
    assert tables["volumes"]["table_type"] == "VIEW"
    columns = [column["column_name"] for column in tables["volumes"]["table_columns"]]
    assert columns == ["symbol", "n", "volume", "total"]


def test_the_server_is_described(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "RTSAP"
    assert {"TABLE", "VIEW"} <= set(connection.adbc_get_table_types())
    assert connection.adbc_get_table_schema("volumes").names == ["symbol", "n", "volume", "total"]


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT * FROM nothing", "does not exist"),
        ("SELEC 1", "RT0"),
        ("SET TimeZone = 'Asia/Tokyo'", "its own session"),
    ],
)
def test_errors_say_what_is_wrong(cursor, sql, text):
    with pytest.raises(adbc_driver_manager.Error, match=text):
        cursor.execute(sql)
        cursor.fetchall()
