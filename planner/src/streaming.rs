//! A view's query to a [`StreamPlan`]: one `match` over the logical plan, one function per kind of
//! node.
//!
//! Properties (mode, key, event time, state) are inferred bottom-up as nodes are made; what cannot
//! run correctly or would keep state without limit is refused here, with a hint.

pub mod aggregate;
pub mod bucket;
pub mod checked;
pub mod conflate;
pub mod event_time;
pub mod fill;
pub mod grouping;
pub mod horizon;
pub mod in_order;
pub mod join;
pub mod over;
pub mod peel;
mod readable;
pub mod refuse;
mod retention;
pub mod retract;
pub mod set_operation;
pub mod stateless;
pub mod subquery;
pub mod top_n;
pub mod unnest;
pub mod values;
pub mod window;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use rtsap_catalog::object::{ObjectNumber, Relation};
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_plan::graph::{Node, NodeIndex, StreamPlan};
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::StreamProperties;
use rtsap_stream::change::ChangelogMode;

use crate::bind::view::{LatePolicy, ViewOptions, ViewStart};
use crate::error::{Cause, PlanError};
use crate::functions::Functions;
use crate::logical::fill_node::FillNode;
use crate::logical::horizon_node::HorizonNode;
use crate::logical::scope::Scope;
use crate::logical::translate::{placed, translate};
use crate::logical::window_node::WindowNode;
use crate::logical::{check_deterministic, raw_plan, refine, rename};
use crate::logical::{inner_order, plain_view, sample, using, view_spelling};
use crate::parse::emit::{EmitClause, split_emit};
use crate::parse::lexeme::{Lexeme, lexemes};
use crate::parse::query;
use crate::streaming::checked::{checked_arithmetic, tried};

/// A streaming view, compiled.
#[derive(Clone, Debug)]
pub struct PlannedView {
    /// What to run.
    pub plan: StreamPlan,
    /// What can be read from it.
    pub relation: Relation,
    /// The sources, tables and views it reads, ascending.
    pub depends_on: Vec<ObjectNumber>,
    /// What the author should know.
    pub notices: Vec<String>,
    /// What of it goes by the clock on the wall.
    pub pace: Pace,
    /// How long its rows are served; for ever if `None`.
    pub retention: Option<Retention>,
    /// Bytes beyond which it is suspended, if it has a limit of its own.
    pub memory_limit_bytes: Option<usize>,
}

/// How long rows of a view are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Index of their event time.
    pub column: usize,
    /// How far event time of the view must be past a row that is no longer served.
    pub nanos: i64,
}

/// What of a view goes by the clock on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// `EMIT EVERY`: how long at least between two publishes of it.
    pub every_nanos: Option<i64>,
    /// `AND TIMEOUT`: after how long without rows it closes what is open.
    pub timeout_nanos: Option<i64>,
}

impl Pace {
    fn of(clause: &EmitClause) -> Self {
        Self {
            every_nanos: clause.every_nanos,
            timeout_nanos: clause.timeout_nanos,
        }
    }
}

