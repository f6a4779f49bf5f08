//! Functions of Flink: parts of times as whole numbers, seconds since 1970.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, TimezoneInfo, Value};

use super::build::{call, cast, number, text};

/// Parts of a time by the function that gives them: the name of the part, and what is added.
const PARTS: [(&str, &str, i64); 10] = [
    ("year", "year", 0),
    ("quarter", "quarter", 0),
    ("month", "month", 0),
    ("week", "week", 0),
    ("dayofyear", "doy", 0),
    ("dayofmonth", "day", 0),
    // Sunday is 1, as in MySQL.
    ("dayofweek", "dow", 1),
    ("hour", "hour", 0),
    ("minute", "minute", 0),
    ("second", "second", 0),
];

/// A call of one of Flink's functions, in another form.
pub(super) fn of_call(name: &str, given: &[Expr]) -> Option<Expr> {
    match (name, given) {
        (name, [time]) if PARTS.iter().any(|(function, ..)| *function == name) => {
            let (_, part, more) = PARTS.iter().find(|(function, ..)| *function == name)?;
            let part = whole(call("date_part", vec![text(part), time.clone()]));
            Some(match more {
                0 => part,
                more => Expr::Nested(Box::new(Expr::BinaryOp {
                    left: Box::new(part),
                    op: BinaryOperator::Plus,
                    right: Box::new(number(*more)),
                })),
            })
        }
        ("unix_timestamp", []) => Some(seconds_of(call("now", vec![]))),
        ("unix_timestamp", [time]) => Some(seconds_of(time.clone())),
        ("unix_timestamp", [time, template]) => {
            let given = vec![time.clone(), template.clone()];
            Some(seconds_of(call("to_timestamp", given)))
        }
        ("from_unixtime", [seconds, template]) => {
            let time = call("to_timestamp_seconds", vec![seconds.clone()]);
            Some(call("date_format", vec![time, template.clone()]))
        }
        ("to_timestamp_ltz", [count, digits]) if is_nine(digits) => {
            Some(call("to_timestamp_ltz_nanos", vec![count.clone()]))
        }
        _ => None,
    }
}

fn is_nine(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(&value.value, Value::Number(digits, _) if digits == "9"),
        _ => false,
    }
}

/// `CAST(floor(x) AS BIGINT)`.
fn whole(expr: Expr) -> Expr {
    cast(call("floor", vec![expr]), DataType::BigInt(None))
}

/// Seconds from 1970 to a time, which is read by the clocks of UTC.
fn seconds_of(time: Expr) -> Expr {
    let time = cast(time, DataType::Timestamp(None, TimezoneInfo::None));
    whole(call("date_part", vec![text("epoch"), time]))
}
