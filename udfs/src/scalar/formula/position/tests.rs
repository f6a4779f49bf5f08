//! Tests of profit read from positions: it is the cash that flowed and the value of what is held,
//! to the last digit.

use std::sync::LazyLock;

use datafusion::prelude::SessionContext;
use proptest::prelude::*;

use crate::trial::{lines, refusal_text, rows, run, session};

/// Returns a decimal as digits and the number of those after its point.
fn decimal(text: &str) -> (i128, u32) {
    let after = text.split_once('.').map_or(0, |(_, after)| after.len());
    let digits = text.replace('.', "").parse().unwrap();
    (digits, u32::try_from(after).unwrap())
}

/// Writes hundredths.
fn money(hundredths: i128) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Asserts that a decimal is this many hundredths.
fn assert_is(found: &str, hundredths: i128, call: &str) {
    let (digits, scale) = decimal(found);
    assert_eq!(
        digits,
        hundredths * 10_i128.pow(scale - 2),
        "{call}: {found}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn profit_is_cash_and_value(
        trades in prop::collection::vec((-9_i128..=9, 1_i128..1_000_003), 1..12),
        mark in 1_i128..1_000_003,
        multiplier in 1_i128..100,
    ) {
        static CTX: LazyLock<SessionContext> = LazyLock::new(session);
        let values: Vec<String> = trades
            .iter()
            .enumerate()
            .map(|(t, (quantity, price))| format!("({t}, {quantity}, '{}')", money(*price)))
            .collect();
        let (values, mark_text) = (values.join(", "), money(mark));
        for method in ["avg", "fifo", "lifo"] {
            let sql = format!(
                "SELECT total_pnl(p, m, {multiplier}), unrealized_pnl(p, m, {multiplier}), \
                 p['realized_pnl'] FROM (SELECT t, CAST('{mark_text}' AS DECIMAL(9,2)) AS m, \
                 position_{method}(CAST(q AS DECIMAL(9,0)), CAST(x AS DECIMAL(9,2)), 0, \
                 {multiplier}) OVER (ORDER BY t) AS p FROM (VALUES {values}) AS v(t, q, x)) \
                 ORDER BY t"
            );
            let found = lines(&run(&CTX, &sql).unwrap());
            let (mut cash, mut quantity) = (0, 0);
            for (row, (traded, price)) in found.iter().zip(&trades) {
                cash -= traded * price * multiplier;
                quantity += traded;
                let parts: Vec<&str> = row.split(' ').collect();
                assert_is(parts[0], cash + quantity * mark * multiplier, method);
                let [total, open, realized] = [0, 1, 2].map(|at| decimal(parts[at]));
                prop_assert_eq!((total.1, open.1), (realized.1, realized.1));
                prop_assert_eq!(open.0 + realized.0, total.0);
            }
        }
    }
}

#[test]
fn what_a_position_lacks_is_null() {
    let sql = "SELECT unrealized_pnl(p, 11), total_pnl(p, CAST(NULL AS DOUBLE)), total_pnl(p, 11) \
               FROM (SELECT ts, position_lifo(size, price) OVER (ORDER BY ts) AS p FROM trades \
               WHERE symbol = 'A') ORDER BY ts";
    // 1 at 10; a trade without a size; 3 at 12; 4 at 11. Columns without a value leave no trace.
    assert_eq!(rows(sql), ["1.0 1.0", "", "-2.0 -2.0", "-2.0 -2.0"]);
}

#[test]
fn a_float_makes_floats_and_others_are_refused() {
    let position = "position_fifo(CAST(size AS DECIMAL(9,0)), CAST(price AS DECIMAL(9,2))) OVER \
                    (ORDER BY ts)";
    let typed = |call: &str| {
        let sql = format!(
            "SELECT DISTINCT arrow_typeof({call}) FROM (SELECT {position} AS p FROM trades)"
        );
        rows(&sql)
    };
    assert_eq!(typed("unrealized_pnl(p, CAST(1 AS DOUBLE))"), ["Float64"]);
    assert_eq!(typed("unrealized_pnl(p, 11)"), ["Decimal128(38, 2)"]);
    assert_eq!(
        typed("total_pnl(p, CAST(1 AS DECIMAL(9,4)), 50)"),
        ["Decimal128(38, 4)"]
    );
    let refused = |call: &str| {
        refusal_text(&format!(
            "SELECT {call} FROM (SELECT {position} AS p FROM trades)"
        ))
    };
    assert!(
        refused("unrealized_pnl(p)").starts_with("cannot call unrealized_pnl with 1 arguments")
    );
    assert_eq!(
        refused("total_pnl(p, 'a')"),
        "cannot use Utf8 as argument mark of total_pnl, expected a number of at most 38 digits"
    );
    // A struct of another kind is no position.
    let other = refusal_text("SELECT unrealized_pnl(candle, 1, 2) FROM bars");
    assert!(other.starts_with("cannot use Struct"), "{other}");
    assert!(
        other.contains("as argument quantity of unrealized_pnl"),
        "{other}"
    );
}
