"""A real server on free ports, with a table and a view that have rows, for every client."""

import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20

SETUP = [
    "CREATE TABLE trades (symbol TEXT NOT NULL, price DOUBLE PRECISION, size BIGINT, "
    "amount DECIMAL(20, 4), ts TIMESTAMP(6) WITH TIME ZONE, "
    "WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)",
    "CREATE STREAMING VIEW volumes AS "
    "SELECT symbol, count(*) AS trades, sum(size) AS volume FROM trades GROUP BY symbol",
    "INSERT INTO trades VALUES "
    "('AAPL', 189.5, 100, 18950.0000, '2026-01-02T15:30:00.123456Z'), "
    "('AAPL', 190.25, 200, 38050.0000, '2026-01-02T15:30:01Z'), "
    "('MSFT', 410.0, 50, 20500.0000, '2026-01-02T15:30:02Z')",
    "FLUSH",
]


class Server:
    """Where a server answers."""

    def __init__(self, pg_port):
        self.host = "127.0.0.1"
        self.port = pg_port
        self.user = "rtsap"
        self.database = "rtsap"

    @property
    def conninfo(self):
        """For libpq and psycopg."""
        return f"host={self.host} port={self.port} user={self.user} dbname={self.database}"

    def url(self, scheme):
        """For clients that want a URL."""
        return f"{scheme}://{self.user}@{self.host}:{self.port}/{self.database}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binary():
    given = os.environ.get("RTSAP_TEST_BINARY")
    if given:
        return pathlib.Path(given)
    target = os.environ.get("CARGO_TARGET_DIR")
    root = pathlib.Path(__file__).resolve().parents[3]
    return (pathlib.Path(target) if target else root / "target") / "debug" / "rtsap"


def wait_until_ready(process, port, log):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.05)
    pytest.fail(f"the server was not ready in {START_SECONDS_MAX} s:\n{log.read_text()}")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A running server with the rows of SETUP."""
    psycopg = pytest.importorskip("psycopg")
    path = binary()
    if not path.exists():
        pytest.fail(f"no server at {path}: build it, or name it in RTSAP_TEST_BINARY")
    folder = tmp_path_factory.mktemp("server")
    log = folder / "server.log"
    pg_port, flight_port, http_port = free_port(), free_port(), free_port()
    command = [
        str(path), "serve", "--data-dir", str(folder / "data"), "--pg-port", str(pg_port),
        "--flight-port", str(flight_port), "--http-port", str(http_port),
    ]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(process, http_port, log)
        running = Server(pg_port)
        with psycopg.connect(running.conninfo, autocommit=True) as connection:
            for statement in SETUP:
                connection.execute(statement)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
