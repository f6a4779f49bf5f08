//! Windows: rows into windows, and aggregation by window.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::{Expr, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{Emit, OperatorSpec, WindowAggregateSpec, WindowColumn};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::session::SessionSpec;
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::time::nanos_per;

use crate::error::{Cause, PlanError};
use crate::logical::window_node::{WINDOW_COLUMNS, WindowNode};
use crate::streaming::peel::Peeled;
use crate::streaming::top_n::column;
use crate::streaming::{Compiler, Twin, arrow_schema, require_append};

/// A window aggregation before its expressions are compiled.
pub(super) struct Windowed<'a> {
    /// Which windows.
    pub window: WindowSpec,
    /// The node that is aggregated, its schema, and the index of its timestamp column.
    pub input: NodeIndex,
    pub schema: &'a DFSchema,
    pub time: usize,
    /// What sessions are apart by.
    pub partition: Vec<Expr>,
    /// What each group expression is: a bound of the window, or a key.
    pub groups: Vec<Group>,
    /// The aggregates over `schema`.
    pub aggregates: Vec<Expr>,
}

/// A group expression.
pub(super) enum Group {
    Bound(WindowColumn),
    Key(Expr),
}

impl Compiler<'_> {
    /// Rows into windows, without aggregation.
    pub(super) fn window_assign(
        &mut self,
        node: &WindowNode,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        if let WindowSpec::Session { .. } = node.window() {
            let error =
                PlanError::unsupported("SESSION without GROUP BY window_start or window_end");
            return Err(
                error.hint("Group by window_start, window_end and the columns of PARTITION BY.")
            );
        }
        let mut input = self.node(node.input(), emit)?;
        let time = node.time_index().map_err(|error| self.ours(&error))?;
        check_unit(node.window(), node.time_type())?;
        let changes = self.properties(input).mode != ChangelogMode::Append;
        if !changes {
            self.check_event_time(input, time)?;
            input = self.open_windows(input, node.window(), time);
        }
        let visible = node.input().schema().fields().len();
        if changes && self.properties(input).schema.fields().len() > visible {
            input = self.without_key(input, visible);
        }
        let mut before = self.properties(input).clone();
        if changes {
            // Windows of rows that change never close. In which of them a row is may change too.
            (before.mode, before.key, before.event_time) =
                (ChangelogMode::Retract, Vec::new(), None);
        }
        let mut fields: Vec<_> = before.schema.fields().iter().map(Arc::clone).collect();
        for name in WINDOW_COLUMNS {
            fields.push(Arc::new(Field::new(name, node.time_type().clone(), false)));
        }
        let width = UserDefinedLogicalNodeCore::schema(node).fields().len();
        if fields.len() != width {
            return Err(PlanError::internal("a window's input has hidden columns"));
        }
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields)),
            ..before
        };
        let window = node.window();
        let open_only = self.finds_late && !changes;
        let spec = OperatorSpec::WindowAssign {
            window,
            time,
            open_only,
        };
        let node = self.push(spec, vec![input], properties);
        let bounds = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time].into_iter();
        let first = width - WINDOW_COLUMNS.len();
        let twins = bounds.enumerate().filter_map(|(index, bound)| {
            Some(Twin {
                column: first + index,
                rank: rank(bound)?,
            })
        });
        let twins = twins.collect();
        // A row that is in several windows may be late for some of them only.
        if open_only || (window.tumbles() && !changes) {
            self.set_twins(node, twins);
        }
        Ok(node)
    }

    /// A window over a column that watermarks say nothing about would never close and count rows
    /// late at random.
    pub(super) fn check_event_time(
        &mut self,
        input: NodeIndex,
        time: usize,
    ) -> Result<(), PlanError> {
        if self.retarget(input, time) {
            return Ok(());
        }
        let properties = self.properties(input);
        let column = properties.schema.field(time).name().clone();
        let hint = match properties.event_time {
            Some(other) => {
                let other = properties.schema.field(other).name();
                format!("Use the event-time column \"{other}\".")
            }
            None => format!(
                "Add WATERMARK FOR {column} AS {column} - INTERVAL '2' SECOND to the source."
            ),
        };
        Err(PlanError::new(Cause::NotEventTime { column }).hint(hint))
    }

    /// `GROUP BY window_start, …` over a window function, with whatever stands between the two.
    pub(super) fn aggregate_over_window(
        &mut self,
        aggregate: &Aggregate,
        peeled: &Peeled<'_>,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        let node = peeled.node;
        let mut groups = Vec::with_capacity(aggregate.group_expr.len());
        for expr in &aggregate.group_expr {
            let expr = peeled.through(expr).map_err(|error| self.ours(&error))?;
            groups.push(group(node, expr)?);
        }
        let mut aggregates = Vec::with_capacity(aggregate.aggr_expr.len());
        for expr in &aggregate.aggr_expr {
            let expr = peeled.through(expr).map_err(|error| self.ours(&error))?;
            if Peeled::names_window(node, &expr) {
                let error = PlanError::unsupported(
                    "an aggregate of window_start, window_end or window_time",
                );
                return Err(error.hint("Use the window's column itself; it is one value a group."));
            }
            aggregates.push(expr);
        }
        // What feeds a window must never change, so windows below close before they show.
        let mut input = self.node(node.input(), Emit::OnClose { delay_nanos: 0 })?;
        require_append(self.properties(input), "aggregation by window")?;
        let time = node.time_index().map_err(|error| self.ours(&error))?;
        self.check_event_time(input, time)?;
        check_unit(node.window(), node.time_type())?;
        for filter in peeled.filters().map_err(|error| self.ours(&error))? {
            if Peeled::names_window(node, &filter) {
                let error = PlanError::unsupported(
                    "WHERE on window_start, window_end or window_time before aggregation",
                );
                return Err(error.hint("Put the condition into HAVING."));
            }
            input = self.filter_onto(input, &filter, node.input().schema())?;
        }
        let schema = node.input().schema();
        let windowed = Windowed {
            window: node.window(),
            input,
            schema,
            time,
            partition: node.partition().to_vec(),
            groups,
            aggregates,
        };
        self.window_aggregate(aggregate, windowed, emit)
    }

    /// Adds the node. Output columns are those of `aggregate`.
    pub(super) fn window_aggregate(
        &mut self,
        aggregate: &Aggregate,
        windowed: Windowed<'_>,
        emit: Emit,
    ) -> Result<NodeIndex, PlanError> {
        let window = windowed.window;
        check_partition(&windowed)?;
        let mut keys = Vec::new();
        let mut output = Vec::new();
        for group in &windowed.groups {
            match group {
                Group::Bound(column) => output.push(*column),
                Group::Key(expr) => {
                    output.push(WindowColumn::Key(keys.len()));
                    keys.push(self.physical(expr, windowed.schema)?);
                }
            }
        }
        let mut aggregates = Vec::with_capacity(windowed.aggregates.len());
        for (index, expr) in windowed.aggregates.iter().enumerate() {
            output.push(WindowColumn::Aggregate(index));
            aggregates.push(self.aggregate_spec(expr, windowed.schema)?);
        }
        check_told_apart(window, &output)?;
        let twins = twins(window, &output);
        let wanted = arrow_schema(&aggregate.schema);
        let time_type = windowed.schema.field(windowed.time).data_type();
        let schema = bounds_as_time(&wanted, &output, time_type);
        let properties = self.window_properties(window, &output, emit, schema);
        let aggregate = WindowAggregateSpec {
            window,
            time: windowed.time,
            keys,
            sets: Vec::new(),
            aggregates,
            output,
            emit,
            // Until a window shows once, a row is in time anyway.
            lateness_nanos: match emit {
                Emit::Changes => self.lateness_nanos,
                Emit::OnClose { .. } => 0,
            },
        };
        let partition = windowed.partition.iter();
        let partition = partition.map(|expr| self.physical(expr, windowed.schema));
        let partition = partition.collect::<Result<Vec<_>, _>>()?;
        let spec = match window {
            WindowSpec::Session { gap_nanos } => OperatorSpec::SessionAggregate(SessionSpec {
                gap_nanos,
                partition,
                aggregate,
            }),
            _ => OperatorSpec::WindowAggregate(aggregate),
        };
        let node = self.push(spec, vec![windowed.input], properties);
        self.set_twins(node, twins);
        Ok(self.cast_to(node, &wanted))
    }

    fn window_properties(
        &self,
        window: WindowSpec,
        output: &[WindowColumn],
        emit: Emit,
        schema: SchemaRef,
    ) -> StreamProperties {
        let session = matches!(window, WindowSpec::Session { .. });
        let (mode, key, wait) = match emit {
            Emit::Changes if session => {
                let key = key(window, output);
                (ChangelogMode::Retract, key, self.lateness_nanos)
            }
            Emit::Changes => {
                let key = key(window, output);
                (ChangelogMode::Upsert, key, self.lateness_nanos)
            }
            Emit::OnClose { delay_nanos } => (ChangelogMode::Append, Vec::new(), delay_nanos),
        };
        let event_time = event_time(output);
        StreamProperties {
            event_time: match emit {
                // A session that grows takes back what it has sent of times before.
                Emit::Changes if session => None,
                // Where a session begins is open as long as it is.
                _ => event_time.filter(|at| !session || output[*at] != WindowColumn::Start),
            },
            schema,
            mode,
            key,
            state: match session {
                true => StateBound::UntilClosed,
                false => StateBound::EventTime {
                    retention_nanos: window.size_nanos().saturating_add(wait),
                },
            },
        }
    }

    /// The same rows in the types of `wanted`: a bucket function may have given the bound in a
    /// finer unit.
    fn cast_to(&mut self, node: NodeIndex, wanted: &Schema) -> NodeIndex {
        let before = self.properties(node).clone();
        let mut fields = Vec::with_capacity(wanted.fields().len());
        let mut exprs: Vec<Arc<dyn PhysicalExpr>> = Vec::with_capacity(wanted.fields().len());
        for (index, (found, wanted)) in before
            .schema
            .fields()
            .iter()
            .zip(wanted.fields())
            .enumerate()
        {
            let column = Arc::new(Column::new(found.name(), index));
            let target = wanted.data_type().clone();
            fields.push(found.as_ref().clone().with_data_type(target.clone()));
            exprs.push(match found.data_type() == &target {
                true => column,
                false => Arc::new(CastExpr::new(column, target, None)),
            });
        }
        let schema = Arc::new(Schema::new(fields));
        if schema == before.schema {
            return node;
        }
        let twins = self.twins(node).to_vec();
        let properties = StreamProperties {
            schema,
            state: StateBound::None,
            ..before
        };
        let cast = self.push(OperatorSpec::Project { exprs }, vec![node], properties);
        self.set_twins(cast, twins);
        cast
    }
}

