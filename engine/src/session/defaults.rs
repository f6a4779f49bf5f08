//! `DEFAULT` of a table's columns: what an `INSERT` or `UPDATE` leaves to the table is written into
//! it.

use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Expr, Ident, Insert, ObjectName, Parens, Query, SelectItem, SetExpr,
    Statement as SqlStatement, TableFactor, Update, Value,
};
use rtsap_catalog::object::{ColumnDef, ObjectKind, ObjectNumber};
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_planner::statement::StatementKind;

use crate::error::EngineError;
use crate::query::compatible::compatible;
use crate::query::names::folded;
use crate::session::Session;
use crate::session::computed::{self, is_computed};
use crate::session::modify::parsed;

/// Whether every default of a new table, if `kind` makes one, is an expression that its column can
/// take.
///
/// # Errors
/// What is wrong with it; `RT0502` for one that reads something.
pub(super) async fn check(session: &Session, kind: &StatementKind) -> Result<(), EngineError> {
    let StatementKind::CreateTable(create) = kind else {
        return Ok(());
    };
    for column in &create.body.columns {
        let (Some(default), Some(sql_type)) = (&column.default, &column.sql_type) else {
            continue;
        };
        let text = format!("SELECT CAST(({default}) AS {sql_type})");
        let of_column = |error: EngineError| {
            let detail = format!("It is the default of column \"{}\".", column.name);
            error.detail(detail).unplaced().at(Some(column.position))
        };
        let statement = parsed(&text).map_err(of_column)?;
        let planning = session.planning(session.instance.snapshot(), &text.as_str().into());
        let plan = planning.plan_read(&compatible(&text, &statement)).await;
        let plan = plan.map_err(of_column)?;
        if !is_constant(&plan) {
            let error = EngineError::unsupported("a DEFAULT that reads rows");
            return Err(of_column(error));
        }
    }
    Ok(())
}

/// Whether `plan` gives one row that depends on nothing that is stored.
fn is_constant(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Projection(projection) = plan else {
        return false;
    };
    let LogicalPlan::EmptyRelation(_) = projection.input.as_ref() else {
        return false;
    };
    let reads = |expr: &PlannedExpr| {
        expr.exists(|expr| {
            Ok(matches!(
                expr,
                PlannedExpr::ScalarSubquery(_)
                    | PlannedExpr::InSubquery(_)
                    | PlannedExpr::Exists(_)
                    | PlannedExpr::SetComparison(_)
                    | PlannedExpr::Placeholder(_)
            ))
        })
    };
    !projection
        .expr
        .iter()
        .any(|expr| reads(expr).unwrap_or(true))
}

/// The columns of `table`.
pub(crate) fn columns(catalog: &CatalogSnapshot, table: ObjectNumber) -> &[ColumnDef] {
    match catalog.by_id(table).map(|object| &object.def.kind) {
        Some(ObjectKind::Table(def)) => &def.columns,
        _ => &[],
    }
}

/// Writes into `insert` what it leaves to the table, whose columns are `columns`: values called
/// `DEFAULT`, columns that it does not name, and the last ones of short rows.
///
/// # Errors
/// Those of a default that no longer parses.
pub(super) fn fill(insert: &mut Insert, columns: &[ColumnDef]) -> Result<(), EngineError> {
    let physical: Vec<&ColumnDef> = columns
        .iter()
        .filter(|column| !is_computed(column))
        .collect();
    if insert.source.is_none() && insert.assignments.is_empty() {
        // DEFAULT VALUES
        let mut query = parsed("VALUES (1)")?;
        if let SqlStatement::Query(query) = &mut query
            && let SetExpr::Values(values) = query.body.as_mut()
        {
            let row = physical.iter().map(|column| value(column));
            let row = row.collect::<Result<Vec<_>, _>>()?;
            insert.columns = physical.iter().map(|column| named(column)).collect();
            values.rows = vec![Parens::with_empty_span(row)];
            insert.source = Some(query.clone());
        }
        return Ok(());
    }
    let Some(source) = &mut insert.source else {
        return Ok(());
    };
    let given: Option<Vec<&ColumnDef>> = match insert.columns.as_slice() {
        [] => Some(match width(source, columns.len()) {
            // Values for all columns, also for those that are computed.
            all if all == columns.len() && writes_values(source) => columns.iter().collect(),
            width => physical.iter().copied().take(width).collect(),
        }),
        names => names.iter().map(|name| find(columns, name)).collect(),
    };
    // An unknown column is the planner's to report.
    let Some(mut given) = given else {
        return Ok(());
    };
    drop_computed(source, &mut given)?;
    let is_left_out = |column: &&ColumnDef| !given.iter().any(|given| given.name == column.name);
    let left_out = columns.iter().filter(is_left_out);
    let left_out: Vec<&ColumnDef> = left_out.filter(|column| column.default.is_some()).collect();
    let short = given.len() < columns.len() && insert.columns.is_empty();
    let written = physical.len() < columns.len();
    let defaults = left_out.iter().map(|column| value(column));
    let defaults = defaults.collect::<Result<Vec<Expr>, _>>()?;
    if let SetExpr::Values(values) = source.body.as_mut() {
        for row in &mut values.rows {
            for (cell, column) in row.iter_mut().zip(&given) {
                if is_default(cell) {
                    *cell = value(column)?;
                }
            }
            row.extend(defaults.iter().cloned());
        }
    } else if !defaults.is_empty() {
        *source = beside(source, defaults)?;
    }
    if short || written || !left_out.is_empty() {
        insert.columns = given
            .iter()
            .chain(&left_out)
            .map(|column| named(column))
            .collect();
    }
    Ok(())
}

