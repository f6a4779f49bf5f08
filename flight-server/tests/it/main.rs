//! Flight clients in Rust against a real engine over a real socket.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails its test"
)]

mod browsing;
mod harness;
mod plain;
mod prepared;
mod statements;
mod subscriptions;
