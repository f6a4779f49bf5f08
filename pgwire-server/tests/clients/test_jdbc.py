"""pgJDBC: metadata, prepared statements, fetch size, errors, by a small Java program."""

import os
import pathlib
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).with_name("JdbcWalk.java")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    driver = os.environ.get("RTSAP_TEST_JDBC")
    if not driver or not shutil.which("javac"):
        pytest.skip("no driver in RTSAP_TEST_JDBC, or no javac")
    folder = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-cp", driver, "-d", str(folder), str(SOURCE)], check=True, timeout=120)
    return f"{folder}{os.pathsep}{driver}"


def test_the_walk(server, classes):
    url = f"jdbc:postgresql://{server.host}:{server.port}/{server.database}?user={server.user}"
    walked = subprocess.run(
        ["java", "-cp", classes, "JdbcWalk", url], capture_output=True, text=True, timeout=120
    )
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert walked.stdout.splitlines() == [
        "tables trades",
        "columns symbol:VARCHAR price:DOUBLE size:BIGINT amount:NUMERIC ts:TIMESTAMP",
        "prepared AAPL 2 300",
        "types 190.25 38050.0000 2026-01-02T15:30:01Z",
        "pieces 1000 500500",
        "error 42703 8",
    ]
