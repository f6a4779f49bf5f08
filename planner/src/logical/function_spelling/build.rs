//! Parts of sqlparser's tree, made and looked at.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, DuplicateTreatment,
    ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, OrderByExpr,
    OrderByOptions, SelectItem, SetExpr, Subscript, Value,
};

use super::super::spelling::function_name;

pub(in crate::logical) fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

pub(in crate::logical) fn number(number: i64) -> Expr {
    Expr::value(Value::Number(number.to_string(), false))
}

/// Whether an expression may be a number above zero: all but zero and what begins with a sign.
pub(super) fn is_positive(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { .. } => false,
        Expr::Value(value) => !matches!(&value.value, Value::Number(number, _) if number == "0"),
        _ => true,
    }
}

/// A call with plain arguments.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(argument);
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn argument(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

/// A field of a struct.
pub(in crate::logical) fn field(of: Expr, name: &str) -> Expr {
    let index = text(name);
    Expr::CompoundFieldAccess {
        root: Box::new(of),
        access_chain: vec![AccessExpr::Subscript(Subscript::Index { index })],
    }
}

/// The arguments of a call that are expressions by position; `None` if it has others.
pub(in crate::logical) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    match &function.args {
        FunctionArguments::List(list) => by_position(&list.args),
        _ => None,
    }
}

/// `args` if all of them are expressions by position.
pub(in crate::logical) fn by_position(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let each = args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    each.collect()
}

/// Gives a call another name, at the same place.
pub(super) fn rename(function: &mut Function, name: &str) {
    let span = match function.name.0.last() {
        Some(ObjectNamePart::Identifier(old)) => old.span,
        _ => datafusion::sql::sqlparser::tokenizer::Span::empty(),
    };
    function.name = ObjectName::from(vec![Ident {
        span,
        ..Ident::new(name)
    }]);
}

/// Puts another argument behind those of a call.
pub(super) fn append(function: &mut Function, expr: Expr) {
    if let FunctionArguments::List(list) = &mut function.args {
        list.args.push(argument(expr));
    }
}

/// Gives a call these arguments.
pub(super) fn replace(function: &mut Function, arguments: Vec<FunctionArgExpr>) {
    if let FunctionArguments::List(list) = &mut function.args {
        list.args = arguments.into_iter().map(FunctionArg::Unnamed).collect();
    }
}

pub(in crate::logical) fn case(condition: &Expr, then: &Expr, otherwise: &Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: condition.clone(),
            result: then.clone(),
        }],
        else_result: Some(Box::new(otherwise.clone())),
    }
}

pub(in crate::logical) fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left))),
        op: BinaryOperator::And,
        right: Box::new(Expr::Nested(Box::new(right))),
    }
}

/// `COALESCE` of what is given, and of what calls of it among that are given: DataFusion plans each
/// argument twice, so what is in a call inside of a call four times.
pub(in crate::logical) fn coalesce(given: Vec<Expr>) -> Expr {
    let flat = given.into_iter().flat_map(|given| match &given {
        Expr::Function(inner) if is_coalesce(&given) => {
            arguments(inner).unwrap_or_else(|| vec![given.clone()])
        }
        _ => vec![given],
    });
    call("coalesce", flat.collect())
}

pub(super) fn is_coalesce(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(call) if function_name(call).as_deref() == Some("coalesce"))
}

/// `expr` as a double.
pub(super) fn double(expr: Expr) -> Expr {
    cast(expr, DataType::Double(ExactNumberInfo::None))
}

/// `text[]`.
pub(super) fn texts() -> DataType {
    let item = Box::new(DataType::Text);
    DataType::Array(ArrayElemTypeDef::SquareBracket(item, None))
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

pub(in crate::logical) fn ascending(expr: Expr) -> OrderByExpr {
    OrderByExpr {
        expr,
        options: OrderByOptions {
            asc: None,
            nulls_first: None,
        },
        with_fill: None,
    }
}

/// `array_agg(x ORDER BY x) FILTER (WHERE x IS NOT NULL)` of an aggregate `WITHIN GROUP`.
pub(super) fn sorted_list(function: &Function, order: &OrderByExpr) -> Expr {
    let mut all = function.clone();
    rename(&mut all, "array_agg");
    all.within_group = Vec::new();
    let duplicate_treatment = match &function.args {
        FunctionArguments::List(list) => list.duplicate_treatment,
        _ => None,
    };
    all.args = FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment,
        args: vec![argument(order.expr.clone())],
        clauses: vec![FunctionArgumentClause::OrderBy(vec![order.clone()])],
    });
    let known = Expr::IsNotNull(Box::new(order.expr.clone()));
    all.filter = Some(Box::new(match all.filter.take() {
        Some(filter) => and(*filter, known),
        None => known,
    }));
    Expr::Function(all)
}

/// A call with DISTINCT and without ORDER BY in the order of its first argument, as PostgreSQL
/// gives it.
pub(super) fn sorted_distinct(function: &Function) -> Option<Function> {
    let mut sorted = function.clone();
    let FunctionArguments::List(list) = &mut sorted.args else {
        return None;
    };
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(first)) = list.args.first()? else {
        return None;
    };
    if !distinct || !list.clauses.is_empty() || !function.within_group.is_empty() {
        return None;
    }
    let order = ascending(first.clone());
    list.clauses = vec![FunctionArgumentClause::OrderBy(vec![order])];
    Some(sorted)
}

/// Whether an expression says by itself that it is JSON.
pub(super) fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_json(inner),
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::JSON | DataType::JSONB),
        Expr::BinaryOp { op, .. } => {
            matches!(op, BinaryOperator::Arrow | BinaryOperator::HashArrow)
        }
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => {
                    is_json(expr)
                }
                _ => false,
            },
            _ => false,
        },
        Expr::Function(function) => function_name(function).is_some_and(|name| {
            let builds = name.starts_with("json_build_") || name.starts_with("jsonb_build_");
            let others = ["to_json", "to_jsonb", "json_of_rows", "jsonb_concat"];
            builds || others.contains(&name.as_str())
        }),
        _ => false,
    }
}