/// Compiles a view's query with its `EMIT` clause. `column_names` rename the result if there are
/// any.
///
/// # Errors
/// Everything that can be wrong with a query; positions are characters of `query_text`, counted
/// from 1.
pub fn plan_view(
    query_text: &str,
    column_names: &[String],
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<PlannedView, PlanError> {
    let options = ViewOptions::default();
    plan(query_text, column_names, &options, catalog, functions)
}

/// As [`plan_view`], for a view with options, whose columns are read by name.
///
/// # Errors
/// As [`plan_view`]; for two columns of one name.
pub fn plan_view_with(
    query_text: &str,
    column_names: &[String],
    options: &ViewOptions,
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<PlannedView, PlanError> {
    let planned = plan(query_text, column_names, options, catalog, functions)?;
    let mut names = HashSet::new();
    for field in planned.relation.schema.fields() {
        if !names.insert(field.name()) {
            let name = field.name().clone();
            let error = PlanError::new(Cause::DuplicateColumn { name });
            let error = error.hint("Give each column a name of its own with AS.");
            return Err(translate(&error.into(), query_text, functions));
        }
    }
    Ok(planned)
}

fn plan(
    query_text: &str,
    column_names: &[String],
    options: &ViewOptions,
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<PlannedView, PlanError> {
    let tokens = lexemes(query_text)?;
    refuse::words(&tokens)?;
    let split = split_emit(query_text, &tokens)?;
    let mut statement = query::view_sql(query_text, split.query)?;
    let found = plain_view::inline(&mut statement, query_text, catalog, &query::view_sql)?;
    let spelt = using::rewrite(&mut statement, catalog);
    let spelt = spelt.and_then(|()| view_spelling::rewrite(&mut statement));
    spelt.map_err(|error| placed(error, query_text))?;
    let sampled = sample::rewrite(&mut statement, catalog, functions);
    sampled.map_err(|error| at_sample(error, &tokens))?;
    refuse::statement(&statement, query_text, &tokens)?;
    let scope = Scope::new(catalog, functions);
    let translated = |error: DataFusionError| translate(&error, query_text, functions);
    let raw = raw_plan(statement, &scope).map_err(translated)?;
    let found_at = |error: PlanError| translate(&error.into(), query_text, functions);
    check_deterministic(&raw).map_err(found_at)?;
    refuse::mixed_times(&raw).map_err(found_at)?;
    let named = if column_names.is_empty() {
        raw
    } else {
        rename(raw, column_names).map_err(found_at)?
    };
    let plain = inner_order::kept(named)
        .and_then(set_operation::to_counts)
        .and_then(unnest::beside_their_rows)
        .and_then(join::push::without_products)
        .map_err(translated)?;
    let joined = subquery::to_joins(plain).map_err(translated)?;
    refuse::mixed_times(&joined).map_err(found_at)?;
    let refined = join::push::kept_times(joined, options.state_ttl_nanos)
        .and_then(join::push::into_joins)
        .and_then(refine)
        .and_then(plain_columns)
        .map_err(translated)?;

    let mut compiler = Compiler::new(query_text, catalog, functions);
    compiler.depends_on.extend(scope.called());
    compiler.depends_on.extend(found.views);
    compiler.state_ttl_nanos = options.state_ttl_nanos;
    compiler.late = options.late;
    compiler.start = options.start;
    let emit = split.emit.as_ref();
    compiler.lateness_nanos = emit.map_or(0, |(clause, _)| clause.lateness_nanos);
    let shown = emit.map_or(Emit::Changes, |(clause, _)| clause.emit);
    compiler.node(&refined, shown).map_err(found_at)?;
    if let Some((clause, position)) = emit {
        compiler
            .check_emit(clause)
            .map_err(|error| error.at(*position))?;
        compiler
            .conflate(&clause.conflate, refined.schema())
            .map_err(found_at)?;
    }
    let planned = compiler.finish(refined.schema().fields().len());
    let mut planned = planned.map_err(found_at)?;
    planned.pace = emit.map_or_else(Pace::default, |(clause, _)| Pace::of(clause));
    if let Some(nanos) = options.retention_nanos {
        planned.retention = Some(retention::of(&planned, nanos)?);
    }
    planned.memory_limit_bytes = options.memory_limit_bytes;
    Ok(planned)
}

/// An error about `SAMPLE BY` at its words.
fn at_sample(error: PlanError, tokens: &[Lexeme]) -> PlanError {
    match tokens.iter().find(|lexeme| lexeme.is_word("SAMPLE")) {
        Some(lexeme) if error.position().is_none() => error.at(lexeme.position),
        _ => error,
    }
}

/// Result columns in types that SQL has: no string views, no dictionaries, no unsigned numbers.
fn plain_columns(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let fields = plan.schema().fields();
    if fields
        .iter()
        .all(|field| plain_type(field.data_type()).is_none())
    {
        return Ok(plan);
    }
    let exprs = plan.schema().iter().map(|(qualifier, field)| {
        let expr = Expr::from((qualifier, field));
        match plain_type(field.data_type()) {
            Some(plain) => cast(expr, plain).alias(field.name()),
            None => expr,
        }
    });
    let exprs: Vec<Expr> = exprs.collect();
    refine(LogicalPlanBuilder::from(plan).project(exprs)?.build()?)
}

/// The type in SQL for one that SQL has not.
pub fn plain_type(found: &DataType) -> Option<DataType> {
    match found {
        DataType::Utf8View | DataType::LargeUtf8 => Some(DataType::Utf8),
        DataType::BinaryView | DataType::LargeBinary => Some(DataType::Binary),
        DataType::UInt8 => Some(DataType::Int16),
        DataType::UInt16 => Some(DataType::Int32),
        DataType::UInt32 => Some(DataType::Int64),
        // Numbers of rows: PostgreSQL's `bigint`.
        DataType::UInt64 => Some(DataType::Int64),
        DataType::Float16 => Some(DataType::Float32),
        DataType::Null => Some(DataType::Utf8),
        DataType::Dictionary(_, value) => {
            Some(plain_type(value).unwrap_or_else(|| (**value).clone()))
        }
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() != "UTC" => {
            Some(DataType::Timestamp(*unit, Some("UTC".into())))
        }
        _ => None,
    }
}

/// A column that holds a bound of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Twin {
    /// Its index.
    pub column: usize,
    /// Start, time, end: of one window, a higher rank is a later point.
    pub rank: u8,
}

/// The plan under construction.
pub(crate) struct Compiler<'a> {
    text: &'a str,
    catalog: &'a CatalogSnapshot,
    functions: &'a Functions,
    /// How long joins keep rows that nothing else bounds.
    state_ttl_nanos: Option<i64>,
    /// What rows are late for.
    late: LatePolicy,
    /// Which rows of sources are used.
    start: ViewStart,
    nodes: Vec<Node>,
    /// How long windows that show as they change stay open.
    lateness_nanos: i64,
    depends_on: BTreeSet<ObjectNumber>,
    notices: Vec<String>,
    /// By node, the columns that hold bounds of one window: each says as much as the others.
    twins: HashMap<NodeIndex, Vec<Twin>>,
    /// By join, the columns that its watermarks could speak about instead.
    alternatives: HashMap<NodeIndex, Vec<usize>>,
    /// Rows that are put into windows go on one by one, and are joined or grouped by their windows:
    /// late ones must be found before.
    finds_late: bool,
    /// Used by every expression: nothing in it changes.
    props: ExecutionProps,
    planning: PhysicalPlanningContext,
}

impl<'a> Compiler<'a> {
    fn new(text: &'a str, catalog: &'a CatalogSnapshot, functions: &'a Functions) -> Self {
        Self {
            text,
            catalog,
            functions,
            state_ttl_nanos: None,
            late: LatePolicy::default(),
            start: ViewStart::default(),
            nodes: Vec::new(),
            lateness_nanos: 0,
            depends_on: BTreeSet::new(),
            notices: Vec::new(),
            twins: HashMap::new(),
            alternatives: HashMap::new(),
            finds_late: false,
            props: ExecutionProps::new(),
            planning: PhysicalPlanningContext::default(),
        }
    }

    /// Compiles a logical node with everything below it. `emit` is what a window aggregation in it
    /// must do.
    fn node(&mut self, plan: &LogicalPlan, emit: Emit) -> Result<NodeIndex, PlanError> {
        match plan {
            LogicalPlan::TableScan(scan) => self.input(scan),
            LogicalPlan::Projection(projection) => self.project(projection, emit),
            LogicalPlan::Filter(filter) => self.filter(filter, emit),
            LogicalPlan::SubqueryAlias(alias) => self.node(&alias.input, emit),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, emit),
            LogicalPlan::Union(union) => self.union(union, emit),
            LogicalPlan::Join(join) => self.join(join, emit),
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(window) = node.downcast_ref::<WindowNode>() {
                    return self.window_assign(window, emit);
                }
                if let Some(fill) = node.downcast_ref::<FillNode>() {
                    return self.fill(fill, emit);
                }
                if let Some(horizon) = node.downcast_ref::<HorizonNode>() {
                    return self.horizon(horizon);
                }
                let found = extension.node.name();
                Err(PlanError::internal(format!("unknown node {found}")))
            }
            LogicalPlan::Window(window) => self.over(window, emit),
            LogicalPlan::Limit(limit) => self.limit(limit, emit),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                let notice = "ORDER BY says nothing about a view, whose rows have no order: put it \
                              into the SELECT that reads it";
                if !self.notices.iter().any(|known| known == notice) {
                    self.notices.push(notice.to_owned());
                }
                self.node(&sort.input, emit)
            }
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, emit),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) => self.without_relation(empty),
            other => Err(refuse::node(other)),
        }
    }

    /// Adds a node.
    fn push(
        &mut self,
        spec: OperatorSpec,
        inputs: Vec<NodeIndex>,
        properties: StreamProperties,
    ) -> NodeIndex {
        // A plan that was given up may have left something under this number.
        self.twins.remove(&self.nodes.len());
        self.alternatives.remove(&self.nodes.len());
        self.nodes.push(Node {
            spec,
            inputs,
            properties,
        });
        self.nodes.len() - 1
    }

    /// Forgets the nodes from `count` on.
    fn truncate(&mut self, count: usize) {
        self.nodes.truncate(count);
        self.twins.retain(|node, _| *node < count);
    }

    fn twins(&self, node: NodeIndex) -> &[Twin] {
        self.twins.get(&node).map_or(&[], Vec::as_slice)
    }

    fn set_twins(&mut self, node: NodeIndex, twins: Vec<Twin>) {
        self.twins.insert(node, twins);
    }

    fn properties(&self, node: NodeIndex) -> &StreamProperties {
        &self.nodes[node].properties
    }

    /// One of DataFusion's errors as ours.
    fn ours(&self, error: &DataFusionError) -> PlanError {
        translate(error, self.text, self.functions)
    }

    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, PlanError> {
        create_physical_expr(expr, schema, &self.props, &self.planning)
            .and_then(checked_arithmetic)
            .and_then(|physical| tried(physical, schema))
            .map_err(|error| self.ours(&error))
    }

    /// The plan with its result's properties; `columns` of its columns are visible.
    fn finish(mut self, columns: usize) -> Result<PlannedView, PlanError> {
        let Some(last) = self.nodes.last() else {
            return Err(PlanError::internal("plan has no node"));
        };
        let mut properties = last.properties.clone();
        if properties.mode == ChangelogMode::Retract && !properties.key.is_empty() {
            // One live row a key, and each is deleted before its successor comes.
            properties.mode = ChangelogMode::Upsert;
        }
        if properties.key.iter().any(|index| *index >= columns) {
            // Rows without what identifies them are told apart by all their columns.
            let last = self.nodes.len() - 1;
            let whole = self.without_key(last, columns);
            properties = self.properties(whole).clone();
        }
        if properties.schema.fields().len() != columns {
            return Err(PlanError::internal("the result has hidden columns"));
        }
        let plan = StreamPlan {
            nodes: std::mem::take(&mut self.nodes),
        };
        plan.check()
            .map_err(|error| PlanError::internal(error.to_string()))?;
        // Changes that carry whole rows by a key are what an upsert is, and more.
        let mode = match properties.mode {
            ChangelogMode::Retract if !properties.key.is_empty() => ChangelogMode::Upsert,
            mode => mode,
        };
        let relation = Relation {
            schema: properties.schema,
            mode,
            key: properties.key,
            event_time: properties.event_time,
        };
        let depends_on = self.depends_on.into_iter().collect();
        Ok(PlannedView {
            plan,
            relation,
            depends_on,
            notices: self.notices,
            pace: Pace::default(),
            retention: None,
            memory_limit_bytes: None,
        })
    }
}

