//! Every state of the commit protocol is visited, and every broken rule is noticed.

use rtsap_simulation::commit::Commit;
use rtsap_simulation::rules::Rules;
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};

/// Threads that visit states.
const THREADS: usize = 2;

fn builder(model: Commit) -> CheckerBuilder<Commit> {
    let search = model.checker().threads(THREADS);
    search.finish_when(HasDiscoveries::AnyFailures)
}

/// Visits every state, or goes on until one is wrong, by the shortest way to it.
fn search(model: Commit) -> impl Checker<Commit> {
    builder(model).spawn_bfs().join()
}

fn holds(name: &str, checker: &impl Checker<Commit>) {
    println!(
        "{name}: {} states, {} unique, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn the_protocol_holds_in_every_state() {
    let model = Commit {
        epochs_max: 2,
        ..Commit::small(Rules::default())
    };
    holds("two epochs", &search(model));
}

/// A replica that lacks the last commit takes the place of the target.
#[test]
fn a_commit_that_the_target_loses_is_sent_again_or_refused() {
    let model = Commit {
        epochs_max: 2,
        rewinds: true,
        remembers: false,
        ..Commit::small(Rules::default())
    };
    holds("a lost commit", &builder(model).spawn_dfs().join());
}

/// Depth first, which keeps the states of one way only.
#[test]
#[ignore = "takes minutes and gigabytes"]
fn three_epochs_hold_in_every_state() {
    let model = Commit {
        remembers: false,
        ..Commit::small(Rules::default())
    };
    holds("three epochs", &builder(model).spawn_dfs().join());
}

/// Breaks one rule; returns what the search finds.
fn broken(change: impl FnOnce(&mut Rules)) -> Option<&'static str> {
    let mut rules = Rules::default();
    change(&mut rules);
    let checker = search(Commit::small(rules));
    let found = checker.discoveries();
    [
        "no epoch is lost, repeated or another's",
        "nobody believes what is not so",
    ]
    .into_iter()
    .find(|property| found.contains_key(property))
}

type Break = fn(&mut Rules);

/// Rules, broken one by one. The others of [`Rules`] are left out: where nothing is wrong, a search
/// goes through every state.
const MUTANTS: [(&str, Break); 10] = [
    ("fence_on_start", |rules| rules.fence_on_start = false),
    ("put_if_absent", |rules| rules.put_if_absent = false),
    ("look_after_unclear_put", |rules| {
        rules.look_after_unclear_put = false
    }),
    ("look_behind", |rules| rules.look_behind = false),
    ("collect_oldest_first", |rules| {
        rules.collect_oldest_first = false
    }),
    ("keep_outbox", |rules| rules.keep_outbox = false),
    ("deliver_after_commit", |rules| {
        rules.deliver_after_commit = false
    }),
    ("record_with_rows", |rules| rules.record_with_rows = false),
    ("wait_for_unclear_commit", |rules| {
        rules.wait_for_unclear_commit = false
    }),
    ("fence_sink", |rules| rules.fence_sink = false),
];

#[test]
fn every_broken_rule_is_noticed() {
    let mut missed = Vec::new();
    for (name, change) in MUTANTS {
        match broken(change) {
            Some(property) => println!("{name}: \"{property}\" does not hold"),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
