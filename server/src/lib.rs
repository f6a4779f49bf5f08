//! The server: configuration, wiring, telemetry, shutdown. Wiring only: what it does is done
//! elsewhere.
//!
//! Reading order: [`cli`], [`config`], [`assemble`], [`admin`], [`demo`].

pub mod admin;
pub mod assemble;
pub mod cli;
pub mod config;
pub mod demo;
pub mod error;
pub mod store;
pub mod telemetry;
