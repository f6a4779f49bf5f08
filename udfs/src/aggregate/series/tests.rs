//! Tests of the measures along a path: formulas by hand, order, rows that do not count, any cut.

use std::f64::consts::FRAC_PI_2;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::Measure;
use crate::aggregate;
use crate::trial::{Input, assert_close, close, merged, one_pass, refusal_text, reordered, rows};

fn value(call: &str, ticks: &str) -> Option<f64> {
    let sql = format!(
        "SELECT {call} FROM (SELECT to_timestamp_micros(s) AS t, * FROM (VALUES {ticks}) \
         AS x(s, p, b, c, d))"
    );
    rows(&sql)[0].parse().ok()
}

/// Ticks of a price: time and price, the other columns empty.
fn prices(ticks: &[(i64, f64)]) -> String {
    let rows: Vec<String> = ticks
        .iter()
        .map(|(time, price)| format!("({time}, {price:?}, 0.0, 0.0, 0.0)"))
        .collect();
    rows.join(", ")
}

fn check(call: &str, ticks: &str, expected: f64) {
    let found = value(call, ticks).unwrap_or_else(|| panic!("{call} is null"));
    assert!(
        close(found, expected, 1e-12),
        "{call} of {ticks}: {found}, not {expected}"
    );
}

#[test]
fn variation_of_log_returns() {
    // Out of order on purpose: 100, 110, 99, 101.
    let ticks = prices(&[(3, 99.0), (1, 100.0), (2, 110.0), (4, 101.0)]);
    let [a, b, c] = [(1.1_f64).ln(), (0.9_f64).ln(), (101.0_f64 / 99.0).ln()];
    let variance = a * a + b * b + c * c;
    check("realized_variance(p, t)", &ticks, variance);
    check("realized_vol(p, t)", &ticks, variance.sqrt());
    check(
        "realized_volatility(p, t, 252)",
        &ticks,
        (252.0 * variance).sqrt(),
    );
    check("realized_semivar_up(p, t)", &ticks, a * a + c * c);
    check("realized_semivar_down(p, t)", &ticks, b * b);
    let bipower = FRAC_PI_2 * (a.abs() * b.abs() + b.abs() * c.abs());
    check("bipower_variation(p, t)", &ticks, bipower);
    check(
        "jump_ratio(p, t)",
        &ticks,
        (1.0 - bipower / variance).max(0.0),
    );
}

#[test]
fn a_jump_shows_in_the_ratio() {
    let ticks = prices(&[(1, 100.0), (2, 100.1), (3, 120.0), (4, 120.1)]);
    assert!(value("jump_ratio(p, t)", &ticks).unwrap() > 0.9);
}

#[test]
fn too_few_rows_and_rows_that_do_not_count() {
    let one = prices(&[(1, 100.0), (2, -5.0), (3, 0.0)]);
    for call in [
        "realized_variance(p, t)",
        "realized_vol(p, t)",
        "roll_spread(p, t)",
    ] {
        assert_eq!(value(call, &one), None, "{call}");
    }
    assert_eq!(
        value("bipower_variation(p, t)", &prices(&[(1, 1.0), (2, 2.0)])),
        None
    );
    assert_eq!(
        value("jump_ratio(p, t)", &prices(&[(1, 2.0), (2, 2.0), (3, 2.0)])),
        None
    );
    let gaps = "(1, 100.0, 0, 0, 0), (2, NULL, 0, 0, 0), (NULL, 7.0, 0, 0, 0), \
                (3, 'NaN'::double, 0, 0, 0), (4, 'Infinity'::double, 0, 0, 0), (5, 110.0, 0, 0, 0)";
    check("realized_variance(p, t)", gaps, 1.1_f64.ln().powi(2));
}

#[test]
fn rolls_spread_of_a_bouncing_price() {
    // Changes +1 -1 +1 -1 -1: pairs (-1,+1) (+1,-1) (-1,+1) (-1,-1), covariance over n - 1.
    let ticks = prices(&[
        (1, 10.0),
        (2, 11.0),
        (3, 10.0),
        (4, 11.0),
        (5, 10.0),
        (6, 9.0),
    ]);
    let (now, before) = ([-1.0, 1.0, -1.0, -1.0_f64], [1.0, -1.0, 1.0, -1.0_f64]);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / 4.0;
    let (m, n) = (mean(&now), mean(&before));
    let covariance = now
        .iter()
        .zip(&before)
        .map(|(a, b)| (a - m) * (b - n))
        .sum::<f64>()
        / 3.0;
    check("roll_spread(p, t)", &ticks, 2.0 * (-covariance).sqrt());
    let trend = prices(&[(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)]);
    assert_eq!(value("roll_spread(p, t)", &trend), None);
}

#[test]
fn time_weighted_prices_and_spreads() {
    // 10 stands for 1, 20 for 3, 40 for 0 microseconds.
    check(
        "twap(p, t)",
        &prices(&[(0, 10.0), (1, 20.0), (4, 40.0)]),
        17.5,
    );
    check("twap(p, t)", &prices(&[(7, 10.0)]), 10.0);
    // Equal times: the last arrival stands.
    check(
        "twap(p, t)",
        &prices(&[(0, 10.0), (0, 30.0), (2, 99.0)]),
        30.0,
    );
    check("twap(p, t)", &prices(&[(5, 10.0), (5, 30.0)]), 30.0);
    // Spreads 1 for 1, 2 for 3: 7 / 4.
    let quotes = "(0, 10.0, 11.0, 0, 0), (1, 10.0, 12.0, 0, 0), (4, 10.0, 10.5, 0, 0)";
    check("quoted_spread_tw(p, b, t)", quotes, 1.75);
}

