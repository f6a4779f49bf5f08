//! Aggregation: by window where there is one, for ever otherwise.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{AggregateSpec, Emit, GroupAggregateSpec, OperatorSpec, WindowColumn};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use crate::error::{Cause, PlanError};
use crate::streaming::bucket::bucket_window;
use crate::streaming::grouping::Grouping;
use crate::streaming::peel::Peeled;
use crate::streaming::readable;
use crate::streaming::retract;
use crate::streaming::window::{Group, Windowed, check_unit};
use crate::streaming::{Compiler, arrow_schema, require_append};

impl Compiler<'_> {
    pub(super) fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        if let Some(aggregate) = without_repeated_keys(aggregate) {
            return self.aggregate(&aggregate, emit);
        }
        if let Some(grouping) = Grouping::of(aggregate)? {
            let node = self.aggregate(&grouping.aggregate, emit)?;
            grouping.tell(self, node)?;
            return Ok(node);
        }
        if let Some(peeled) = Peeled::find(&aggregate.input)
            && self.groups_by_window(aggregate, &peeled)?
            && (peeled.is_session() || self.appends(peeled.node.input())?)
        {
            return self.aggregate_over_window(aggregate, &peeled, emit);
        }
        let before = self.nodes.len();
        // What feeds a window must never change, so windows below close before they show.
        let input = self.node(&aggregate.input, Emit::OnClose { delay_nanos: 0 })?;
        if let Some((at, column)) = self.bucket(aggregate, input)? {
            return self.aggregate_over_bucket(aggregate, input, at, column, emit);
        }
        self.truncate(before);
        let input = self.node(&aggregate.input, emit)?;
        self.group_aggregate(aggregate, input)
    }

    /// Whether rows of `input` stay as they are, if windows in it close before they show.
    fn appends(&mut self, input: &LogicalPlan) -> Result<bool, PlanError> {
        let before = self.nodes.len();
        let input = self.node(input, Emit::OnClose { delay_nanos: 0 })?;
        let appends = self.properties(input).mode == ChangelogMode::Append;
        self.truncate(before);
        Ok(appends)
    }

    fn groups_by_window(
        &self,
        aggregate: &Aggregate,
        peeled: &Peeled<'_>,
    ) -> Result<bool, PlanError> {
        for expr in &aggregate.group_expr {
            let expr = peeled.through(expr).map_err(|error| self.ours(&error))?;
            if Peeled::names_window(peeled.node, &expr) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Which group expression puts the input's event time into buckets, and the event-time column.
    fn bucket(
        &self,
        aggregate: &Aggregate,
        input: NodeIndex,
    ) -> Result<Option<(usize, usize)>, PlanError> {
        let Some(time) = self.properties(input).event_time else {
            return Ok(None);
        };
        let schema = aggregate.input.schema();
        if time >= schema.fields().len() || self.properties(input).mode != ChangelogMode::Append {
            return Ok(None);
        }
        for (at, expr) in aggregate.group_expr.iter().enumerate() {
            if bucket_window(expr, schema, time)?.is_some() {
                return Ok(Some((at, time)));
            }
        }
        Ok(None)
    }

    fn aggregate_over_bucket(
        &mut self,
        aggregate: &Aggregate,
        input: NodeIndex,
        at: usize,
        time: usize,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        let schema = aggregate.input.schema();
        require_append(self.properties(input), "aggregation by time bucket")?;
        self.check_event_time(input, time)?;
        let Some(window) = bucket_window(&aggregate.group_expr[at], schema, time)? else {
            return Err(PlanError::internal("a time bucket has vanished"));
        };
        check_unit(window, schema.field(time).data_type())?;
        let groups = aggregate
            .group_expr
            .iter()
            .enumerate()
            .map(|(index, expr)| {
                if index == at {
                    Group::Bound(WindowColumn::Start)
                } else {
                    Group::Key(expr.clone())
                }
            });
        let groups = groups.collect();
        let aggregates = aggregate.aggr_expr.clone();
        let windowed = Windowed {
            window,
            input,
            schema,
            time,
            partition: Vec::new(),
            groups,
            aggregates,
        };
        self.window_aggregate(aggregate, windowed, emit)
    }

    fn group_aggregate(
        &mut self,
        aggregate: &Aggregate,
        input: NodeIndex,
    ) -> Result<NodeIndex, PlanError> {
        let mode = self.properties(input).mode;
        let schema = aggregate.input.schema();
        let mut state = StateBound::PerKey;
        if !self.keeps_all_rows(input) {
            let bounded = |expr| check_bounded(expr, schema);
            aggregate.aggr_expr.iter().try_for_each(bounded)?;
        }
        let keys = aggregate
            .group_expr
            .iter()
            .map(|expr| self.physical(expr, schema));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let aggregates = aggregate
            .aggr_expr
            .iter()
            .map(|expr| self.aggregate_spec(expr, schema));
        let mut aggregates = aggregates.collect::<Result<Vec<_>, _>>()?;
        if mode != ChangelogMode::Append {
            for (call, expr) in aggregates.iter_mut().zip(&aggregate.aggr_expr) {
                call.keeps_rows = retract::keeps_rows(expr, schema, mode)?;
                if call.keeps_rows
                    && let Some(readable) = readable::retracting(&call.function)
                {
                    (call.readable, call.keeps_rows) = (Some(readable), false);
                }
                if call.keeps_rows {
                    state = StateBound::PerRow;
                }
            }
        }
        // Without a key there is one row, which no column identifies.
        let keyed = !keys.is_empty();
        let distinct = aggregates.is_empty() && mode == ChangelogMode::Append;
        let mode = match keyed {
            // Each row comes once and stays.
            true if distinct => ChangelogMode::Append,
            true => ChangelogMode::Upsert,
            false => ChangelogMode::Retract,
        };
        let key = match mode {
            ChangelogMode::Append => Vec::new(),
            _ => (0..keys.len()).collect(),
        };
        let properties = StreamProperties {
            schema: arrow_schema(&aggregate.schema),
            mode,
            key,
            event_time: None,
            state,
        };
        let spec = OperatorSpec::GroupAggregate(GroupAggregateSpec {
            keys,
            sets: Vec::new(),
            aggregates,
        });
        Ok(self.push(spec, vec![input], properties))
    }

    /// An aggregate call over columns of `schema`.
    pub(super) fn aggregate_spec(
        &self,
        expr: &Expr,
        schema: &DFSchema,
    ) -> Result<AggregateSpec, PlanError> {
        let arrow = arrow_schema(schema);
        let builder =
            LoweredAggregateBuilder::new(expr, schema, &arrow, &self.props, &self.planning);
        let lowered = builder.build().map_err(|error| self.ours(&error))?;
        Ok(AggregateSpec {
            readable: readable::of(&lowered.aggregate),
            function: lowered.aggregate,
            filter: lowered.filter,
            keeps_rows: false,
        })
    }
}

/// `GROUP BY k, k` as `GROUP BY k`: the result has the key once. `None` if no key is there twice.
fn without_repeated_keys(aggregate: &Aggregate) -> Option<Aggregate> {
    let mut once: Vec<Expr> = Vec::with_capacity(aggregate.group_expr.len());
    for key in &aggregate.group_expr {
        if !once.contains(key) {
            once.push(key.clone());
        }
    }
    (once.len() < aggregate.group_expr.len()).then(|| {
        let mut aggregate = aggregate.clone();
        aggregate.group_expr = once;
        aggregate
    })
}

/// DataFusion's aggregates that keep every row they have seen (`rtsap_udfs` knows ours): right
/// in a window, which ends, but not for ever.
const KEEPS_ROWS: [&str; 4] = ["array_agg", "string_agg", "median", "percentile_cont"];

/// Refuses aggregates whose state grows with each row where nothing ever ends.
fn check_bounded(expr: &Expr, schema: &DFSchema) -> Result<(), PlanError> {
    let call = match expr {
        Expr::Alias(alias) => return check_bounded(&alias.expr, schema),
        Expr::AggregateFunction(call) => call,
        _ => return Ok(()),
    };
    check_bounded_call(call.func.name(), &call.params.args, schema)
}

/// Refuses the function `name` over `arguments` if its state grows with each row.
pub(super) fn check_bounded_call(
    name: &str,
    arguments: &[Expr],
    schema: &DFSchema,
) -> Result<(), PlanError> {
    let types = arguments.iter().map(|argument| argument.get_type(schema));
    // What has no type is refused where it is lowered.
    let types: Vec<DataType> = types.collect::<Result<_, _>>().unwrap_or_default();
    if !KEEPS_ROWS.contains(&name) && !rtsap_udfs::keeps_rows(name, &types) {
        return Ok(());
    }
    let node = format!("aggregate {name} without a window");
    let error = PlanError::new(Cause::UnboundedState { node });
    let detail = "It keeps every row it has seen.";
    let hint = match name {
        "median" => "Group by a window, or use approx_percentile_cont.",
        _ => "Group by a window.",
    };
    Err(error.detail(detail).hint(hint))
}
