//! `EXPLAIN`: plans of streaming views as the runtime gets them, plans of reads as DataFusion runs
//! them.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::physical_plan::displayable;
use futures::TryStreamExt;
use rtsap_catalog::object::ObjectKind;
use rtsap_catalog::snapshot::{CatalogObject, CatalogSnapshot};
use rtsap_plan::explain::{changelog, text_with};
use rtsap_plan::graph::StreamPlan;
use rtsap_plan::graphic;
use rtsap_planner::bind::view::view_options;
use rtsap_planner::statement::explain::{ExplainFormat, ExplainStatement, ExplainTarget};
use rtsap_planner::statement::{CreateView, Name};
use rtsap_planner::{plan_view, plan_view_with};
use rtsap_runtime::status::OperatorStatus;

use crate::error::EngineError;
use crate::query::Planning;
use crate::query::compatible::compatible;
use crate::query::diagnose::diagnose;
use crate::query::served::Reading;
use crate::query::ties::settled;
use crate::sequence::{existing, plan_of};
use crate::session::change::{shifted, view_def};
use crate::session::{Session, Statement};

mod why;

/// The one column of `EXPLAIN`.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "QUERY PLAN",
        DataType::Utf8,
        false,
    )]))
}

/// Lines as rows.
///
/// # Errors
/// Never in practice: the column fits.
pub(crate) fn batch(lines: &[String]) -> Result<RecordBatch, EngineError> {
    let column = StringArray::from_iter_values(lines);
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(column)]);
    batch.map_err(|error| EngineError::internal(error.to_string()))
}

/// The lines of a plan.
///
/// # Errors
/// What the planner refuses about the statement that is explained.
pub(crate) async fn explain(
    session: &Session,
    statement: &Statement,
    explain: &ExplainStatement,
) -> Result<Vec<String>, EngineError> {
    match &explain.target {
        ExplainTarget::CreateView(create) => {
            refuse_analyze(explain)?;
            Ok(streaming_lines(&compiled(session, create)?, explain))
        }
        ExplainTarget::StreamingQuery {
            query,
            query_offset,
        } => {
            refuse_analyze(explain)?;
            let catalog = session.instance.snapshot();
            let planned = plan_view(query, &[], &catalog, &session.instance.functions);
            let planned = planned.map_err(|error| shifted(error.into(), *query_offset))?;
            Ok(streaming_lines(&planned.plan, explain))
        }
        ExplainTarget::View(name) => running(session, name, explain),
        ExplainTarget::Why(name) => why::why(session, name),
        ExplainTarget::Query(query) => {
            if explain.analyze && explain.format != ExplainFormat::Text {
                return Err(analyzed_as_text());
            }
            let planning = session.planning(session.instance.snapshot(), &statement.whole);
            let rewritten = compatible("", query);
            let plan = planning.plan_read(&rewritten).await?;
            read_lines(session, planning, plan, explain).await
        }
    }
}

fn refuse_analyze(explain: &ExplainStatement) -> Result<(), EngineError> {
    if !explain.analyze {
        return Ok(());
    }
    let error = EngineError::unsupported("EXPLAIN ANALYZE of a view that does not run");
    Err(error.hint("Create it, then use EXPLAIN ANALYZE STREAMING VIEW."))
}

fn analyzed_as_text() -> EngineError {
    let error = EngineError::unsupported("EXPLAIN ANALYZE in another format than TEXT");
    error.hint("Leave FORMAT out.")
}

fn compiled(session: &Session, create: &CreateView) -> Result<StreamPlan, EngineError> {
    let def = view_def(create);
    let catalog = session.instance.snapshot();
    let options = view_options(&create.options)?;
    let planned = plan_view_with(
        &def.query,
        &def.column_names,
        &options,
        &catalog,
        &session.instance.functions,
    );
    let planned = planned.map_err(|error| shifted(error.into(), create.query_offset))?;
    Ok(planned.plan)
}

fn running(
    session: &Session,
    name: &Name,
    explain: &ExplainStatement,
) -> Result<Vec<String>, EngineError> {
    let catalog = session.instance.snapshot();
    let (object, plan) = planned(session, &catalog, name, None)?;
    if !explain.analyze {
        return Ok(streaming_lines(&plan, explain));
    }
    if explain.format != ExplainFormat::Text {
        return Err(analyzed_as_text());
    }
    Ok(live_lines(session, &plan, object.def.id))
}

