//! `JOIN … USING (k)` and `NATURAL JOIN` as joins with ON, and what PostgreSQL makes of their columns
//! written out: `k` is one column, which comes first in `*`, and is that of the side whose rows all
//! show; in a full join, of whichever side has a row.
//!
//! DataFusion takes `k` from the relation whose name comes first in the alphabet, which has nulls
//! where an outer join found no partner.

mod columns;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExceptSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableAlias, TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut,
    WildcardAdditionalOptions,
};
use rtsap_catalog::snapshot::CatalogSnapshot;

use super::function_spelling::call;
use super::spelling::folded;
use super::walk::{step, walk};
use crate::error::PlanError;
use columns::Columns;

/// Rewrites all joins of a statement.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for a shared column that cannot be told from others.
pub fn rewrite(statement: &mut Statement, catalog: &CatalogSnapshot) -> Result<(), PlanError> {
    let mut named = Named::default();
    let _ = Visit::visit(statement, &mut named);
    let columns = Columns {
        catalog,
        named: named.0,
    };
    let mut rewriter = Rewriter {
        columns,
        unnamed: 0,
    };
    walk(statement, &mut rewriter)
}

/// The queries of `WITH`, by name.
#[derive(Default)]
struct Named(HashMap<String, Query>);

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut named = table.query.as_ref().clone();
            columns::rename(&mut named, &table.alias.columns);
            self.0.insert(folded(&table.alias.name), named);
        }
        ControlFlow::Continue(())
    }
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
        let mut names = Names {
            merged: &hidden.collect(),
            depth: 0,
        };
        if let Some(order) = &mut query.order_by {
            let _ = VisitMut::visit(order, &mut names);
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
        SelectItem::UnnamedExpr(Expr::Identifier(column)) => folded(column) == name,
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().is_some_and(|column| folded(column) == name)
        }
        SelectItem::ExprWithAlias { alias, .. } => folded(alias) == name,
        _ => false,
    }
}

