//! Plans to running dataflows.
//!
//! ```text
//! reader threads (one a source)          the core thread                                   Tokio
//! poll → decode → compute ──batches──▶   step: feed operators, advance watermarks
//!                                        publish: apply changes to served tables ──Cut──▶  readers, subscribers
//!                                        checkpoint: snapshot at a cut ──job──▶            store → manifest → sinks
//! ```
//!
//! All dataflows of a process advance in steps driven by one thread, the core; a step ends in a
//! publish, which is one consistent cut of all views. A checkpoint is a publish whose state is
//! written (ADR 0002).
//!
//! Reading order: [`handle`] (what the engine calls), [`core`], [`dataflow`], [`operator`],
//! [`serve`], [`reader`], [`checkpoint`].
//!
//! Invariants: operators never wait; every queue is bounded; no thread is detached; state leaves
//! the process only through `checkpoint/store.rs`.

pub mod aggregate;
pub mod checkpoint;
pub mod clock;
pub mod config;
pub mod core;
pub mod dataflow;
pub mod error;
pub mod handle;
pub mod metrics;
pub mod operator;
pub mod peek;
pub mod reader;
pub mod serve;
pub mod sink_task;
pub mod spec;
pub mod state;
pub mod status;
pub mod subscribe;
