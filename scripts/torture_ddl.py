"""Those who change what the server has while it is tortured: one who creates, alters, pauses and drops
views, and one who writes into a table. Both keep what was acknowledged and what is in doubt, because
the server died before it answered. Used by torture.py.
"""

import random
import re
import threading
from collections import Counter, defaultdict

import psycopg

from torture_parts import FILLS, TOPIC

# Views at a time, as each reads its topic from the beginning.
LIVING_MAX = 4
# The large topic is read from its beginning only while it is short enough to be caught up with.
TRADES_MAX = 200_000
ITEMS = 3
FAULTS_MAX = 20
# No such view.
ABSENT = "absent"

TOTALS = (
    "SELECT symbol, sum(size + {more}) AS volume, sum(price * size) AS notional, count(*) AS trades, sum(id) AS ids "
    "FROM {source} GROUP BY symbol"
)
CANDLES = (
    "SELECT window_start, symbol, min(price) AS low, max(price) AS high, sum(size) AS volume, "
    "sum(price * size) AS notional, count(*) AS trades, sum(id) AS ids "
    "FROM TUMBLE(TABLE {source}, DESCRIPTOR(ts), INTERVAL '5' SECOND) "
    "GROUP BY window_start, window_end, symbol EMIT ON WINDOW CLOSE"
)

NOTES = """
CREATE TABLE notes (id BIGINT NOT NULL, item BIGINT NOT NULL) APPEND ONLY;
CREATE STREAMING VIEW notes_kept AS SELECT id, item FROM notes;
CREATE SINK notes_sink FROM notes_kept
  WITH ('connector' = 'timescaledb', 'url' = '{timescale}', 'table' = 'notes');
"""


class LateView:
    """A view that was created while messages flow, and what it may be by now."""

    def __init__(self, name, source, windowed):
        self.name, self.source, self.windowed = name, source, windowed
        # By how much its query raises each size, or ABSENT: what was acknowledged, and what is in doubt.
        self.may_be = {ABSENT}
        self.paused = False

    @property
    def topic(self):
        return TOPIC if self.source == "trades" else FILLS

    def query(self, more):
        return (CANDLES if self.windowed else TOTALS).format(source=self.source, more=more)


