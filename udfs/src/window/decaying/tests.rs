//! Tests of decaying weights: times that are not regular, refusals. The formulas are compared with
//! pandas and arch in `tests/oracle`.

use crate::trial::{refusal_text, rows};

#[test]
fn irregular_times_weigh_by_their_distance() {
    let sql = "SELECT ewma_time(v, to_timestamp_micros(t), 2) OVER (ORDER BY t) FROM (VALUES \
               (0, 10.0), (2000000, 20.0), (6000000, 0.0)) AS x(t, v) ORDER BY t";
    assert_eq!(rows(sql), ["10.0", "15.0", "3.75"]);
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
}
