//! What the relations of FROM show, and what a join by shared columns makes of it.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExceptSelectItem, Expr, Ident, JoinConstraint, ObjectName, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use crate::error::PlanError;
use crate::logical::function_spelling::coalesce;
use crate::logical::row_spelling::{self, binary};
use crate::logical::spelling::{folded, quoted};

/// Columns of a relation of FROM, in order.
#[derive(Clone)]
pub(super) enum Shown {
    /// A column that several relations share.
    Merged(Ident, Box<Expr>),
    /// What a bare name means that several relations have; it shows where its own relation does.
    Named(Ident, Box<Expr>),
    /// Those of one relation.
    Of {
        name: ObjectName,
        columns: Option<Vec<String>>,
        /// Shown as a shared column.
        without: Vec<String>,
    },
}

/// What a shared column is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Inner,
    Left,
    Right,
    Full,
    /// Only the columns of the left, or right, side show.
    Half {
        left: bool,
    },
}

/// What a join of `left` and `right` by the columns `shared` shows; its condition goes to
/// `constraint`.
pub(super) fn joined(
    mut left: Vec<Shown>,
    mut right: Vec<Shown>,
    kind: Kind,
    shared: &[Ident],
    constraint: &mut JoinConstraint,
) -> Result<Vec<Shown>, PlanError> {
    let mut equal = Vec::with_capacity(shared.len());
    let mut merged = Vec::with_capacity(shared.len());
    for name in shared {
        let of_left = find(&left, name)?;
        let of_right = find(&right, name)?;
        equal.push(binary(
            of_left.clone(),
            BinaryOperator::Eq,
            of_right.clone(),
        ));
        let expr = match kind {
            Kind::Right => of_right,
            Kind::Full => coalesce(vec![of_left, of_right]),
            Kind::Inner | Kind::Left | Kind::Half { .. } => of_left,
        };
        merged.push(Shown::Merged(name.clone(), Box::new(expr)));
    }
    // Without a shared column a natural join pairs all rows.
    *constraint = JoinConstraint::On(row_spelling::joined(equal, &BinaryOperator::And));
    match kind {
        Kind::Half { left: true } => return Ok(left),
        Kind::Half { left: false } => return Ok(right),
        _ => {}
    }
    for name in shared {
        take_away(&mut left, name);
        take_away(&mut right, name);
    }
    Ok(merged.into_iter().chain(left).chain(right).collect())
}

/// The column `name` of some relations.
pub(super) fn find(among: &[Shown], name: &Ident) -> Result<Expr, PlanError> {
    let wanted = folded(name);
    let mut unknown = Vec::new();
    let mut found = Vec::new();
    for shown in among {
        match shown {
            Shown::Merged(merged, expr) if folded(merged) == wanted => {
                found.push(expr.as_ref().clone());
            }
            Shown::Merged(..) | Shown::Named(..) => {}
            Shown::Of { without, .. } if without.contains(&wanted) => {}
            Shown::Of {
                name: of,
                columns: Some(columns),
                ..
            } if columns.contains(&wanted) => found.push(qualified(of, name)),
            Shown::Of {
                name: of,
                columns: None,
                ..
            } => unknown.push(qualified(of, name)),
            Shown::Of { .. } => {}
        }
    }
    match (found.as_slice(), unknown.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one.clone()),
        _ => {
            let what = format!("USING ({name}) of a column that cannot be told from others");
            let error = PlanError::unsupported(what);
            Err(error.hint("Write ON a.k = b.k with the relations' names."))
        }
    }
}

pub(super) fn take_away(among: &mut Vec<Shown>, name: &Ident) {
    let wanted = folded(name);
    among.retain(|shown| match shown {
        Shown::Merged(name, _) | Shown::Named(name, _) => folded(name) != wanted,
        Shown::Of { .. } => true,
    });
    for shown in among {
        if let Shown::Of {
            columns, without, ..
        } = shown
            && columns
                .as_ref()
                .is_none_or(|columns| columns.contains(&wanted))
        {
            without.push(wanted.clone());
        }
    }
}

/// The names that both sides have, in the order of the left one.
pub(super) fn common(left: &[Shown], right: &[Shown]) -> Option<Vec<String>> {
    let names = |among: &[Shown]| -> Option<Vec<String>> {
        let mut all = Vec::new();
        for shown in among {
            match shown {
                Shown::Merged(name, _) => all.push(folded(name)),
                Shown::Named(..) => {}
                Shown::Of {
                    columns, without, ..
                } => {
                    let columns = columns.as_ref()?.iter();
                    all.extend(columns.filter(|name| !without.contains(name)).cloned());
                }
            }
        }
        Some(all)
    };
    let (left, right) = (names(left)?, names(right)?);
    Some(
        left.into_iter()
            .filter(|name| right.contains(name))
            .collect(),
    )
}

/// The columns of a relation, or a shared one, written out.
pub(super) fn items_of(shown: &Shown) -> Vec<SelectItem> {
    match shown {
        Shown::Merged(name, expr) => vec![item_of(name, expr)],
        Shown::Named(..) => Vec::new(),
        Shown::Of {
            name,
            columns: Some(columns),
            without,
        } => columns
            .iter()
            .filter(|column| !without.contains(column))
            .map(|column| SelectItem::UnnamedExpr(qualified(name, &quoted(column))))
            .collect(),
        Shown::Of {
            name,
            columns: None,
            without,
        } => {
            let mut hidden = without.iter().map(|name| quoted(name));
            let except = hidden.next().map(|first_element| ExceptSelectItem {
                first_element,
                additional_elements: hidden.collect(),
            });
            let options = WildcardAdditionalOptions {
                opt_except: except,
                ..WildcardAdditionalOptions::default()
            };
            let of = SelectItemQualifiedWildcardKind::ObjectName(name.clone());
            vec![SelectItem::QualifiedWildcard(of, options)]
        }
    }
}

/// A shared column written out.
pub(super) fn item_of(name: &Ident, expr: &Expr) -> SelectItem {
    match expr {
        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr.clone()),
        _ => SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: quoted(&folded(name)),
        },
    }
}

fn qualified(relation: &ObjectName, column: &Ident) -> Expr {
    let parts = relation.0.iter().filter_map(|part| part.as_ident());
    Expr::CompoundIdentifier(parts.chain([column]).cloned().collect())
}
