//! What a view answers when rows come too late: each write moves event time, and a row counts or
//! not by where event time stood before its own write.
//!
//! Owns the meaning of lateness, by definition, for one operator over rows as they come. In such a
//! case both streams are tables, so that one write is one step; the last writes are far in the
//! future, and what lies before [`FAR_US`] is final then.

use crate::case::{Action, Case, STREAMS, bases};
use crate::reference;
use crate::rel::{Emit, Family, Frame, Join, Kind, Over, OverCall, Rel};
use crate::value::{Row, START_US, Value};

/// Event time of the last writes, and the end of what is final: a day after the start.
pub const FAR_US: i64 = START_US + 86_400_000_000;

/// How much later the last writes are.
pub const LAST_US: i64 = 60_000_000;

/// What is expected of a view.
pub struct Expected {
    /// Its rows.
    pub rows: Vec<Row>,
    /// How many rows it must set aside.
    pub late: usize,
}

/// A row that came, with where event time stood before: of its own input, of the operator.
struct Came {
    row: Row,
    own: Option<i64>,
    all: Option<i64>,
}

fn time_of(row: &Row, time: usize) -> Option<i64> {
    match row[time] {
        Value::Time(us) => Some(us),
        _ => None,
    }
}

fn widths(rel: &Rel) -> usize {
    rel.shape(&bases()).types.len()
}

/// The streams that `rel` reads.
fn streams(rel: &Rel) -> Vec<usize> {
    match rel {
        Rel::Base(index) => vec![*index],
        rel => rel.inputs().into_iter().flat_map(streams).collect(),
    }
}

/// Where event time of some streams stands after writes whose latest times are `latest`.
fn watermark(case: &Case, streams: &[usize], latest: &[Option<i64>; STREAMS]) -> Option<i64> {
    let promised = streams
        .iter()
        .map(|stream| latest[*stream].map(|time| time - case.delays[*stream]));
    promised.collect::<Option<Vec<i64>>>()?.into_iter().min()
}

/// The rows of `input`, which has no state, as they come to an operator over all of `inputs`.
fn came(case: &Case, input: &Rel, inputs: &[&Rel]) -> Vec<Came> {
    let own = streams(input);
    let all: Vec<usize> = inputs.iter().flat_map(|rel| streams(rel)).collect();
    let mut latest = [None; STREAMS];
    let mut out = Vec::new();
    for action in &case.actions {
        let Action::Insert(base, rows) = action else {
            continue;
        };
        let mut step = vec![Vec::new(); bases().len()];
        step[*base].clone_from(rows);
        let (own, all) = (
            watermark(case, &own, &latest),
            watermark(case, &all, &latest),
        );
        let rows_now = reference::answer(input, &step, &widths);
        out.extend(rows_now.into_iter().map(|row| Came { row, own, all }));
        if let Some(time) = bases()[*base].time.filter(|_| *base < STREAMS) {
            let times = rows.iter().filter_map(|row| time_of(row, time));
            latest[*base] = latest[*base].max(times.max());
        }
    }
    out
}

/// Rows in time, and how many are late.
fn punctual(came: Vec<Came>, time: usize) -> (Vec<Row>, usize) {
    let count = came.len();
    let in_time = |came: &Came| {
        let at = time_of(&came.row, time);
        at.is_some_and(|at| came.all.is_none_or(|mark| at >= mark))
    };
    let rows: Vec<Row> = came.into_iter().filter(in_time).map(|c| c.row).collect();
    let late = count - rows.len();
    (rows, late)
}

/// Rows once for each of their windows that is open: `own` or `all` says by which event time.
fn in_windows(came: &[Came], time: usize, family: Family, own: bool) -> (Vec<Row>, usize) {
    let (mut rows, mut late) = (Vec::new(), 0);
    for Came {
        row,
        own: ours,
        all,
    } in came
    {
        let windows = reference::windows(family, &row[time]);
        let open = |end: i64, mark: Option<i64>| mark.is_none_or(|mark| end > mark);
        let gap = windows.is_empty() && !row[time].is_null();
        let first = if own { ours } else { all };
        if !windows.iter().any(|(_, end)| open(*end, *first)) {
            late += usize::from(!gap);
            continue;
        }
        for (start, end) in windows.into_iter().filter(|(_, end)| open(*end, *first)) {
            let bounds = [Value::Time(start), Value::Time(end)];
            rows.push(row.iter().cloned().chain(bounds).collect());
        }
    }
    (rows, late)
}

