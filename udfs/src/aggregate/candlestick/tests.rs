//! Tests of `candlestick_agg`: bars by hand, types, ties, rows that do not count, any cut.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array, Float64Array, TimestampNanosecondArray};
use proptest::prelude::*;

use crate::error::FunctionError;
use crate::trial::{
    Input, aggregate, assert_close, merged, one_pass, refusal, refusal_text, reordered, rows,
};

const PARTS: &str = "open(c), high(c), low(c), close(c), volume(c), vwap(c), trades(c)";

#[test]
fn bars_of_two_symbols() {
    let sql = format!(
        "SELECT symbol, {PARTS} FROM (SELECT symbol, candlestick_agg(ts, price, size) AS c \
         FROM trades GROUP BY symbol) ORDER BY symbol"
    );
    assert_eq!(
        rows(&sql),
        [
            "A 10.0 12.0 9.0 11.0 8.0 11.25 4",
            "B 50.0 51.0 49.0 49.0 4.0 50.0 3"
        ]
    );
}

#[test]
fn accessors_work_on_the_aggregate_itself() {
    let sql = "SELECT symbol, vwap(candlestick_agg(ts, price, size)), vwap(price, size), \
               high_time(candlestick_agg(ts, price, size)) FROM trades GROUP BY symbol \
               ORDER BY symbol";
    assert_eq!(
        rows(sql),
        [
            "A 11.25 11.25 2026-03-02T09:30:20",
            "B 50.0 50.0 2026-03-02T09:31:30"
        ]
    );
}

#[test]
fn times_of_the_corners() {
    let sql = "SELECT open_time(c), high_time(c), low_time(c), close_time(c) FROM \
               (SELECT candlestick_agg(ts, price) AS c FROM trades WHERE symbol = 'A')";
    let day = "2026-03-02T09:";
    assert_eq!(
        rows(sql),
        [format!("{day}30:00 {day}30:20 {day}30:10 {day}31:05")]
    );
}

fn bar(ticks: &str) -> Vec<String> {
    rows(&format!(
        "SELECT {PARTS} FROM (SELECT candlestick_agg(to_timestamp_micros(t), CAST(p AS DOUBLE), \
         CAST(v AS DOUBLE)) AS c FROM (VALUES {ticks}) AS x(t, p, v))"
    ))
}

#[test]
fn ticks_that_do_not_count() {
    assert_eq!(bar("(1, 5, 2)"), ["5.0 5.0 5.0 5.0 2.0 5.0 1"]);
    assert_eq!(
        bar("(1, 5, 2), (NULL, 9, 9), (2, NULL, 9)"),
        ["5.0 5.0 5.0 5.0 2.0 5.0 1"]
    );
    assert_eq!(
        bar("(1, 5, 2), (2, 'NaN'::double, 9), (3, 'Infinity'::double, 9)"),
        ["5.0 5.0 5.0 5.0 2.0 5.0 1"]
    );
}

#[test]
fn a_price_without_volume_counts_as_a_price() {
    assert_eq!(
        bar("(1, 5, 2), (2, 9, NULL)"),
        ["5.0 9.0 5.0 9.0 2.0 5.0 2"]
    );
    assert_eq!(
        bar("(1, 5, 2), (2, 9, 'NaN'::double), (3, 7, -1)"),
        ["5.0 9.0 5.0 7.0 2.0 5.0 3"]
    );
    // Nothing known: no volume. Known to be zero: no average.
    assert_eq!(bar("(1, 5, NULL), (2, 9, NULL)"), ["5.0 9.0 5.0 9.0 2"]);
    assert_eq!(bar("(1, 5, 0), (2, 9, NULL)"), ["5.0 9.0 5.0 9.0 0.0 2"]);
}

#[test]
fn equal_times_and_equal_extremes() {
    assert_eq!(
        bar("(1, 5, 1), (1, 6, 1), (1, 7, 1)"),
        ["5.0 7.0 5.0 7.0 3.0 6.0 3"]
    );
    let sql = "SELECT high_time(c), low_time(c) FROM (SELECT candlestick_agg(\
               to_timestamp_micros(t), 5.0) AS c FROM (VALUES (3), (1), (2)) AS x(t))";
    assert_eq!(
        rows(sql),
        ["1970-01-01T00:00:00.000001 1970-01-01T00:00:00.000001"]
    );
}

#[test]
fn a_bar_without_ticks_is_null() {
    let sql = "SELECT candlestick_agg(ts, price, size) IS NULL, \
               open(candlestick_agg(ts, price)) IS NULL FROM trades WHERE false";
    assert_eq!(rows(sql), ["true true"]);
    let sql = "SELECT symbol, trades(candlestick_agg(ts, price) FILTER (WHERE price > 40)) \
               FROM trades GROUP BY symbol ORDER BY symbol";
    assert_eq!(rows(sql), ["A", "B 3"]);
}

