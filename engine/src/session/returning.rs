//! `RETURNING`: expressions over the rows that a statement writes or deletes.
//!
//! They are computed before the rows are written: a statement whose answer fails writes nothing.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::sql::sqlparser::ast::{
    FromTable, SelectItem, SetExpr, Statement as SqlStatement, TableAlias, TableFactor,
    TableObject, TableWithJoins,
};
use futures::{StreamExt, TryStreamExt};

use crate::error::EngineError;
use crate::query::Planning;
use crate::query::compatible::compatible;
use crate::query::diagnose::diagnose;
use crate::query::guard::Guard;
use crate::query::names::{names, renamed};
use crate::response::{CommandTag, Response};
use crate::session::execute::relabeled;
use crate::session::modify::parsed;
use crate::session::{Prepared, Session};

/// What a statement answers with.
#[derive(Clone, Debug)]
pub(crate) struct Returning {
    /// `SELECT … FROM` the table that is written.
    query: Arc<SqlStatement>,
    plan: LogicalPlan,
    /// Version of the catalog that the plan was made with.
    version: u64,
    schema: SchemaRef,
}

impl Returning {
    /// Columns of the answer.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Takes the clause off a statement and plans it; `None` if there is none.
    ///
    /// # Errors
    /// `RT0502` for what is no expression over one row, and what DataFusion refuses.
    pub(super) async fn take(
        statement: &mut SqlStatement,
        planning: &Planning,
    ) -> Result<Option<Self>, EngineError> {
        let Some((items, from)) = taken(statement)? else {
            return Ok(None);
        };
        let mut query = parsed("SELECT * FROM t")?;
        if let SqlStatement::Query(query) = &mut query
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            select.projection = items;
            select.from = vec![from];
        }
        Self::planned(Arc::new(query), planning).await.map(Some)
    }

    async fn planned(query: Arc<SqlStatement>, planning: &Planning) -> Result<Self, EngineError> {
        let plan = planning.plan_read(&compatible("", &query)).await?;
        check(&plan)?;
        let schema = planning.columns(plan.clone())?;
        Ok(Self {
            schema: renamed(&schema, names(&query).as_deref()),
            query,
            plan,
            version: planning.catalog.version(),
        })
    }

    /// The answer to `rows`, which are the whole rows of the table.
    ///
    /// # Errors
    /// What fails in the expressions; `RT0514` if their types have changed meanwhile.
    async fn rows(
        &self,
        session: &Session,
        prepared: &Prepared,
        rows: &[RecordBatch],
        guard: &Guard,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let catalog = session.instance.snapshot();
        let planning = session.planning(catalog, &prepared.statement.whole);
        let anew;
        let plan = if planning.catalog.version() == self.version {
            &self.plan
        } else {
            anew = Self::planned(Arc::clone(&self.query), &planning).await?;
            if anew.schema != self.schema {
                let message = "cached plan must not change result type";
                return Err(EngineError::invalid("RT0514", message).sqlstate("0A000"));
            }
            &anew.plan
        };
        let plan = over(plan.clone(), rows);
        let plan = plan.map_err(|error| diagnose(error, planning.scene()))?;
        let cut = session.instance.runtime.cut();
        let (_, answer) = planning.run(&plan, cut, guard.clone()).await?;
        let named = answer.map(|batch| batch.and_then(|batch| relabeled(&batch, &self.schema)));
        named.try_collect().await
    }
}

/// The answer of a statement that writes: `rows` are what it writes or deletes.
///
/// # Errors
/// What fails in the expressions of `RETURNING`.
pub(super) async fn answer(
    session: &Session,
    prepared: &Prepared,
    returning: Option<&Returning>,
    rows: &[RecordBatch],
    guard: &Guard,
) -> Result<Option<Vec<RecordBatch>>, EngineError> {
    match returning {
        Some(returning) => {
            let answer = Box::pin(returning.rows(session, prepared, rows, guard)).await?;
            Ok(Some(answer))
        }
        None => Ok(None),
    }
}

