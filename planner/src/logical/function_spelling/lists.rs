//! Aggregates that are planned as functions of the list of their rows.

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArgExpr, FunctionArguments, Ident, Query,
    SelectItem, SetExpr, Value,
};

use super::build::{self, and, call, text};
use crate::logical::spelling::{derived, select_all};

/// A call of such an aggregate, in another form.
pub(super) fn of_call(name: &str, function: &Function, given: &[Expr]) -> Option<Expr> {
    match (name, given) {
        ("json_agg" | "jsonb_agg", [value]) => {
            let mut rows = function.clone();
            if build::is_json(value) {
                let value = call("raw_json", vec![value.clone()]);
                build::replace(&mut rows, vec![FunctionArgExpr::Expr(value)]);
            }
            Some(call(
                "json_of_rows",
                vec![super::renamed(&rows, "array_agg")],
            ))
        }
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
        ("median", [value]) => median(function, value),
        ("mode", []) => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            let all = build::sorted_list(function, order);
            Some(call("list_mode", vec![all]))
        }
        // DataFusion's texts of the elements are others than PostgreSQL's.
        ("array_to_string", [list, rest @ ..]) if !matches!(list, Expr::Cast { .. }) => {
            let texts = build::cast(list.clone(), build::texts());
            let rest = rest.iter().cloned();
            Some(call(name, std::iter::once(texts).chain(rest).collect()))
        }
        // RisingWave's: how far it may be off changes nothing, for the answer is exact.
        ("approx_percentile", [share] | [share, _]) => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            let all = build::sorted_list(function, order);
            let found = call("list_percentile_disc", vec![all, share.clone()]);
            Some(build::double(found))
        }
        _ => None,
    }
}

/// As a percentile, which is a double; beside `OVER` of doubles. DataFusion's median is of the type
/// of the values: it cuts what lies between two of them.
fn median(function: &Function, value: &Expr) -> Option<Expr> {
    match &function.over {
        None => {
            let half = Expr::value(Value::Number("0.5".to_owned(), false));
            let mut percentile = function.clone();
            build::rename(&mut percentile, "percentile_cont");
            let order = build::ascending(value.clone());
            Some(super::percentile(&percentile, &order, &half))
        }
        Some(_) if matches!(value, Expr::Cast { .. }) => None,
        Some(_) => {
            let mut whole = function.clone();
            let value = FunctionArgExpr::Expr(build::double(value.clone()));
            build::replace(&mut whole, vec![value]);
            Some(Expr::Function(whole))
        }
    }
}

/// `ARRAY(SELECT x …)`: the rows of a query, in its order, as a list; an empty one without rows.
pub(super) fn of_rows(query: &Query) -> Option<Expr> {
    const ITEM: &str = "__item";
    let all = call("array_agg", vec![Expr::Identifier(Ident::new(ITEM))]);
    let some = call("coalesce", vec![all, call("make_array", Vec::new())]);
    let mut outer = select_all(vec![Ident::new("t")]).ok()?;
    let SetExpr::Select(select) = outer.body.as_mut() else {
        return None;
    };
    select.projection = vec![SelectItem::UnnamedExpr(some)];
    let from = select.from.first_mut()?;
    from.relation = derived(query.clone(), "__array", &[ITEM]);
    Some(Expr::Subquery(outer))
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
