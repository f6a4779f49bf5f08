//! Calls over a window of the rows around each row: `sum(x) OVER (PARTITION BY k ORDER BY ts …)`.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use crate::window::Nanos;

/// Computes calls for each row once event time has passed it, in order of event time.
///
/// Output columns: the input's, then one a call.
#[derive(Clone, Debug)]
pub struct OverSpec {
    /// Index of the timestamp column in the input that watermarks speak about.
    pub time: usize,
    /// Expressions over the input's columns; none: one partition.
    pub partition: Vec<Arc<dyn PhysicalExpr>>,
    /// The order within a partition; it begins with the event time, ascending.
    pub order: Vec<PhysicalSortExpr>,
    /// The calls.
    pub calls: Vec<OverCall>,
    /// How long to wait after a row's time for rows that are late.
    pub delay_nanos: i64,
}

/// One call and what of its partition must be kept for it.
#[derive(Clone, Debug)]
pub struct OverCall {
    /// How it is computed.
    pub function: OverFunction,
    /// Which rows before the next row it reads.
    pub history: History,
    /// How many rows after a row it reads.
    pub following_rows: u64,
    /// How far after a row it reads.
    pub following_nanos: i64,
}

/// How a call is computed.
#[derive(Clone, Debug)]
pub enum OverFunction {
    /// From the kept rows and the new ones, by DataFusion's own expression over one partition.
    Kept(Arc<dyn WindowExpr>),
    /// An aggregate of the partition's rows from the first to the current one.
    Running {
        /// The aggregate over the input's columns.
        function: Arc<AggregateFunctionExpr>,
        /// `FILTER (WHERE …)`.
        filter: Option<Arc<dyn PhysicalExpr>>,
        /// Whether the rows that are equal in order to the current one belong to it.
        peers: bool,
    },
    /// A function that goes on from row to row.
    Along {
        /// The function.
        function: Arc<dyn AlongFunction>,
        /// Its series over the input's columns.
        series: Vec<Arc<dyn PhysicalExpr>>,
    },
    /// 1, 2, 3, …
    RowNumber,
    /// The number of the first of the rows that are equal in order.
    Rank,
    /// One more for each row that differs in order from the one before.
    DenseRank,
}

/// A function that goes on from row to row of a partition with a state of its own.
pub trait AlongFunction: Debug + Send + Sync {
    /// The call, as `EXPLAIN` shows it.
    fn name(&self) -> &str;

    /// Begins a partition.
    ///
    /// # Errors
    /// If the call's constants do not fit; the planner has made sure that they do.
    fn start(&self) -> Result<Box<dyn Course>>;
}

/// Such a function in the middle of one partition.
///
/// # Contract
///
/// - A row's value depends on the rows before it, not on how they were cut into batches.
/// - `load(save())` on a new one gives one that goes on with the same bits.
pub trait Course: Debug + Send {
    /// Takes `row_count` rows and returns the value of each.
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn advance(&mut self, series: &[ArrayRef], row_count: usize) -> Result<ArrayRef>;

    /// All that it remembers.
    fn save(&mut self) -> Vec<u8>;

    /// Takes what [`Course::save`] gave.
    ///
    /// # Errors
    /// If the bytes are not of this function.
    fn load(&mut self, saved: &[u8]) -> Result<()>;

    /// Bytes held.
    fn size(&self) -> usize;
}

/// Which rows of a partition must be kept after they have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum History {
    /// No row.
    None,
    /// Those of so many nanoseconds before the next row.
    Range(i64),
    /// So many.
    Rows(u64),
    /// All, up to a limit of the runtime.
    All,
}

/// Computes calls over all rows of a partition, anew whenever one of them changes.
///
/// Output columns: the input's, then one a call.
#[derive(Clone, Debug)]
pub struct PartitionOverSpec {
    /// Expressions over the input's columns; none: one partition.
    pub partition: Vec<Arc<dyn PhysicalExpr>>,
    /// The order within a partition; rows that are equal in it stand in order of their columns.
    pub order: Vec<PhysicalSortExpr>,
    /// The calls, by DataFusion's own expressions over one partition.
    pub calls: Vec<Arc<dyn WindowExpr>>,
}

impl PartitionOverSpec {
    /// As `EXPLAIN` shows it.
    pub fn text(&self) -> String {
        let list = |texts: Vec<String>| texts.join(", ");
        format!(
            "PartitionOver: by [{}] order [{}] compute [{}]",
            list(self.partition.iter().map(ToString::to_string).collect()),
            list(self.order.iter().map(ToString::to_string).collect()),
            list(
                self.calls
                    .iter()
                    .map(|call| call.name().to_owned())
                    .collect()
            ),
        )
    }
}

impl OverCall {
    /// As `EXPLAIN` shows it.
    pub fn text(&self) -> String {
        let mut out = match &self.function {
            OverFunction::Kept(expr) => expr.name().to_owned(),
            OverFunction::Running {
                function, filter, ..
            } => match filter {
                None => format!("running {}", function.name()),
                Some(filter) => format!("running {} where {filter}", function.name()),
            },
            OverFunction::Along { function, .. } => format!("running {}", function.name()),
            OverFunction::RowNumber => "row_number".to_owned(),
            OverFunction::Rank => "rank".to_owned(),
            OverFunction::DenseRank => "dense_rank".to_owned(),
        };
        match self.history {
            History::None => {}
            History::Range(nanos) => out += &format!(" keeping {}", Nanos(nanos)),
            History::Rows(rows) => out += &format!(" keeping {rows} rows"),
            History::All => out += " keeping all rows",
        }
        if self.following_rows > 0 {
            out += &format!(" waiting for {} rows", self.following_rows);
        }
        if self.following_nanos > 0 {
            out += &format!(" waiting {}", Nanos(self.following_nanos));
        }
        out
    }
}

impl OverSpec {
    /// As `EXPLAIN` shows it.
    pub fn text(&self) -> String {
        let list = |texts: Vec<String>| texts.join(", ");
        format!(
            "Over: by [{}] order [{}] compute [{}]{}",
            list(self.partition.iter().map(ToString::to_string).collect()),
            list(self.order.iter().map(ToString::to_string).collect()),
            list(self.calls.iter().map(OverCall::text).collect()),
            match self.delay_nanos {
                0 => String::new(),
                nanos => format!(" delay {}", Nanos(nanos)),
            },
        )
    }

    /// How many rows after a row any call reads.
    pub fn following_rows(&self) -> u64 {
        let rows = self.calls.iter().map(|call| call.following_rows);
        rows.max().unwrap_or(0)
    }

    /// How far after a row any call reads.
    pub fn following_nanos(&self) -> i64 {
        let nanos = self.calls.iter().map(|call| call.following_nanos);
        nanos.max().unwrap_or(0)
    }
}
