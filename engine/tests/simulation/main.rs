//! The real planner, engine, dataflows, checkpoints and sink tasks in a simulated world: one
//! thread, one seed, a clock that is moved by hand, and a Kafka, an object store and a target that
//! lose answers, go away, are slow and see their clients die. What a seed does it does again, step
//! by step.
//!
//! `RTSAP_SIMULATION_SEEDS` says how many seeds to run (default 40), `RTSAP_SIMULATION_FIRST` from
//! which one on.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails its test"
)]

mod life;
mod mutants;
mod source;
mod store;
mod target;
mod world;

use std::panic::{catch_unwind, resume_unwind};

use world::{Flaws, run};

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

#[test]
fn no_seed_loses_repeats_or_invents_a_row() {
    let first = number("RTSAP_SIMULATION_FIRST", 1);
    let count = number("RTSAP_SIMULATION_SEEDS", 40);
    let (mut rows, mut lives, mut faults, mut epochs) = (0, 0, 0, 0);
    for seed in first..first + count {
        let report = match catch_unwind(|| run(seed, Flaws::default())) {
            Ok(report) => report,
            Err(panic) => {
                println!("seed {seed}: it panicked");
                resume_unwind(panic)
            }
        };
        assert!(report.wrong.is_empty(), "seed {seed}: {:?}", report.wrong);
        rows += report.rows;
        lives += report.lives;
        faults += report.faults;
        epochs += report.epochs;
    }
    println!("{count} seeds: {rows} rows, {lives} lives, {epochs} epochs, {faults} faults");
}

#[test]
fn a_seed_does_the_same_again() {
    for seed in [3, 11] {
        let (first, second) = (run(seed, Flaws::default()), run(seed, Flaws::default()));
        let events = first.trace.iter().zip(&second.trace).enumerate();
        for (number, (first, second)) in events {
            assert_eq!(first, second, "seed {seed}, event {number}");
        }
        assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
        assert!(first.trace.len() > 100, "seed {seed}");
    }
}
