"""What SQL must answer, as the JSON lines that oracle/main.rs reads."""

import json
import math
import re

import numpy

GROUPS = 12


def cells(values):
    """Numbers with nothing in place of what is not finite; text as it is."""
    values = values.tolist() if hasattr(values, "tolist") else values
    is_finite = lambda x: isinstance(x, str) or (x is not None and math.isfinite(x))
    return [x if is_finite(x) else None for x in values]


def emit_table(name, columns):
    columns = {name: cells(values) for name, values in columns.items()}
    print(json.dumps({"table": name, "columns": columns}))


def emit(sql, outputs, tolerance=1e-9):
    """States what a query must answer, column by column."""
    values = [[None if x is None else float(x) for x in cells(output)] for output in outputs]
    assert any(x is not None for output in values for x in output), sql
    print(json.dumps({"sql": sql, "values": values, "tolerance": tolerance}))


class Table:
    """Rows in groups; `check` states what SQL must answer for each group."""

    def __init__(self, name, columns):
        self.name, self.columns = name, columns
        length = len(next(iter(columns.values())))
        self.group = numpy.arange(length) % GROUPS
        stamps = numpy.arange(length)
        emit_table(name, {"day": stamps, "g": self.group.astype(float)} | columns)

    def check(self, call, function, *names, tolerance=1e-9):
        columns = []
        for group in range(GROUPS):
            picked = [numpy.asarray(self.columns[name])[self.group == group] for name in names]
            columns.append(numpy.atleast_1d(function(*picked)).astype(float).tolist())
        values = [[None if not math.isfinite(x) else x for x in v] for v in zip(*columns)]
        call = re.sub(r"\bts\b", "to_timestamp_micros(day)", call)
        sql = f"SELECT x FROM (SELECT g, {call} AS x FROM {self.name} GROUP BY g) ORDER BY g"
        print(json.dumps({"sql": sql, "values": values, "tolerance": tolerance}))


    def between(self, call, least, most, name):
        """States that a call lies between two values for each group."""
        picked = [numpy.asarray(self.columns[name])[self.group == group] for group in range(GROUPS)]
        cases = " ".join(
            f"WHEN {group} THEN x >= {float(least(p))!r} - 1e-9 AND x <= {float(most(p))!r} + 1e-9"
            for group, p in enumerate(picked)
        )
        call = re.sub(r"\bts\b", "to_timestamp_micros(day)", call)
        rows = f"(SELECT CAST(g AS INT) AS g, {call} AS x FROM {self.name} GROUP BY g)"
        sql = f"SELECT CAST(CASE g {cases} END AS DOUBLE) FROM {rows} ORDER BY g"
        print(json.dumps({"sql": sql, "values": [[1.0] * GROUPS], "tolerance": 0}))

    def rollup(self, call, function, *names, tolerance):
        """States the moments of all rows of a group, rolled up from uneven buckets."""
        columns = []
        for group in range(GROUPS):
            picked = [numpy.asarray(self.columns[name])[self.group == group] for name in names]
            columns.append(numpy.atleast_1d(function(*picked)).astype(float).tolist())
        values = [list(v) for v in zip(*columns)]
        buckets = f"SELECT g, {call} AS s FROM {self.name} GROUP BY g, day * day % 7"
        sql = f"SELECT x FROM (SELECT g, rollup(s) AS x FROM ({buckets}) GROUP BY g) ORDER BY g"
        print(json.dumps({"sql": sql, "values": values, "tolerance": tolerance}))
