//! What a checkpoint says. Written last: a checkpoint exists if and only if its manifest does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A manifest as persisted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "version")]
pub enum PersistedManifest {
    /// The first form.
    #[serde(rename = "1")]
    V1(ManifestV1),
    /// The first form with deltas of operator state: whoever does not know of them must not read
    /// the base alone.
    #[serde(rename = "2")]
    V2(ManifestV1),
}

impl From<ManifestV1> for PersistedManifest {
    fn from(manifest: ManifestV1) -> Self {
        match manifest.operator_deltas.is_empty() {
            true => Self::V1(manifest),
            false => Self::V2(manifest),
        }
    }
}

/// One link of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestV1 {
    /// Position in the chain, from 1.
    pub sequence: u64,
    /// SHA-256 of the manifest before, in hex; none for the first.
    pub previous: Option<String>,
    /// A random number of the data directory, drawn once: its epochs are not those of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<u64>,
    /// A random name of the writing process: tells "I wrote this" from "somebody did".
    pub writer: String,
    /// The writer's generation; growing along the chain.
    pub generation: u64,
    /// The epoch whose state this is. A fence repeats the epoch before it.
    pub epoch: u64,
    /// Whether this only takes over, changing nothing else.
    pub fence: bool,
    /// Readers and where they stand.
    pub readers: Vec<ReaderState>,
    /// Tables and views.
    pub relations: Vec<RelationState>,
    /// Sources' error relations and counters.
    pub sources: Vec<SourceState>,
    /// Sinks and their outboxes.
    pub sinks: Vec<SinkState>,
    /// State of all operators: the base.
    pub operators: Option<ObjectRef>,
    /// What has changed in it since, to be added in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_deltas: Vec<ObjectRef>,
    /// The last entry of the table log that is contained.
    pub table_log: u64,
}

/// An object with what it must contain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32C of its bytes.
    pub crc32c: u32,
}

/// One reader: the shared one of a source, or a private one of a view that catches up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderState {
    /// The source.
    pub source: u64,
    /// The views it feeds.
    pub views: Vec<u64>,
    /// Whether it is the source's shared reader.
    pub shared: bool,
    /// Which stream its offsets belong to, if that can be told: a Kafka topic's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Its splits.
    pub splits: BTreeMap<String, SplitState>,
}

/// One split of a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitState {
    /// The next payload to read.
    pub offset: u64,
    /// The latest event time seen, in nanoseconds.
    pub latest: Option<i64>,
    /// Whether it was left out of the watermark: a decision of the wall clock, so it is recorded.
    pub idle: bool,
    /// Whether it has ended.
    pub ended: bool,
}

/// A table or view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationState {
    /// Its identity.
    pub id: u64,
    /// SHA-256 of the plan's fingerprint; empty for a table. State is never restored into another
    /// plan.
    pub fingerprint: String,
    /// Base and deltas of its rows, to be applied in order.
    pub rows: Vec<ObjectRef>,
    /// Rows in all of `rows`, to decide when a new base pays.
    pub delta_rows: u64,
    /// Base and deltas of its late rows.
    pub late: Vec<ObjectRef>,
    /// Rows taken, used, filtered, late.
    pub ledger: [u64; 4],
    /// Its watermark, in nanoseconds.
    pub watermark: Option<i64>,
    /// The latest event time inserted (tables).
    pub latest: Option<i64>,
    /// Why it stands still, if it does.
    pub suspended: Option<String>,
    /// Whether somebody has paused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// What a source has set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Its identity.
    pub id: u64,
    /// Base and deltas of its error rows.
    pub errors: Vec<ObjectRef>,
    /// Rows decoded by the shared reader.
    pub rows: u64,
    /// Payloads set aside by the shared reader.
    pub error_count: u64,
}

/// A sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkState {
    /// Its identity.
    pub id: u64,
    /// The last epoch known to be applied at the target; 0 for none.
    pub applied: u64,
    /// Epochs that are not known to be applied, oldest first.
    pub outbox: Vec<OutboxEntry>,
    /// Whether the initial content of its view has been put into the outbox.
    pub begun: bool,
    /// Whether somebody has paused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// The output of one epoch for a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The epoch.
    pub epoch: u64,
    /// Its delta.
    pub delta: ObjectRef,
}

impl ManifestV1 {
    /// Every object that this manifest needs.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        let relations = self
            .relations
            .iter()
            .flat_map(|r| r.rows.iter().chain(&r.late));
        let sources = self.sources.iter().flat_map(|source| &source.errors);
        let sinks = self
            .sinks
            .iter()
            .flat_map(|sink| sink.outbox.iter().map(|e| &e.delta));
        let operators = self.operators.iter().chain(&self.operator_deltas);
        relations.chain(sources).chain(sinks).chain(operators)
    }
}

#[cfg(test)]
mod tests;