/// Sessions of different partitions may have the same bounds: a group must not mix them.
fn check_partition(windowed: &Windowed<'_>) -> Result<(), PlanError> {
    let place = |expr: &Expr| column(expr, windowed.schema);
    let keys = windowed.groups.iter().filter_map(|group| match group {
        Group::Key(expr) => place(expr),
        Group::Bound(_) => None,
    });
    let keys: Vec<usize> = keys.collect();
    let missing = windowed.partition.iter().find(|expr| {
        let at = place(expr);
        !at.is_some_and(|at| keys.contains(&at))
    });
    let Some(missing) = missing else {
        return Ok(());
    };
    let name = missing.schema_name();
    let error = PlanError::unsupported(format!("SESSION by {name} without GROUP BY {name}"));
    Err(error.hint("Group by all columns of PARTITION BY."))
}

/// Windows that begin together are told apart by their ends.
fn check_told_apart(window: WindowSpec, output: &[WindowColumn]) -> Result<(), PlanError> {
    let by_end = output.iter().any(|column| rank(*column) > Some(0));
    if by_end || !window.begin_together() {
        return Ok(());
    }
    let error = PlanError::unsupported("GROUP BY window_start without window_end");
    Err(error.hint("Several windows of CUMULATE begin together: add window_end."))
}

