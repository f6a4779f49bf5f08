//! The protocol by which epochs are committed and sinks follow, as a model whose every state is
//! visited.
//!
//! The model is small (two processes, three epochs, one sink) and the failures in it are not: any
//! process may be killed, stopped for as long as one likes, or overtaken; any answer of the store
//! and of the target may be lost, with or without its effect; old manifests are collected. What
//! decides in it about the sink is the code that decides in production, `rtsap_stream::progress`.
//!
//! Reading order: [`commit`] (the state and what can happen), `commit::process`, `commit::sink`,
//! [`rules`] (what the protocol does, and the mutants that do not).
//!
//! Invariant: no I/O, no clock, no random number; the same model gives the same count of states.

pub mod commit;
pub mod rules;
