//! The server over a real engine, seen by tokio-postgres, psql and raw sockets.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step fails its test"
)]

mod copy;
mod errors;
mod extended;
mod harness;
mod psql;
mod queries;
mod streams;
mod traps;
mod wire;
