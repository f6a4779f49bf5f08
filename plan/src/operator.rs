//! What a node does: one variant per physical operator.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use crate::fill::FillSpec;
use crate::grouping::GroupingSet;
use crate::horizon::HorizonSpec;
use crate::join::{AsofJoinSpec, IntervalJoinSpec, RegularJoinSpec};
use crate::over::{OverSpec, PartitionOverSpec};
use crate::rank::TopNSpec;
use crate::readable::MakeReadable;
use crate::session::SessionSpec;
use crate::unnest::UnnestSpec;
use crate::window::WindowSpec;

/// The identity of a catalog object: never reused, and the runtime's only name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u64);

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One physical operator.
#[derive(Clone, Debug)]
pub enum OperatorSpec {
    /// The rows of a source, table or view. A leaf.
    Input {
        /// Whose rows.
        object: ObjectId,
        /// Its name, for people.
        name: String,
        /// Which of its columns, in the order of this node's schema. A source decodes only what
        /// some view names here.
        columns: Vec<usize>,
    },
    /// Rows that are there from the start and never change. A leaf.
    Values {
        /// The rows, of this node's schema.
        rows: RecordBatch,
    },
    /// The present row of each key of a source that puts rows and takes them away. One input.
    LatestByKey {
        /// Indices of the columns that identify a row.
        key: Vec<usize>,
    },
    /// Computes columns. One input.
    Project {
        /// One expression a column of the node's schema.
        exprs: Vec<Arc<dyn PhysicalExpr>>,
    },
    /// Keeps the rows for which the predicate is true. One input.
    Filter {
        /// Boolean over the input's columns.
        predicate: Arc<dyn PhysicalExpr>,
    },
    /// Puts each row into its windows: the input's columns plus `window_start`, `window_end`,
    /// `window_time`. One input.
    WindowAssign {
        /// Which windows.
        window: WindowSpec,
        /// Index of the timestamp column in the input.
        time: usize,
        /// Whether windows that event time has passed are left out.
        open_only: bool,
    },
    /// Aggregates by window and key. One append-only input with event time.
    WindowAggregate(WindowAggregateSpec),
    /// Aggregates by session and key. One append-only input with event time.
    SessionAggregate(SessionSpec),
    /// Aggregates by key, for ever or until event time has passed the key. One input of any mode
    /// that the aggregates can take.
    GroupAggregate(GroupAggregateSpec),
    /// The first rows of each partition by an order. One input of any mode.
    TopN(TopNSpec),
    /// Computes calls over the rows around each row. One append-only input with event time.
    Over(OverSpec),
    /// Computes calls over all rows of a partition whenever one of them changes. One input of any
    /// mode.
    PartitionOver(PartitionOverSpec),
    /// All rows of all inputs, which have one schema. Two or more inputs.
    Union,
    /// Joins rows of equal keys whose event times are near each other. Two append-only inputs.
    IntervalJoin(IntervalJoinSpec),
    /// Joins each left row with the latest right row that is not after it. Two inputs, the left one
    /// append-only.
    AsofJoin(AsofJoinSpec),
    /// Joins rows of equal keys, whenever they come. Two inputs of any mode.
    RegularJoin(RegularJoinSpec),
    /// Adds rows for windows that have none. One append-only input with event time.
    Fill(FillSpec),
    /// Each row at several distances from its time. One append-only input with event time.
    Horizon(HorizonSpec),
    /// One row for each element of a row's lists. One input of any mode.
    Unnest(UnnestSpec),
    /// Passes rows on that are not below event time; others are late. One append-only input.
    InTime {
        /// Index of the timestamp column in the input.
        time: usize,
    },
    /// Passes rows on that are in an open window; others are late. One append-only input.
    OpenWindows {
        /// Which windows.
        window: WindowSpec,
        /// Index of the timestamp column in the input.
        time: usize,
    },
}

impl OperatorSpec {
    /// As `EXPLAIN` and metrics show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input { .. } => "Input",
            Self::Values { .. } => "Values",
            Self::LatestByKey { .. } => "LatestByKey",
            Self::Project { .. } => "Project",
            Self::Filter { .. } => "Filter",
            Self::WindowAssign { .. } => "WindowAssign",
            Self::WindowAggregate(_) => "WindowAggregate",
            Self::SessionAggregate(_) => "SessionAggregate",
            Self::GroupAggregate(_) => "GroupAggregate",
            Self::TopN(_) => "TopN",
            Self::Over(_) => "Over",
            Self::PartitionOver(_) => "PartitionOver",
            Self::Union => "Union",
            Self::IntervalJoin(_) => "IntervalJoin",
            Self::AsofJoin(_) => "AsofJoin",
            Self::RegularJoin(_) => "RegularJoin",
            Self::Fill(_) => "Fill",
            Self::Horizon(_) => "Horizon",
            Self::Unnest(_) => "Unnest",
            Self::InTime { .. } => "InTime",
            Self::OpenWindows { .. } => "OpenWindows",
        }
    }
}

/// An aggregate call.
#[derive(Clone, Debug)]
pub struct AggregateSpec {
    /// The function with its arguments, DISTINCT and ORDER BY, over the operator's input schema.
    pub function: Arc<AggregateFunctionExpr>,
    /// `FILTER (WHERE …)`: Boolean over the input's columns.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Input rows may be taken back, which the function cannot do: each group keeps its rows.
    pub keeps_rows: bool,
    /// Makes a state that can be looked at while it fills, if the function has one.
    pub readable: Option<MakeReadable>,
}

/// When results of a window show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Every publish shows the windows as they stand: the edge is an upsert by window and key.
    Changes,
    /// Once, when the watermark has passed the window's end by `delay_nanos`: the edge is
    /// append-only.
    OnClose {
        /// How long to wait beyond the window's end.
        delay_nanos: i64,
    },
}

/// Which value an output column of a window aggregate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowColumn {
    /// First point of the window, in the type of the time column.
    Start,
    /// First point after the window.
    End,
    /// The last point inside in the time column's unit: end − 1 unit (Flink's rule), so windows
    /// over windows line up.
    Time,
    /// Group key `n`.
    Key(usize),
    /// Aggregate `n`.
    Aggregate(usize),
}

/// Aggregation by window and key.
#[derive(Clone, Debug)]
pub struct WindowAggregateSpec {
    /// Which windows.
    pub window: WindowSpec,
    /// Index of the timestamp column in the input. Null there counts as late.
    pub time: usize,
    /// Group keys besides the window, over the input's columns.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// The ways to group each row, if there are several.
    pub sets: Vec<GroupingSet>,
    /// The aggregates.
    pub aggregates: Vec<AggregateSpec>,
    /// What each column of the node's schema holds.
    pub output: Vec<WindowColumn>,
    /// When results show.
    pub emit: Emit,
    /// A row is late for a window once the watermark is this far past its end, and past the delay
    /// of `emit`.
    pub lateness_nanos: i64,
}

/// Aggregation by key without a window. Output columns: the keys, then the aggregates.
#[derive(Clone, Debug)]
pub struct GroupAggregateSpec {
    /// Group keys over the input's columns. Empty: one group, which exists from the start
    /// (`SELECT count(*)`).
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// The ways to group each row, if there are several.
    pub sets: Vec<GroupingSet>,
    /// The aggregates.
    pub aggregates: Vec<AggregateSpec>,
    /// Which key is the input's event time, if one is: nothing comes for a group that watermarks
    /// have passed, and it is forgotten.
    pub closes: Option<usize>,
}
