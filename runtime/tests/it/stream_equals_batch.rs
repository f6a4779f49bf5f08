//! The sum of an operator's changes equals DataFusion's batch answer over the same rows: for any
//! cut into batches, any publishes, any snapshots and restores, and any order of rows; and every
//! row is used, late, or in no window.

use arrow::datatypes::TimeUnit;
use proptest::prelude::*;
use rtsap_plan::operator::{Emit, WindowColumn};
use rtsap_plan::window::WindowSpec;

use super::drive::{GroupCase, WindowCase, run_group, run_windows};
use super::generate::{Event, Script, script};
use super::rows::Row;
use super::script::block_on;

/// Aggregates with native kernels.
const NATIVE: &[&str] = &[
    "count(*)",
    "count(price)",
    "count(name) FILTER (WHERE side = 1)",
    "sum(qty)",
    "sum(side)",
    "sum(price)",
    "sum(amount)",
    "sum(qty) FILTER (WHERE price > 50)",
    "avg(price)",
    "avg(qty)",
    "avg(amount)",
    "min(qty)",
    "max(price)",
    "min(price)",
    "max(amount)",
    "min(name)",
    "max(name)",
    "min(ts)",
    "max(side)",
    "first_value(price ORDER BY id)",
    "last_value(price ORDER BY id)",
    "last_value(name ORDER BY id)",
    "first_value(amount ORDER BY id DESC)",
    "last_value(qty ORDER BY id) FILTER (WHERE side = 0)",
    "first_value(name ORDER BY id) IGNORE NULLS",
    "stddev(price)",
    "stddev_pop(price)",
    "var_samp(qty)",
    "var_pop(price)",
];

/// Aggregates that run through DataFusion's accumulators.
const FOREIGN: &[&str] = &[
    "count(DISTINCT name)",
    "sum(DISTINCT qty)",
    "median(price)",
    "array_agg(qty ORDER BY id)",
    "array_agg(DISTINCT side ORDER BY side)",
    "string_agg(name, ',' ORDER BY id)",
    "nth_value(price, 2 ORDER BY id)",
    "nth_value(qty, 1 ORDER BY id DESC)",
    "first_value(name ORDER BY side, id)",
    "last_value(price ORDER BY name, id)",
    "corr(price, qty)",
    "covar_pop(price, qty)",
    "bool_and(qty > 0)",
    "bool_or(qty > 0) FILTER (WHERE side = 1)",
    "bit_xor(qty)",
    "approx_distinct(name)",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY price)",
    "min(qty > 0)",
    "count(DISTINCT side) FILTER (WHERE price > 20)",
];

const SECOND: i64 = 1_000_000_000;

fn tumble(size: i64, offset: i64) -> WindowSpec {
    WindowSpec::Tumble {
        size_nanos: size,
        offset_nanos: offset,
    }
}

fn hop(size: i64, slide: i64, offset: i64) -> WindowSpec {
    WindowSpec::Hop {
        size_nanos: size,
        slide_nanos: slide,
        offset_nanos: offset,
    }
}

fn cumulate(size: i64, step: i64, offset: i64) -> WindowSpec {
    WindowSpec::Cumulate {
        step_nanos: step,
        size_nanos: size,
        offset_nanos: offset,
    }
}

fn windows() -> impl Strategy<Value = WindowSpec> {
    prop_oneof![
        Just(tumble(10 * SECOND, 0)),
        Just(tumble(7 * SECOND, 2 * SECOND)),
        Just(hop(30 * SECOND, 10 * SECOND, 0)),
        Just(hop(25 * SECOND, 10 * SECOND, 3 * SECOND)),
        Just(hop(5 * SECOND, 15 * SECOND, 0)),
        Just(hop(10 * SECOND, 10 * SECOND, 0)),
        Just(hop(13 * SECOND, 4 * SECOND, SECOND)),
        Just(hop(20 * SECOND, 2 * SECOND, 0)),
        Just(cumulate(12 * SECOND, 4 * SECOND, 0)),
        Just(cumulate(20 * SECOND, 2 * SECOND, 3 * SECOND)),
    ]
}

