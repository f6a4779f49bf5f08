//! Aggregates that are planned as functions of the list of their rows.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArgExpr,
    FunctionArguments,
};

use super::build::{self, and, call, text};

/// A call of such an aggregate, in another form.
pub(super) fn of_call(name: &str, function: &Function, given: &[Expr]) -> Option<Expr> {
    match (name, given) {
        ("json_object_agg" | "jsonb_object_agg", [key, value]) => {
            let value = match build::is_json(value) {
                true => call("raw_json", vec![value.clone()]),
                false => value.clone(),
            };
            let rows = rows_of(function, [("name", key.clone()), ("value", value)]);
            let name = match name {
                "json_object_agg" => "json_object_of_rows",
                _ => "jsonb_object_of_rows",
            };
            Some(call(name, vec![Expr::Function(rows)]))
        }
        ("string_agg", [value, delimiter]) if !is_constant(delimiter) && !is_distinct(function) => {
            let mut rows = rows_of(
                function,
                [("value", value.clone()), ("delimiter", delimiter.clone())],
            );
            let known = Expr::IsNotNull(Box::new(value.clone()));
            rows.filter = Some(Box::new(match rows.filter.take() {
                Some(filter) => and(*filter, known),
                None => known,
            }));
            Some(call("joined_text", vec![Expr::Function(rows)]))
        }
        // RisingWave's: how far it may be off changes nothing, for the answer is exact.
        ("approx_percentile", [share] | [share, _]) => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            let all = build::sorted_list(function, order);
            let found = call("list_percentile_disc", vec![all, share.clone()]);
            Some(Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(found),
                data_type: DataType::Double(ExactNumberInfo::None),
                array: false,
                format: None,
            })
        }
        _ => None,
    }
}

/// Whether an expression is written down as it is.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::Nested(expr) | Expr::Cast { expr, .. } => is_constant(expr),
        _ => false,
    }
}

fn is_distinct(function: &Function) -> bool {
    match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
        }
        _ => false,
    }
}

/// `array_agg(row of fields)` in the place of a call, with its order and filter.
fn rows_of(function: &Function, fields: [(&str, Expr); 2]) -> Function {
    let mut rows = function.clone();
    build::rename(&mut rows, "array_agg");
    let fields = fields.into_iter();
    let given = fields.flat_map(|(name, value)| [text(name), value]);
    let row = call("named_struct", given.collect());
    build::replace(&mut rows, vec![FunctionArgExpr::Expr(row)]);
    rows
}
