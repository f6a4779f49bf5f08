//! What the runtime says of itself: the material of system tables, metrics and probes.

use rtsap_plan::operator::ObjectId;
use rtsap_stream::message::Epoch;
use rtsap_stream::source::Positions;
use rtsap_stream::time::EventTime;

use crate::operator::Waiting;

/// How an object is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Defined, not started.
    Waiting,
    /// At the head of its inputs.
    Running,
    /// Reading what lies behind the head of its source.
    Backfilling,
    /// Every input has ended.
    Finished,
    /// Cannot reach the other side; retried.
    Retrying {
        /// Why.
        reason: String,
    },
    /// Stands still because somebody wants it to.
    Paused,
    /// Stopped until somebody acts.
    Suspended {
        /// Why.
        reason: String,
    },
}

impl Health {
    /// One word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Backfilling => "backfilling",
            Self::Finished => "finished",
            Self::Retrying { .. } => "retrying",
            Self::Paused => "paused",
            Self::Suspended { .. } => "suspended",
        }
    }

    /// Why it is not running, if it is not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Retrying { reason } | Self::Suspended { reason } => Some(reason),
            _ => None,
        }
    }
}

/// The ledger of a view over append-only inputs: `rows_in = used + filtered + late`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Rows taken from inputs.
    pub rows_in: u64,
    /// Rows that entered the result.
    pub used: u64,
    /// Rows that a filter took out.
    pub filtered: u64,
    /// Rows that came too late.
    pub late: u64,
}

impl Ledger {
    /// Whether every row is accounted for.
    pub const fn balances(&self) -> bool {
        self.rows_in == self.used + self.filtered + self.late
    }
}

/// A source.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Identity.
    pub id: ObjectId,
    /// How it is doing.
    pub health: Health,
    /// Rows decoded.
    pub rows: u64,
    /// Payloads that could not be decoded.
    pub errors: u64,
    /// Where its shared reader stands.
    pub positions: Positions,
    /// Its watermark.
    pub watermark: Option<EventTime>,
    /// It is ahead of its alignment group, and waits for the others.
    pub waits_for_group: bool,
    /// Its splits.
    pub splits: Vec<SplitStatus>,
}

/// An operator of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorStatus {
    /// Rows that came to it.
    pub rows_in: u64,
    /// Rows that it sent.
    pub rows_out: u64,
    /// What it holds.
    pub state_bytes: u64,
    /// What is promised about event time to it, or of an input by it.
    pub watermark: Option<EventTime>,
    /// An input that is left out of the minimum.
    pub idle: bool,
    /// What waits for event time.
    pub waiting: Option<Waiting>,
}

/// How far a split of a source is in event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitStatus {
    /// Its name.
    pub id: String,
    /// What its rows promise.
    pub watermark: Option<EventTime>,
    /// It has been silent for the idle timeout, and is left out of the minimum.
    pub idle: bool,
    /// It has ended.
    pub ended: bool,
}

/// What a view costs now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Rows that come, a second.
    pub rows_per_second: f64,
    /// The share of the core's time that it takes, from 0 to 1.
    pub busy_share: f64,
}

/// A view or table.
#[derive(Clone, Debug)]
pub struct ViewStatus {
    /// Identity.
    pub id: ObjectId,
    /// How it is doing.
    pub health: Health,
    /// Its ledger.
    pub ledger: Ledger,
    /// Rows served now.
    pub rows: u64,
    /// Its watermark.
    pub watermark: Option<EventTime>,
    /// Operator state.
    pub state_bytes: u64,
    /// Served rows.
    pub served_bytes: u64,
    /// Its operators, in the order of its plan.
    pub operators: Vec<OperatorStatus>,
    /// What it costs.
    pub load: Load,
    /// Batches of other relations' changes that wait for it.
    pub inbox: u64,
}

/// A sink.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// Identity.
    pub id: ObjectId,
    /// How it is doing.
    pub health: Health,
    /// What was found on the other side.
    pub target: Option<String>,
    /// The last epoch applied there.
    pub applied: Epoch,
    /// Epochs that wait in the outbox.
    pub pending: u64,
    /// The epoch that suspended it, if it is one.
    pub failed_epoch: Option<Epoch>,
    /// The row of that epoch, if the target names one.
    pub failed_row: Option<String>,
}

/// Checkpoints.
#[derive(Clone, Debug, Default)]
pub struct CheckpointStatus {
    /// The last durable one.
    pub epoch: u64,
    /// Its duration from cut to manifest, in microseconds.
    pub duration_us: u64,
    /// Bytes it wrote.
    pub bytes: u64,
    /// Why the present one does not get through.
    pub problem: Option<String>,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct RuntimeStatus {
    /// Sources, by id.
    pub sources: Vec<SourceStatus>,
    /// Tables and views, by id.
    pub views: Vec<ViewStatus>,
    /// Sinks, by id.
    pub sinks: Vec<SinkStatus>,
    /// Checkpoints.
    pub checkpoint: CheckpointStatus,
    /// Publishes so far.
    pub publishes: u64,
}
