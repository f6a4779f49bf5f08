//! Tests of decaying weights: times that are not regular, refusals. The formulas are compared with
//! pandas and arch in `tests/oracle`.

use crate::trial::{close, refusal_text, rows};

#[test]
fn irregular_times_weigh_by_their_distance() {
    let sql = "SELECT ewma_time(v, to_timestamp_micros(t), 2) OVER (ORDER BY t) FROM (VALUES \
               (0, 10.0), (2000000, 20.0), (6000000, 0.0)) AS x(t, v) ORDER BY t";
    assert_eq!(rows(sql), ["10.0", "15.0", "3.75"]);
    for halflife in ["INTERVAL '2 seconds'", "'2 seconds'", "2000 / 1000.0"] {
        let sql = sql.replace(", 2)", &format!(", {halflife})"));
        assert_eq!(rows(&sql), ["10.0", "15.0", "3.75"], "{halflife}");
    }
}

#[test]
fn a_volatility_may_be_given_for_the_time_before() {
    let check = |arguments: &str, expected: [f64; 2]| {
        let sql = format!(
            "SELECT ewma_vol(v, {arguments}) OVER (ORDER BY t) FROM (VALUES (0, 0.5), (1, NULL), \
             (2, -0.3)) AS x(t, v) ORDER BY t"
        );
        let found = rows(&sql);
        let numbers: Vec<f64> = found.iter().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(numbers.len(), 2, "{found:?}");
        for (found, expected) in numbers.iter().zip(expected) {
            assert!(close(*found, expected, 1e-15), "{arguments}: {found}");
        }
    };
    let first: f64 = 0.8 * 0.04 + 0.2 * 0.25;
    check(
        "0.8, 0.2",
        [first.sqrt(), (0.8 * first + 0.2 * 0.09).sqrt()],
    );
    check("0.8", [0.5, (0.8_f64 * 0.25 + 0.2 * 0.09).sqrt()]);
    check(
        "0.8, init => NULL",
        [0.5, (0.8_f64 * 0.25 + 0.2 * 0.09).sqrt()],
    );
}

#[test]
fn adjusting_is_a_word_or_a_boolean() {
    let sql = "SELECT ewma(price, 5, 'span', true) OVER w = ewma(price, 5, 'span', 'true') OVER w, \
               ewma(price, 5, 'span', false) OVER w = ewma(price, 5, 1) OVER w FROM trades WINDOW w \
               AS (ORDER BY ts, price) LIMIT 1";
    assert_eq!(rows(sql), ["true true"]);
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT ewma(price, 1.5) OVER (ORDER BY ts) FROM trades"),
        "cannot use 1.5 as argument decay of ewma, expected an alpha above 0 and at most 1, or a \
         span of at least 1"
    );
    assert_eq!(
        refusal_text("SELECT ewma(price, 5, 'weeks') OVER (ORDER BY ts) FROM trades"),
        "cannot use weeks as argument kind of ewma, expected one of 0 (alpha), 1 (span), \
         2 (halflife), 3 (com)"
    );
    assert_eq!(
        refusal_text("SELECT garch11_vol(price, 0.1, 0.5, 0.5) OVER (ORDER BY ts) FROM trades"),
        "cannot use 0.5 as argument beta of garch11_vol, expected a number below 1 - alpha"
    );
    assert_eq!(
        refusal_text(
            "SELECT ewma_time(price, ts, INTERVAL '1 month') OVER (ORDER BY ts) FROM trades"
        ),
        "cannot use 1 mons as argument halflife of ewma_time, expected seconds or an interval \
         without months, above zero"
    );
    assert_eq!(
        refusal_text("SELECT ewma_vol(price, 0.9, -1) OVER (ORDER BY ts) FROM trades"),
        "cannot use -1 as argument init of ewma_vol, expected a number from 0e0 to 1e9"
    );
}
