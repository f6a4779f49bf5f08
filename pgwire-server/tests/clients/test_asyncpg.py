"""asyncpg: everything in binary, statements prepared and cached, cursors in transactions."""

import asyncio
import datetime
import decimal

import pytest

asyncpg = pytest.importorskip("asyncpg")


def run(server, work):
    async def main():
        connection = await asyncpg.connect(
            host=server.host, port=server.port, user=server.user, database=server.database,
            ssl=False,
        )
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_values_and_parameters(server):
    async def work(connection):
        row = await connection.fetchrow("SELECT * FROM trades WHERE size > $1 ORDER BY ts", 60)
        assert row["symbol"] == "AAPL"
        assert row["amount"] == decimal.Decimal("18950")
        assert row["ts"] == datetime.datetime(
            2026, 1, 2, 15, 30, 0, 123456, datetime.timezone.utc
        )
        assert await connection.fetchval("SELECT count(*) FROM trades WHERE symbol = $1", "MSFT") == 1

    run(server, work)


def test_a_cursor_reads_piece_by_piece(server):
    async def work(connection):
        async with connection.transaction():
            seen = [
                row["value"]
                async for row in connection.cursor(
                    "SELECT value FROM generate_series(1, 1000) AS g (value) ORDER BY value", prefetch=64
                )
            ]
        assert seen == list(range(1, 1001))

    run(server, work)


def test_errors_and_timeouts(server):
    async def work(connection):
        with pytest.raises(asyncpg.UndefinedColumnError) as raised:
            await connection.fetch("SELECT prize FROM trades")
        assert raised.value.position == "8"
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetch("SUBSCRIBE trades", timeout=0.5)
        assert await connection.fetchval("SELECT 1") == 1

    run(server, work)
