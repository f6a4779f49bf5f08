//! The binary as its users meet it: real processes, real protocols, real crashes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails its test"
)]

mod harness;
mod kill;
mod start;
