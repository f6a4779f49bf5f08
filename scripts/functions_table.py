"""Writes docs/benchmarks-functions.md: what each function costs, from the JSON of the benchmark.

usage: functions_table.py [RESULT] [--output PAGE]

RESULT is a file that `make bench ARGS=functions` wrote; without it the newest of those below
RTSAP_BENCH_RESULTS, or $RTSAP_CACHE/bench. Refused are figures of a debug build, which mean
nothing, and of a run that left functions out.
"""

import argparse
import datetime
import json
import os
import pathlib
import sys

CLONE = pathlib.Path(__file__).resolve().parent.parent
PAGE = CLONE / "docs" / "benchmarks-functions.md"
# In the order of the page.
KINDS = {
    "window": "Of a window (`OVER`)",
    "scalar": "Of one row",
    "aggregate": "Of a group",
}


class Unusable(Exception):
    """A result that no page can be written from."""


def results_folder():
    given = os.environ.get("RTSAP_BENCH_RESULTS")
    if given:
        return pathlib.Path(given)
    cache = os.environ.get("RTSAP_CACHE") or pathlib.Path.home() / ".cache" / "rtsap"
    return pathlib.Path(cache) / "bench"


def newest(folder):
    """The last result of the functions in a folder, by the time in its name."""
    results = list(pathlib.Path(folder).glob("functions-*.json"))
    if not results:
        raise Unusable(f"no functions-*.json in {folder}: run make bench ARGS=functions first")
    return max(results, key=lambda path: int(path.stem.rpartition("-")[2]))


def checked(result):
    """A result whose figures mean something."""
    if result.get("benchmark") != "functions":
        raise Unusable(f"a result of {result.get('benchmark')!r}, not of functions")
    if result["profile"] != "release":
        raise Unusable(f"figures of a {result['profile']} build mean nothing")
    left_out = {"--every", "--only"} & set(result["command"])
    if left_out:
        raise Unusable(f"a run with {', '.join(sorted(left_out))} left functions out")
    if not result["figures"]["figures"]:
        raise Unusable("a result without a function")
    unknown = {figure["kind"] for figure in result["figures"]["figures"]} - set(KINDS)
    if unknown:
        raise Unusable(f"functions of kinds that have no table: {', '.join(sorted(unknown))}")
    return result


def row(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def number(value, form):
    # JSON has no NaN: what could not be told is null.
    return "—" if value is None else format(value, form)


def table(kind, figures):
    """The functions of a kind by name."""
    yield f"## {KINDS[kind]}"
    yield ""
    yield row(["function", "rows per CPU-second", "ratio"])
    yield "|---|---:|---:|"
    for figure in sorted(figures, key=lambda figure: figure["name"]):
        yield row([f"`{figure['name']}`", number(figure["rows_per_cpu_second"], ",.0f"),
                   number(figure["ratio"], ".2f")])
    yield ""


def page(result):
    """The text of the page."""
    machine, measured = result["machine"], result["figures"]
    day = datetime.datetime.fromtimestamp(result["at_unix_seconds"], datetime.UTC).date()
    lines = [
        "# Functions, one by one",
        "",
        "Written by `scripts/functions_table.py` from what `make bench ARGS=functions` measured; do",
        "not edit. What is measured and compared is told in [benchmarks](benchmarks.md#functions):",
        "the ratio is that of rows per CPU-second to those of the same query with `avg`; for",
        "functions of one row, without the call.",
        "",
        f"Taken on {day}, commit {result['commit']}, {measured['rows']:,} rows each, on "
        f"{machine['processors']} x {machine['processor']},",
        f"{machine['memory_gib']} GiB; load {result['load_before']} before, "
        f"{result['load_after']} after. Absolute figures are of that machine only.",
        "",
    ]
    for kind in KINDS:
        figures = [figure for figure in measured["figures"] if figure["kind"] == kind]
        if figures:
            lines += table(kind, figures)
    refused = measured["refused"]
    if refused:
        lines += ["## Refused in views", "", row(["function", "reason"]), "|---|---|"]
        lines += [row([f"`{name}`", refused[name]]) for name in sorted(refused)]
        lines.append("")
    return "\n".join(lines)


def main(arguments):
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("result", nargs="?", type=pathlib.Path)
    options.add_argument("--output", type=pathlib.Path, default=PAGE)
    options = options.parse_args(arguments)
    try:
        path = options.result or newest(results_folder())
        text = page(checked(json.loads(path.read_text())))
    except (Unusable, OSError, ValueError, KeyError) as reason:
        name = type(reason).__name__
        why = f"no field {reason}" if isinstance(reason, KeyError) else reason
        print(f"functions_table.py: cannot write the page ({name}): {why}", file=sys.stderr)
        return 1
    options.output.write_text(text)
    print(f"{options.output} from {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
