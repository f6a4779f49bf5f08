//! `JOIN … USING (k)` and `NATURAL JOIN` as joins with ON, and what PostgreSQL makes of their
//! columns written out: `k` is one column, which comes first in `*`, and is that of the side whose
//! rows all show; in a full join, of whichever side has a row.
//!
//! DataFusion takes `k` from the relation whose name comes first in the alphabet, which has nulls
//! where an outer join found no partner.

mod asof;
mod columns;
mod shown;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr,
    Statement, TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut,
    WildcardAdditionalOptions,
};
use rtsap_catalog::snapshot::CatalogSnapshot;

use super::spelling::{column_of, folded, named_queries, quoted};
use super::walk::{outside_subqueries, step, walk};
use crate::error::PlanError;
use columns::Columns;
use shown::{Kind, Shown, common, item_of, items_of, joined};

/// Rewrites all joins of a statement.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for a shared column that cannot be told from others.
pub fn rewrite(statement: &mut Statement, catalog: &CatalogSnapshot) -> Result<(), PlanError> {
    let named = named_queries(statement);
    let mut rewriter = Rewriter {
        columns: Columns { catalog, named },
        unnamed: 0,
    };
    walk(statement, &mut rewriter)
}

struct Rewriter<'a> {
    columns: Columns<'a>,
    /// Subqueries that were given a name.
    unnamed: usize,
}

impl VisitorMut for Rewriter<'_> {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        let merged = match self.select(select) {
            Ok(merged) => merged,
            Err(error) => return ControlFlow::Break(error),
        };
        let shown = |name: &String| select.projection.iter().any(|item| shows(item, name));
        let hidden = merged.into_iter().filter(|(name, _)| !shown(name));
        let hidden = hidden.collect();
        if let Some(order) = &mut query.order_by {
            put_merged(order, &hidden);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        step(self.select(select).map(drop))
    }
}

/// Whether a column of the result has this name.
fn shows(item: &SelectItem, name: &str) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) => column_of(expr).as_deref() == Some(name),
        SelectItem::ExprWithAlias { alias, .. } => folded(alias) == name,
        _ => false,
    }
}

impl Rewriter<'_> {
    /// Rewrites one SELECT; what its shared columns are, by name. Inner joins of relations whose
    /// columns are not known stay as they are: there both columns are the same.
    fn select(&mut self, select: &mut Select) -> Result<BTreeMap<String, Expr>, PlanError> {
        let from = &mut select.from;
        if !from.iter_mut().any(|from| any_join(from, &shares)) {
            return Ok(BTreeMap::new());
        }
        let outer = from
            .iter_mut()
            .any(|from| any_join(from, &|kind, of| is_outer(kind) || asof::has_names(of)));
        let as_written = select.clone();
        let rewritten = self.rewritten(select);
        if rewritten.is_ok() || outer {
            return rewritten;
        }
        *select = as_written;
        Ok(BTreeMap::new())
    }

    fn rewritten(&mut self, select: &mut Select) -> Result<BTreeMap<String, Expr>, PlanError> {
        let mut shown = Vec::new();
        for from in &mut select.from {
            shown.extend(self.tree(from)?);
        }
        let mut merged = BTreeMap::new();
        for column in &shown {
            if let Shown::Merged(name, expr) | Shown::Named(name, expr) = column {
                merged.insert(folded(name), expr.as_ref().clone());
            }
        }
        write_out(&mut select.projection, &shown, &merged)?;
        put_merged(select, &merged);
        Ok(merged)
    }

    fn tree(&mut self, from: &mut TableWithJoins) -> Result<Vec<Shown>, PlanError> {
        let mut left = self.factor(&mut from.relation)?;
        for join in &mut from.joins {
            let right = self.factor(&mut join.relation)?;
            let Some((kind, constraint)) = taken_apart(&mut join.join_operator) else {
                left.extend(right);
                continue;
            };
            let shared: Vec<Ident> = match constraint {
                JoinConstraint::Using(names) => {
                    let last = |name: &ObjectName| name.0.last()?.as_ident().cloned();
                    names.iter().filter_map(last).collect()
                }
                JoinConstraint::Natural => {
                    let shared = common(&left, &right).ok_or_else(natural_of_unknown)?;
                    shared.iter().map(|name| quoted(name)).collect()
                }
                JoinConstraint::On(_) | JoinConstraint::None => {
                    let names = asof::taken_names(constraint);
                    if !names.is_empty() {
                        left = asof::shown(left, right, &names)?;
                        continue;
                    }
                    match kind {
                        Kind::Half { left: false } => left = right,
                        Kind::Half { left: true } => {}
                        _ => left.extend(right),
                    }
                    continue;
                }
            };
            left = joined(left, right, kind, &shared, constraint)?;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &mut TableFactor) -> Result<Vec<Shown>, PlanError> {
        if let TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } = factor
        {
            return self.tree(table_with_joins);
        }
        if let TableFactor::Derived {
            alias: alias @ None,
            ..
        } = factor
        {
            self.unnamed += 1;
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::new(format!("__joined_{}", self.unnamed)),
                columns: Vec::new(),
                at: None,
            });
        }
        let columns = self.columns.of_factor(factor, 0);
        let name = columns::name_of(factor);
        Ok(name.map_or_else(Vec::new, |name| {
            vec![Shown::Of {
                name,
                columns,
                without: Vec::new(),
            }]
        }))
    }
}

