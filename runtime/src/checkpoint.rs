//! Checkpoints: one immutable manifest an epoch, each linked to the one before, nothing else
//! decides.
//!
//! `manifest` is what is written, `chain` how it becomes the one commit point, `store` the only
//! I/O, `job` the work of one checkpoint off the core thread.

pub mod chain;
pub mod error;
pub mod job;
pub mod manifest;
pub mod store;
pub mod table_log;
