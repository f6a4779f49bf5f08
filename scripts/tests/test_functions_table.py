"""The page of the functions' figures is made of a result, or not at all."""

import copy
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import functions_table

# Made up, in the shape of bench/src/report.rs and bench/src/functions.rs.
RESULT = {
    "benchmark": "functions", "at_unix_seconds": 1_000_000_000, "command": ["functions"],
    "commit": "0123456789ab", "profile": "release",
    "machine": {"processor": "Abacus", "processors": 2, "memory_gib": 24, "kernel": "1.0"},
    "load_before": "0.10", "load_after": "1.00",
    "figures": {
        "rows": 100000,
        "figures": [
            {"name": "vwap", "kind": "aggregate", "rows_per_cpu_second": 1234567.8, "ratio": 0.905},
            {"name": "mid", "kind": "scalar", "rows_per_cpu_second": 2000000.0, "ratio": 1.0},
            {"name": "zscore", "kind": "window", "rows_per_cpu_second": 999.4, "ratio": None},
            {"name": "ema", "kind": "window", "rows_per_cpu_second": 10000.0, "ratio": 0.5},
        ],
        "refused": {"mama": "needs a | b", "crsi": "no state"},
    },
}

PAGE = """\
Taken on 2001-09-09, commit 0123456789ab, 100,000 rows each, on 2 x Abacus,
24 GiB; load 0.10 before, 1.00 after. Absolute figures are of that machine only.

## Of a window (`OVER`)

| function | rows per CPU-second | ratio |
|---|---:|---:|
| `ema` | 10,000 | 0.50 |
| `zscore` | 999 | — |

## Of one row

| function | rows per CPU-second | ratio |
|---|---:|---:|
| `mid` | 2,000,000 | 1.00 |

## Of a group

| function | rows per CPU-second | ratio |
|---|---:|---:|
| `vwap` | 1,234,568 | 0.91 |

## Refused in views

| function | reason |
|---|---|
| `crsi` | no state |
| `mama` | needs a \\| b |
"""


def written(folder, result, name="functions-5.json"):
    path = folder / name
    path.write_text(json.dumps(result))
    return path


def test_every_figure_and_every_refusal_is_on_the_page(tmp_path):
    output = tmp_path / "page.md"
    given = [str(written(tmp_path, RESULT)), "--output", str(output)]
    assert functions_table.main(given) == 0
    text = output.read_text()
    assert text.startswith("# Functions, one by one\n")
    assert text[text.index("Taken on"):] == PAGE


def test_the_newest_result_is_taken_by_its_number(tmp_path, monkeypatch):
    for seconds in [9, 10, 8]:
        result = copy.deepcopy(RESULT)
        result["commit"] = f"of {seconds}"
        written(tmp_path, result, f"functions-{seconds}.json")
    written(tmp_path, {"benchmark": "candles"}, "candles-11.json")
    monkeypatch.setenv("RTSAP_BENCH_RESULTS", str(tmp_path))
    output = tmp_path / "page.md"
    assert functions_table.main(["--output", str(output)]) == 0
    assert "commit of 10," in output.read_text()


@pytest.mark.parametrize(("change", "reason"), [
    ({"profile": "dev"}, "dev build"),
    ({"command": ["functions", "--every", "20"]}, "--every"),
    ({"benchmark": "candles"}, "'candles'"),
    ({"figures": {"rows": 1, "figures": [], "refused": {}}}, "without a function"),
    ({"figures": {"rows": 1, "refused": {}}}, "no field 'figures'"),
    ({"figures": {"rows": 1, "refused": {}, "figures": [{"name": "a", "kind": "table"}]}}, "table"),
])
def test_a_result_that_means_nothing_leaves_the_page_as_it_is(tmp_path, capsys, change, reason):
    output = tmp_path / "page.md"
    output.write_text("as it was")
    given = [str(written(tmp_path, RESULT | change)), "--output", str(output)]
    assert functions_table.main(given) == 1
    assert reason in capsys.readouterr().err
    assert output.read_text() == "as it was"


def test_no_result_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RTSAP_BENCH_RESULTS", str(tmp_path))
    assert functions_table.main(["--output", str(tmp_path / "page.md")]) == 1
    assert "make bench ARGS=functions" in capsys.readouterr().err