/// Whether a join below a relation of FROM is `wanted`.
fn any_join(from: &mut TableWithJoins, wanted: &dyn Fn(Kind, &mut JoinConstraint) -> bool) -> bool {
    let nested = |factor: &mut TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => any_join(table_with_joins, wanted),
        _ => false,
    };
    let mut joins = from.joins.iter_mut();
    nested(&mut from.relation)
        || joins.any(|join| {
            let found = taken_apart(&mut join.join_operator);
            found.is_some_and(|(kind, constraint)| wanted(kind, constraint))
                || nested(&mut join.relation)
        })
}

fn shares(_kind: Kind, constraint: &mut JoinConstraint) -> bool {
    match constraint {
        JoinConstraint::Using(_) | JoinConstraint::Natural => true,
        JoinConstraint::On(_) => asof::has_names(constraint),
        JoinConstraint::None => false,
    }
}

fn is_outer(kind: Kind) -> bool {
    matches!(kind, Kind::Left | Kind::Right | Kind::Full)
}

fn taken_apart(operator: &mut JoinOperator) -> Option<(Kind, &mut JoinConstraint)> {
    Some(match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (Kind::Inner, constraint)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (Kind::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Kind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Kind::Full, constraint),
        JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint) => (Kind::Half { left: true }, constraint),
        JoinOperator::RightSemi(constraint) | JoinOperator::RightAnti(constraint) => {
            (Kind::Half { left: false }, constraint)
        }
        _ => return None,
    })
}

fn natural_of_unknown() -> PlanError {
    let error = PlanError::unsupported("NATURAL JOIN of a relation whose columns are not named");
    error.hint("Write JOIN … USING (k) with the columns that are equal.")
}

/// Puts columns in the place of `*`, and expressions in that of shared columns.
fn write_out(
    projection: &mut Vec<SelectItem>,
    shown: &[Shown],
    merged: &BTreeMap<String, Expr>,
) -> Result<(), PlanError> {
    let mut items = Vec::with_capacity(projection.len());
    for item in std::mem::take(projection) {
        match item {
            SelectItem::Wildcard(options) if options == WildcardAdditionalOptions::default() => {
                items.extend(shown.iter().flat_map(items_of));
            }
            SelectItem::Wildcard(_) => {
                let error = PlanError::unsupported("* EXCEPT over a join by shared columns");
                return Err(error.hint("Name the columns."));
            }
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                items.push(match merged.get(&folded(&name)) {
                    Some(expr) => item_of(&name, expr),
                    None => SelectItem::UnnamedExpr(Expr::Identifier(name)),
                });
            }
            other => items.push(other),
        }
    }
    *projection = items;
    Ok(())
}

/// Puts expressions in the place of bare names of shared columns.
fn put_merged(node: &mut impl VisitMut, merged: &BTreeMap<String, Expr>) {
    outside_subqueries(node, |expr| {
        if let Expr::Identifier(name) = expr
            && let Some(merged) = merged.get(&folded(name))
        {
            *expr = merged.clone();
        }
    });
}
