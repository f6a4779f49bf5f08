//! Aggregation: by windows, by buckets of event time, by bounds of windows below; for ever
//! otherwise.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{AggregateSpec, Emit, GroupAggregateSpec, OperatorSpec, WindowColumn};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::time::nanos_per;

use crate::error::{Cause, PlanError};
use crate::logical::window_length::{Length, Lengths};
use crate::streaming::bucket::{bucket_window, is_bucket};
use crate::streaming::grouping::Grouping;
use crate::streaming::peel::{Layers, Peeled};
use crate::streaming::readable;
use crate::streaming::retract;
use crate::streaming::top_n::column;
use crate::streaming::window::{Group, Windowed, check_unit, rank};
use crate::streaming::{Compiler, Twin, arrow_schema};

/// What of an aggregation says that its groups end.
#[derive(Clone, Copy)]
struct ByTime {
    /// Which group expression.
    at: usize,
    /// Which column of the input it goes by.
    time: usize,
    /// The windows that the expression puts that column into; none if it is the column itself, a
    /// bound of windows.
    window: Option<WindowSpec>,
}

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
            let everywhere = grouping.everywhere();
            let grouped = &grouping.aggregate;
            let compile = |compiler: &mut Self| compiler.grouped(grouped, &everywhere, emit);
            let node = self.finding_late(false, compile)?;
            grouping.tell(self, node)?;
            return Ok(node);
        }
        let everywhere = vec![true; aggregate.group_expr.len()];
        self.finding_late(false, |compiler| {
            compiler.grouped(aggregate, &everywhere, emit)
        })
    }

    /// `everywhere` says which group expressions tell rows apart in each way to group.
    fn grouped(
        &mut self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        let peeled = Peeled::find(&aggregate.input);
        let mut over_window = None;
        if let Some(peeled) = &peeled
            && self.groups_by_window(aggregate, peeled)?
            && (peeled.is_session() || self.appends(peeled.node.input())?)
        {
            if peeled.is_session() || self.is_plain(aggregate, peeled)? {
                return self.aggregate_over_window(aggregate, peeled, emit);
            }
            over_window = Some(peeled);
        }
        if has_time(aggregate, everywhere)
            && let Some(node) = self.aggregate_until_closed(aggregate, everywhere, emit)?
        {
            return Ok(node);
        }
        if let Some(peeled) = over_window {
            // It says why not.
            return self.aggregate_over_window(aggregate, peeled, emit);
        }
        let input = self.node(&aggregate.input, emit)?;
        self.group_aggregate(aggregate, everywhere, input)
    }

    /// The aggregation if its groups end as event time passes.
    fn aggregate_until_closed(
        &mut self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        emit: Emit,
    ) -> Result<Option<NodeIndex>, PlanError> {
        // What feeds a window must never change, so windows below close before they show.
        let closed = Emit::OnClose { delay_nanos: 0 };
        if let Some(lowered) = self.over_bucket_below(aggregate)?
            && let Some(node) = self.aggregate_by_time(&lowered, everywhere, closed, emit)?
        {
            return Ok(Some(node));
        }
        let found = self.aggregate_by_time(aggregate, everywhere, closed, emit)?;
        if found.is_some() || emit != Emit::Changes {
            return Ok(found);
        }
        // Groups of bounds of windows may show what is not closed yet.
        self.aggregate_by_time(aggregate, everywhere, emit, emit)
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

    /// Whether bounds of the window are nothing but group expressions.
    fn is_plain(&self, aggregate: &Aggregate, peeled: &Peeled<'_>) -> Result<bool, PlanError> {
        let names_window = |expr: &Expr| Peeled::names_window(peeled.node, expr);
        let through = |expr: &Expr| peeled.through(expr).map_err(|error| self.ours(&error));
        for expr in &aggregate.group_expr {
            let expr = through(expr)?;
            if names_window(&expr) && !matches!(expr, Expr::Column(_)) {
                return Ok(false);
            }
        }
        for expr in &aggregate.aggr_expr {
            if names_window(&through(expr)?) {
                return Ok(false);
            }
        }
        let filters = peeled.filters().map_err(|error| self.ours(&error))?;
        Ok(!filters.iter().any(names_window))
    }

    /// `aggregate` over what lies below the projections that compute a time bucket, if it groups by
    /// such a bucket.
    fn over_bucket_below(&self, aggregate: &Aggregate) -> Result<Option<Aggregate>, PlanError> {
        let layers = Layers::below(&aggregate.input);
        let is_column = |expr: &&Expr| matches!(expr, Expr::Column(_));
        let mut computed = Vec::new();
        for expr in aggregate.group_expr.iter().filter(is_column) {
            let expr = layers.through(expr).map_err(|error| self.ours(&error))?;
            computed.push(is_bucket(&expr));
        }
        if !computed.contains(&true) {
            return Ok(None);
        }
        let lowered = layers.lowered(aggregate);
        lowered.map(Some).map_err(|error| self.ours(&error))
    }

    /// The aggregation if its groups end as event time passes, and if its input, compiled for
    /// `below`, never changes.
    fn aggregate_by_time(
        &mut self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        below: Emit,
        emit: Emit,
    ) -> Result<Option<NodeIndex>, PlanError> {
        let before = self.nodes.len();
        let mut input = self.node(&aggregate.input, below)?;
        let mut found = self.by_time(aggregate, everywhere, input, [below, emit])?;
        if let Some(by_time) = found
            && self.is_window_bound(input, by_time.time)
        {
            // Rows go on from windows one by one: what is late must be found before.
            self.truncate(before);
            input = self.finding_late(true, |compiler| compiler.node(&aggregate.input, below))?;
            found = self.by_time(aggregate, everywhere, input, [below, emit])?;
        }
        let Some(by_time) = found else {
            self.truncate(before);
            return Ok(None);
        };
        self.aggregate_over_time(aggregate, input, by_time, emit)
            .map(Some)
    }

    /// Which group expression ends with event time: a bucket of it, or a bound of windows where
    /// results show when they are closed or their rows come one by one.
    fn by_time(
        &self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        input: NodeIndex,
        [below, emit]: [Emit; 2],
    ) -> Result<Option<ByTime>, PlanError> {
        if self.properties(input).mode != ChangelogMode::Append {
            return Ok(None);
        }
        // Windows below close before they show.
        let whole = below != Emit::Changes;
        let schema = aggregate.input.schema();
        let groups = aggregate.group_expr.iter().enumerate();
        let groups = groups.filter(|(at, _)| everywhere[*at]);
        let times = (0..schema.fields().len()).filter(|time| self.can_be_event_time(input, *time));
        for time in times.filter(|_| whole) {
            for (at, expr) in groups.clone() {
                if let Some(window) = bucket_window(expr, schema, time)? {
                    let window = Some(window);
                    return Ok(Some(ByTime { at, time, window }));
                }
            }
        }
        if whole && emit == Emit::Changes {
            return Ok(None);
        }
        let bound = self.grouped_bound(aggregate, everywhere, input);
        let window = None;
        Ok(bound.map(|(at, time)| ByTime { at, time, window }))
    }

    /// The best group expression that is a bound of windows, and the input's column that it is.
    fn grouped_bound(
        &self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        input: NodeIndex,
    ) -> Option<(usize, usize)> {
        let schema = aggregate.input.schema();
        let groups = aggregate.group_expr.iter().enumerate();
        let columns: Vec<(usize, usize)> = groups
            .filter(|(at, _)| everywhere[*at])
            .filter_map(|(at, expr)| Some((at, column(expr, schema)?)))
            .collect();
        let bound = self.closing_bound(input, columns.iter().map(|(_, column)| *column))?;
        columns.into_iter().find(|(_, column)| *column == bound)
    }

    fn aggregate_over_time(
        &mut self,
        aggregate: &Aggregate,
        input: NodeIndex,
        by_time: ByTime,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        let ByTime { at, time, window } = by_time;
        let schema = aggregate.input.schema();
        self.check_event_time(input, time)?;
        let time_type = schema.field(time).data_type();
        let bound = self.window_bound(input, time);
        let windows = match window {
            Some(window) => window,
            // Each value of a bound is its own window.
            None => unit_window(time_type)?,
        };
        check_unit(windows, time_type)?;
        let groups = aggregate.group_expr.iter().enumerate();
        let groups = groups.map(|(index, expr)| match index == at {
            true => Group::Bound(WindowColumn::Start),
            false => Group::Key(expr.clone()),
        });
        let windowed = Windowed {
            window: windows,
            input,
            schema,
            time,
            partition: Vec::new(),
            groups: groups.collect(),
            aggregates: aggregate.aggr_expr.clone(),
        };
        let node = self.window_aggregate(aggregate, windowed, emit)?;
        if let (None, Some((bound, _))) = (window, bound)
            && let Some(rank) = rank(bound)
        {
            self.set_twins(node, vec![Twin { column: at, rank }]);
        }
        Ok(node)
    }

    fn group_aggregate(
        &mut self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        input: NodeIndex,
    ) -> Result<NodeIndex, PlanError> {
        let mode = self.properties(input).mode;
        let schema = aggregate.input.schema();
        let closes = self.closing_key(aggregate, everywhere, input);
        let mut state = match closes {
            Some(_) => StateBound::UntilClosed,
            None => StateBound::PerKey,
        };
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
                if call.keeps_rows && closes.is_none() {
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
            closes,
        });
        Ok(self.push(spec, vec![input], properties))
    }

    /// The key that is a bound of windows below which show as they change: once event time has
    /// passed it they change no more. Watermarks speak about it from now on.
    fn closing_key(
        &mut self,
        aggregate: &Aggregate,
        everywhere: &[bool],
        input: NodeIndex,
    ) -> Option<usize> {
        if self.properties(input).mode == ChangelogMode::Append {
            return None;
        }
        let (key, bound) = self.grouped_bound(aggregate, everywhere, input)?;
        self.retarget(input, bound).then_some(key)
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

/// Whether something that rows are grouped by is a time, without which no group ever ends.
fn has_time(aggregate: &Aggregate, everywhere: &[bool]) -> bool {
    let schema = aggregate.input.schema();
    let groups = aggregate.group_expr.iter().zip(everywhere);
    groups
        .filter(|(_, everywhere)| **everywhere)
        .any(|(expr, _)| {
            // What has no type is refused where it is lowered.
            let of = expr.get_type(schema);
            of.is_ok_and(|of| matches!(of, DataType::Timestamp(..)))
        })
}

/// The windows of one unit of a time column.
fn unit_window(time: &DataType) -> Result<WindowSpec, PlanError> {
    let DataType::Timestamp(unit, _) = time else {
        return Err(PlanError::internal(format!(
            "a bound of windows of type {time}"
        )));
    };
    Lengths::tumbling(Length::Nanos(nanos_per(*unit)), None).windows(None)
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
        // A median and a percentile are computed of it.
        "array_agg" | "median" => {
            "Group by a window; for a median or a percentile use approx_percentile_cont."
        }
        _ => "Group by a window.",
    };
    Err(error.detail(detail).hint(hint))
}
