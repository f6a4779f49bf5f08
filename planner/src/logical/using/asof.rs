//! `ASOF JOIN … USING (k, ts)`: its columns are the left ones and show where the left relation has
//! them, as DuckDB does it.
//!
//! `parse::join` writes the names behind the arguments of the join's marker.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinConstraint,
};

use super::shown::{Shown, find, take_away};
use crate::error::PlanError;
use crate::logical::join_marker::ASOF;
use crate::logical::spelling::function_name;

/// Condition and tolerance, which stand before the names.
const ARGUMENTS: usize = 2;

fn marker(constraint: &mut JoinConstraint) -> Option<&mut Vec<FunctionArg>> {
    let JoinConstraint::On(Expr::Function(function)) = constraint else {
        return None;
    };
    if function_name(function)? != ASOF {
        return None;
    }
    match function {
        Function {
            args: FunctionArguments::List(list),
            ..
        } => Some(&mut list.args),
        _ => None,
    }
}

/// Whether a join's condition is followed by the names of shared columns.
pub(super) fn has_names(constraint: &mut JoinConstraint) -> bool {
    marker(constraint).is_some_and(|given| given.len() > ARGUMENTS)
}

/// Takes the names of shared columns off a join's condition.
pub(super) fn taken_names(constraint: &mut JoinConstraint) -> Vec<Ident> {
    let Some(given) = marker(constraint).filter(|given| given.len() > ARGUMENTS) else {
        return Vec::new();
    };
    let names = given.split_off(ARGUMENTS).into_iter();
    let name = |argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) => Some(name),
        _ => None,
    };
    names.filter_map(name).collect()
}

/// What the join shows: all of the left side, and of the right one what is not shared.
pub(super) fn shown(
    mut left: Vec<Shown>,
    mut right: Vec<Shown>,
    shared: &[Ident],
) -> Result<Vec<Shown>, PlanError> {
    for name in shared {
        let of_left = find(&left, name)?;
        take_away(&mut right, name);
        left.push(Shown::Named(name.clone(), Box::new(of_left)));
    }
    left.extend(right);
    Ok(left)
}