#[test]
fn order_flow_imbalance_by_hand() {
    // bid, bid size, ask, ask size.
    let check = |quotes: &str, expected: f64| {
        check("order_flow_imbalance(p, b, c, d, t)", quotes, expected);
    };
    check("(1, 10.0, 5.0, 11.0, 7.0)", 0.0);
    check("(1, 10.0, 5.0, 11.0, 7.0), (2, 10.5, 3.0, 11.0, 7.0)", 3.0);
    check("(1, 10.0, 5.0, 11.0, 7.0), (2, 9.5, 3.0, 11.0, 7.0)", -5.0);
    check("(1, 10.0, 5.0, 11.0, 7.0), (2, 10.0, 8.0, 11.0, 7.0)", 3.0);
    check("(1, 10.0, 5.0, 11.0, 7.0), (2, 10.0, 5.0, 10.5, 4.0)", -4.0);
    check("(1, 10.0, 5.0, 11.0, 7.0), (2, 10.0, 5.0, 11.5, 4.0)", 7.0);
    check("(1, 10.0, 5.0, 11.0, 7.0), (2, 10.0, 5.0, 11.0, 9.0)", -2.0);
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "realized_variance(price)",
        "cannot call realized_variance with 1 arguments, expected realized_variance(price, ts)",
    );
    check(
        "twap(ts, price)",
        "cannot use Timestamp(µs) as argument price of twap, expected a number of at most 38 \
         digits",
    );
    check(
        "realized_vol(price, ts, -1.0)",
        "cannot use -1 as argument annualization of realized_vol, expected a positive number",
    );
}

proptest! {
    #[test]
    fn any_cut_gives_one_pass_and_distinct_times_any_order(
        rows in prop::collection::vec(
            (0..3_usize, prop::array::uniform4(prop::option::weighted(0.95, -0.5..9.0_f64))),
            0..40,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        cuts.sort_unstable();
        let times = (0..rows.len() as i64).map(|row| row * 37 % 41);
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times));
        for measure in Measure::ALL {
            let column = |index: usize| -> ArrayRef {
                Arc::new(rows.iter().map(|row| row.1[index]).collect::<Float64Array>())
            };
            let mut columns: Vec<ArrayRef> = (0..measure.values().len()).map(column).collect();
            columns.push(Arc::clone(&times));
            let groups = rows.iter().map(|row| row.0).collect();
            let input = Input { columns, groups, group_count: 3 };
            let function = aggregate::function(measure);
            let expected = one_pass(&function, &input);
            assert_close(&merged(&function, &input, &cuts, |_| ()), &expected);
            assert_close(&merged(&function, &input, &cuts, |parts| parts.reverse()), &expected);
            let back: Vec<usize> = (0..rows.len()).rev().collect();
            assert_close(&one_pass(&function, &reordered(&input, &back)), &expected);
        }
    }
}

#[test]
fn between_bounds_the_last_price_stands_until_the_end() {
    let bounded = |ticks: &str, start: i64, end: i64| {
        let call = format!(
            "twap(p, t, to_timestamp_micros({start}), CAST(to_timestamp_micros({end}) AS \
             TIMESTAMP(3)))"
        );
        value(&call, ticks)
    };
    let ticks = prices(&[(3_000, 20.0), (1_000, 10.0)]);
    // Known from 1 to 5 ms only: 10 for two, 20 for two.
    assert_eq!(bounded(&ticks, 0, 5_000), Some(15.0));
    // 10 for one millisecond, 20 for two; what is behind the end does not count.
    let more = prices(&[(3_000, 20.0), (1_000, 10.0), (6_000, 99.0)]);
    let mean = bounded(&more, 2_000, 5_000).unwrap();
    assert!(close(mean, 50.0 / 3.0, 1e-12), "{mean}");
    // A price before the start stands from the start on.
    assert_eq!(bounded(&prices(&[(1_000, 10.0)]), 4_000, 9_000), Some(10.0));
    assert_eq!(bounded(&prices(&[(9_000, 10.0)]), 4_000, 9_000), None);
    assert_eq!(bounded(&ticks, 5_000, 5_000), None);
    // Of equal times the last arrival stands.
    let ties = prices(&[(1_000, 10.0), (1_000, 30.0)]);
    assert_eq!(bounded(&ties, 0, 2_000), Some(30.0));
    let call = "twap(p, t, CAST(NULL AS TIMESTAMP), to_timestamp_micros(9000))";
    assert_eq!(value(call, &ticks), None);
    assert_eq!(
        refusal_text("SELECT twap(price, ts, ts) FROM trades"),
        "cannot call twap with 3 arguments, expected twap(price, ts [, start, end])"
    );
    assert_eq!(
        refusal_text("SELECT twap(price, ts, 1, ts) FROM trades"),
        "cannot use Int64 as argument start of twap, expected a timestamp"
    );
}

#[test]
fn bounds_survive_any_cut() {
    let times = [3, 1, 9, 4, 4, 7_i64].map(|time| time * 1_000);
    let time = |shift: i64| -> ArrayRef {
        let times = times.iter().map(|time| Some(time / 2_000 * 2_000 + shift));
        Arc::new(times.collect::<TimestampMicrosecondArray>())
    };
    let prices: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 5.0, 2.0, 8.0, 3.0, 7.0]));
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times.to_vec()));
    let input = Input {
        columns: vec![prices, at, time(-500), time(2_500)],
        groups: vec![0, 1, 0, 0, 0, 1],
        group_count: 3,
    };
    let function = aggregate::function(Measure::Twap);
    let expected = one_pass(&function, &input);
    for cut in 0..=times.len() {
        assert_close(&merged(&function, &input, &[cut], |_| ()), &expected);
    }
}
