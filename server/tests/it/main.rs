//! The binary as its users meet it: real processes, real protocols, real crashes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails its test"
)]

mod alter;
mod failpoints;
mod harness;
mod kill;
mod mend;
mod outside;
mod start;
mod zombie;
