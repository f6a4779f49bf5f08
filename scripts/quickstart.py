"""Runs every block of docs/quickstart.md and the snippets of README.md, as a user would.

usage: quickstart.py [--record]

Each fenced block in `sh` or `python` runs in a scratch directory; `background` lets it go on until
the block marked `stop`; one marked `fails` must fail. What it prints must match every
`<!-- expect: regex -->` below it. With --record the output is written into the page, as a `text`
block. Ports are free ones instead of the documented ones. KAFKA and TIMESCALE are those of the
running services. Its last line is "N passed, N failed".
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

CLONE = pathlib.Path(__file__).resolve().parent.parent
PAGE = CLONE / "docs" / "quickstart.md"
README = CLONE / "README.md"
BLOCK_SECONDS_MAX = 90
DEMO_SECONDS_MAX = 600
BLOCK = re.compile(
    r"^```(?P<info>(?:sh|python|sql)[^\n]*)\n(?P<code>.*?)^```\n(?P<rest>(?:<!-- expect: .*? -->\n)*)"
    r"(?P<shown>\n```text\n.*?^```\n)?",
    re.MULTILINE | re.DOTALL,
)
EXPECT = re.compile(r"<!-- expect: (.*?) -->")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Walk:
    """One walk through the pages, with its ports, directory and background process."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = dict(zip(["5433", "8815", "8090"], map(str, free_ports(3)), strict=True))
        self.background = None
        self.environment = dict(
            os.environ,
            RTSAP_PG_PORT=self.ports["5433"],
            RTSAP_FLIGHT_PORT=self.ports["8815"],
            RTSAP_HTTP_PORT=self.ports["8090"],
            KAFKA=os.environ["RTSAP_TEST_KAFKA"],
            TIMESCALE=os.environ["RTSAP_TEST_TIMESCALE"],
            PATH=f"{pathlib.Path(os.environ['RTSAP_TEST_BINARY']).parent}:{os.environ['PATH']}",
            PGOPTIONS="",
        )

    def put_ports(self, text):
        for documented, real in self.ports.items():
            text = text.replace(documented, real)
        text = text.replace("scripts/services.sh", f"{CLONE}/scripts/services.sh")
        return text.replace("make ", f"make -C {CLONE} ")

    def hide_ports(self, text):
        for documented, real in self.ports.items():
            text = text.replace(real, documented)
        return text.replace(str(pathlib.Path.home()), "~")

    def command(self, info, code):
        if info[0] == "python":
            return [os.environ["RTSAP_TEST_PYTHON"], "-c", self.put_ports(code)]
        return ["bash", "-c", self.put_ports(code)]

    def run(self, info, code):
        """Runs one block; returns its status and what it printed."""
        if "stop" in info:
            return self.stop()
        command = self.command(info, code)
        if "background" in info:
            return self.start(command)
        # Into a file: what a block leaves running keeps a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                ["timeout", str(BLOCK_SECONDS_MAX), *command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            output.seek(0)
            said = output.read().decode()
        log = self.folder / "server.log"
        if done.returncode == 124 and log.exists():
            said += "server.log ends with:\n" + log.read_text()[-4000:]
        return done.returncode, self.hide_ports(said)

    def start(self, command):
        log = self.folder / "background.log"
        with log.open("w") as output:
            self.background = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + DEMO_SECONDS_MAX
        while time.monotonic() < end and self.background.poll() is None:
            if "Ctrl-C ends the demo" in log.read_text():
                # Nobody opens a second terminal faster; by then there are some candles.
                time.sleep(4)
                break
            time.sleep(0.2)
        said = log.read_text()
        said = said[said.find("==> starting a Kafka broker") :]
        return self.background.poll() or 0, self.hide_ports(said)

    def stop(self):
        os.killpg(self.background.pid, signal.SIGINT)
        status = self.background.wait(timeout=30)
        self.background = None
        # make reports its own interruption by 2 or by the signal.
        return (0 if status in (0, 2, 130, -signal.SIGINT) else status), ""

    def close(self):
        if self.background is not None:
            os.killpg(self.background.pid, signal.SIGKILL)
        pid = self.folder / "server.pid"
        if pid.exists():
            try:
                os.kill(int(pid.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass


def judge(info, status, output, expected):
    """Why a block is not as the page says, or None."""
    if ("fails" in info) != (status != 0):
        return f"ended with status {status}"
    for pattern in expected:
        if not re.search(pattern, output):
            return f"printed nothing like {pattern}"
    return None


def report(title, complaint, output, tally):
    print(f"{'ok  ' if complaint is None else 'FAILED'} {title}", flush=True)
    if complaint is not None:
        print(f"  {complaint}; it printed:\n{output}", flush=True)
    tally[complaint is not None] += 1


def readme(walk, tally):
    """The README's own snippets, against the demo that is running."""
    for match in BLOCK.finditer(README.read_text()):
        info, code = match["info"].split(), match["code"]
        if info[0] == "sql" or "make" in code:
            continue
        status, output = walk.run(info, code)
        report(f"README: {code.splitlines()[0]}", judge(info, status, output, ["."]), output, tally)


def readme_sql(walk, tally):
    """The README's first example, against the Kafka that is running."""
    match = next(m for m in BLOCK.finditer(README.read_text()) if m["info"] == "sql")
    code = match["code"].replace("localhost:9092", walk.environment["KAFKA"])
    code = re.sub(r"'topic' = '\w+'", "'topic' = 'quickstart_trades'", code)
    code = code.replace("SOURCE trades", "SOURCE readme").replace("TABLE trades", "TABLE readme")
    psql = f"psql -h 127.0.0.1 -p {walk.ports['5433']} -U rtsap rtsap -v ON_ERROR_STOP=1"
    status, output = walk.run(["sh"], f"{psql} <<'SQL'\n{code}\nSQL\n")
    expected = ["CREATE SOURCE\nCREATE STREAMING VIEW"]
    report("README: its first example", judge(["sh"], status, output, expected), output, tally)


def main():
    record = "--record" in sys.argv[1:]
    page, tally = PAGE.read_text(), [0, 0]
    written, at = [], 0
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(pathlib.Path(folder))
        clean(walk)
        try:
            for match in BLOCK.finditer(page):
                info, code = match["info"].split(), match["code"]
                status, output = walk.run(info, code)
                complaint = judge(info, status, output, EXPECT.findall(match["rest"]))
                title = " ".join(info) + ": " + (code.strip().splitlines() or ["Ctrl-C"])[0]
                report(title, complaint, output, tally)
                written.append(page[at : match.end("rest")])
                if output.strip():
                    written.append(f"\n```text\n{output.rstrip()}\n```\n")
                at = match.end()
                if "background" in info:
                    readme(walk, tally)
                elif "SHOW SINKS" in code:
                    readme_sql(walk, tally)
        finally:
            walk.close()
    if record and tally[1] == 0:
        PAGE.write_text("".join(written) + page[at:])
    print(f"{tally[0]} passed, {tally[1]} failed")
    sys.exit(1 if tally[1] else 0)


def clean(walk):
    """Takes away what an earlier walk has left in the services."""
    code = """
import os, psycopg
from confluent_kafka.admin import AdminClient
admin = AdminClient({"bootstrap.servers": os.environ["KAFKA"]})
if "quickstart_trades" in admin.list_topics(timeout=30).topics:
    for future in admin.delete_topics(["quickstart_trades"], operation_timeout=30).values():
        future.result()
with psycopg.connect(os.environ["TIMESCALE"], autocommit=True) as target:
    target.execute("DROP TABLE IF EXISTS quickstart_candles")
    if target.execute("SELECT to_regclass('rtsap.sink_progress')").fetchone()[0]:
        target.execute("DELETE FROM rtsap.sink_progress WHERE sink = 'candles_ts'")
"""
    status, output = walk.run(["python"], code)
    if status != 0:
        sys.exit(f"cannot prepare the walk:\n{output}")


if __name__ == "__main__":
    main()