/// The columns that say as much as each other about the window of a row.
fn twins(window: WindowSpec, output: &[WindowColumn]) -> Vec<Twin> {
    let begin_together = window.begin_together();
    let bounds = output.iter().enumerate();
    let bounds = bounds.filter(|(_, bound)| !begin_together || **bound != WindowColumn::Start);
    let twins = bounds.filter_map(|(column, bound)| {
        Some(Twin {
            column,
            rank: rank(*bound)?,
        })
    });
    twins.collect()
}

/// Of the bounds of one window, the later has the higher rank.
pub(super) fn rank(column: WindowColumn) -> Option<u8> {
    match column {
        WindowColumn::Start => Some(0),
        WindowColumn::Time => Some(1),
        WindowColumn::End => Some(2),
        WindowColumn::Key(_) | WindowColumn::Aggregate(_) => None,
    }
}

/// The columns that identify a row: the group keys, and one bound of the window, since each gives
/// the others.
fn key(window: WindowSpec, output: &[WindowColumn]) -> Vec<usize> {
    let place = |wanted| output.iter().position(|column| *column == wanted);
    let any = output.iter().position(|column| rank(*column).is_some());
    // Where windows begin together, only their ends tell them apart.
    let bound = match window.begin_together() {
        true => place(WindowColumn::End).or_else(|| place(WindowColumn::Time)),
        false => any,
    };
    let keys = output
        .iter()
        .enumerate()
        .filter(|(index, column)| Some(*index) == bound || matches!(column, WindowColumn::Key(_)));
    keys.map(|(index, _)| index).collect()
}

