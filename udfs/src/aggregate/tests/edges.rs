//! What aggregates give at the edges, as data: a price that does not move, a single row, nothing to
//! divide by, equal times. And rows without a value, which leave no trace.

use std::sync::LazyLock;

use datafusion::prelude::SessionContext;

use crate::trial::{lines, run, session};

/// The tables that the calls are run over: `t` is a time, `p` a price, `q` a size, `r` a return.
const TABLES: [(&str, &str); 4] = [
    // One price and size.
    ("flat", "(1, 10, 2), (2, 10, 2), (3, 10, 2), (4, 10, 2)"),
    ("single", "(1, 10, 2)"),
    // Nothing traded.
    ("zero", "(1, 10, 0), (2, 11, 0), (3, 12, 0)"),
    // One time; the order is that of arrival.
    ("ties", "(1, 10, 1), (1, 12, 2), (1, 11, 1)"),
];

/// Rows of which every other has no value.
const GAPS: &str = "(1, 10, 2), (2, NULL, NULL), (3, 12, 3), (3, 'NaN'::double, 'NaN'::double), \
                    (4, 11, 1), (5, 'Infinity'::double, 'Infinity'::double), (6, 13, 2), \
                    (7, '-Infinity'::double, '-Infinity'::double), (8, 12.5, 4)";

/// The same without those.
const CLEAN: &str = "(1, 10, 2), (3, 12, 3), (4, 11, 1), (6, 13, 2), (8, 12.5, 4)";

/// No row with a value.
const NOTHING: &str = "(1, NULL, NULL), (2, 'NaN'::double, 'NaN'::double), \
                       (3, 'Infinity'::double, 'Infinity'::double)";

/// Calls, and what they give over each of [`TABLES`]; `-` is null.
const EDGES: &[(&str, [&str; 4])] = &[
    // Averages and picks.
    ("vwap(p, q)", ["10", "10", "-", "11.25"]),
    ("twap(p, t)", ["10", "10", "10.5", "11"]),
    ("first(p, t)", ["10", "10", "10", "10"]),
    ("last(p, t)", ["10", "10", "12", "11"]),
    ("arg_min(t, p)", ["1", "1", "1", "1"]),
    ("arg_max(p, q)", ["10", "10", "10", "12"]),
    (
        "average(time_weight('LOCF', t, p))",
        ["10", "10", "10.5", "11"],
    ),
    (
        "integral(time_weight('LINEAR', t, p))",
        ["30", "0", "22", "0"],
    ),
    // Bars.
    ("open(candlestick_agg(t, p, q))", ["10", "10", "10", "10"]),
    ("high(candlestick_agg(t, p, q))", ["10", "10", "12", "12"]),
    ("close(candlestick_agg(t, p, q))", ["10", "10", "12", "11"]),
    ("volume(candlestick_agg(t, p, q))", ["8", "2", "0", "4"]),
    ("vwap(candlestick_agg(t, p, q))", ["10", "10", "-", "11.25"]),
    ("ohlcv(t, p, q)['close']", ["10", "10", "12", "11"]),
    // Volatility.
    (
        "realized_variance(p, t)",
        ["0", "-", "0.016655", "0.040812"],
    ),
    ("realized_vol(p, t, 4)", ["0", "-", "0.258109", "0.40404"]),
    (
        "bipower_variation(p, t)",
        ["0", "-", "0.013027", "0.024919"],
    ),
    (
        "realized_semivar_up(p, t)",
        ["0", "-", "0.016655", "0.033241"],
    ),
    ("realized_semivar_down(p, t)", ["0", "-", "0", "0.007571"]),
    ("jump_ratio(p, t)", ["-", "-", "0.21785", "0.389417"]),
    ("roll_spread(p, t)", ["-", "-", "-", "-"]),
    ("parkinson_vol(p, p)", ["0", "0", "0", "0"]),
    ("garman_klass_vol(p, p, p, p)", ["0", "0", "0", "0"]),
    ("rogers_satchell_vol(p, p, p, p)", ["0", "0", "0", "0"]),
    (
        "yang_zhang_vol(p, p, p, p, t)",
        ["0", "-", "0.005868", "0.190447"],
    ),
    // Liquidity and flow.
    ("amihud(r, q)", ["0", "0", "-", "0.066667"]),
    ("amihud(p, q, t)", ["0", "-", "-", "0.091667"]),
    ("kyle_lambda(p, q)", ["-", "-", "-", "1.5"]),
    ("effective_spread(p, 10, q)", ["0", "0", "-", "2.5"]),
    ("realized_spread(p, 10, p, 'B')", ["0", "0", "0", "0"]),
    ("quoted_spread_tw(p, p + 1, t)", ["1", "1", "1", "1"]),
    (
        "order_flow_imbalance(p, q, p + 1, q, t)",
        ["0", "0", "0", "0"],
    ),
    ("trade_imbalance(q, 'B')", ["1", "1", "-", "1"]),
    ("trade_imbalance(q, 'no side')", ["-", "-", "-", "-"]),
    (
        "trade_imbalance(q, 'no side', 'total')",
        ["0", "0", "-", "0"],
    ),
    ("vpin(q, 'B', t, 2, 1)", ["1", "1", "-", "1"]),
    ("poc(volume_profile(p, q, 1))", ["10", "10", "-", "12"]),
    // Returns.
    ("max_drawdown_agg(r, t)", ["0", "0", "0", "0"]),
    ("calmar_ratio(r, t)", ["-", "-", "-", "-"]),
    ("annual_return(r, 1)", ["0", "0", "0.096961", "0.096961"]),
    ("annual_volatility(r, 1)", ["0", "-", "0.1", "0.1"]),
    ("sharpe_ratio(r)", ["-", "-", "15.874508", "15.874508"]),
    ("sortino_ratio(r)", ["-", "-", "-", "-"]),
    ("omega_ratio(r)", ["-", "-", "-", "-"]),
    ("tail_ratio(r)", ["-", "-", "19", "19"]),
    ("hit_rate(r)", ["0", "0", "0.666667", "0.666667"]),
    ("profit_factor(r)", ["-", "-", "-", "-"]),
    ("downside_risk(r)", ["0", "0", "0", "0"]),
    ("information_ratio(r, r)", ["-", "-", "-", "-"]),
    ("beta_agg(r, r)", ["-", "-", "1", "1"]),
    ("value_at_risk(r)", ["0", "0", "-0.01", "-0.01"]),
    ("expected_shortfall(r)", ["0", "0", "0", "0"]),
    (
        "value_at_risk(r, 0.95, 'normal')",
        ["0", "-", "0.064485", "0.064485"],
    ),
    // Exposures and execution.
    ("gross_exposure(p)", ["40", "10", "33", "33"]),
    ("hhi(p)", ["0.25", "1", "0.335170", "0.335170"]),
    ("hhi(q)", ["0.25", "1", "-", "0.375"]),
    ("fill_ratio(q, q)", ["1", "1", "-", "1"]),
    ("participation_rate(q, q)", ["1", "1", "-", "1"]),
    ("arrival_slippage('B', p, q, 10)", ["0", "0", "-", "1250"]),
    (
        "implementation_shortfall('B', p, q, 10)",
        ["0", "0", "-", "1250"],
    ),
    (
        "implementation_shortfall('B', p, q, 10, 0, q + 1, 11)",
        ["333.333333", "333.333333", "1000", "1142.857143"],
    ),
    // Moments.
    ("skewness(p)", ["-", "-", "0", "0"]),
    ("kurtosis_pop(p)", ["-", "-", "-1.5", "-1.5"]),
    ("stats_agg(p)['stddev']", ["0", "-", "1", "1"]),
    ("stats_agg(p, q)['slope']", ["-", "-", "-", "1.5"]),
    ("stats_agg(p, q)['corr']", ["-", "-", "-", "0.866025"]),
    ("num_vals(stats_agg(p))", ["4", "1", "3", "3"]),
    (
        "approx_percentile(0.5, tdigest(10, p))",
        ["10", "10", "11", "11"],
    ),
];