/// The response of a statement that has written.
pub(super) fn response(
    returning: Option<&Returning>,
    answer: Option<Vec<RecordBatch>>,
    tag: CommandTag,
) -> Response {
    match (returning, answer) {
        (Some(returning), Some(answer)) => Response::Rows {
            schema: returning.schema(),
            batches: futures::stream::iter(answer.into_iter().map(Ok)).boxed(),
            tag,
        },
        _ => Response::Done(tag),
    }
}

/// What stands after `RETURNING`, taken off, and the table that it is about.
fn taken(
    statement: &mut SqlStatement,
) -> Result<Option<(Vec<SelectItem>, TableWithJoins)>, EngineError> {
    let (items, from) = match statement {
        SqlStatement::Insert(insert) => {
            let items = insert.returning.take();
            let TableObject::TableName(name) = &insert.table else {
                return Ok(None);
            };
            let mut from = first_table(&parsed(&format!("SELECT * FROM {name}"))?);
            if let (Some(from), Some(alias)) = (&mut from, &insert.table_alias)
                && let TableFactor::Table { alias: called, .. } = &mut from.relation
            {
                *called = Some(TableAlias {
                    explicit: true,
                    name: alias.alias.clone(),
                    columns: Vec::new(),
                    at: None,
                });
            }
            (items, from)
        }
        SqlStatement::Update(update) => (update.returning.take(), Some(update.table.clone())),
        SqlStatement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            (delete.returning.take(), from.first().cloned())
        }
        _ => return Ok(None),
    };
    let Some(items) = items else {
        return Ok(None);
    };
    let from = from.ok_or_else(|| EngineError::internal("RETURNING of no table"))?;
    Ok(Some((items, from)))
}

fn first_table(query: &SqlStatement) -> Option<TableWithJoins> {
    let SqlStatement::Query(query) = query else {
        return None;
    };
    match query.body.as_ref() {
        SetExpr::Select(select) => select.from.first().cloned(),
        _ => None,
    }
}

/// Refuses what is no expression over one row of the table.
fn check(plan: &LogicalPlan) -> Result<(), EngineError> {
    let mut at = plan;
    let rows = loop {
        at = match at {
            LogicalPlan::Projection(projection) => projection.input.as_ref(),
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            other => break matches!(other, LogicalPlan::TableScan(_)),
        };
    };
    if !rows {
        let what = "RETURNING with more than expressions over the row";
        return Err(EngineError::unsupported(what)
            .detail("Aggregates, window functions and functions of several rows are no such.")
            .hint("Return the columns, and compute the rest in a SELECT."));
    }
    let mut refused = None;
    let visited = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            refused = match expr {
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                    Some("a subquery in RETURNING")
                }
                Expr::SetComparison(_) => Some("a subquery in RETURNING"),
                Expr::Placeholder(_) => Some("a parameter in RETURNING"),
                _ => return Ok(TreeNodeRecursion::Continue),
            };
            Ok(TreeNodeRecursion::Stop)
        })
    });
    visited.map_err(|error| EngineError::internal(error.to_string()))?;
    match refused {
        Some(what) => {
            let hint = "Return the columns, and compute the rest in a SELECT.";
            Err(EngineError::unsupported(what).hint(hint))
        }
        None => Ok(()),
    }
}

/// The plan over `rows` in the place of the table's.
fn over(plan: LogicalPlan, rows: &[RecordBatch]) -> DataFusionResult<LogicalPlan> {
    let placed = plan.transform_down(|node| {
        let LogicalPlan::TableScan(scan) = node else {
            return Ok(Transformed::no(node));
        };
        let table = MemTable::try_new(scan.source.schema(), vec![rows.to_vec()])?;
        let source = provider_as_source(Arc::new(table));
        let scan = TableScan { source, ..scan };
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(placed.data)
}
