//! Tests of the parts of statistics.

use crate::trial::{refusal_text, rows};

#[test]
fn parts_are_fields() {
    let sql = "SELECT num_vals(s), average(s), slope(l), intercept(l), x_intercept(l), \
               covariance(l), determination_coeff(l) FROM (SELECT stats_agg(y) AS s, \
               stats_agg(y, x) AS l FROM (VALUES (1.0, 0.0), (3.0, 1.0), (5.0, 2.0)) AS t(y, x))";
    assert_eq!(rows(sql), ["3 3.0 2.0 1.0 -0.5 2.0 1.0"]);
    let empty = "SELECT average(s) IS NULL, s['skewness'] IS NULL FROM (SELECT stats_agg(price) AS \
                 s FROM trades WHERE price < 0)";
    assert_eq!(rows(empty), ["true true"]);
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT average(price) FROM trades"),
        "cannot use Float64 as argument statistics of average, expected the result of stats_agg, \
         of time_weight or a sketch that has this part"
    );
    let message = refusal_text("SELECT slope(stats_agg(price)) FROM trades");
    assert!(message.starts_with("cannot use Struct"), "{message}");
}
