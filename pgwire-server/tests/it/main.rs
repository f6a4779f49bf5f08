//! The server over a real engine, seen by tokio-postgres, psql and raw sockets.

mod copy;
mod errors;
mod extended;
mod harness;
mod psql;
mod queries;
mod streams;
mod traps;
mod wire;
