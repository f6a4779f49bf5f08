//! `SUBSCRIBE`: what is followed, and how its changes are told.

use super::Name;

/// `SUBSCRIBE …`.
#[derive(Clone, Debug)]
pub struct SubscribeStatement {
    /// What to follow.
    pub target: SubscribeTarget,
    /// `SNAPSHOT = …`: whether the rows that are there come first. Default true.
    pub snapshot: bool,
    /// `PROGRESS`: whether rows without data say how far the stream is.
    pub progress: bool,
    /// `ENVELOPE …`: how a row's changes are told.
    pub envelope: Option<Envelope>,
    /// `UP TO '…'`: the moment that ends it, in microseconds since the Unix epoch.
    pub up_to: Option<i64>,
}

/// `ENVELOPE UPSERT (KEY (…))`, `ENVELOPE DEBEZIUM (KEY (…))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Which.
    pub kind: EnvelopeKind,
    /// The key columns with their positions.
    pub key: Vec<(String, u32)>,
}

/// How a row's changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// The row as it is now, or its key alone when it is gone.
    Upsert,
    /// The row as it was and as it is.
    Debezium,
}

/// What is followed.
#[derive(Clone, Debug)]
pub enum SubscribeTarget {
    /// A relation.
    Relation(Name),
    /// A query, by text and characters before it: plan it with [`crate::streaming::plan_view`].
    Query {
        /// The query, without the parentheses.
        query: String,
        /// Characters before it in the whole text.
        query_offset: u32,
    },
}
