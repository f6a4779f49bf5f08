//! Tests of the rolling functions by hand: gaps, flat windows, refusals. The formulas are compared
//! with pandas and statsmodels in `tests/oracle`.

use crate::trial::{refusal_text, rows};

fn series(call: &str, values: &str) -> Vec<String> {
    let sql = format!(
        "SELECT coalesce(CAST(round({call} OVER (ORDER BY t), 9) AS VARCHAR), '-') FROM (VALUES \
         {values}) AS x(t, a, b) ORDER BY t"
    );
    rows(&sql)
}

#[test]
fn windows_count_rows_with_values() {
    let values = "(1, 1.0, 2.0), (2, NULL, 9.0), (3, 3.0, 6.0), (4, 'NaN'::double, 0.0), \
                  (5, 2.0, 4.0)";
    let close = ["-", "-", "0.707106781", "-", "-0.707106781"];
    assert_eq!(series("zscore(a, 2)", values), close);
    assert_eq!(
        series("rolling_beta(b, a, 2)", values),
        ["-", "-", "2.0", "-", "2.0"]
    );
    assert_eq!(
        series("rolling_quantile(a, 2, 0.5)", values),
        ["-", "-", "2.0", "-", "2.5"]
    );
    assert_eq!(
        series("rolling_rank(a, length => 2)", values),
        ["-", "-", "2.0", "-", "1.0"]
    );
}

#[test]
fn what_does_not_vary_has_no_answer() {
    let flat = "(1, 5.1, 1.0), (2, 5.1, 2.0), (3, 5.1, 3.0), (4, 5.1, 4.0)";
    for call in [
        "zscore(a, 3)",
        "rolling_corr(a, b, 3)",
        "rolling_beta(b, a, 3)",
        "rolling_skew(a, 3)",
        "half_life(a, 3)",
        // On a line there is no residual to measure by.
        "pair_spread_z(b, 2 * b, 3)",
    ] {
        assert_eq!(series(call, flat), ["-"; 4], "{call}");
    }
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT zscore(price, 1) OVER (ORDER BY ts) FROM trades"),
        "cannot use 1 as argument length of zscore, expected an integer from 2 to 100000"
    );
    assert_eq!(
        refusal_text("SELECT zscore(price) OVER (ORDER BY ts) FROM trades"),
        "cannot call zscore with 1 arguments, expected zscore(value, length)"
    );
    assert_eq!(
        refusal_text("SELECT rolling_quantile(price, 2, 1.5) OVER (ORDER BY ts) FROM trades"),
        "cannot use 1.5 as argument quantile of rolling_quantile, expected a number from 0e0 to 1e0"
    );
}
