//! Joins of two inputs: the sum of all changes is what a loop over all pairs of rows finds, for any
//! order of arrival within the watermark, any cut into batches and any crash; every row is used or
//! late; nothing comes out behind a promise.

mod drive;
mod plan;

use std::collections::BTreeMap;

use proptest::prelude::*;
use rtsap_plan::join::JoinKind;

use super::script::block_on;
use drive::{Input, Life, Row, Run, SIDES, lives};
use plan::{AsofCase, IntervalCase, RegularCase};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Default::default()
    }
}

/// How often each row of a result is there: ids of its halves.
type Pairs = BTreeMap<(Option<i64>, Option<i64>), i64>;

fn add(pairs: &mut Pairs, left: Option<i64>, right: Option<i64>) {
    *pairs.entry((left, right)).or_default() += 1;
}

fn same_key(left: &Row, right: &Row) -> bool {
    left.k.is_some() && left.k == right.k
}

/// Every pair that `fits`, with what the kind makes of rows without one.
fn brute_force(
    kind: JoinKind,
    left: &[Row],
    right: &[Row],
    fits: impl Fn(&Row, &Row) -> bool,
) -> Pairs {
    let mut pairs = Pairs::new();
    let [keeps_left, keeps_right] = SIDES.map(|side| kind.keeps(side));
    for l in left {
        let partners: Vec<&Row> = right.iter().filter(|r| fits(l, r)).collect();
        if kind.pairs() {
            partners
                .iter()
                .for_each(|r| add(&mut pairs, Some(l.id), Some(r.id)));
        }
        let alone = partners.is_empty();
        if (alone && keeps_left) || (!alone && kind == JoinKind::LeftSemi) {
            add(&mut pairs, Some(l.id), None);
        }
    }
    let alone = right.iter().filter(|r| !left.iter().any(|l| fits(l, r)));
    if keeps_right {
        alone.for_each(|r| add(&mut pairs, None, Some(r.id)));
    }
    pairs
}

fn kinds() -> impl Strategy<Value = JoinKind> {
    prop_oneof![
        Just(JoinKind::Inner),
        Just(JoinKind::Left),
        Just(JoinKind::Right),
        Just(JoinKind::Full),
        Just(JoinKind::LeftSemi),
        Just(JoinKind::LeftAnti),
    ]
}

fn interval_case() -> impl Strategy<Value = IntervalCase> {
    (kinds(), -6..6_i64, 0..8_i64, any::<bool>(), any::<bool>()).prop_map(
        |(kind, lower, length, residual, by_left)| IntervalCase {
            kind,
            lower,
            upper: lower + length,
            residual,
            by_left,
        },
    )
}

fn asof_case() -> impl Strategy<Value = AsofCase> {
    let tolerance = prop::option::of(0..6_i64);
    (any::<bool>(), any::<bool>(), tolerance).prop_map(|(outer, strict, tolerance)| AsofCase {
        outer,
        strict,
        tolerance,
    })
}

fn check_interval(case: &IntervalCase, life: &Life) {
    let mut run = Run::new(&case.plan());
    run.live(life);
    run.end();
    let [left, right] = &run.in_time;
    let fits = |l: &Row, r: &Row| {
        let distance = l.ts.unwrap() - r.ts.unwrap();
        same_key(l, r)
            && (case.lower..=case.upper).contains(&distance)
            && (!case.residual || l.v < r.v)
    };
    assert_eq!(run.result, brute_force(case.kind, left, right, fits));
    run.check_ledger();
}

fn check_asof(case: &AsofCase, life: &Life) {
    let mut run = Run::new(&case.plan());
    run.live(life);
    run.end();
    let [left, right] = &run.in_time;
    let mut expected = Pairs::new();
    for l in left {
        let at = l.ts.unwrap();
        let before = right.iter().enumerate().filter(|(_, r)| {
            let distance = at - r.ts.unwrap();
            same_key(l, r) && distance >= i64::from(case.strict)
        });
        let last = before
            .max_by_key(|(arrival, r)| (r.ts, *arrival))
            .map(|(_, r)| r);
        let fresh = |r: &&Row| case.tolerance.is_none_or(|most| at - r.ts.unwrap() <= most);
        match last.filter(fresh) {
            Some(r) => add(&mut expected, Some(l.id), Some(r.id)),
            None if case.outer => add(&mut expected, Some(l.id), None),
            None => {}
        }
    }
    assert_eq!(run.result, expected);
    run.check_ledger();
}

