"""A server that runs all examples over a recorded market, and the same rows in pandas.

Two markets: `generated` is the demo's market, recorded; `recorded` are real trades and quotes of
RTSAP_MARKET_DATA/equity_tick (skipped where there are none). Both are disturbed, so that there is
something to monitor, and written to files, which the sources `trades` and `quotes` of the demo's
columns read to their end.
"""

import io
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
import zipfile

import numpy as np
import pandas as pd
import psycopg
import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
READY_SECONDS_MAX = 90

TRADES = """symbol TEXT NOT NULL, price DOUBLE PRECISION NOT NULL, size BIGINT NOT NULL, side TEXT,
  venue TEXT, id BIGINT, ts TIMESTAMP(6) WITH TIME ZONE NOT NULL,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND"""
QUOTES = """symbol TEXT NOT NULL, bid DOUBLE PRECISION NOT NULL, ask DOUBLE PRECISION NOT NULL,
  bid_size BIGINT, ask_size BIGINT, venue TEXT, ts TIMESTAMP(6) WITH TIME ZONE NOT NULL,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND"""
GENERATED = {"trades": (2400, 8), "quotes": (4800, 16)}
VENUES = {"Q": "XNAS", "N": "XNYS", "P": "ARCX", "Z": "BATS", "K": "EDGX"}
MIDNIGHT = pd.Timestamp("2013-10-07 00:00", tz="America/New_York").tz_convert("UTC")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binary():
    given = os.environ.get("RTSAP_TEST_BINARY")
    if given:
        return pathlib.Path(given)
    target = os.environ.get("CARGO_TARGET_DIR")
    return (pathlib.Path(target) if target else EXAMPLES.parent / "target") / "debug" / "rtsap"


class Server:
    """A process of the server and a connection to it."""

    def __init__(self, folder):
        self.log = folder / "server.log"
        pg, flight, http = free_port(), free_port(), free_port()
        command = [str(binary()), "serve", "--data-dir", str(folder / "data"), "--pg-port", str(pg),
                   "--flight-port", str(flight), "--http-port", str(http)]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_ready(http):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.1)
        where = f"host=127.0.0.1 port={pg} user=rtsap dbname=rtsap"
        self.connection = psycopg.connect(where, autocommit=True)

    @staticmethod
    def is_ready(http):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{http}/ready", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def frame(self, sql):
        """The rows of a query."""
        cursor = self.connection.execute(sql)
        return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Market:
    """The rows that the sources read, and the server that reads them."""

    def __init__(self, server, trades, quotes, renamed):
        self.server = server
        self.trades = trades
        self.quotes = quotes
        self.renamed = renamed

    def stand_in(self, symbol):
        """The symbol that stands for one of the examples' in this market."""
        return self.renamed.get(symbol, symbol)

    def table(self, name):
        """The rows of a table that the examples fill themselves."""
        return self.server.frame(f"SELECT * FROM {name}")

    def view(self, name, order):
        """The rows of a view in an order."""
        return self.server.frame(f"SELECT * FROM {name} ORDER BY {order}")


def statements(path, renamed):
    """The statements of an example, without its comments."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("--")]
    text = "\n".join(lines)
    for symbol, other in renamed.items():
        text = re.sub(rf"'{symbol}'", f"'{other}'", text)
    return [each.strip() for each in text.split(";") if each.strip()]


def generated(server):
    """The demo's market, as its generator makes it."""
    frames = {}
    for kind, (rows, rate) in GENERATED.items():
        columns = TRADES if kind == "trades" else QUOTES
        server.connection.execute(
            f"CREATE SOURCE made_{kind} ({columns}) WITH ('connector' = 'datagen', "
            f"'kind' = '{kind}', 'seed' = '7', 'symbols' = '4', 'rows-per-second' = '{rate}', "
            f"'number-of-rows' = '{rows}', 'start-time' = '2026-03-02T14:30:00Z', 'pace' = 'none')"
        )
        server.connection.execute(
            f"CREATE STREAMING VIEW recorded_{kind} AS SELECT * FROM made_{kind}"
        )
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            frame = server.frame(f"SELECT * FROM recorded_{kind}")
            if len(frame) == rows:
                break
            assert time.monotonic() < deadline, f"{len(frame)} {kind} of {rows}"
            time.sleep(0.2)
        frames[kind] = frame.sort_values("ts", kind="stable", ignore_index=True)
    return frames["trades"], frames["quotes"], {}


def ticks(folder, symbol, what):
    path = pathlib.Path(folder, "equity_tick", f"{symbol}_20131007_{what}_tick.csv.zip")
    with zipfile.ZipFile(path) as archive:
        return pd.read_csv(io.BytesIO(archive.read(archive.namelist()[0])), header=None)


