//! Functions and operators in the spellings of other systems, and those of PostgreSQL's that are
//! planned as others: rewritten in sqlparser's tree, for reads and for views. Idempotent.

mod build;
mod escape;
mod flink;
mod lists;
mod quantified;
mod time;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CeilFloorKind, Expr, Function, FunctionArgExpr, FunctionArguments, Ident,
    OrderByExpr, Select, SelectItem, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::spelling::function_name;
pub use build::call;
pub(super) use build::text;
pub(super) use build::{and, arguments, ascending, by_position, case, coalesce, field, number};

/// Names of functions that only have another name, or another one with the same arguments.
const NAMES: [(&str, &str); 13] = [
    ("approx_count_distinct", "approx_distinct"),
    ("approx_quantile", "approx_percentile_cont"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("ceiling", "ceil"),
    ("collect", "array_agg"),
    ("collect_list", "array_agg"),
    ("every", "bool_and"),
    ("gen_random_uuid", "uuid"),
    ("ifnull", "coalesce"),
    ("listagg", "string_agg"),
    ("nvl", "coalesce"),
    ("variance", "var_samp"),
];

/// Operators before an operand that are functions.
const SIGNS: [(UnaryOperator, &str); 3] = [
    (UnaryOperator::PGSquareRoot, "sqrt"),
    (UnaryOperator::PGCubeRoot, "cbrt"),
    (UnaryOperator::PGAbs, "abs"),
];

/// Aggregates whose result shows the order of the values.
const LISTS: [&str; 7] = [
    "array_agg",
    "collect",
    "collect_list",
    "json_agg",
    "jsonb_agg",
    "listagg",
    "string_agg",
];

/// Marks the lower bound of `BETWEEN SYMMETRIC` in tokens and trees.
pub(crate) const SYMMETRIC_BOUND: &str = "symmetric_bound";

/// Rewrites all expressions of `node`.
pub fn rewrite<T: VisitMut>(node: &mut T) {
    let _: ControlFlow<()> = node.visit(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        keep_names(select);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(new) = rewritten(expr) {
            *expr = new;
        }
        ControlFlow::Continue(())
    }
}

/// A column without a name has that of its function, also where another one takes its place.
fn keep_names(select: &mut Select) {
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Function(function)) => function_name(function),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.to_lowercase()),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.to_lowercase()),
        _ => None,
    };
    let taken: Vec<String> = select.projection.iter().filter_map(name).collect();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let Expr::Function(function) = &*expr else {
            continue;
        };
        let Some(name) = function_name(function) else {
            continue;
        };
        let is_one = taken.iter().filter(|other| **other == name).count() == 1;
        if is_one && of_function(function).is_some() {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::new(name),
            };
        }
    }
}

fn rewritten(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => {
            let zone = time_zone.as_ref().clone();
            Some(call("timezone", vec![zone, timestamp.as_ref().clone()]))
        }
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => negative_power(expr),
        Expr::UnaryOp { op, expr } => {
            let (_, name) = SIGNS.iter().find(|(sign, _)| sign == op)?;
            Some(call(name, vec![expr.as_ref().clone()]))
        }
        Expr::SimilarTo { .. } => escape::similar(expr),
        Expr::Like { .. } | Expr::ILike { .. } => escape::plain(expr),
        Expr::Extract { field, expr, .. } => time::of_years(field, expr),
        Expr::Substring {
            expr,
            substring_from: Some(pattern),
            substring_for: None,
            special: false,
            ..
        } if is_text_literal(pattern) => {
            let both = vec![expr.as_ref().clone(), pattern.as_ref().clone()];
            Some(call("regexp_part", both))
        }
        Expr::Floor {
            expr,
            field: CeilFloorKind::DateTimeField(unit),
        } => time::floor(expr, &unit.to_string()),
        Expr::Ceil {
            expr,
            field: CeilFloorKind::DateTimeField(unit),
        } => time::ceil(expr, &unit.to_string()),
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => symmetric(expr, *negated, low, high),
        Expr::Function(function) => of_function(function),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::StringConcat,
            right,
        } if build::is_json(left) || build::is_json(right) => {
            let both = vec![left.as_ref().clone(), right.as_ref().clone()];
            Some(call("jsonb_concat", both))
        }
        _ => quantified::rewritten(expr),
    }
}

/// In PostgreSQL a sign binds closer than `^`; sqlparser reads -3 ^ 2 as -(3 ^ 2).
fn negative_power(expr: &Expr) -> Option<Expr> {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::PGExp,
        right,
    } = expr
    else {
        return None;
    };
    Some(Expr::BinaryOp {
        left: Box::new(nested(Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: left.clone(),
        })),
        op: BinaryOperator::PGExp,
        right: right.clone(),
    })
}

