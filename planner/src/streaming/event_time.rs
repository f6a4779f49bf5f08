//! Which column of a node watermarks speak about, where several could: both times of an interval
//! join, a row's own time and its windows' bounds.
//!
//! A node has one consumer, so it can be told later which one is wanted.

use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::window::WindowSpec;

use std::sync::Arc;

use crate::streaming::Compiler;

impl Compiler<'_> {
    /// Whether watermarks can speak about `column` of `node`.
    pub(super) fn can_be_event_time(&self, node: NodeIndex, column: usize) -> bool {
        if self.properties(node).event_time == Some(column) {
            return true;
        }
        match &self.nodes[node].spec {
            OperatorSpec::Project { exprs } => {
                let input = self.nodes[node].inputs[0];
                let source = exprs.get(column).and_then(passed_on);
                source.is_some_and(|column| self.can_be_event_time(input, column))
            }
            OperatorSpec::Filter { .. } => {
                self.can_be_event_time(self.nodes[node].inputs[0], column)
            }
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

    /// Whether `column` of `node` is a bound of the windows that rows were put into.
    pub(super) fn is_window_bound(&self, node: NodeIndex, column: usize) -> bool {
        let input = self.nodes[node].inputs.first().copied();
        match (&self.nodes[node].spec, input) {
            (OperatorSpec::Project { exprs }, Some(input)) => {
                let source = exprs.get(column).and_then(passed_on);
                source.is_some_and(|column| self.is_window_bound(input, column))
            }
            (OperatorSpec::Filter { .. }, Some(input)) => self.is_window_bound(input, column),
            (OperatorSpec::WindowAssign { .. }, _) => {
                let width = self.properties(node).schema.fields().len();
                column + 3 >= width && column < width
            }
            _ => false,
        }
    }

    /// Lets watermarks of `node` speak about `column`; returns whether they can.
    pub(super) fn retarget(&mut self, node: NodeIndex, column: usize) -> bool {
        if self.properties(node).event_time == Some(column) {
            return true;
        }
        if !self.can_be_event_time(node, column) {
            return false;
        }
        let input = self.nodes[node].inputs[0];
        let below = match &self.nodes[node].spec {
            OperatorSpec::Project { exprs } => exprs.get(column).and_then(passed_on),
            OperatorSpec::Filter { .. } => Some(column),
            _ => None,
        };
        if let Some(below) = below {
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

    /// A node that finds rows late before they are put into windows, where these are joined.
    pub(super) fn open_windows(
        &mut self,
        input: NodeIndex,
        window: WindowSpec,
        time: usize,
    ) -> NodeIndex {
        if !self.joins_windows {
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
