//! The PostgreSQL wire protocol over the engine.
//!
//! Owns everything a PostgreSQL client can see: types and their numbers, SQLSTATE, text and binary
//! values, portals, cancel keys. Never plans or runs anything itself: a statement's text and values
//! go to an engine session, and what comes back is written as it comes.
//!
//! ```text
//! server ─ accept ─▶ startup ─▶ connection ─┬─ simple, extended ─▶ engine session
//!                      └ cancel keys        └─ rows, copy ◀─ encode ◀─ batches
//! ```
//!
//! From the crate `pgwire` come the messages and their encoding. Reading frames and driving the
//! conversation are our own: results and subscriptions stream with back-pressure, and no frame of a
//! client can make the process allocate or panic.

pub mod error;
pub mod server;

mod cancel;
mod connection;
mod copy;
mod encode;
mod oid;
mod parameter;
mod request;
mod socket;
mod startup;
