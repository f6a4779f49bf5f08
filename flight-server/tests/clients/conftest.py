"""A real server for the client tests: started once, on free ports, over an empty directory.

`RTSAP_TEST_BINARY` names the binary; by default it is the debug build under `CARGO_TARGET_DIR`.
"""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request

import pyarrow.flight as flight
import pytest

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30

SETUP = [
    """CREATE TABLE trades (
           id BIGINT PRIMARY KEY, symbol TEXT NOT NULL, price NUMERIC(10, 2),
           size DOUBLE PRECISION, at TIMESTAMP(6) WITH TIME ZONE, day DATE, ok BOOLEAN)""",
    """CREATE STREAMING VIEW volumes AS
           SELECT symbol, count(*) AS n, sum(size) AS volume, sum(price) AS total
           FROM trades GROUP BY symbol""",
    """INSERT INTO trades VALUES
           (1, 'AAPL', 191.25, 10, '2026-01-02T14:30:00Z', '2026-01-02', true),
           (2, 'MSFT', 402.50, 20, '2026-01-02T14:30:01Z', '2026-01-02', false),
           (3, 'AAPL', 192.00, 30, '2026-01-02T14:30:02.5Z', '2026-01-02', NULL)""",
    "FLUSH",
]


def binary():
    named = os.environ.get("RTSAP_TEST_BINARY")
    if named:
        return pathlib.Path(named)
    default = pathlib.Path(__file__).resolve().parents[3] / "target"
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", default)) / "debug" / "rtsap"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until_ready(process, url, log):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the server is not ready after {START_SECONDS_MAX} s:\n{log.read_text()}")


def run(client, sql):
    """Runs a statement over plain Flight; returns its rows as a table."""
    return client.do_get(flight.Ticket(sql.encode())).read_all()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The URI of a server with a table and a view."""
    folder = tmp_path_factory.mktemp("rtsap")
    pg, flight_port, http = free_ports(3)
    command = [binary(), "serve", "--data-dir", folder / "data"]
    for option, port in [("--pg-port", pg), ("--flight-port", flight_port), ("--http-port", http)]:
        command += [option, str(port)]
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(process, f"http://127.0.0.1:{http}/ready", log)
        uri = f"grpc://127.0.0.1:{flight_port}"
        with flight.connect(uri) as client:
            for sql in SETUP:
                run(client, sql)
        yield uri
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@pytest.fixture
def client(server):
    with flight.connect(server) as client:
        yield client