def recorded(folder):
    """Five minutes of three stocks; the side of a trade is that of the nearer quote.

    Quotes were recorded for one of them: those of its primary exchange. The others get one a cent
    around each trade.
    """
    first, last = 10 * 3_600_000, 10 * 3_600_000 + 300_000
    all_trades, all_quotes = [], []
    for symbol in ["aig", "ibm", "spy"]:
        prints = ticks(folder, symbol, "trade")
        prints.columns = ["ms", "price", "size", "venue", "condition", "bad"]
        prints = prints[(prints.ms >= first) & (prints.ms < last) & (prints.bad == 0)]
        trades = pd.DataFrame({
            "symbol": symbol.upper(), "price": prints.price / 1e4, "size": prints["size"].astype(int),
            "venue": prints.venue.map(VENUES).fillna("XOTC"), "ts": instants(prints.ms),
        })
        quotes = recorded_quotes(folder, first, last) if symbol == "ibm" else around_trades(trades)
        around = pd.merge_asof(trades, quotes[["ts", "bid", "ask"]], on="ts")
        middle = (around.bid + around.ask) / 2
        trades["side"] = np.where(trades.price.to_numpy() >= middle.to_numpy(), "buy", "sell")
        all_trades.append(trades)
        all_quotes.append(quotes)
    trades = pd.concat(all_trades).sort_values("ts", kind="stable", ignore_index=True)
    trades["id"] = np.arange(len(trades))
    quotes = pd.concat(all_quotes).sort_values("ts", kind="stable", ignore_index=True)
    return trades, quotes, {"AAPL": "SPY", "NVDA": "IBM", "TSLA": "AIG"}


def instants(ms):
    return MIDNIGHT + pd.to_timedelta(ms.astype(int), unit="ms")


def recorded_quotes(folder, first, last):
    """The best prices of one exchange: an update of one side leaves the other as it was."""
    book = ticks(folder, "ibm", "quote")
    book.columns = ["ms", "bid", "bid_size", "ask", "ask_size", "venue", "condition", "bad"]
    book = book[(book.ms < last) & (book.venue == "N")].astype({"bid": float, "ask": float})
    for side in ["bid", "ask"]:
        columns = [side, f"{side}_size"]
        book[columns] = book[columns].where(book[side] > 0).ffill()
    book = book[book.ms >= first].dropna(subset=["bid", "ask"])
    return pd.DataFrame({
        "symbol": "IBM", "bid": book.bid / 1e4, "ask": book.ask / 1e4,
        "bid_size": book.bid_size.astype(int), "ask_size": book.ask_size.astype(int),
        "venue": "XNYS", "ts": instants(book.ms),
    })


def around_trades(trades):
    size = trades["size"].clip(lower=100)
    return pd.DataFrame({
        "symbol": trades.symbol, "bid": (trades.price - 0.01).round(4),
        "ask": (trades.price + 0.01).round(4), "bid_size": size, "ask_size": size + 100,
        "venue": trades.venue, "ts": trades.ts,
    })


def disturbed(trades, quotes):
    """The market with what an orderly one lacks, in places that do not depend on chance.

    A feed that falls silent, a symbol without quotes at the end, crossed books, trades at wrong
    prices and of wrong sizes.
    """
    silent = trades.symbol.max()
    since = (trades.ts - trades.ts.min()).dt.total_seconds()
    trades = trades[(trades.symbol != silent) | ~since.between(100, 105)].reset_index(drop=True)
    is_wrong = trades.index % 601 == 600
    trades.loc[is_wrong, "price"] = (trades.price[is_wrong] * 1.008).round(2)
    trades.loc[trades.index % 701 == 700, "size"] = 6000
    ends = (quotes.ts.max() - quotes.ts).dt.total_seconds()
    quotes = quotes[(quotes.symbol != silent) | (ends > 4)].reset_index(drop=True)
    is_crossed = quotes.index % 499 == 498
    bid = quotes.bid.where(~is_crossed, quotes.ask + 0.01)
    return trades, quotes.assign(bid=bid.round(4))


def write(frame, path):
    with path.open("w") as out:
        for row in frame.to_dict("records"):
            row["ts"] = row["ts"].isoformat()
            out.write(json.dumps(row) + "\n")


@pytest.fixture(scope="session", params=["generated", "recorded"])
def market(request, tmp_path_factory):
    """All examples, run over one market until its sources have ended."""
    if not binary().exists():
        pytest.fail(f"no server at {binary()}: build it, or name it in RTSAP_TEST_BINARY")
    data = os.environ.get("RTSAP_MARKET_DATA")
    if request.param == "recorded" and not (data and pathlib.Path(data, "equity_tick").is_dir()):
        pytest.skip("no recorded market data: set RTSAP_MARKET_DATA")
    folder = tmp_path_factory.mktemp(request.param)
    server = Server(folder)
    try:
        made = generated(server) if request.param == "generated" else recorded(data)
        trades, quotes = disturbed(*made[:2])
        renamed = made[2]
        for kind, columns in [("trades", TRADES), ("quotes", QUOTES)]:
            path = folder / f"{kind}.jsonl"
            write(trades if kind == "trades" else quotes, path)
            server.connection.execute(
                f"CREATE SOURCE {kind} ({columns}) WITH ('connector' = 'filesystem', "
                f"'path' = '{path}', 'format' = 'json')"
            )
        for path in sorted(EXAMPLES.glob("[0-9]*.sql")):
            for statement in statements(path, renamed):
                if not statement.upper().startswith("SELECT"):
                    server.connection.execute(statement)
        yield Market(server, trades, quotes, renamed)
    finally:
        server.stop()
