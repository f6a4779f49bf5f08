//! What calls over the rows around each row are.

use std::cmp::Ordering;

use super::{aggregate, by_key, sql_order, with};
use crate::rel::{Frame, Over, OverCall, Ranking};
use crate::value::{Row, Value};

/// The rows with their calls.
pub fn rows(over: &Over, rows: &[Row]) -> Vec<Row> {
    let key = |row: &Row| over.partition.iter().map(|c| row[*c].clone()).collect();
    let mut out = Vec::new();
    for (_, mut rows) in by_key(rows, &key) {
        rows.sort_by(|a, b| {
            let time = sql_order(&a[over.time], &b[over.time], false);
            let rest = a.iter().zip(*b).map(|(a, b)| sql_order(a, b, false));
            rest.fold(time, Ordering::then)
        });
        for at in 0..rows.len() {
            let calls = over.calls.iter();
            let calls = calls.map(|call| value(call, &rows, at, over.time));
            out.push(with(rows[at], calls.collect::<Vec<_>>()));
        }
    }
    out
}

fn time_of(row: &Row, time: usize) -> i64 {
    match row[time] {
        Value::Time(us) => us,
        _ => 0,
    }
}

fn value(call: &OverCall, rows: &[&Row], at: usize, time: usize) -> Value {
    let now = time_of(rows[at], time);
    match call {
        OverCall::Number(Ranking::RowNumber) => Value::Int(at as i64 + 1),
        OverCall::Number(ranking) => {
            let before: Vec<i64> = rows.iter().map(|row| time_of(row, time)).collect();
            let mut earlier: Vec<i64> = before.into_iter().filter(|other| *other < now).collect();
            if *ranking == Ranking::DenseRank {
                earlier.sort_unstable();
                earlier.dedup();
            }
            Value::Int(earlier.len() as i64 + 1)
        }
        OverCall::Shift(of, _, by, default) => {
            let place = at as i64 - by;
            let found = usize::try_from(place)
                .ok()
                .and_then(|place| rows.get(place));
            match found {
                Some(row) => row[*of].clone(),
                None => default.clone().unwrap_or(Value::Null),
            }
        }
        OverCall::Aggregate(function, argument, frame) => {
            let inside = |index: usize| match frame {
                Frame::Default => time_of(rows[index], time) <= now,
                Frame::Rows(before, after) => {
                    let distance = index as i64 - at as i64;
                    before.is_none_or(|before| distance >= -before) && distance <= *after
                }
                Frame::Range(before, after) => {
                    let distance = time_of(rows[index], time) - now;
                    before.is_none_or(|before| distance >= -before) && distance <= *after
                }
            };
            let inside = (0..rows.len()).filter(|index| inside(*index));
            let values: Vec<Value> = inside
                .map(|index| match argument {
                    Some((of, _)) => rows[index][*of].clone(),
                    None => Value::Bool(true),
                })
                .collect();
            aggregate::of_values(*function, false, values)
        }
    }
}
