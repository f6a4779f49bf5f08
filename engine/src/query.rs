//! Reads: a statement's logical plan, and its rows at one cut.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use futures::StreamExt;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_planner::logical::plain_view::inline;
use rtsap_planner::logical::{inner_order, summary_part, using};
use rtsap_planner::parse::lexeme::Lexeme;
use rtsap_planner::parse::query;
use rtsap_planner::streaming::set_operation::to_counts;
use rtsap_runtime::serve::Cut;

use crate::error::EngineError;
use crate::query::compatible::compatible;
use crate::query::diagnose::{Scene, diagnose};
use crate::query::guard::Guard;
use crate::query::served::Reading;
use crate::response::BatchStream;

pub(crate) mod compatible;
pub(crate) mod defaults;
pub(crate) mod diagnose;
pub(crate) mod guard;
pub(crate) mod literals;
pub(crate) mod names;
pub(crate) mod namespace;
pub(crate) mod narrowing;
pub(crate) mod parameters;
pub(crate) mod peeked;
mod plan_text;
pub(crate) mod scalar;
pub(crate) mod served;
pub(crate) mod ties;
pub(crate) mod told_apart;

/// What a statement is planned with.
pub(crate) struct Planning {
    /// DataFusion's state with the names of `catalog` in it.
    pub(crate) state: SessionState,
    /// The catalog that names are resolved in.
    pub(crate) catalog: CatalogSnapshot,
    /// The whole text, for positions.
    pub(crate) text: Arc<str>,
}

impl Planning {
    /// What an error is explained with.
    pub(crate) fn scene(&self) -> Scene<'_> {
        Scene {
            text: &self.text,
            catalog: &self.catalog,
        }
    }

    /// The logical plan of a statement that reads or, for `INSERT`, of its rows.
    ///
    /// # Errors
    /// What DataFusion refuses, explained.
    pub(crate) async fn plan(&self, statement: &SqlStatement) -> Result<LogicalPlan, EngineError> {
        let mut statement = statement.clone();
        let read = |text: &str, tokens: &[Lexeme]| {
            let statement = query::sql(text, tokens)?;
            Ok(compatible(text, &statement))
        };
        inline(&mut statement, &self.text, &self.catalog, &read)?;
        using::rewrite(&mut statement, &self.catalog)?;
        summary_part::mark(&mut statement);
        scalar::may_be_null(&mut statement);
        let statement = DfStatement::Statement(Box::new(statement));
        let planned = self.state.statement_to_plan(statement).await;
        let checked = planned
            .and_then(inner_order::kept_to_the_end)
            .and_then(to_counts);
        checked.map_err(|error| diagnose(error, self.scene()))
    }

    /// The same for a statement that may only read.
    ///
    /// # Errors
    /// What DataFusion refuses, explained; also a plan that would define or change something.
    pub(crate) async fn plan_read(
        &self,
        statement: &SqlStatement,
    ) -> Result<LogicalPlan, EngineError> {
        let plan = self.plan(statement).await?;
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        options
            .verify_plan(&plan)
            .map_err(|error| diagnose(error, self.scene()))?;
        Ok(plan)
    }

    /// The columns of `plan`: the analyzer decides types that the planner leaves open, such as
    /// those of UNION.
    ///
    /// # Errors
    /// What DataFusion refuses, explained.
    pub(crate) fn columns(&self, plan: LogicalPlan) -> Result<SchemaRef, EngineError> {
        let (analyzer, options) = (self.state.analyzer(), self.state.config_options());
        let analyzed = analyzer.execute_and_check(plan, options, |_, _| {});
        let analyzed = analyzed.map_err(|error| diagnose(error, self.scene()))?;
        Ok(Arc::new(analyzed.schema().as_arrow().clone()))
    }

    /// Runs `plan` at `cut`: the rows come as they are computed, guarded by `guard`.
    ///
    /// # Errors
    /// What DataFusion refuses while it optimises; later failures come in the stream.
    pub(crate) async fn run(
        mut self,
        plan: &LogicalPlan,
        cut: Arc<Cut>,
        guard: Guard,
    ) -> Result<(SchemaRef, BatchStream), EngineError> {
        self.state.mark_start_execution();
        self.state
            .config_mut()
            .set_extension(Arc::new(Reading { cut }));
        let physical = physical(plan, &mut self.state).await;
        let physical = physical.map_err(|error| diagnose(error, self.scene()))?;
        let schema = physical.schema();
        let rows = execute_stream(physical, self.state.task_ctx());
        let rows = rows.map_err(|error| diagnose(error, self.scene()))?;
        let (catalog, text) = (self.catalog, self.text);
        let rows = rows.map(move |batch| {
            batch.map_err(|error| {
                diagnose(
                    error,
                    Scene {
                        text: &text,
                        catalog: &catalog,
                    },
                )
            })
        });
        Ok((schema, guard.watch(rows.boxed())))
    }
}

/// What runs `plan`, whose rows have all their places.
async fn physical(
    plan: &LogicalPlan,
    state: &mut SessionState,
) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
    let settled = ties::settled(state.optimize(plan)?, state)?;
    let planner = Arc::clone(state.query_planner());
    planner.create_physical_plan(&settled, state).await
}
