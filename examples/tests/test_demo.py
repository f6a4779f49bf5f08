"""Every example against the sources of `rtsap demo`: each is taken, none stops, each answers."""

import re
import signal
import subprocess
import time

import psycopg
import pytest
from conftest import EXAMPLES, STOP_SECONDS_MAX, binary, free_port, statements

START_SECONDS_MAX = 90
# A minute of bars, and then some for a machine that does other things.
ANSWER_SECONDS_MAX = 300

# What an orderly market may not have in these minutes: no quote is crossed, no feed falls silent.
MAY_BE_EMPTY = {"crossed_books", "feed_gaps", "stale_quotes", "fat_fingers", "limit_events"}


class Demo:
    """`rtsap demo` as it comes, on ports of its own."""

    def __init__(self, folder):
        self.log = folder / "demo.log"
        pg, flight, http = free_port(), free_port(), free_port()
        command = [str(binary()), "demo", "--pg-port", str(pg), "--flight-port", str(flight),
                   "--http-port", str(http), "--data-dir", str(folder / "data")]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS_MAX
        while "Ctrl-C ends the demo" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"the demo did not start:\n{self.log.read_text()}")
            time.sleep(0.2)
        where = f"host=127.0.0.1 port={pg} user=rtsap dbname=rtsap"
        self.connection = psycopg.connect(where, autocommit=True)

    def rows(self, sql):
        return self.connection.execute(sql).fetchall()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    if not binary().exists():
        pytest.fail(f"no server at {binary()}: build it, or name it in RTSAP_TEST_BINARY")
    running = Demo(tmp_path_factory.mktemp("demo"))
    try:
        yield running
    finally:
        running.stop()


def created(statement):
    return re.match(r"CREATE\s+STREAMING\s+VIEW\s+(\w+)", statement, re.IGNORECASE)


def test_every_example_answers_over_the_demo(demo):
    """Statement after statement, as psql runs the files; then every view has rows."""
    views, questions = [], {}
    for path in sorted(EXAMPLES.glob("[0-9]*.sql")):
        for statement in statements(path, {}):
            demo.connection.execute(statement)
            view = created(statement)
            if view:
                views.append(view.group(1))
            elif statement.upper().startswith("SELECT"):
                questions[path.name] = statement
    assert len(questions) == 24
    waiting = {name: f"SELECT 1 FROM {name} LIMIT 1" for name in views if name not in MAY_BE_EMPTY}
    asked = {name: sql for name, sql in questions.items()
             if not any(re.search(rf"\b{view}\b", sql) for view in MAY_BE_EMPTY)}
    waiting |= asked
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while waiting:
        waiting = {name: sql for name, sql in waiting.items() if not demo.rows(sql)}
        assert time.monotonic() < deadline, f"no rows from {', '.join(sorted(waiting))}"
        time.sleep(1)
    # And what may be empty can be asked.
    for sql in questions.values():
        demo.rows(sql)
    stopped = demo.rows("SELECT name, state, reason FROM rtsap_catalog.views WHERE reason IS NOT NULL")
    assert not stopped, stopped
    lost = demo.rows("SELECT view FROM rtsap_catalog.ledger WHERE NOT balances")
    assert not lost, lost
