//! The binary as its users meet it: real processes, real protocols, real crashes.

#[path = "it/harness.rs"]
mod harness;
#[path = "it/kill.rs"]
mod kill;
#[path = "it/start.rs"]
mod start;
