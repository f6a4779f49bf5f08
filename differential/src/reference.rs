//! What a query answers, by definition: brute force over all rows, written to be read.
//!
//! Owns the meaning of every operator. Knows nothing of streams: rows are all there, and every
//! window is over. Shares no code with the engine.

use crate::expr::Expr;
use crate::rel::{Asof, Family, Group, Join, Kind, Over, Ranking, Rel, Select, Top, Window};
use crate::value::{Row, Value, row_text, rows_order};

mod aggregate;
mod over;
mod subquery;

/// The rows of `rel`, in no order that means anything. `bases` are the rows of sources and tables
/// in order of arrival; `widths` how many columns each has.
pub fn answer(rel: &Rel, bases: &[Vec<Row>], widths: &dyn Fn(&Rel) -> usize) -> Vec<Row> {
    let of = |rel: &Rel| answer(rel, bases, widths);
    match rel {
        Rel::Base(index) => bases[*index].clone(),
        Rel::Stored(from, _) => of(from),
        Rel::Select(select) => selected(select, of(&select.from)),
        Rel::Union(inputs, all) => {
            let rows = inputs.iter().flat_map(of).collect();
            if *all { rows } else { distinct(rows) }
        }
        Rel::Group(group) => grouped(group, &of(&group.from)),
        Rel::Window(window) => windowed(window, &of(&window.from)),
        Rel::Assigned(from, time, family) => {
            let rows = of(from);
            rows.iter()
                .flat_map(|row| {
                    let windows = windows(*family, &row[*time]);
                    windows
                        .into_iter()
                        .map(|(start, end)| with(row, [Value::Time(start), Value::Time(end)]))
                })
                .collect()
        }
        Rel::Join(join) => {
            let widths = (widths(&join.left), widths(&join.right));
            joined(join, &of(&join.left), &of(&join.right), widths)
        }
        Rel::Asof(asof) => {
            let width = widths(&asof.right);
            asof_joined(asof, &of(&asof.left), &of(&asof.right), width)
        }
        Rel::Top(top) => first_rows(top, &of(&top.from)),
        Rel::Over(over) => over_rows(over, &of(&over.from)),
        Rel::Sets(sets) => subquery::sets(sets, &of(&sets.left), &of(&sets.right)),
        Rel::Unnest(unnest) => subquery::unnested(unnest, &of(&unnest.from)),
        Rel::Subquery(subquery) => {
            let width = widths(&subquery.inner);
            subquery::rows(subquery, &of(&subquery.from), &of(&subquery.inner), width)
        }
    }
}

/// The rows of an input with calls over the rows around each.
pub fn over_rows(over: &Over, rows: &[Row]) -> Vec<Row> {
    over::rows(over, rows)
}

fn with(row: &[Value], more: impl IntoIterator<Item = Value>) -> Row {
    row.iter().cloned().chain(more).collect()
}

fn fulfils(condition: Option<&Expr>, row: &Row) -> bool {
    condition.is_none_or(|condition| condition.value(row).is_true())
}

fn distinct(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| rows_order(a, b));
    rows.dedup_by(|a, b| rows_order(a, b).is_eq());
    rows
}

/// Projection and filter.
pub fn selected(select: &Select, rows: Vec<Row>) -> Vec<Row> {
    let rows = rows
        .into_iter()
        .filter(|row| fulfils(select.filter.as_ref(), row));
    let rows = rows.map(|row| match select.columns.as_slice() {
        [] => row,
        columns => columns.iter().map(|(expr, _)| expr.value(&row)).collect(),
    });
    let rows = rows.collect();
    if select.distinct {
        distinct(rows)
    } else {
        rows
    }
}