fn writes_values(source: &Query) -> bool {
    matches!(source.body.as_ref(), SetExpr::Values(_))
}

/// Takes computed columns out of those that are given: only `DEFAULT` may be written for them.
///
/// # Errors
/// `428C9` for another value.
fn drop_computed(source: &mut Query, given: &mut Vec<&ColumnDef>) -> Result<(), EngineError> {
    while let Some(at) = given.iter().position(|column| is_computed(column)) {
        let column = given.remove(at);
        let SetExpr::Values(values) = source.body.as_mut() else {
            return Err(computed::given(column));
        };
        for row in &mut values.rows {
            if row.get(at).is_some_and(|cell| !is_default(cell)) {
                return Err(computed::given(column));
            }
            if at < row.len() {
                row.remove(at);
            }
        }
    }
    Ok(())
}

/// Writes into `update` the defaults that it assigns by their name, `SET a = DEFAULT`.
///
/// # Errors
/// Those of a default that no longer parses.
pub(super) fn assign(update: &mut Update, columns: &[ColumnDef]) -> Result<(), EngineError> {
    for assignment in &mut update.assignments {
        let pairs: Vec<(&ObjectName, &mut Expr)> = match (&assignment.target, &mut assignment.value)
        {
            (AssignmentTarget::ColumnName(name), value) => vec![(name, value)],
            (AssignmentTarget::Tuple(names), Expr::Tuple(values)) => {
                names.iter().zip(values).collect()
            }
            (AssignmentTarget::Tuple(_), _) => Vec::new(),
        };
        for (name, given) in pairs {
            // An unknown column is reported with all others.
            let Some(column) = find(columns, name) else {
                continue;
            };
            if is_default(given) {
                *given = value(column)?;
            } else if is_computed(column) {
                return Err(computed::assigned(column));
            }
        }
    }
    Ok(())
}

/// How many values each row of `source` has, if they are written down, of at most `most`.
fn width(source: &Query, most: usize) -> usize {
    width_of(source.body.as_ref(), most)
}

fn width_of(body: &SetExpr, most: usize) -> usize {
    match body {
        SetExpr::Query(query) => width(query, most),
        SetExpr::SetOperation { left, .. } => width_of(left, most),
        SetExpr::Select(select) => {
            let one = |item: &SelectItem| {
                matches!(
                    item,
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                )
            };
            match select.projection.iter().all(one) {
                true => select.projection.len().min(most),
                false => most,
            }
        }
        SetExpr::Values(values) => {
            let widths = values.rows.iter().map(|row| row.len());
            // Rows of different lengths are the planner's to report.
            widths.max().filter(|width| *width < most).unwrap_or(most)
        }
        _ => most,
    }
}

fn find<'a>(columns: &'a [ColumnDef], name: &ObjectName) -> Option<&'a ColumnDef> {
    let name = folded(name.0.last()?.as_ident()?);
    columns.iter().find(|column| column.name == name)
}

fn named(column: &ColumnDef) -> ObjectName {
    ObjectName::from(vec![Ident::with_quote('"', &column.name)])
}

fn is_default(value: &Expr) -> bool {
    let is_word =
        |name: &Ident| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default");
    matches!(value, Expr::Identifier(name) if is_word(name))
}

/// What `column` has where nothing is given.
fn value(column: &ColumnDef) -> Result<Expr, EngineError> {
    let Some(default) = &column.default else {
        return Ok(Expr::value(Value::Null));
    };
    let query = parsed(&format!("SELECT ({default})"))?;
    if let SqlStatement::Query(query) = query
        && let SetExpr::Select(mut select) = *query.body
        && let Some(SelectItem::UnnamedExpr(Expr::Nested(value))) = select.projection.pop()
    {
        return Ok(*value);
    }
    Err(EngineError::internal("a default that is no expression"))
}

/// The rows of `query` with `values` behind each.
fn beside(query: &Query, values: Vec<Expr>) -> Result<Box<Query>, EngineError> {
    let mut whole = parsed("SELECT * FROM (SELECT 1) AS given")?;
    if let SqlStatement::Query(whole) = &mut whole
        && let SetExpr::Select(select) = whole.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut from.relation
    {
        **subquery = query.clone();
        let values = values.into_iter().enumerate();
        let items = values.map(|(index, expr)| SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', format!("default {index}")),
        });
        select.projection.extend(items);
        return Ok(whole.clone());
    }
    Err(EngineError::internal("a query that is none"))
}
