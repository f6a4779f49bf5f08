"""pyarrow.flight: three lines to a table, without any driver."""

import datetime
import decimal
import threading
import time

import pyarrow as pa
import pyarrow.flight as flight
import pytest

from conftest import run


def test_a_query_gives_typed_columns(client):
    table = run(client, "SELECT * FROM trades ORDER BY id")
    assert table.schema.names == ["id", "symbol", "price", "size", "at", "day", "ok"]
    first = table.to_pylist()[0]
    assert first == {
        "id": 1,
        "symbol": "AAPL",
        "price": decimal.Decimal("191.25"),
        "size": 10.0,
        "at": datetime.datetime(2026, 1, 2, 14, 30, tzinfo=datetime.timezone.utc),
        "day": datetime.date(2026, 1, 2),
        "ok": True,
    }
    assert table.column("ok").to_pylist() == [True, False, None]


def test_a_view_is_read_and_goes_to_pandas(client):
    frame = run(client, "SELECT * FROM volumes ORDER BY symbol").to_pandas()
    assert frame["symbol"].tolist() == ["AAPL", "MSFT"]
    assert frame["n"].tolist() == [2, 1]
    assert frame["volume"].tolist() == [40.0, 20.0]
    assert frame["total"].tolist() == [decimal.Decimal("383.25"), decimal.Decimal("402.50")]


def test_an_empty_answer_has_its_columns(client):
    table = run(client, "SELECT id, price FROM trades WHERE id < 0")
    assert (table.num_rows, table.schema.names) == (0, ["id", "price"])


def test_a_large_answer_comes_in_many_batches(client):
    reader = client.do_get(flight.Ticket(b"SELECT * FROM generate_series(1, 1000000) AS g(v)"))
    total, batches = 0, 0
    for chunk in reader:
        total += chunk.data.num_rows
        batches += 1
    assert total == 1_000_000
    assert batches > 1


def test_flights_are_listed_described_and_read(client):
    by_path = {tuple(info.descriptor.path): info for info in client.list_flights()}
    assert {(b"trades",), (b"volumes",)} <= set(by_path)
    info = client.get_flight_info(flight.FlightDescriptor.for_path("volumes"))
    assert info.schema.names == ["symbol", "n", "volume", "total"]
    assert client.do_get(info.endpoints[0].ticket).read_all().schema == info.schema
    described = client.get_schema(flight.FlightDescriptor.for_command("SELECT 1 AS one"))
    assert described.schema.names == ["one"]


def test_batches_are_put_into_a_table(client):
    run(client, "CREATE TABLE put (id BIGINT PRIMARY KEY, name TEXT)")
    rows = pa.table({"name": ["a", "b"], "id": [1, 2]})
    writer, _ = client.do_put(flight.FlightDescriptor.for_path("put"), rows.schema)
    writer.write_table(rows)
    writer.close()
    run(client, "FLUSH")
    assert run(client, "SELECT id, name FROM put ORDER BY id").to_pylist() == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": "b"},
    ]


def test_a_subscription_never_ends_and_beats_every_second(client):
    run(client, "CREATE TABLE quiet (id BIGINT)")
    run(client, "INSERT INTO quiet VALUES (7)")
    reader = client.do_get(flight.Ticket(b"SUBSCRIBE quiet"))
    assert reader.schema.names == ["rtsap_time", "rtsap_op", "id"]
    started = time.monotonic()
    sizes = [reader.read_chunk().data.num_rows for _ in range(4)]
    assert sum(sizes) == 1
    assert sizes.count(0) >= 2
    assert time.monotonic() - started < 10
    reader.cancel()


def test_changes_arrive_while_the_client_waits(client):
    run(client, "CREATE TABLE ticks (id BIGINT)")
    reader = client.do_get(flight.Ticket(b"SUBSCRIBE ticks"))

    def write():
        with_own = [run(client, f"INSERT INTO ticks VALUES ({i})") for i in range(3)]
        assert len(with_own) == 3

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while len(seen) < 3:
        seen += reader.read_chunk().data.to_pylist()
    writer.join()
    reader.cancel()
    assert [(row["rtsap_op"], row["id"]) for row in seen] == [("insert", i) for i in range(3)]


@pytest.mark.parametrize(
    ("sql", "kind", "text"),
    [
        ("SELECT * FROM nothing", pa.lib.ArrowKeyError, "does not exist"),
        ("SELEC 1", pa.lib.ArrowInvalid, "RT0"),
        ("BEGIN", pa.lib.ArrowNotImplementedError, "autocommit"),
    ],
)
def test_errors_say_what_is_wrong(client, sql, kind, text):
    with pytest.raises(kind, match=text):
        run(client, sql)
