"""Signals, limits and average prices since something happened, against loops in plain Python.

The loops follow the catalogue: a row without one of its inputs gives nothing and changes nothing.
"""

import random

from statement import emit, emit_table

ROWS, GROUPS = 900, 3
COLUMNS = ["g", "a", "b", "e", "x", "p", "q", "s", "v"]
WINDOW = "OVER (PARTITION BY g ORDER BY day)"


def drawn():
    """Rows of three groups in turns: a and b meet often, conditions are rare, a tenth is null."""
    draw = random.Random(17)
    values = {group: [0, 0, 100.0, 0, 0] for group in range(GROUPS)}
    for row in range(ROWS):
        state = values[row % GROUPS]
        state[0] += draw.choice([-1, 0, 0, 1])
        state[1] += draw.choice([-1, 0, 0, 1]) - (state[1] - state[0]) // 3
        state[2] += draw.gauss(0, 0.1)
        state[3] += draw.random() < 0.05
        state[4] += draw.choice([-700, -100, 100, 700]) - state[4] // 8
        cells = [
            state[0], state[1], draw.random() < 0.08, draw.random() < 0.1, state[2],
            draw.choice([0, 100, 200, 300, -50]), state[3], state[4],
        ]
        nulled = [None if draw.random() < 0.1 else float(cell) for cell in cells]
        # A session is a key: sources do not leave it out.
        nulled[6] = float(cells[6])
        yield [float(row % GROUPS), *nulled]


def stepped(rows, inputs, start, step):
    """What `step` gives row by row; it takes a group's state and inputs, and gives the next."""
    states, outputs = {}, []
    for row in rows:
        values = [row[COLUMNS.index(name)] for name in inputs]
        if None in values:
            outputs.append(None)
            continue
        state, output = step(states.get(row[0], start), *values)
        states[row[0]] = state
        outputs.append(output)
    return outputs


def crossed(sign):
    def step(before, a, b):
        ahead = sign * (a - b)
        return ahead, before is not None and ahead > 0 and before <= 0

    return step


def since(rows, condition):
    rows = 0 if condition else rows + 1 if rows is not None else None
    return rows, rows


def is_on(state, enter, leave):
    state = False if leave else True if enter else state
    return state, state


def vwap(begins):
    """Of the rows since the last that begins anew; sizes at or below zero do not count."""

    def step(state, price, size, anchor):
        since, before = state
        if begins(anchor, before):
            since = []
        if size > 0:
            since = [*since, (price, size)]
        volume = sum(size for _, size in since)
        average = sum(price * size for price, size in since) / volume if volume else None
        return (since, anchor), average

    return step


def limit(soft, hard, hysteresis):
    """The level of |value|, which falls below a limit only where it is that far below."""

    def step(level, value):
        used = abs(value)
        if used > hard or (level == 2 and used > hard - hysteresis):
            now = 2
        elif used > soft or (level >= 1 and used > soft - hysteresis):
            now = 1
        else:
            now = 0
        return now, (now, now != level)

    return step


def check():
    rows = list(drawn())
    columns = {name: list(column) for name, column in zip(COLUMNS, zip(*rows))}
    emit_table("signals", {"day": list(range(ROWS))} | columns)

    def add(call, inputs, start, step):
        expected = stepped(rows, inputs, start, step)
        known = [value for value in expected if value is not None]
        # Each answer must come up, or the comparison shows little.
        assert len(set(known)) > 1 and len(known) > ROWS / 2, call
        emit(f"SELECT {call} {WINDOW} FROM signals ORDER BY day", [expected])

    add("crossover(a, b)", ["a", "b"], None, crossed(1))
    add("crossunder(a, b)", ["a", "b"], None, crossed(-1))
    add("bars_since(e = 1)", ["e"], None, since)
    add("signal_state(e = 1, x = 1)", ["e", "x"], False, is_on)
    session = lambda now, before: now != before
    add("session_vwap(p, q, s)", ["p", "q", "s"], ([], None), vwap(session))
    # The first row of a group is an anchor: before the first one there is nothing to be said.
    begin = f"day < {GROUPS} OR x = 1"
    for row in rows[:GROUPS]:
        row[COLUMNS.index("x")] = 1.0
    anchored = stepped(rows, ["p", "q", "x"], ([], None), vwap(lambda now, _: now == 1))
    emit(f"SELECT anchored_vwap(p, q, {begin}) {WINDOW} FROM signals ORDER BY day", [anchored])
    for terms in [(400, 900, 200), (400, 900), (600, 600, 100)]:
        soft, hard, hysteresis = [*terms, 0][:3]
        both = stepped(rows, ["v"], 0, limit(soft, hard, hysteresis))
        levels = [None if each is None else each[0] for each in both]
        events = [None if each is None else each[1] for each in both]
        assert set(levels) >= {0, 2} and sum(event is True for event in events) > 20
        call = f"limit_breach(v, {', '.join(map(str, terms))}) {WINDOW}"
        emit(f"SELECT l['level'], l['event'] FROM (SELECT day, {call} AS l FROM signals) AS w "
             "ORDER BY day", [levels, events])