static CTX: LazyLock<SessionContext> = LazyLock::new(|| {
    let ctx = session();
    let others = [("gaps", GAPS), ("clean", CLEAN), ("nothing", NOTHING)];
    for (name, values) in TABLES.into_iter().chain(others) {
        let sql = format!(
            "CREATE TABLE edge_{name} AS SELECT to_timestamp(t) AS t, p, q, p / 10 - 1 AS r FROM \
             (SELECT t, CAST(p AS DOUBLE) AS p, CAST(q AS DOUBLE) AS q FROM (VALUES {values}) AS \
             v(t, p, q))"
        );
        run(&ctx, &sql).unwrap();
    }
    ctx
});

/// What a call gives over a table, numbers to six digits, `-` for null.
fn found(call: &str, table: &str) -> String {
    let call = match call.starts_with("arg_min(t") {
        true => format!("date_part('epoch', {call})"),
        false => call.to_owned(),
    };
    let sql = format!("SELECT {call} AS x FROM edge_{table}");
    let lines = lines(&run(&CTX, &sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
    match lines[0].parse::<f64>() {
        Ok(number) => {
            let rounded = (number * 1e6).round() / 1e6;
            // Zero has no sign here.
            format!("{}", rounded + 0.0)
        }
        Err(_) if lines[0].is_empty() => "-".to_owned(),
        Err(_) => lines[0].clone(),
    }
}

#[test]
fn at_the_edges() {
    let mut wrong = Vec::new();
    for (call, expected) in EDGES {
        for ((table, _), expected) in TABLES.iter().zip(expected) {
            let found = found(call, table);
            let number = |text: &str| text.parse::<f64>().ok();
            if number(&found) != number(expected) {
                wrong.push(format!("{call} of {table}: {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_without_a_value_leave_no_trace() {
    let mut wrong = Vec::new();
    for (call, _) in EDGES {
        let pairs = [
            (found(call, "gaps"), found(call, "clean")),
            (found(call, "nothing"), "-".to_owned()),
        ];
        let differ = pairs
            .into_iter()
            .filter(|(found, expected)| found != expected);
        wrong.extend(differ.map(|(found, expected)| format!("{call}: {found}, not {expected}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