class Definer(threading.Thread):
    """Creates views, alters, pauses, resumes and drops them, at random, whatever dies meanwhile."""

    def __init__(self, server, feed, seed):
        super().__init__(daemon=True)
        self.server, self.feed, self.random = server, feed, random.Random(seed)
        self.stopping = threading.Event()
        self.views, self.created = {}, 0
        self.done, self.refused, self.faults = Counter(), Counter(), []

    def run(self):
        while not self.stopping.wait(self.random.uniform(0.2, 1.5)):
            try:
                self.step()
            except psycopg.Error:
                # It died before anything was asked of it.
                pass

    def step(self):
        for view in list(self.views.values()):
            if len(view.may_be) > 1:
                self.resolve(view)
        living = [view for view in self.views.values() if view.may_be != {ABSENT}]
        if len(living) < 2 or (len(living) < LIVING_MAX and self.random.random() < 0.3):
            return self.create()
        view = self.random.choice(living)
        actions, weights = [self.alter, self.pause, self.resume, self.drop], [4, 2, 3, 2]
        self.random.choices(actions, weights)[0](view)

    def create(self):
        short = self.feed.number < TRADES_MAX
        source = "trades" if short and self.random.random() < 0.5 else "fills"
        view = LateView(f"late_{self.created}", source, self.random.random() < 0.3)
        self.created += 1
        self.views[view.name] = view
        statement = f"CREATE STREAMING VIEW {view.name} AS {view.query(0)}"
        self.change(view, "created", statement, 0)

    def alter(self, view):
        # What is final stays as the old query had it: the rows of altered windows are alter.rs's to compare.
        # A view that stands still would never let its successor take over.
        if view.windowed or view.paused:
            return self.resume(view)
        more = self.random.randrange(1, 1000)
        self.change(view, "altered", f"ALTER STREAMING VIEW {view.name} AS {view.query(more)}", more)

    def pause(self, view):
        # If it is in doubt it counts as paused.
        view.paused = True
        self.execute("paused", f"ALTER STREAMING VIEW {view.name} PAUSE")

    def resume(self, view):
        if self.execute("resumed", f"ALTER STREAMING VIEW {view.name} RESUME") == "done":
            view.paused = False

    def drop(self, view):
        self.change(view, "dropped", f"DROP STREAMING VIEW {view.name}", ABSENT)

    def change(self, view, what, statement, after):
        outcome = self.execute(what, statement)
        if outcome == "done":
            view.may_be = {after}
        elif outcome == "in doubt":
            view.may_be.add(after)

    def execute(self, what, statement):
        connection = self.server.connect()
        with connection:
            try:
                connection.execute(statement)
            except psycopg.OperationalError:
                self.done[f"{what}, in doubt"] += 1
                return "in doubt"
            except psycopg.Error as error:
                self.done[f"{what}, refused"] += 1
                self.refused[re.sub(r"\d+", "n", str(error).splitlines()[0])] += 1
                return "refused"
        self.done[what] += 1
        return "done"

    def resolve(self, view):
        """Asks what it is: one of those that it may be."""
        with self.server.connect() as connection:
            found = self.found(connection, view)
        if found not in view.may_be and len(self.faults) < FAULTS_MAX:
            self.faults.append(f"{view.name} is {found} instead of one of {view.may_be}")
        view.may_be = {found}

    @staticmethod
    def found(connection, view):
        names = connection.execute("SELECT name FROM rtsap_catalog.views").fetchall()
        if (view.name,) not in names:
            return ABSENT
        text = connection.execute(f"SHOW CREATE STREAMING VIEW {view.name}").fetchone()[1]
        more = re.search(r"size \+ (\d+)", text)
        return int(more.group(1)) if more else 0

    def settle(self):
        """Lets all views go on, after it was stopped; returns those that live."""
        for view in self.views.values():
            self.resolve(view)
        living = [view for view in self.views.values() if view.may_be != {ABSENT}]
        for view in living:
            self.resume(view)
        return living


class Writer(threading.Thread):
    """Inserts a few rows at a time; none is ever tried again."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.random = server, random.Random(seed)
        self.stopping = threading.Event()
        self.acknowledged, self.in_doubt = set(), set()
        self.refused = Counter()

    def run(self):
        number, connection = 0, None
        while not self.stopping.wait(self.random.uniform(0.02, 0.2)):
            try:
                if connection is None or connection.closed:
                    connection = self.server.connect()
            except psycopg.Error:
                continue
            number += 1
            rows = ", ".join(f"({number}, {item})" for item in range(ITEMS))
            try:
                connection.execute(f"INSERT INTO notes VALUES {rows}")
                self.acknowledged.add(number)
            except psycopg.Error as error:
                self.in_doubt.add(number)
                if not isinstance(error, psycopg.OperationalError):
                    self.refused[str(error).splitlines()[0]] += 1
                connection.close()

    def note_faults(self, rows):
        """What is wrong with `rows` of the table: acknowledged inserts are there once and whole, those in
        doubt once and whole or not at all, others never."""
        items = defaultdict(list)
        for number, item in rows:
            items[number].append(item)
        whole, faults = list(range(ITEMS)), []
        for number in self.acknowledged | set(items):
            found = sorted(items.get(number, []))
            known = number in self.acknowledged or number in self.in_doubt
            if (found == whole and known) or (not found and number in self.in_doubt):
                continue
            how = "acknowledged" if number in self.acknowledged else "in doubt" if known else "never written"
            faults.append(f"insert {number}, {how}, has the items {found}")
        return faults
