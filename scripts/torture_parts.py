"""The real parts of the torture, each a process of its own: Kafka, TimescaleDB, the server, and the
producer of trades. Used by torture.py and outage.py; compares nothing itself.
"""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg
from confluent_kafka import Producer

SCRIPTS = pathlib.Path(__file__).resolve().parent
TOPIC = "torture"
# Every so many trades one is sent here as well: what late views can read from its beginning in time.
FILLS, FILLS_EVERY = "fills", 20
PARTITIONS = 3
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
READY_SECONDS_MAX = 120
# A killed process may take a while to give its memory and its port back.
GONE_SECONDS_MAX = 60
STARTS_MAX = 5
# An overtaken server ends at its next commit, which may wait for a broker or a database that is away.
OVERTAKEN_SECONDS_MAX = 90
# Brokers that are away are what this is about.
QUIET = {"log_level": 0}


def free_ports(count):
    """Ports that nobody listens on, where neither the kernel nor prelude.sh looks for one: a part
    that is started again finds its port free."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        above = int(file.read().split()[0])
    # prelude.sh draws from 15,000 to 30,000; other runs like this one begin elsewhere.
    below = above - 2700 if above > 20_000 else 20_000
    found, port = [], below + os.getpid() * 37 % 2700
    for step in range(2700):
        candidate = below + (port - below + step) % 2700
        if candidate in free_ports.taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
        free_ports.taken.add(candidate)
        found.append(candidate)
        if len(found) == count:
            return found
    raise RuntimeError(f"no free port between {below} and {below + 2700}")


free_ports.taken = set()


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def is_gone(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


class Service:
    """Kafka or TimescaleDB, as its script runs it, always on the same port."""

    def __init__(self, name, instance):
        self.name, self.killed = name, 0
        self.port = free_ports(1)[0]
        ports = {f"{name.upper()}_PORT": str(self.port)}
        self.environment = dict(os.environ, RTSAP_INSTANCE=instance, RTSAP_OWNER=str(os.getpid()), **ports)
        self.address = self.start()

    def script(self, *words):
        command = [SCRIPTS / f"{self.name}.sh", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name}.sh {' '.join(words)}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self):
        for left in reversed(range(STARTS_MAX)):
            try:
                return self.script("start").strip().splitlines()[-1]
            except RuntimeError:
                # A machine under load can be too slow once.
                if not left:
                    raise
                time.sleep(1)

    def listener(self):
        """The process that listens on the port, if any: of several the oldest, which has started the others."""
        command = ["ss", "-Hltnp", f"sport = :{self.port}"]
        listening = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return min(re.findall(r"pid=(\d+)", listening), key=int, default=None)

    def pids(self):
        """The process and its children."""
        first = self.listener()
        if first is None:
            # It has ended by itself.
            self.start()
            first = self.listener()
        if first is None:
            raise RuntimeError(f"{self.name} does not listen on port {self.port}")
        children = subprocess.run(["pgrep", "-P", first], capture_output=True, text=True, check=False)
        return [int(pid) for pid in [first, *children.stdout.split()]]

    def kill(self):
        pids = self.pids()
        send(pids, signal.SIGKILL)
        self.killed += 1
        end = time.monotonic() + GONE_SECONDS_MAX
        # Started before its port is free again, it would not find its place.
        while not (all(map(is_gone, pids)) and self.listener() is None):
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not end when it is killed")
            time.sleep(0.05)
        self.start()

    def pause(self, seconds):
        pids = self.pids()
        send(pids, signal.SIGSTOP)
        time.sleep(seconds)
        send(pids, signal.SIGCONT)


class Server:
    """The server as a child, started again after each kill on the same directory."""

    def __init__(self, folder, failpoints):
        self.folder, self.failpoints = folder, failpoints
        self.killed = self.aborted = self.fenced = self.immortal = 0
        # How it ended when nobody had killed it and no failpoint had aborted it: code → times.
        self.gave_up = Counter()
        # Those that were overtaken and have not ended yet, with the time at which they woke.
        self.zombies = []
        self.life = 0
        self.ports = free_ports(3)
        self.process = None
        self.start()

    def start(self):
        command = [os.environ["RTSAP_TEST_BINARY"], "serve", "--data-dir", self.folder / "data"]
        for option, port in zip(["--pg-port", "--flight-port", "--http-port"], self.ports, strict=True):
            command += [option, str(port)]
        environment = dict(os.environ)
        if self.failpoints:
            environment["RTSAP_FAILPOINTS"] = self.failpoints.draw()
        self.life += 1
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[2]}/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_until_ready(self):
        end = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < end:
            # It gave up, as when Kafka was away for too long at a start: what a supervisor does.
            self.revive()
            if self.is_ready():
                return
            time.sleep(0.05)
        raise RuntimeError("the server does not get ready")

    def revive(self):
        """Starts it again if it has died by itself."""
        if self.process.poll() is not None:
            self.note_end(self.process)
            self.start()

    def note_end(self, process):
        if process.returncode == -signal.SIGABRT:
            self.aborted += 1
        else:
            self.gave_up[process.returncode] += 1

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.killed += 1
        else:
            self.note_end(self.process)
        self.start()

    def calm(self):
        """From now on it is to live."""
        self.failpoints = None
        self.kill()

    def pause(self, seconds):
        send([self.process.pid], signal.SIGSTOP)
        time.sleep(seconds)
        send([self.process.pid], signal.SIGCONT)

    def overtake(self, seconds):
        """Stops it, lets another serve from the same directory on other ports, and wakes it up
        after `seconds`."""
        old = self.process
        send([old.pid], signal.SIGSTOP)
        self.ports = free_ports(3)
        self.start()
        self.wait_until_ready()
        time.sleep(seconds)
        send([old.pid], signal.SIGCONT)
        self.zombies.append((old, time.monotonic()))

    def bury(self):
        """Looks after those that were overtaken: they must have ended by themselves in time."""
        left = []
        for old, woken in self.zombies:
            if old.poll() is not None:
                self.fenced += 1
                if old.returncode == -signal.SIGABRT:
                    self.aborted += 1
            elif time.monotonic() - woken > OVERTAKEN_SECONDS_MAX:
                self.immortal += 1
                old.kill()
                old.wait()
            else:
                left.append((old, woken))
        self.zombies = left

    def bury_all(self):
        while self.zombies:
            # One that was stopped before it had taken over does so when it wakes, and is overtaken
            # by the next start of ours.
            self.revive()
            self.bury()
            time.sleep(0.1)

    def end(self):
        for process in [self.process, *(old for old, _ in self.zombies)]:
            process.kill()
            process.wait()

    def connect(self):
        conninfo = f"host=127.0.0.1 port={self.ports[0]} user=rtsap dbname=rtsap"
        connection = psycopg.connect(conninfo, autocommit=True)
        connection.execute("SET TimeZone = 'UTC'")
        return connection


class Feed(threading.Thread):
    """Produces trades until it is told to stop: some out of order, some late, some broken."""

    def __init__(self, brokers, rate, seed):
        super().__init__(daemon=True)
        settings = {"enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 600_000}
        self.producer = Producer(QUIET | {"bootstrap.servers": brokers} | settings)
        self.rate, self.random, self.stopping = rate, random.Random(seed), threading.Event()
        self.number = self.sent = self.undelivered = 0
        self.finished = False

    def run(self):
        began = time.monotonic()
        while not self.stopping.is_set():
            due = int((time.monotonic() - began) * self.rate)
            while self.number < due and not self.stopping.is_set():
                self.send(self.number)
                self.number += 1
            self.producer.poll(0.01)
        self.close(self.number)
        self.finished = self.producer.flush(120) == 0

    def send(self, number):
        symbol = self.random.randrange(24)
        back = self.random.randrange(800_000)
        if number % 997 == 0:
            back += 20_000_000
        at = START + timedelta(microseconds=number * 1000 - back)
        cents = 10_000 + 100 * symbol + self.random.randrange(100)
        trade = {
            "id": number, "symbol": f"S{symbol}", "price": f"{cents / 100:.2f}", "size": self.random.randrange(1, 500),
            "ts": at.isoformat(),
        }  # fmt: skip
        text = broken(trade, number // 1009) if number % 1009 == 0 else json.dumps(trade)
        topics = [TOPIC, FILLS] if number % FILLS_EVERY == 0 else [TOPIC]
        for topic in topics:
            self.produce(topic, symbol % PARTITIONS, text)

    def produce(self, topic, partition, text):
        while True:
            try:
                self.producer.produce(topic, text, partition=partition, on_delivery=self.delivered)
                self.sent += 1
                return
            except BufferError:
                self.producer.poll(0.1)

    def delivered(self, error, _):
        if error is not None:
            self.undelivered += 1

    def close(self, number):
        """One last trade for each partition, far ahead, closes all windows before it."""
        at = START + timedelta(microseconds=number * 1000) + timedelta(hours=1)
        for partition in range(PARTITIONS):
            trade = {"id": number + partition, "symbol": f"S{partition}", "price": "1.00", "size": 1, "ts": at.isoformat()}
            for topic in [TOPIC, FILLS]:
                self.produce(topic, partition, json.dumps(trade))


def broken(trade, number):
    """A payload that is none, in one of three ways."""
    if number % 3 == 0:
        return "{broken " + str(number)
    if number % 3 == 1:
        return json.dumps({name: value for name, value in trade.items() if name != "price"})
    return json.dumps(trade | {"price": "dear"})