/// The streaming view `name` with the plan that it runs; `hint` is for what is none.
fn planned<'a>(
    session: &Session,
    catalog: &'a CatalogSnapshot,
    name: &Name,
    hint: Option<&str>,
) -> Result<(&'a CatalogObject, Arc<StreamPlan>), EngineError> {
    let object = existing(catalog, name)?;
    let plan = match &object.def.kind {
        ObjectKind::View(_) => plan_of(&session.instance, object.def.id),
        _ => None,
    };
    let plan = plan.ok_or_else(|| {
        let (noun, name_of) = (object.def.kind.noun(), &object.def.name);
        let message = format!("{noun} \"{name_of}\" has no plan");
        EngineError {
            hint: hint.map(Into::into),
            ..EngineError::invalid("RT0541", message)
        }
        .sqlstate("42809")
        .at(Some(name.position))
    })?;
    Ok((object, plan))
}

fn streaming_lines(plan: &StreamPlan, explain: &ExplainStatement) -> Vec<String> {
    let text = match explain.format {
        ExplainFormat::Json => graphic::json(plan),
        ExplainFormat::Dot => graphic::dot(plan),
        ExplainFormat::Text if explain.changelog_mode => text_with(plan, &|node| {
            let mode = plan.nodes[node].properties.mode;
            format!(" changelog={}", changelog(mode))
        }),
        ExplainFormat::Text => rtsap_plan::explain::text(plan),
    };
    text.lines().map(str::to_owned).collect()
}

/// The plan of a running view with the figures of its operators, then those of the whole.
fn live_lines(session: &Session, plan: &StreamPlan, id: u64) -> Vec<String> {
    let status = session.instance.runtime.status();
    let Some(view) = status.views.iter().find(|view| view.id.0 == id) else {
        return vec!["No figures yet.".to_owned()];
    };
    let ledger = view.ledger;
    let text = text_with(plan, &|node| match view.operators.get(node) {
        Some(operator) => figures(operator),
        None => String::new(),
    });
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.extend([
        format!("State: {}", view.health.name()),
        format!(
            "Rows: in={} used={} filtered={} late={}",
            ledger.rows_in, ledger.used, ledger.filtered, ledger.late
        ),
        format!("Served: rows={} bytes={}", view.rows, view.served_bytes),
        format!("Operator state: bytes={}", view.state_bytes),
        format!(
            "Load: rows/s={:.0} busy={:.1}% waiting batches={}",
            view.load.rows_per_second,
            view.load.busy_share * 100.0,
            view.inbox
        ),
    ]);
    if let Some(reason) = view.health.reason() {
        lines.push(format!("Reason: {reason}"));
    }
    lines
}

/// ` (rows in=5 out=2, state 512 bytes, watermark …)`.
fn figures(operator: &OperatorStatus) -> String {
    let mut out = format!(" (rows in={} out={}", operator.rows_in, operator.rows_out);
    if operator.state_bytes > 0 {
        out.push_str(&format!(", state {} bytes", operator.state_bytes));
    }
    if let Some(time) = operator.watermark {
        out.push_str(&format!(", watermark {}", why::instant(time)));
    }
    if let Some(waiting) = operator.waiting {
        out.push_str(&format!(", {} {} wait", waiting.count, waiting.what));
    }
    out.push(')');
    out
}

async fn read_lines(
    session: &Session,
    mut planning: Planning,
    plan: datafusion::logical_expr::LogicalPlan,
    explain: &ExplainStatement,
) -> Result<Vec<String>, EngineError> {
    let cut = session.instance.runtime.cut();
    planning
        .state
        .config_mut()
        .set_extension(Arc::new(Reading { cut }));
    let explained = async {
        let optimized = planning.state.optimize(&plan)?;
        match explain.format {
            ExplainFormat::Text => {}
            ExplainFormat::Json => {
                let text = optimized.display_pg_json().to_string();
                return Ok(text.lines().map(str::to_owned).collect());
            }
            ExplainFormat::Dot => {
                let text = optimized.display_graphviz().to_string();
                return Ok(text.lines().map(str::to_owned).collect());
            }
        }
        let optimized = settled(optimized, &mut planning.state)?;
        let physical = planning.state.query_planner();
        let physical = physical
            .create_physical_plan(&optimized, &planning.state)
            .await?;
        if explain.analyze {
            let task = planning.state.task_ctx();
            let rows = datafusion::physical_plan::execute_stream(Arc::clone(&physical), task)?;
            rows.try_for_each(|_| futures::future::ok(())).await?;
        }
        let mut lines: Vec<String> = Vec::new();
        if explain.verbose {
            let logical = optimized.display_indent_schema().to_string();
            lines.extend(logical.lines().map(str::to_owned));
            lines.push(String::new());
        }
        let shown = displayable(physical.as_ref());
        let text = shown.indent(explain.verbose).to_string();
        lines.extend(text.lines().map(str::to_owned));
        if explain.analyze {
            let with = datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics;
            let text = with(physical.as_ref()).indent(explain.verbose).to_string();
            lines = text.lines().map(str::to_owned).collect();
        }
        Ok(lines)
    };
    let lines: datafusion::error::Result<Vec<String>> = explained.await;
    lines.map_err(|error| diagnose(error, planning.scene()))
}