fn group(node: &WindowNode, expr: Expr) -> Result<Group, PlanError> {
    if let Expr::Column(column) = &expr {
        match node.window_column(column) {
            Some(0) => return Ok(Group::Bound(WindowColumn::Start)),
            Some(1) => return Ok(Group::Bound(WindowColumn::End)),
            Some(_) => return Ok(Group::Bound(WindowColumn::Time)),
            None => {}
        }
    }
    if Peeled::names_window(node, &expr) {
        let error = PlanError::unsupported(
            "GROUP BY an expression of window_start, window_end or window_time",
        );
        return Err(error.hint(
            "Group by the column itself, and compute the expression in a view on this one.",
        ));
    }
    Ok(Group::Key(expr))
}

/// The output column that watermarks speak about. `window_time` if it is there, as in Flink; else
/// the start, so that longer windows over the result hold whole shorter ones; else the end.
fn event_time(output: &[WindowColumn]) -> Option<usize> {
    let place = |wanted| output.iter().position(|column| *column == wanted);
    place(WindowColumn::Time)
        .or_else(|| place(WindowColumn::Start))
        .or_else(|| place(WindowColumn::End))
}

/// A window's bounds are of the time column's type and never null, whatever expression stood for
/// them.
fn bounds_as_time(schema: &Schema, output: &[WindowColumn], time: &DataType) -> Arc<Schema> {
    let fields = schema.fields().iter().zip(output).map(|(field, column)| {
        if rank(*column).is_none() {
            return Arc::clone(field);
        }
        let field = field.as_ref().clone().with_data_type(time.clone());
        Arc::new(field.with_nullable(false))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Bounds must be exact in the unit of the time column.
pub(super) fn check_unit(window: WindowSpec, time: &DataType) -> Result<(), PlanError> {
    let DataType::Timestamp(unit, _) = time else {
        return Err(PlanError::internal(format!("a window over {time}")));
    };
    let unit = nanos_per(*unit);
    let lengths = [
        window.size_nanos(),
        window.slide_nanos(),
        window.offset_nanos(),
    ];
    if lengths.iter().all(|length| length % unit == 0) {
        return Ok(());
    }
    let message = format!("{window} is finer than the time column");
    let error = PlanError::new(Cause::Window { message });
    Err(error.hint(
        "Declare the time column with more digits, such as TIMESTAMP(9), or use a longer window.",
    ))
}
