//! Nodes from SQL expressions, planned by DataFusion over the tests' table `t`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::prelude::{SessionConfig, SessionContext};
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{
    AggregateSpec, Emit, GroupAggregateSpec, OperatorSpec, WindowAggregateSpec, WindowColumn,
};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangelogMode;
use rtsap_udfs::postgres;

/// The columns of `t` with times in `unit`.
pub fn schema(unit: TimeUnit) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(unit, None), true),
        Field::new("k", DataType::Utf8, true),
        Field::new("side", DataType::Int32, true),
        Field::new("price", DataType::Float64, true),
        Field::new("amount", DataType::Decimal128(18, 4), true),
        Field::new("qty", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("id", DataType::Int64, false),
    ]))
}

/// A session with `t` holding `rows`, one partition, so that answers do not depend on threads.
pub fn session(name: &str, schema: &SchemaRef, rows: Vec<RecordBatch>) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(1);
    let ctx = SessionContext::new_with_config(config);
    let table = MemTable::try_new(Arc::clone(schema), vec![rows]).unwrap();
    ctx.register_table(name, Arc::new(table)).unwrap();
    ctx.register_udaf(postgres::avg().as_ref().clone());
    ctx
}

/// The keys and aggregates of a query.
pub struct Compiled {
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    pub aggregates: Vec<AggregateSpec>,
    pub fields: Vec<Field>,
}

/// Compiles `SELECT keys, aggregates FROM t GROUP BY keys`.
pub async fn compile(schema: &SchemaRef, keys: &[&str], aggregates: &[&str]) -> Compiled {
    let ctx = session("t", schema, vec![]);
    let mut sql = format!("SELECT {} FROM t", [keys, aggregates].concat().join(", "));
    if !keys.is_empty() {
        sql += &format!(" GROUP BY {}", keys.join(", "));
    }
    let state = ctx.state();
    let plan = state.create_logical_plan(&sql).await.unwrap();
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .unwrap();
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            found = Some(aggregate.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let found = found.unwrap();
    let logical: &DFSchema = found.input.schema();
    let props = state.execution_props();
    let planning = PhysicalPlanningContext::default();
    let keys: Vec<_> = found
        .group_expr
        .iter()
        .map(|expr| create_physical_expr(expr, logical, props, &planning).unwrap())
        .collect();
    let mut fields: Vec<Field> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            Field::new(format!("key_{index}"), key.data_type(schema).unwrap(), true)
        })
        .collect();
    let mut specs = Vec::new();
    for text in &found.aggr_expr {
        let lowered = LoweredAggregateBuilder::new(text, logical, schema, props, &planning);
        let lowered = lowered.build().unwrap();
        fields.push(lowered.aggregate.field().as_ref().clone());
        specs.push(AggregateSpec {
            function: lowered.aggregate,
            filter: lowered.filter,
            keeps_rows: false,
            readable: None,
        });
    }
    Compiled {
        keys,
        aggregates: specs,
        fields,
    }
}

/// A window aggregation of `t` that gives start, end, keys, aggregates, and the window's time.
pub fn window_node(
    compiled: &Compiled,
    window: WindowSpec,
    emit: Emit,
    lateness_nanos: i64,
    unit: TimeUnit,
    event_time: WindowColumn,
) -> Node {
    let time = |name: &str| Field::new(name, DataType::Timestamp(unit, None), false);
    let mut fields = vec![time("window_start"), time("window_end")];
    fields.extend(compiled.fields.iter().cloned());
    fields.push(time("window_time"));
    let mut output = vec![WindowColumn::Start, WindowColumn::End];
    output.extend((0..compiled.keys.len()).map(WindowColumn::Key));
    output.extend((0..compiled.aggregates.len()).map(WindowColumn::Aggregate));
    output.push(WindowColumn::Time);
    let mode = match emit {
        Emit::Changes => ChangelogMode::Upsert,
        Emit::OnClose { .. } => ChangelogMode::Append,
    };
    let properties = StreamProperties {
        schema: Arc::new(Schema::new(fields)),
        mode,
        key: if emit == Emit::Changes {
            (0..2 + compiled.keys.len()).collect()
        } else {
            vec![]
        },
        event_time: output.iter().position(|column| *column == event_time),
        state: StateBound::EventTime {
            retention_nanos: lateness_nanos,
        },
    };
    let spec = OperatorSpec::WindowAggregate(WindowAggregateSpec {
        window,
        time: 0,
        keys: compiled.keys.clone(),
        sets: Vec::new(),
        aggregates: compiled.aggregates.clone(),
        output,
        emit,
        lateness_nanos,
    });
    Node {
        spec,
        inputs: vec![0],
        properties,
    }
}

/// A group aggregation of `t`.
pub fn group_node(compiled: &Compiled) -> Node {
    let properties = StreamProperties {
        schema: Arc::new(Schema::new(compiled.fields.clone())),
        mode: ChangelogMode::Upsert,
        key: (0..compiled.keys.len()).collect(),
        event_time: None,
        state: StateBound::PerKey,
    };
    let spec = OperatorSpec::GroupAggregate(GroupAggregateSpec {
        keys: compiled.keys.clone(),
        sets: Vec::new(),
        aggregates: compiled.aggregates.clone(),
        closes: None,
    });
    Node {
        spec,
        inputs: vec![0],
        properties,
    }
}

/// Compiles one expression over `t`.
pub async fn expression(schema: &SchemaRef, text: &str) -> Arc<dyn PhysicalExpr> {
    let ctx = session("t", schema, vec![]);
    let state = ctx.state();
    let plan = state
        .create_logical_plan(&format!("SELECT {text} FROM t"))
        .await
        .unwrap();
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .unwrap();
    let LogicalPlan::Projection(projection) = plan else {
        panic!("not a projection: {plan}");
    };
    let planning = PhysicalPlanningContext::default();
    let logical: &DFSchema = projection.input.schema();
    create_physical_expr(
        &projection.expr[0],
        logical,
        state.execution_props(),
        &planning,
    )
    .unwrap()
}
