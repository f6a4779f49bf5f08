//! What an aggregate call is of a set of rows.

use super::sql_order;
use crate::rel::{Call, Function};
use crate::value::{Row, Value};

/// The value of `call` over `rows`.
pub fn value(call: &Call, rows: &[&Row]) -> Value {
    let mut rows: Vec<&Row> = rows
        .iter()
        .copied()
        .filter(|row| {
            let filter = call.filter.as_ref();
            filter.is_none_or(|filter| filter.value(row).is_true())
        })
        .collect();
    let Some((argument, _)) = &call.argument else {
        return Value::Int(rows.len() as i64);
    };
    if matches!(
        call.function,
        Function::First | Function::Last | Function::Array | Function::Text
    ) {
        rows.sort_by(|a, b| {
            let orders = a.iter().zip(*b).map(|(a, b)| sql_order(a, b, false));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
    }
    let values: Vec<Value> = rows.iter().map(|row| argument.value(row)).collect();
    of_values(call.function, call.distinct, values)
}

/// The value of `function` over `values`, which are in order where that matters.
pub fn of_values(function: Function, distinct: bool, values: Vec<Value>) -> Value {
    match function {
        Function::First => return values.into_iter().next().unwrap_or(Value::Null),
        Function::Last => return values.into_iter().next_back().unwrap_or(Value::Null),
        Function::Array if values.is_empty() => return Value::Null,
        Function::Array => return Value::List(values),
        _ => {}
    }
    let mut values: Vec<Value> = values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect();
    if distinct {
        values.sort_by(Value::order);
        values.dedup_by(|a, b| a.same(b));
    }
    if function == Function::Count {
        return Value::Int(values.len() as i64);
    }
    if values.is_empty() {
        return Value::Null;
    }
    match function {
        Function::Min => values.into_iter().min_by(Value::order),
        Function::Max => values.into_iter().max_by(Value::order),
        Function::Sum => Some(sum(&values)),
        Function::Avg => Some(match sum(&values) {
            Value::Int(sum) => Value::Real(sum as f64 / values.len() as f64),
            Value::Real(sum) => Value::Real(sum / values.len() as f64),
            _ => Value::Null,
        }),
        Function::Text => {
            let texts = values.iter().map(|value| match value {
                Value::Text(text) => text.as_str(),
                _ => "?",
            });
            Some(Value::Text(texts.collect::<Vec<_>>().join(",")))
        }
        Function::All => Some(Value::Bool(values.iter().all(Value::is_true))),
        _ => None,
    }
    .unwrap_or(Value::Null)
}

fn sum(values: &[Value]) -> Value {
    let mut values = values.iter().cloned();
    let first = values.next().unwrap_or(Value::Null);
    values.fold(first, |sum, value| match (sum, value) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a + b),
        (Value::Real(a), Value::Real(b)) => Value::Real(a + b),
        (Value::Decimal(a), Value::Decimal(b)) => Value::Decimal(a + b),
        _ => Value::Null,
    })
}
