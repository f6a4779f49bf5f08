//! Spellings of calls that DataFusion has in another form, rewritten in sqlparser's tree: a field
//! of a struct after a dot, `(macd(price) OVER w).macdsignal`, and how weights decay by name,
//! `ewma(price, span => 20)`. Idempotent.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Statement,
    Subscript, Value, VisitMut, VisitorMut,
};

use super::spelling::{folded, function_name};

/// Rewrites a statement.
pub fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
                        let index = text(&folded(field));
                        *access = AccessExpr::Subscript(Subscript::Index { index });
                    }
                }
            }
            Expr::Function(function) => name_decay(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

/// The functions whose weights decay, with the arguments `decay` and `kind`.
const DECAYING: [&str; 5] = ["ewma", "ewm_var", "ewm_std", "ewm_cov", "ewm_corr"];

/// What a decay may be a measure of.
const KINDS: [&str; 4] = ["alpha", "span", "halflife", "com"];

/// `span => 20` as `decay => 20, kind => 'span'`.
fn name_decay(function: &mut Function) {
    let decays = function_name(function).is_some_and(|name| DECAYING.contains(&name.as_str()));
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let mut kind = None;
    for argument in list.args.iter_mut().filter(|_| decays) {
        let Some(name) = name_of(argument) else {
            continue;
        };
        if KINDS.contains(&name.as_str()) && kind.is_none() {
            rename(argument, "decay");
            let mut given = argument.clone();
            rename(&mut given, "kind");
            match &mut given {
                FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } => {
                    *arg = FunctionArgExpr::Expr(text(&name));
                }
                FunctionArg::Unnamed(_) => continue,
            }
            kind = Some(given);
        }
    }
    list.args.extend(kind);
}

fn name_of(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Named { name, .. } => Some(folded(name)),
        FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            ..
        } => Some(folded(name)),
        _ => None,
    }
}

fn rename(argument: &mut FunctionArg, to: &str) {
    match argument {
        FunctionArg::Named { name, .. }
        | FunctionArg::ExprNamed {
            name: Expr::Identifier(name),
            ..
        } => name.value = to.to_owned(),
        _ => {}
    }
}