/// Columns of a relation of FROM, in order.
#[derive(Clone)]
enum Shown {
    /// A column that several relations share.
    Merged(Ident, Box<Expr>),
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
enum Kind {
    Left,
    Right,
    Full,
    /// Only the columns of the left, or right, side show.
    Half {
        left: bool,
    },
}

impl Rewriter<'_> {
    /// Rewrites one SELECT; what its shared columns are, by name.
    fn select(&mut self, select: &mut Select) -> Result<BTreeMap<String, Expr>, PlanError> {
        if !select.from.iter().any(shares) {
            return Ok(BTreeMap::new());
        }
        let mut shown = Vec::new();
        for from in &mut select.from {
            shown.extend(self.tree(from)?);
        }
        let mut merged = BTreeMap::new();
        for column in &shown {
            if let Shown::Merged(name, expr) = column {
                merged.insert(folded(name), expr.as_ref().clone());
            }
        }
        write_out(&mut select.projection, &shown, &merged)?;
        let mut names = Names {
            merged: &merged,
            depth: 0,
        };
        let _ = VisitMut::visit(select, &mut names);
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
                JoinConstraint::Using(names) => names.iter().filter_map(last_part).collect(),
                JoinConstraint::Natural => {
                    let shared = common(&left, &right).ok_or_else(natural_of_unknown)?;
                    shared.into_iter().map(quoted).collect()
                }
                JoinConstraint::On(_) | JoinConstraint::None => {
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

/// Whether joins below a relation of FROM share columns.
fn shares(from: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => shares(table_with_joins),
        _ => false,
    };
    let joins = from.joins.iter().any(|join| {
        let mut operator = join.join_operator.clone();
        let found = taken_apart(&mut operator).map(|(_, constraint)| constraint);
        let by_name = matches!(
            found,
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
        );
        by_name || nested(&join.relation)
    });
    joins || nested(&from.relation)
}

fn taken_apart(operator: &mut JoinOperator) -> Option<(Kind, &mut JoinConstraint)> {
    Some(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => (Kind::Left, constraint),
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

/// What a join of `left` and `right` by the columns `shared` shows; its condition goes to
/// `constraint`.
fn joined(
    mut left: Vec<Shown>,
    mut right: Vec<Shown>,
    kind: Kind,
    shared: &[Ident],
    constraint: &mut JoinConstraint,
) -> Result<Vec<Shown>, PlanError> {
    let mut condition: Option<Expr> = None;
    let mut merged = Vec::with_capacity(shared.len());
    for name in shared {
        let of_left = find(&left, name)?;
        let of_right = find(&right, name)?;
        let equal = Expr::BinaryOp {
            left: Box::new(of_left.clone()),
            op: BinaryOperator::Eq,
            right: Box::new(of_right.clone()),
        };
        condition = Some(match condition {
            None => equal,
            Some(before) => Expr::BinaryOp {
                left: Box::new(before),
                op: BinaryOperator::And,
                right: Box::new(equal),
            },
        });
        let expr = match kind {
            Kind::Right => of_right,
            Kind::Full => call("coalesce", vec![of_left, of_right]),
            Kind::Left | Kind::Half { .. } => of_left,
        };
        merged.push(Shown::Merged(name.clone(), Box::new(expr)));
    }
    // Without a shared column a natural join pairs all rows.
    let all = || Expr::Value(Value::Boolean(true).into());
    *constraint = JoinConstraint::On(condition.unwrap_or_else(all));
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
fn find(among: &[Shown], name: &Ident) -> Result<Expr, PlanError> {
    let wanted = folded(name);
    let mut unknown = Vec::new();
    let mut found = Vec::new();
    for shown in among {
        match shown {
            Shown::Merged(merged, expr) if folded(merged) == wanted => {
                found.push(expr.as_ref().clone());
            }
            Shown::Merged(..) => {}
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

fn take_away(among: &mut Vec<Shown>, name: &Ident) {
    let wanted = folded(name);
    among.retain(|shown| !matches!(shown, Shown::Merged(name, _) if folded(name) == wanted));
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
fn common(left: &[Shown], right: &[Shown]) -> Option<Vec<String>> {
    let names = |among: &[Shown]| -> Option<Vec<String>> {
        let mut all = Vec::new();
        for shown in among {
            match shown {
                Shown::Merged(name, _) => all.push(folded(name)),
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

fn items_of(shown: &Shown) -> Vec<SelectItem> {
    match shown {
        Shown::Merged(name, expr) => vec![item_of(name, expr)],
        Shown::Of {
            name,
            columns: Some(columns),
            without,
        } => columns
            .iter()
            .filter(|column| !without.contains(column))
            .map(|column| SelectItem::UnnamedExpr(qualified(name, &quoted(column.clone()))))
            .collect(),
        Shown::Of {
            name,
            columns: None,
            without,
        } => {
            let mut hidden = without.iter().cloned().map(quoted);
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

fn item_of(name: &Ident, expr: &Expr) -> SelectItem {
    match expr {
        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr.clone()),
        _ => SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: quoted(folded(name)),
        },
    }
}

fn qualified(relation: &ObjectName, column: &Ident) -> Expr {
    let parts = relation.0.iter().filter_map(|part| match part {
        ObjectNamePart::Identifier(part) => Some(part.clone()),
        ObjectNamePart::Function(_) => None,
    });
    Expr::CompoundIdentifier(parts.chain([column.clone()]).collect())
}

fn last_part(name: &ObjectName) -> Option<Ident> {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(name)) => Some(name.clone()),
        _ => None,
    }
}

fn quoted(name: String) -> Ident {
    Ident::with_quote('"', name)
}

/// Puts expressions in the place of bare names of shared columns, but not in subqueries, where the
/// names may mean others.
struct Names<'a> {
    merged: &'a BTreeMap<String, Expr>,
    depth: usize,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && self.depth == 0
            && let Some(merged) = self.merged.get(&folded(name))
        {
            *expr = merged.clone();
        }
        ControlFlow::Continue(())
    }
}