/// The answer of DataFusion over the rows that are there now.
async fn batch_answer(case: &RegularCase, rows: &[Vec<Row>; 2]) -> Pairs {
    let ctx = super::plans::session("l", &plan::schema(), vec![drive::batch(&rows[0])]);
    let right = drive::batch(&rows[1]);
    ctx.register_batch("r", right).unwrap();
    let (join, columns) = match case.kind {
        JoinKind::Inner => ("JOIN", "l.id, r.id"),
        JoinKind::Left => ("LEFT JOIN", "l.id, r.id"),
        JoinKind::Right => ("RIGHT JOIN", "l.id, r.id"),
        JoinKind::Full => ("FULL JOIN", "l.id, r.id"),
        JoinKind::LeftSemi => ("LEFT SEMI JOIN", "l.id, CAST(NULL AS BIGINT)"),
        JoinKind::LeftAnti => ("LEFT ANTI JOIN", "l.id, CAST(NULL AS BIGINT)"),
    };
    let residual = if case.residual { " AND l.v < r.v" } else { "" };
    let sql = format!("SELECT {columns} FROM l {join} r ON l.k = r.k{residual}");
    let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
    let mut pairs = Pairs::new();
    for batch in &batches {
        for (left, right) in drive::ids(batch) {
            add(&mut pairs, left, right);
        }
    }
    pairs
}

fn check_regular(case: &RegularCase, life: &Life) {
    let mut run = Run::new(&case.plan());
    for step in &life.steps {
        run.step(step, true);
        if matches!(step, drive::Step::Publish) {
            let expected = block_on(batch_answer(case, &run.present));
            assert_eq!(run.result, expected);
        }
    }
    run.end();
    assert_eq!(run.result, block_on(batch_answer(case, &run.present)));
    run.check_ledger();
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn interval_joins_find_every_pair_once((case, life) in (interval_case(), lives())) {
        check_interval(&case, &life);
    }

    #[test]
    fn asof_joins_find_the_last_row_before((case, life) in (asof_case(), lives())) {
        check_asof(&case, &life);
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn regular_joins_follow_every_change(
        (kind, residual, life) in (kinds(), any::<bool>(), lives())
    ) {
        check_regular(&RegularCase { kind, residual, kept: None }, &life);
    }

    #[test]
    fn rows_kept_for_a_time_meet_those_that_come_within_it(
        (seconds, life) in (0..20_i64, lives())
    ) {
        let case = RegularCase { kind: JoinKind::Inner, residual: false, kept: Some(seconds) };
        let mut run = Run::new(&case.plan());
        run.kept = seconds;
        run.live(&life);
        run.end();
        assert_eq!(run.result, run.met);
        run.check_ledger();
    }
}

/// Many rows of keys that never come again, with time passing: state stays where it was.
#[test]
fn state_does_not_grow_as_time_passes() {
    let interval = IntervalCase {
        kind: JoinKind::Full,
        lower: -5,
        upper: 5,
        residual: false,
        by_left: true,
    };
    let asof = AsofCase {
        outer: true,
        strict: false,
        tolerance: Some(5),
    };
    let regular = RegularCase {
        kind: JoinKind::Inner,
        residual: false,
        kept: Some(5),
    };
    for plan in [interval.plan(), asof.plan(), regular.plan()] {
        let mut run = Run::new(&plan);
        let mut most = [0; 2];
        for second in 0..600_i64 {
            for side in [0, 1] {
                let rows = (0..40).map(|n| Row {
                    ts: Some(second),
                    k: Some(format!("{second}-{n}")),
                    v: 0,
                    id: second * 100 + n,
                });
                run.feed(side, rows.collect(), Input::Insert);
                run.advance(side, second);
            }
            let half = usize::from(second >= 300);
            most[half] = most[half].max(run.state_bytes());
        }
        assert!(most[1] <= most[0] * 11 / 10, "{most:?}");
    }
}
