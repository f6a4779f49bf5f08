//! What holds on every edge of a plan.

use arrow_schema::SchemaRef;
use rtsap_stream::change::ChangelogMode;

use crate::window::Nanos;

/// What holds for every message a node sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamProperties {
    /// Columns and types.
    pub schema: SchemaRef,
    /// Which changes may come.
    pub mode: ChangelogMode,
    /// Indices of the columns that identify a row. Empty when `mode` is `Append`; may be empty for
    /// `Retract`.
    pub key: Vec<usize>,
    /// Index of the column that watermarks speak about, if any.
    pub event_time: Option<usize>,
    /// What the node itself remembers.
    pub state: StateBound,
}

/// How much a node must remember. `EXPLAIN` prints it; `planner/streaming/guard.rs` refuses the
/// last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateBound {
    /// Nothing.
    None,
    /// Rows are forgotten once the watermark is this many nanoseconds past them.
    EventTime {
        /// How long.
        retention_nanos: i64,
    },
    /// One entry per distinct key.
    PerKey,
    /// So many rows per distinct key.
    RowsPerKey(u64),
    /// What belongs to a window is forgotten when event time has passed it.
    UntilClosed,
    /// One entry per row of the input that is there now.
    PerRow,
    /// Grows with the input.
    Unbounded,
}

impl std::fmt::Display for StateBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::EventTime { retention_nanos } => {
                write!(f, "event time {}", Nanos(*retention_nanos))
            }
            Self::PerKey => f.write_str("per key"),
            Self::RowsPerKey(rows) => write!(f, "{rows} rows per key"),
            Self::UntilClosed => f.write_str("until event time has passed"),
            Self::PerRow => f.write_str("per live row"),
            Self::Unbounded => f.write_str("unbounded"),
        }
    }
}