/// `schema` with another column at `at`, never null.
fn with_column(schema: &Schema, at: usize, name: &str, of: DataType) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().map(Arc::clone).collect();
    fields.insert(at, Arc::new(Field::new(name, of, false)));
    Arc::new(Schema::new(fields))
}

/// The Arrow schema of a logical one: names without qualifiers, no metadata.
fn arrow_schema(schema: &DFSchema) -> SchemaRef {
    let fields = schema.fields().iter();
    let plain = fields
        .map(|field| Field::new(field.name(), field.data_type().clone(), field.is_nullable()));
    Arc::new(Schema::new(plain.collect::<Vec<_>>()))
}

/// Refuses input whose rows change, for operators that cannot take a row back.
fn require_append(properties: &StreamProperties, operator: &str) -> Result<(), PlanError> {
    if properties.mode == ChangelogMode::Append {
        return Ok(());
    }
    let operator = operator.to_owned();
    let error = PlanError::new(Cause::UpdatingInput {
        operator,
        mode: properties.mode,
    });
    let detail = "Rows of its input change after they were read: the input is an open window, \
                  an aggregation, \
                  or a table with a primary key.";
    Err(error
        .detail(detail)
        .hint("Write EMIT ON WINDOW CLOSE in the view that it reads."))
}

#[cfg(test)]
mod tests;
