//! Times: truncation by the clocks of a zone, to a unit, and by QuestDB's units; differences in
//! units; intervals of named parts.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DateTimeField, Expr, ExtractSyntax, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, Value,
};

use super::build::{call, case, number, text};

/// A call that has to do with time, in another form.
pub(super) fn of_call(name: &str, function: &Function, given: &[Expr]) -> Option<Expr> {
    match (name, given) {
        ("date_trunc", [unit, time, zone]) => Some(truncated(unit, time, zone)),
        ("date_trunc", [unit, time]) => {
            let unit = singular(literal(unit)?)?;
            Some(call("date_trunc", vec![text(unit), time.clone()]))
        }
        ("timestamp_floor", [width, time]) => buckets(width, time),
        ("timestampdiff" | "timestampadd", [unit, second, third]) => {
            let unit = unit_of(unit)?;
            Some(call(name, vec![text(&unit), second.clone(), third.clone()]))
        }
        ("datediff" | "date_diff", [unit, from, to]) => {
            // A unit may be a text; the name may be the other one.
            let unit = unit_of(unit).map_or_else(|| unit.clone(), |unit| text(&unit));
            let known = name == "date_diff" && matches!(given, [Expr::Value(_), ..]);
            (!known).then(|| call("date_diff", vec![unit, from.clone(), to.clone()]))
        }
        ("age", [time]) => Some(call(
            "age",
            vec![call("current_date", vec![]), time.clone()],
        )),
        ("make_interval", _) => intervals(function),
        _ => None,
    }
}

/// `days` as `day`; `None` for what is not in the plural.
fn singular(unit: &str) -> Option<&'static str> {
    const UNITS: [&str; 10] = [
        "microsecond",
        "millisecond",
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
    ];
    let one = unit.strip_suffix(['s', 'S'])?;
    UNITS
        .into_iter()
        .find(|unit| unit.eq_ignore_ascii_case(one))
}

/// `EXTRACT(CENTURY FROM time)` and its kin, which are counted in years; `None` for another part.
pub(super) fn of_years(field: &DateTimeField, time: &Expr) -> Option<Expr> {
    let (ahead, length) = match field {
        DateTimeField::Decade => (0, 10),
        DateTimeField::Century => (99, 100),
        DateTimeField::Millennium | DateTimeField::Millenium => (999, 1000),
        _ => return None,
    };
    let year = Expr::Extract {
        field: DateTimeField::Year,
        syntax: ExtractSyntax::From,
        expr: Box::new(time.clone()),
    };
    let binary = |left: Expr, op: BinaryOperator, right: i64| Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(number(right)),
    };
    let ahead = binary(year, BinaryOperator::Plus, ahead);
    let whole = binary(
        Expr::Nested(Box::new(ahead)),
        BinaryOperator::Divide,
        length,
    );
    Some(Expr::Nested(Box::new(whole)))
}

/// Days and more are buckets of a place, which views have as windows.
fn truncated(unit: &Expr, time: &Expr, zone: &Expr) -> Expr {
    let word = literal(unit).map(str::to_ascii_lowercase);
    let width = match word.as_deref() {
        Some("day") => "1 day",
        Some("week") => "7 days",
        Some("month") => "1 month",
        Some("quarter") => "3 months",
        Some("year") => "1 year",
        _ => {
            let given = vec![unit.clone(), time.clone(), zone.clone()];
            return call("date_trunc_zone", given);
        }
    };
    call("time_bucket", vec![text(width), time.clone(), zone.clone()])
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// `FLOOR(time TO HOUR)`.
pub(super) fn floor(time: &Expr, unit: &str) -> Option<Expr> {
    // Without a unit it is the number's own function.
    (!unit.eq_ignore_ascii_case("nodatetime") && !unit.is_empty())
        .then(|| call("date_trunc", vec![text(&unit.to_lowercase()), time.clone()]))
}

/// `CEIL(time TO HOUR)`: the time itself where it is a beginning, or else the next one.
pub(super) fn ceil(time: &Expr, unit: &str) -> Option<Expr> {
    let start = floor(time, unit)?;
    let is_start = Expr::BinaryOp {
        left: Box::new(start.clone()),
        op: BinaryOperator::Eq,
        right: Box::new(time.clone()),
    };
    let next = call(
        "timestampadd",
        vec![text(&unit.to_lowercase()), number(1), start],
    );
    Some(case(&is_start, time, &next))
}

/// `timestamp_floor('1h', ts)`: QuestDB's buckets, which begin at 1970.
fn buckets(width: &Expr, time: &Expr) -> Option<Expr> {
    let written = literal(width)?;
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = written.split_at(digits);
    let count: u32 = if count.is_empty() {
        1
    } else {
        count.parse().ok()?
    };
    let unit = match unit {
        "U" => "microseconds",
        "T" => "milliseconds",
        "s" => "seconds",
        "m" => "minutes",
        "h" => "hours",
        "d" => "days",
        "w" => "weeks",
        "M" => "months",
        "y" => "years",
        _ => return None,
    };
    let width = text(&format!("{count} {unit}"));
    Some(call("time_bucket", vec![width, time.clone()]))
}

/// A unit written as a word or as a text.
fn unit_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// The parts of an interval in the order of `make_interval`.
const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

fn place_of(name: &Ident) -> Option<usize> {
    let mut parts = PARTS.iter();
    parts.position(|part| name.value.eq_ignore_ascii_case(part))
}

fn expr_of(argument: &FunctionArgExpr) -> Option<&Expr> {
    match argument {
        FunctionArgExpr::Expr(expr) => Some(expr),
        _ => None,
    }
}

/// `make_interval(days => 3)` with its parts by position.
fn intervals(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let mut given: Vec<Option<Expr>> = vec![None; PARTS.len()];
    let mut named = false;
    for (index, argument) in list.args.iter().enumerate() {
        let (place, expr) = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (index, expr),
            FunctionArg::Named { name, arg, .. } => {
                named = true;
                (place_of(name)?, expr_of(arg)?)
            }
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                ..
            } => {
                named = true;
                (place_of(name)?, expr_of(arg)?)
            }
            _ => return None,
        };
        *given.get_mut(place)? = Some(expr.clone());
    }
    let parts = given
        .into_iter()
        .map(|part| part.unwrap_or_else(|| number(0)));
    (named || list.args.is_empty()).then(|| call("make_interval", parts.collect()))
}
