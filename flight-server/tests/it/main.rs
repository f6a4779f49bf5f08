//! Flight clients in Rust against a real engine over a real socket.

mod browsing;
mod harness;
mod plain;
mod prepared;
mod statements;
mod subscriptions;