/// What view `view` of `case` must answer; none for a query whose lateness is not defined here.
pub fn answer(case: &Case, view: usize) -> Option<Expected> {
    let view = &case.views[view];
    let (rel, select) = match &view.rel {
        Rel::Select(select) if !select.distinct => (select.from.as_ref(), Some(select)),
        rel => (rel, None),
    };
    let mut expected = match rel {
        Rel::Window(window) => {
            let came = came(case, &window.from, &[&window.from]);
            let (placed, late) = in_windows(&came, window.time, window.family, false);
            let mut rows = reference::of_windows(window, &placed);
            if view.emit == Emit::Close {
                rows.retain(|row| time_of(row, 1).is_some_and(|end| end <= FAR_US));
            }
            Expected { rows, late }
        }
        Rel::Over(over) if looks_ahead_from_the_start(over) => return None,
        Rel::Over(over) => {
            let came = came(case, &over.from, &[&over.from]);
            let (mut rows, late) = punctual(came, over.time);
            // The last rows are not passed, but a call that looks ahead sees them only then too.
            rows.retain(|row| time_of(row, over.time).is_some_and(|time| time < FAR_US));
            let rows = reference::over_rows(over, &rows);
            Expected { rows, late }
        }
        Rel::Asof(asof) => {
            let inputs = [asof.left.as_ref(), asof.right.as_ref()];
            let (mut left, late) = punctual(came(case, inputs[0], &inputs), asof.times.0);
            let (right, more) = punctual(came(case, inputs[1], &inputs), asof.times.1);
            let all: Vec<usize> = inputs.iter().flat_map(|rel| streams(rel)).collect();
            let end = watermark(case, &all, &[Some(FAR_US + LAST_US); STREAMS])?;
            // What must be before a row is all there once event time has come to the row.
            let is_final = |time: i64| time < FAR_US || asof.strict && time <= end;
            left.retain(|row| time_of(row, asof.times.0).is_some_and(is_final));
            let rows = reference::asof_joined(asof, &left, &right, widths(inputs[1]));
            Expected {
                rows,
                late: late + more,
            }
        }
        Rel::Join(join) => joined(case, join)?,
        _ => return None,
    };
    if let Some(select) = select {
        expected.rows = reference::selected(select, expected.rows);
    }
    Some(expected)
}

/// Whether a frame begins with the first row and ends in the future: whoever keeps all rows for it
/// calls none of them late.
fn looks_ahead_from_the_start(over: &Over) -> bool {
    over.calls
        .iter()
        .any(|call| matches!(call, OverCall::Aggregate(_, _, Frame::Range(None, 1..))))
}

fn joined(case: &Case, join: &Join) -> Option<Expected> {
    let inputs = [join.left.as_ref(), join.right.as_ref()];
    // Where event time stands at the end, and how far past a row's time it must be for the row to
    // be alone for good.
    let all: Vec<usize> = inputs.iter().flat_map(|rel| streams(rel)).collect();
    let end = watermark(case, &all, &[Some(FAR_US + LAST_US); STREAMS])?;
    let (left, right, late, times, waits) = match (join.near, inputs) {
        (Some(near), _) => {
            let (left, late) = punctual(came(case, inputs[0], &inputs), near.left);
            let (right, more) = punctual(came(case, inputs[1], &inputs), near.right);
            let waits = (-near.lower, near.upper);
            (left, right, late + more, (near.left, near.right), waits)
        }
        (
            None,
            [
                Rel::Assigned(own, time, family),
                Rel::Assigned(other, other_time, _),
            ],
        ) => {
            let below = [own.as_ref(), other.as_ref()];
            let (left, late) = in_windows(&came(case, own, &below), *time, *family, true);
            let (right, more) = in_windows(&came(case, other, &below), *other_time, *family, true);
            // Whether a row is final is said by the end of its window.
            let times = (widths(inputs[0]) - 1, widths(inputs[1]) - 1);
            (left, right, late + more, times, (-1, -1))
        }
        _ => return None,
    };
    let widths = (widths(inputs[0]), widths(inputs[1]));
    let as_kind = |kind: Kind| Join {
        kind,
        ..join.clone()
    };
    let only = |kind: Kind| reference::joined(&as_kind(kind), &left, &right, widths);
    let is_final = |row: &Row, time: usize, wait: i64| {
        time_of(row, time).is_some_and(|time| time + wait < end)
    };
    let mut rows = match join.kind {
        Kind::Semi => only(Kind::Semi),
        Kind::Anti => Vec::new(),
        _ => only(Kind::Inner),
    };
    // Rows alone show once nothing can join them any more.
    let mut alone = only(Kind::Anti);
    alone.retain(|row| is_final(row, times.0, waits.0));
    match join.kind {
        Kind::Anti => rows = alone,
        Kind::Left | Kind::Full => rows.extend(alone.into_iter().map(|row| {
            let nulls = vec![Value::Null; widths.1];
            [row, nulls].concat()
        })),
        _ => {}
    }
    if matches!(join.kind, Kind::Right | Kind::Full) {
        let with_alone = only(Kind::Right);
        let pairs = only(Kind::Inner).len();
        // Those alone stand behind the pairs.
        let alone = with_alone.into_iter().skip(pairs);
        rows.extend(alone.filter(|row| is_final(row, widths.0 + times.1, waits.1)));
    }
    Some(Expected { rows, late })
}