#[test]
fn types_of_the_fields() {
    let check = |price: &str, size: &str, expected: &str| {
        let sql = format!(
            "SELECT {PARTS}, arrow_typeof(open(c)), arrow_typeof(volume(c)), \
             arrow_typeof(vwap(c)) FROM (SELECT candlestick_agg(ts, CAST(price AS {price}), \
             CAST(size AS {size})) AS c FROM trades WHERE symbol = 'A')"
        );
        assert_eq!(rows(&sql), [expected]);
    };
    check(
        "DECIMAL(18,8)",
        "DECIMAL(12,3)",
        "10.00000000 12.00000000 9.00000000 11.00000000 8.000 11.2500000000000000 4 \
         Decimal128(18, 8) Decimal128(38, 3) Decimal128(26, 16)",
    );
    check(
        "DECIMAL(18,8)",
        "DOUBLE",
        "10.00000000 12.00000000 9.00000000 11.00000000 8.0 11.25 4 \
         Decimal128(18, 8) Float64 Float64",
    );
    check(
        "DECIMAL(18,8)",
        "BIGINT",
        "10.00000000 12.00000000 9.00000000 11.00000000 8 11.2500000000000000 4 \
         Decimal128(18, 8) Decimal128(38, 0) Decimal128(26, 16)",
    );
    check(
        "DOUBLE",
        "DECIMAL(12,3)",
        "10.0 12.0 9.0 11.0 8.0 11.25 4 Float64 Float64 Float64",
    );
}

#[test]
fn times_keep_their_type() {
    for kind in [
        "Timestamp(s)",
        "Timestamp(ms)",
        "Timestamp(µs)",
        "Timestamp(ns, \"UTC\")",
    ] {
        let unit = kind
            .replace("(s)", "(Second, None)")
            .replace("(ms)", "(Millisecond, None)");
        let unit = unit.replace("(µs)", "(Microsecond, None)");
        let unit = unit.replace("(ns, \"UTC\")", "(Nanosecond, Some(\"UTC\"))");
        let sql = format!(
            "SELECT arrow_typeof(close_time(candlestick_agg(arrow_cast(ts, '{unit}'), price))) \
             FROM trades"
        );
        assert_eq!(rows(&sql), [kind]);
    }
}

#[test]
fn a_volume_beyond_38_digits_is_refused() {
    let many = ["(1, 90000000000000000000000000000000000000)"; 2].join(", ");
    let sql = format!(
        "SELECT candlestick_agg(to_timestamp_micros(t), CAST(1 AS DECIMAL(9,2)), \
         CAST(v AS DECIMAL(38,0))) FROM (VALUES {many}) AS x(t, v)"
    );
    let error = refusal(&sql);
    assert!(
        matches!(
            error,
            FunctionError::Overflow {
                what: "the volume",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "candlestick_agg(ts)",
        "cannot call candlestick_agg with 1 arguments, expected candlestick_agg(ts, price [, \
         volume])",
    );
    check(
        "candlestick_agg(price, ts)",
        "cannot use Float64 as argument ts of candlestick_agg, expected a timestamp",
    );
}

type Tick = (usize, i64, Option<f64>, Option<f64>);

proptest! {
    #[test]
    fn any_cut_gives_one_pass(
        ticks in prop::collection::vec(
            (0..3_usize, -20..20_i64, prop::option::weighted(0.9, -5.0..50.0_f64),
             prop::option::weighted(0.8, -1.0..9.0_f64)), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        distinct in any::<bool>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(ticks.len() + 1)).collect();
        cuts.sort_unstable();
        let groups: Vec<usize> = ticks.iter().map(|tick| tick.0).collect();
        let time = |(row, tick): (usize, &Tick)| {
            if distinct { (row as i64 * 37) % 61 } else { tick.1 }
        };
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(
            ticks.iter().enumerate().map(time),
        ));
        let float = |pick: fn(&Tick) -> Option<f64>| -> ArrayRef {
            Arc::new(ticks.iter().map(pick).collect::<Float64Array>())
        };
        let decimal = |pick: fn(&Tick) -> Option<f64>| -> ArrayRef {
            let values = ticks.iter().map(|tick| pick(tick).map(|value| (value * 1e3) as i128));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(18, 8).unwrap())
        };
        let function = aggregate("candlestick_agg");
        for columns in [
            vec![Arc::clone(&times), float(|tick| tick.2), float(|tick| tick.3)],
            vec![Arc::clone(&times), decimal(|tick| tick.2), decimal(|tick| tick.3)],
            vec![Arc::clone(&times), decimal(|tick| tick.2), float(|tick| tick.3)],
            vec![Arc::clone(&times), float(|tick| tick.2)],
        ] {
            let input = Input { columns, groups: groups.clone(), group_count: 3 };
            let expected = one_pass(&function, &input);
            assert_close(&merged(&function, &input, &cuts, |_| ()), &expected);
            if distinct {
                assert_close(&merged(&function, &input, &cuts, |parts| parts.reverse()), &expected);
                let back: Vec<usize> = (0..ticks.len()).rev().collect();
                assert_close(&one_pass(&function, &reordered(&input, &back)), &expected);
            }
        }
    }
}
