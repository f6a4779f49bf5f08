//! Which column of a node watermarks speak about, where several could: both times of an interval
//! join, a row's own time and its windows' bounds.
//!
//! A node has one consumer, so it can be told later which one is wanted.

use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::Side;
use rtsap_plan::operator::{OperatorSpec, WindowColumn};
use rtsap_plan::session::SessionSpec;
use rtsap_plan::window::WindowSpec;

use std::sync::Arc;

use crate::logical::window_node::WINDOW_COLUMNS;
use crate::streaming::Compiler;
use crate::streaming::window::rank;

impl Compiler<'_> {
    /// Whether watermarks can speak about `column` of `node`.
    pub(super) fn can_be_event_time(&self, node: NodeIndex, column: usize) -> bool {
        if self.properties(node).event_time == Some(column) {
            return true;
        }
        if let Some((input, column)) = self.below(node, column) {
            return self.can_be_event_time(input, column);
        }
        match &self.nodes[node].spec {
            OperatorSpec::WindowAggregate(_) => {
                self.properties(node).event_time.is_some()
                    && self.twins(node).iter().any(|twin| twin.column == column)
            }
            OperatorSpec::WindowAssign { .. } => {
                // Its last three columns are the window's bounds.
                let width = self.properties(node).schema.fields().len();
                self.properties(node).event_time.is_some() && column + 3 >= width && column < width
            }
            OperatorSpec::IntervalJoin(_) => self
                .alternatives
                .get(&node)
                .is_some_and(|columns| columns.contains(&column)),
            _ => false,
        }
    }

    /// The input and its column that `column` of `node` is, where each row of that input goes on as
    /// rows of the same time.
    fn below(&self, node: NodeIndex, column: usize) -> Option<(NodeIndex, usize)> {
        let input = *self.nodes[node].inputs.first()?;
        let column = match &self.nodes[node].spec {
            OperatorSpec::Project { exprs } => exprs.get(column).and_then(passed_on)?,
            OperatorSpec::Filter { .. } => column,
            OperatorSpec::Unnest(spec) => {
                let from = *spec.output.get(column)?;
                (!spec.lists.contains(&from)).then_some(from)?
            }
            OperatorSpec::RegularJoin(spec) if spec.lookup => {
                let from = spec.output.get(column)?;
                (from.side == Side::Left).then_some(from.index)?
            }
            _ => return None,
        };
        Some((input, column))
    }

    /// Whether `column` of `node` is a bound of the windows that rows were put into.
    pub(super) fn is_window_bound(&self, node: NodeIndex, column: usize) -> bool {
        self.window_bound(node, column).is_some()
    }

    /// Which bound of which windows `column` of `node` is.
    pub(super) fn window_bound(
        &self,
        node: NodeIndex,
        column: usize,
    ) -> Option<(WindowColumn, WindowSpec)> {
        if let Some((input, column)) = self.below(node, column) {
            return self.window_bound(input, column);
        }
        let found = &self.nodes[node];
        match &found.spec {
            OperatorSpec::WindowAssign { window, .. } => {
                let first = found.properties.schema.fields().len() - WINDOW_COLUMNS.len();
                let bounds = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time];
                let bound = column.checked_sub(first).and_then(|at| bounds.get(at));
                bound.map(|bound| (*bound, *window))
            }
            OperatorSpec::WindowAggregate(aggregate)
            | OperatorSpec::SessionAggregate(SessionSpec { aggregate, .. }) => {
                let column = *aggregate.output.get(column)?;
                let is_bound = !matches!(column, WindowColumn::Key(_) | WindowColumn::Aggregate(_));
                is_bound.then_some((column, aggregate.window))
            }
            OperatorSpec::IntervalJoin(spec) => {
                let from = spec.output.get(column)?;
                self.window_bound(found.inputs[from.side.port()], from.index)
            }
            OperatorSpec::TopN(spec) => {
                let column = match spec.number_at {
                    Some(at) if column == at => return None,
                    Some(at) if column > at => column - 1,
                    _ => column,
                };
                self.window_bound(found.inputs[0], column)
            }
            _ => None,
        }
    }

    /// The best of `columns` to go by where rows of `node` are grouped by bounds of windows: the
    /// start, so that longer windows over the result hold whole ones; for windows that begin
    /// together the end. `None` if none is one that watermarks can speak about.
    pub(super) fn closing_bound(
        &self,
        node: NodeIndex,
        columns: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        let bounds = columns.filter_map(|column| {
            let (bound, window) = self.window_bound(node, column)?;
            let rank = rank(bound)?;
            let rank = if window.begin_together() {
                2 - rank
            } else {
                rank
            };
            self.can_be_event_time(node, column)
                .then_some((rank, column))
        });
        bounds.min().map(|(_, column)| column)
    }

    /// Lets watermarks of `node` speak about `column`; returns whether they can.
    pub(super) fn retarget(&mut self, node: NodeIndex, column: usize) -> bool {
        if self.properties(node).event_time == Some(column) {
            return true;
        }
        if !self.can_be_event_time(node, column) {
            return false;
        }
        if let Some((input, below)) = self.below(node, column) {
            self.retarget(input, below);
        }
        let before = self.nodes[node].properties.event_time.replace(column);
        if let (Some(before), Some(others)) = (before, self.alternatives.get_mut(&node)) {
            others.retain(|other| *other != column);
            others.push(before);
        }
        true
    }

    /// The place among `sources` of a column that watermarks of `node` can speak about, if the one
    /// that they speak about is not there; they speak about it from now on.
    pub(super) fn other_time(
        &mut self,
        node: NodeIndex,
        sources: &[Option<usize>],
    ) -> Option<usize> {
        let places = sources.iter().enumerate();
        let mut columns = places.filter_map(|(place, source)| Some((place, (*source)?)));
        let (place, column) = columns.find(|(_, column)| self.can_be_event_time(node, *column))?;
        self.retarget(node, column).then_some(place)
    }

    /// Compiles what is over windows by itself; see [`Compiler::finds_late`].
    pub(super) fn finding_late<T>(
        &mut self,
        finds_late: bool,
        compile: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = std::mem::replace(&mut self.finds_late, finds_late);
        let compiled = compile(self);
        self.finds_late = outer;
        compiled
    }

    /// A node that finds rows late before they are put into windows, where that is wanted.
    pub(super) fn open_windows(
        &mut self,
        input: NodeIndex,
        window: WindowSpec,
        time: usize,
    ) -> NodeIndex {
        if !self.finds_late {
            return input;
        }
        let properties = self.properties(input).clone();
        let twins = self.twins(input).to_vec();
        let spec = OperatorSpec::OpenWindows { window, time };
        let node = self.push(spec, vec![input], properties);
        self.set_twins(node, twins);
        node
    }
}

/// The input column that an expression passes on unchanged.
fn passed_on(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}