/// Rows by key, in order of first sight.
fn by_key<'a>(rows: &'a [Row], key: &dyn Fn(&Row) -> Row) -> Vec<(Row, Vec<&'a Row>)> {
    let mut groups: Vec<(Row, Vec<&Row>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for row in rows {
        let key = key(row);
        let place = *places.entry(row_text(&key)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(row);
    }
    groups
}

fn grouped(group: &Group, rows: &[Row]) -> Vec<Row> {
    let keys = group.keys.len();
    let mut out = Vec::new();
    for set in group.sets.numbers(keys) {
        let key = |row: &Row| {
            let keys = group.keys.iter().enumerate();
            keys.map(|(index, (key, _))| match set.contains(&index) {
                true => key.value(row),
                false => Value::Null,
            })
            .collect()
        };
        let mut groups = by_key(rows, &key);
        // No keys at all make one group, even of no rows; so does an empty set among others.
        if set.is_empty() && groups.is_empty() {
            groups.push((vec![Value::Null; keys], Vec::new()));
        }
        for (key, rows) in groups {
            let calls = group.calls.iter();
            let calls = calls.map(|call| aggregate::value(call, &rows));
            out.push(with(&key, calls));
        }
    }
    out.retain(|row| fulfils(group.having.as_ref(), row));
    out
}

/// The windows that hold a moment, by their definition alone.
pub fn windows(family: Family, time: &Value) -> Vec<(i64, i64)> {
    let Value::Time(time) = time else {
        return Vec::new();
    };
    match family {
        Family::Tumble(size, offset) => {
            let start = offset + (time - offset).div_euclid(size) * size;
            vec![(start, start + size)]
        }
        Family::Hop(slide, size) => {
            let last = time.div_euclid(slide);
            let starts = (last - size / slide - 1..=last).map(|index| index * slide);
            starts
                .map(|start| (start, start + size))
                .filter(|(start, end)| start <= time && time < end)
                .collect()
        }
        Family::Cumulate(step, size) => {
            let start = time.div_euclid(size) * size;
            let ends = (1..=size / step).map(|index| start + index * step);
            ends.filter(|end| time < end)
                .map(|end| (start, end))
                .collect()
        }
        // Sessions are not known from one moment.
        Family::Session(_) => Vec::new(),
    }
}

fn windowed(window: &Window, rows: &[Row]) -> Vec<Row> {
    let keys = |row: &Row| -> Row { window.keys.iter().map(|key| row[*key].clone()).collect() };
    let mut placed: Vec<Row> = Vec::new();
    match window.family {
        Family::Session(gap) => {
            for (_, rows) in by_key(rows, &keys) {
                for (start, end, rows) in sessions(rows, window.time, gap) {
                    let bounds = [Value::Time(start), Value::Time(end)];
                    placed.extend(rows.iter().map(|row| with(row, bounds.clone())));
                }
            }
        }
        family => {
            for row in rows {
                for (start, end) in windows(family, &row[window.time]) {
                    placed.push(with(row, [Value::Time(start), Value::Time(end)]));
                }
            }
        }
    }
    of_windows(window, &placed)
}

/// The aggregates of rows whose last two columns say in which window they are.
pub fn of_windows(window: &Window, placed: &[Row]) -> Vec<Row> {
    let keys = |row: &Row| -> Row { window.keys.iter().map(|key| row[*key].clone()).collect() };
    let key = |row: &Row| {
        let bounds = row[row.len() - 2..].to_vec();
        [bounds, keys(row)].concat()
    };
    let mut out = Vec::new();
    for (key, rows) in by_key(placed, &key) {
        // The bounds are no columns of the input.
        let rows: Vec<Row> = rows
            .iter()
            .map(|row| row[..row.len() - 2].to_vec())
            .collect();
        let rows: Vec<&Row> = rows.iter().collect();
        let calls = window.calls.iter();
        let calls: Vec<Value> = calls.map(|call| aggregate::value(call, &rows)).collect();
        out.push(with(&key, calls));
    }
    out.retain(|row| fulfils(window.having.as_ref(), row));
    out
}

/// Rows of one key that follow each other within the gap.
fn sessions(mut rows: Vec<&Row>, time: usize, gap: i64) -> Vec<(i64, i64, Vec<&Row>)> {
    rows.retain(|row| !row[time].is_null());
    rows.sort_by(|a, b| a[time].order(&b[time]));
    let mut out: Vec<(i64, i64, Vec<&Row>)> = Vec::new();
    for row in rows {
        let Value::Time(at) = row[time] else { continue };
        match out.last_mut() {
            // A row exactly the gap after the last one still joins.
            Some((_, end, rows)) if at <= *end => {
                *end = at + gap;
                rows.push(row);
            }
            _ => out.push((at, at + gap, vec![row])),
        }
    }
    out
}

fn pairs(join: &Join, left: &Row, right: &Row) -> bool {
    let equal = |(l, r): &(usize, usize)| !left[*l].is_null() && left[*l].same(&right[*r]);
    let near = join.near.is_none_or(|near| {
        let (Value::Time(l), Value::Time(r)) = (&left[near.left], &right[near.right]) else {
            return false;
        };
        (near.lower..=near.upper).contains(&(l - r))
    });
    near && join.keys.iter().all(equal)
        && fulfils(join.residual.as_ref(), &with(left, right.iter().cloned()))
}

/// The rows of a join; those of an outer join without a partner behind the pairs.
pub fn joined(join: &Join, left: &[Row], right: &[Row], widths: (usize, usize)) -> Vec<Row> {
    let mut out = Vec::new();
    let mut met = vec![false; right.len()];
    let nulls = |width: usize| vec![Value::Null; width];
    for l in left {
        let mut alone = true;
        for (index, r) in right.iter().enumerate() {
            if !pairs(join, l, r) {
                continue;
            }
            alone = false;
            met[index] = true;
            if !matches!(join.kind, Kind::Semi | Kind::Anti) {
                out.push(with(l, r.iter().cloned()));
            }
        }
        match join.kind {
            Kind::Semi if !alone => out.push(l.clone()),
            Kind::Anti if alone => out.push(l.clone()),
            Kind::Left | Kind::Full if alone => out.push(with(l, nulls(widths.1))),
            _ => {}
        }
    }
    if matches!(join.kind, Kind::Right | Kind::Full) {
        let alone = right.iter().zip(met).filter(|(_, met)| !met);
        out.extend(alone.map(|(r, _)| with(&nulls(widths.0), r.iter().cloned())));
    }
    out
}

/// The rows of an ASOF join.
pub fn asof_joined(asof: &Asof, left: &[Row], right: &[Row], width: usize) -> Vec<Row> {
    let mut out = Vec::new();
    for l in left {
        let Value::Time(at) = l[asof.times.0] else {
            continue;
        };
        let mut best: Option<(i64, &Row)> = None;
        for r in right {
            let Value::Time(then) = r[asof.times.1] else {
                continue;
            };
            let (ours, theirs) = (&l[asof.key.0], &r[asof.key.1]);
            let before = if asof.strict { then < at } else { then <= at };
            let fresh = asof.tolerance.is_none_or(|most| at - then <= most);
            let fits = before && fresh && !ours.is_null() && ours.same(theirs);
            // Of rows of one time the last to arrive counts.
            if fits && best.is_none_or(|(found, _)| then >= found) {
                best = Some((then, r));
            }
        }
        match best {
            Some((_, r)) => out.push(with(l, r.iter().cloned())),
            None if asof.outer => out.push(with(l, vec![Value::Null; width])),
            None => {}
        }
    }
    out
}

/// The order of two values in SQL's ORDER BY: nulls are the greatest.
fn sql_order(a: &Value, b: &Value, down: bool) -> std::cmp::Ordering {
    let order = match (a.is_null(), b.is_null()) {
        (false, false) => a.order(b),
        (a, b) => a.cmp(&b),
    };
    if down { order.reverse() } else { order }
}

fn first_rows(top: &Top, rows: &[Row]) -> Vec<Row> {
    let key = |row: &Row| top.partition.iter().map(|c| row[*c].clone()).collect();
    let by_order = |a: &Row, b: &Row| {
        let orders = top
            .order
            .iter()
            .map(|(c, down)| sql_order(&a[*c], &b[*c], *down));
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    };
    let by_rest = |a: &Row, b: &Row| {
        let orders = a.iter().zip(b).map(|(a, b)| sql_order(a, b, false));
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    };
    let mut out = Vec::new();
    for (_, mut rows) in by_key(rows, &key) {
        rows.sort_by(|a, b| by_order(a, b).then_with(|| by_rest(a, b)));
        let (mut rank, mut dense) = (0, 0);
        for (index, row) in rows.iter().enumerate() {
            if index == 0 || by_order(rows[index - 1], row).is_ne() {
                rank = index as i64 + 1;
                dense += 1;
            }
            let number = match top.ranking {
                Ranking::RowNumber => index as i64 + 1,
                Ranking::Rank => rank,
                Ranking::DenseRank => dense,
            };
            let shows = if top.only {
                number == top.last
            } else {
                number <= top.last
            };
            match (shows, top.numbered) {
                (false, _) => {}
                (true, true) => out.push(with(row, [Value::Int(number)])),
                (true, false) => out.push((*row).clone()),
            }
        }
    }
    out
}