/// `x BETWEEN a AND b OR x BETWEEN b AND a`.
fn symmetric(expr: &Expr, negated: bool, low: &Expr, high: &Expr) -> Option<Expr> {
    let Expr::Function(bound) = low else {
        return None;
    };
    if function_name(bound)? != SYMMETRIC_BOUND {
        return None;
    }
    let [low] = arguments(bound)?.try_into().ok()?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated: false,
        low: Box::new(nested(low.clone())),
        high: Box::new(nested(high.clone())),
    };
    let either = nested(Expr::BinaryOp {
        left: Box::new(between(&low, high)),
        op: BinaryOperator::Or,
        right: Box::new(between(high, &low)),
    });
    Some(match negated {
        true => nested(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(either),
        }),
        false => either,
    })
}

fn of_function(function: &Function) -> Option<Expr> {
    let name = function_name(function)?;
    if LISTS.contains(&name.as_str())
        && let Some(sorted) = build::sorted_distinct(function)
    {
        return of_function(&sorted).or(Some(Expr::Function(sorted)));
    }
    if let (FunctionArguments::Subquery(query), "array") = (&function.args, name.as_str()) {
        return lists::of_rows(query);
    }
    let given = arguments(function);
    let plain = given.as_deref().unwrap_or_default();
    match (name.as_str(), plain) {
        ("if", [condition, then, otherwise]) => Some(case(condition, then, otherwise)),
        ("mod", [left, right]) => Some(nested(Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::Modulo,
            right: Box::new(right.clone()),
        })),
        ("coalesce", given) if given.iter().any(build::is_coalesce) => {
            Some(build::coalesce(given.to_vec()))
        }
        ("count_if" | "countif", [condition]) => Some(counted(function, condition)),
        ("listagg", [value]) => {
            let mut function = function.clone();
            build::replace(&mut function, vec![FunctionArgExpr::Expr(value.clone())]);
            build::append(&mut function, text(","));
            Some(renamed(&function, "string_agg"))
        }
        ("regexp_substr", [value, pattern]) => {
            let group = call("concat", vec![text("("), pattern.clone(), text(")")]);
            let found = call("regexp_match", vec![value.clone(), group]);
            Some(call("array_element", vec![found, number(1)]))
        }
        ("percentile_cont" | "percentile_disc", [share]) => {
            let [order] = function.within_group.as_slice() else {
                return None;
            };
            Some(percentile(function, order, share))
        }
        ("percentile_cont" | "quantile_cont" | "quantile_disc", [value, share]) => {
            let order = build::ascending(value.clone());
            Some(percentile(function, &order, share))
        }
        (
            name @ ("json_build_object" | "json_build_array" | "jsonb_build_object"
            | "jsonb_build_array" | "to_json" | "to_jsonb"),
            given,
        ) => documents(name, given),
        (name, given) => {
            let of_time = time::of_call(name, function, given);
            of_time
                .or_else(|| flink::of_call(name, given))
                .or_else(|| lists::of_call(name, function, given))
                .or_else(|| whole(name, function, given))
                .or_else(|| other_name(function, name))
        }
    }
}

/// `trunc(x, 0)`: without digits behind the point a numeric shows none.
fn whole(name: &str, function: &Function, given: &[Expr]) -> Option<Expr> {
    match (name, given) {
        ("trunc", [_, digits]) if !build::is_positive(digits) => {
            Some(call("trunc", vec![Expr::Function(function.clone())]))
        }
        _ => None,
    }
}

fn other_name(function: &Function, name: &str) -> Option<Expr> {
    let (_, new) = NAMES.iter().find(|(old, _)| *old == name)?;
    Some(renamed(function, new))
}

fn is_text_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn renamed(function: &Function, name: &str) -> Expr {
    let mut function = function.clone();
    build::rename(&mut function, name);
    Expr::Function(function)
}

/// `count(*) FILTER (WHERE c)`, beside a filter of its own.
fn counted(function: &Function, condition: &Expr) -> Expr {
    let mut counted = function.clone();
    build::rename(&mut counted, "count");
    build::replace(&mut counted, vec![FunctionArgExpr::Wildcard]);
    counted.filter = Some(Box::new(match counted.filter.take() {
        Some(filter) => build::and(*filter, condition.clone()),
        None => condition.clone(),
    }));
    Expr::Function(counted)
}

/// What lies at a share of the sorted values: one of them, or what is between two.
fn percentile(function: &Function, order: &OrderByExpr, share: &Expr) -> Expr {
    let all = build::sorted_list(function, order);
    let between = function_name(function).is_some_and(|name| name.ends_with("_cont"));
    let name = match between {
        true => "list_percentile_cont",
        false => "list_percentile_disc",
    };
    call(name, vec![all, share.clone()])
}

/// Arguments that are JSON already are put into a document as they are.
fn documents(name: &str, given: &[Expr]) -> Option<Expr> {
    if !given.iter().any(build::is_json) {
        return None;
    }
    let given = given.iter().map(|argument| match build::is_json(argument) {
        true => call("raw_json", vec![argument.clone()]),
        false => argument.clone(),
    });
    Some(call(name, given.collect()))
}
