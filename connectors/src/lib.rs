//! The outside: Kafka, files and the generator in; TimescaleDB, PostgreSQL and Kafka out.
//!
//! ```text
//! options ─▶ registry ─▶ kafka | filesystem | datagen | nexmark ─RawBatch─▶ format ─▶ rows + rejects
//!                    └─▶ timescale (also plain PostgreSQL) | kafka | filesystem | blackhole
//! ```
//!
//! One module per system, one per format. A connector author needs `rtsap-stream` and Arrow,
//! nothing else.
//!
//! Invariants: every option is known and checked before anything is opened; a bad payload is a
//! reject, never an error; no position is ever committed to the outside: positions live in
//! checkpoints.

pub mod blackhole;
pub mod datagen;
pub mod filesystem;
pub mod format;
mod generated;
pub mod kafka;
pub mod metrics;
mod net_changes;
pub mod nexmark;
pub mod options;
pub mod registry;
pub mod timescale;
