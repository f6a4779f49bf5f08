//! Rows compared with those of another query, and rows for each of some values.

use super::{aggregate, by_key, fulfils, sql_order, with};
use crate::rel::{As, Purpose, SetOperation, Subquery, Test, Unnest};
use crate::value::{Row, Value};

/// The rows of EXCEPT and INTERSECT: of equal rows, as many as their counts leave.
pub fn sets(sets: &SetOperation, left: &[Row], right: &[Row]) -> Vec<Row> {
    let whole = |row: &Row| row.clone();
    let others = by_key(right, &whole);
    let mut out = Vec::new();
    for (row, ours) in by_key(left, &whole) {
        let same = |(other, _): &&(Row, Vec<&Row>)| {
            other.iter().zip(&row).all(|(other, own)| other.same(own))
        };
        let theirs = others.iter().find(same).map_or(0, |(_, rows)| rows.len());
        let count = match (sets.common, sets.all) {
            (true, true) => ours.len().min(theirs),
            (true, false) => usize::from(theirs > 0),
            (false, true) => ours.len().saturating_sub(theirs),
            (false, false) => usize::from(theirs == 0),
        };
        out.extend(std::iter::repeat_n(row, count));
    }
    out
}

/// A row for each value.
pub fn unnested(unnest: &Unnest, rows: &[Row]) -> Vec<Row> {
    let mut out = Vec::new();
    for row in rows {
        for (index, item) in unnest.items.iter().enumerate() {
            let number = unnest.numbered.then_some(Value::Int(index as i64 + 1));
            out.push(with(row, std::iter::once(item.value(row)).chain(number)));
        }
    }
    out
}

/// The rows of a query with another one inside, whose rows are `inner`, of `width` columns.
pub fn rows(subquery: &Subquery, rows: &[Row], inner: &[Row], width: usize) -> Vec<Row> {
    let mut out = Vec::new();
    for row in rows {
        let fits = |other: &&Row| match subquery.equal {
            Some((own, theirs)) => !row[own].is_null() && row[own].same(&other[theirs]),
            None => true,
        };
        let found: Vec<&Row> = inner.iter().filter(fits).collect();
        match &subquery.purpose {
            Purpose::Test(test, place) => {
                let value = tested(*test, row, &found);
                match place {
                    As::Condition if value.is_true() => out.push(row.clone()),
                    As::Or(other) if value.is_true() || fulfils(Some(other), row) => {
                        out.push(row.clone());
                    }
                    As::Condition | As::Or(_) => {}
                    As::Column => out.push(with(row, [value])),
                }
            }
            Purpose::Value(call) => out.push(with(row, [aggregate::value(call, &found)])),
            Purpose::First(count, outer) => {
                let mut found = found;
                found.sort_by(|a, b| {
                    let orders = a.iter().zip(*b).map(|(a, b)| sql_order(a, b, false));
                    orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
                });
                if found.is_empty() && *outer {
                    out.push(with(row, vec![Value::Null; width]));
                }
                let first = found.into_iter().take(*count as usize);
                out.extend(first.map(|other| with(row, other.iter().cloned())));
            }
        }
    }
    out
}

fn tested(test: Test, row: &Row, found: &[&Row]) -> Value {
    let (value, column, inside) = match test {
        Test::Exists(exists) => return Value::Bool(found.is_empty() != exists),
        Test::In(value, column, inside) => (&row[value], column, inside),
    };
    if found.is_empty() {
        return Value::Bool(!inside);
    }
    if value.is_null() {
        return Value::Null;
    }
    if found.iter().any(|other| other[column].same(value)) {
        return Value::Bool(inside);
    }
    match found.iter().any(|other| other[column].is_null()) {
        true => Value::Null,
        false => Value::Bool(!inside),
    }
}