fn emits() -> impl Strategy<Value = Emit> {
    prop_oneof![
        Just(Emit::Changes),
        Just(Emit::OnClose { delay_nanos: 0 }),
        Just(Emit::OnClose {
            delay_nanos: 4 * SECOND
        }),
    ]
}

fn units() -> impl Strategy<Value = TimeUnit> {
    prop_oneof![
        Just(TimeUnit::Second),
        Just(TimeUnit::Millisecond),
        Just(TimeUnit::Microsecond),
        Just(TimeUnit::Nanosecond),
    ]
}

fn window_case(aggregates: &'static [&'static str]) -> impl Strategy<Value = (WindowCase, Script)> {
    let keys = prop_oneof![
        Just(&["k"][..]),
        Just(&["k", "side"][..]),
        Just(&["side"][..]),
        Just(&[][..]),
        Just(&["price > 50", "upper(name)"][..]),
    ];
    let event_time = prop_oneof![
        Just(WindowColumn::Start),
        Just(WindowColumn::End),
        Just(WindowColumn::Time)
    ];
    let lateness = prop_oneof![Just(0), Just(6 * SECOND)];
    let case = (windows(), emits(), units(), keys, event_time, lateness).prop_map(
        move |(window, emit, unit, keys, event_time, lateness_nanos)| WindowCase {
            window,
            emit,
            unit,
            keys,
            aggregates,
            event_time,
            lateness_nanos,
        },
    );
    (case, script())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn native_aggregates_over_windows((case, script) in window_case(NATIVE)) {
        block_on(run_windows(&case, &script));
    }

    #[test]
    fn foreign_aggregates_over_windows((case, script) in window_case(FOREIGN)) {
        block_on(run_windows(&case, &script));
    }

    #[test]
    fn native_aggregates_over_groups(script in script(), keyed in any::<bool>()) {
        let keys: &[&str] = if keyed { &["k", "side"] } else { &[] };
        block_on(run_group(&GroupCase { keys, aggregates: NATIVE, retracts: false }, &script));
    }

    #[test]
    fn foreign_aggregates_over_groups(script in script(), keyed in any::<bool>()) {
        let keys: &[&str] = if keyed { &["k"] } else { &[] };
        block_on(run_group(&GroupCase { keys, aggregates: FOREIGN, retracts: false }, &script));
    }

    #[test]
    fn rows_are_kept_for_functions_that_cannot_take_them_back(
        script in script(),
        keyed in any::<bool>(),
        native in any::<bool>(),
    ) {
        let keys: &[&str] = if keyed { &["k"] } else { &[] };
        let aggregates = if native { NATIVE } else { FOREIGN };
        block_on(run_group(&GroupCase { keys, aggregates, retracts: true }, &script));
    }

    #[test]
    fn retracted_rows_leave_no_trace(script in script(), keyed in any::<bool>()) {
        let keys: &[&str] = if keyed { &["k"] } else { &[] };
        let aggregates = &[
            "count(*)", "count(price)", "sum(qty)", "sum(price)", "sum(amount)", "avg(price)",
            "avg(qty)", "avg(amount)", "sum(price) FILTER (WHERE side = 1)",
        ];
        block_on(run_group(&GroupCase { keys, aggregates, retracts: true }, &script));
    }
}

/// Each row is a group, and half of them go with every round: more are gone than there are.
#[test]
fn groups_that_were_freed_come_again_with_their_own_rows() {
    let mut script = Vec::new();
    for round in 0..8 {
        let row = |id| Row {
            id,
            k: Some(format!("k{}", id % 7)),
            qty: Some(id * 3),
            price: Some(id as f64),
            ..Row::default()
        };
        let new = round * 150..round * 150 + 150;
        // Rows of former rounds come once more: groups that may have been freed.
        let again = (0..round * 150).step_by(11);
        script.push(Event::Rows(new.chain(again).map(row).collect()));
        script.push(Event::Publish);
        script.push(Event::Retract(1));
        script.push(if round % 3 == 2 {
            Event::Crash
        } else {
            Event::Publish
        });
    }
    let aggregates = &["count(*)", "sum(qty)", "max(price)", "count(DISTINCT k)"];
    for keys in [&["id"][..], &["k", "id"]] {
        let case = GroupCase {
            keys,
            aggregates,
            retracts: true,
        };
        block_on(run_group(&case, &script));
    }
}
