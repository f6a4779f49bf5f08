"""Those who look at the server while it is tortured: followers of views, who check every change that
they are told of, and a witness, to whom no committed answer may go back. Used by torture.py.
"""

import threading
import time
from collections import Counter

import psycopg

FAULTS_MAX = 20
PAUSE_SECONDS = 0.2


class Follower(threading.Thread):
    """Follows a view by SUBSCRIBE, again from a snapshot after each death of the server.

    No row of these views can be there twice, so at the end of each publish a row's inserts less its
    deletes are 0 or 1; what is there then is what the view has.
    """

    def __init__(self, server, view):
        super().__init__(daemon=True)
        self.server, self.view = server, view
        self.changes = self.connections = 0
        self.faults, self.errors = [], Counter()
        self.rows, self.touched, self.moment = Counter(), set(), None
        self.life = 0

    def run(self):
        while True:
            try:
                self.follow()
                self.errors["the subscription ended"] += 1
            except psycopg.OperationalError:
                # The server has died, or been overtaken.
                pass
            except psycopg.Error as error:
                self.errors[str(error).splitlines()[0]] += 1
            time.sleep(PAUSE_SECONDS)

    def follow(self):
        self.life = self.server.life
        with self.server.connect() as connection, connection.cursor() as cursor:
            # A publish that was cut off says nothing.
            self.rows, self.touched, self.moment = Counter(), set(), None
            with cursor.copy(f"COPY (SUBSCRIBE {self.view}) TO STDOUT") as lines:
                self.connections += 1
                rest = b""
                for data in lines:
                    *whole, rest = (rest + bytes(data)).split(b"\n")
                    for line in whole:
                        self.take(line)

    def take(self, line):
        moment, op, row = line.split(b"\t", 2)
        if moment != self.moment:
            self.check()
            self.moment = moment
        if op not in (b"insert", b"delete"):
            self.fault(f"an op is {op.decode()}")
        self.changes += 1
        self.rows[row] += 1 if op == b"insert" else -1
        self.touched.add(row)

    def check(self):
        """The publish before is whole."""
        for row in self.touched:
            count = self.rows[row]
            if count == 0:
                del self.rows[row]
            elif count != 1:
                self.fault(f"{row.decode()} is there {count} times after {self.moment.decode()}")
        self.touched = set()

    def fault(self, text):
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(f"life {self.life}: {text}")

    def present(self):
        """The rows as text, sorted; None while they change."""
        try:
            return sorted(row.decode() for row, count in self.rows.copy().items() for _ in range(count))
        except RuntimeError:
            return None


def rows_as_text(server, view):
    """The rows of a view in the form in which followers are told of them."""
    with server.connect() as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT * FROM {view}) TO STDOUT") as lines:
            text = b"".join(bytes(data) for data in lines)
    return sorted(text.decode().splitlines())


class Witness(threading.Thread):
    """Asks for what is committed: counts and sums that only grow may never become less, whatever dies."""

    QUESTIONS = (
        ("totals", "SELECT count(*), sum(trades), sum(volume), sum(ids) FROM totals"),
        ("candles", "SELECT count(*), sum(trades), sum(volume), sum(ids) FROM candles"),
        ("ticks", "SELECT count(*), sum(id), sum(size) FROM ticks"),
        ("notes", "SELECT count(*), sum(id) FROM notes_kept"),
    )

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.answers = 0
        self.faults, self.errors, self.last = [], Counter(), {}

    def run(self):
        while True:
            try:
                life = self.server.life
                with self.server.connect() as connection:
                    connection.execute("SET rtsap.read_consistency = 'committed'")
                    while self.ask(connection, life):
                        time.sleep(PAUSE_SECONDS)
            except psycopg.OperationalError:
                pass
            except psycopg.Error as error:
                self.errors[str(error).splitlines()[0]] += 1
            time.sleep(PAUSE_SECONDS)

    def ask(self, connection, life):
        for name, question in self.QUESTIONS:
            answer = connection.execute(question).fetchone()
            if self.server.life != life:
                # A server that was overtaken may answer with what was committed before.
                return False
            answer = tuple(value or 0 for value in answer)
            before = self.last.get(name, answer)
            if any(now < then for now, then in zip(answer, before, strict=True)) and len(self.faults) < FAULTS_MAX:
                self.faults.append(f"life {life}: {name} went from {before} to {answer}")
            self.last[name] = answer
            self.answers += 1
        return True
