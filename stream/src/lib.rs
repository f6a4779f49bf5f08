//! What flows through a dataflow, and the traits at its two ends.
//!
//! ```text
//! SourceReader ──RawBatch──▶ Decoder ──ChangeBatch──▶ operators ──ChangeBatch──▶ served tables, Sink
//! ```
//!
//! A *step* moves data: it takes batches that readers have decoded, runs every operator they
//! concern, lets the watermarks advance, and ends in one consistent cut. Steps are numbered by
//! nothing; checkpoints are, by [`message::Epoch`].
//!
//! Reading order: [`time`], [`change`], [`message`], [`source`], [`decode`], [`sink`],
//! [`progress`], [`registry`], [`error`], [`failpoint`].
//!
//! Invariant: no I/O, no clock, no Tokio runtime, no DataFusion.

pub mod change;
pub mod decode;
pub mod error;
pub mod failpoint;
pub mod message;
pub mod progress;
pub mod registry;
pub mod sink;
pub mod source;
pub mod time;
