//! Formulas of positions, stress and limits.

use super::{Formula, Outputs, doc, money, number, one, position};
use crate::argument::{number as argument, optional};

/// The formulas of this subject.
pub(super) const FORMULAS: [Formula; 6] = [
    money(
        doc(
            "mark_to_market",
            "mark_to_market(quantity, mark [, multiplier = 1]) -> amount",
            "What a position is worth at a mark; a short one is negative.",
            "quantity * mark * multiplier; exact if all are decimals or integers and one is a \
             decimal, else double precision",
            "standard",
            "SELECT mark_to_market(-100, price, 50) FROM trades",
        ),
        &[
            argument("quantity"),
            argument("mark"),
            optional("multiplier", 1.0),
        ],
        |&[a, b, c, ..]| one(a * b * c),
        |given| match *given {
            [quantity, mark, multiplier] => quantity.times(mark)?.times(multiplier),
            _ => None,
        },
    ),
    Formula {
        of_position: Some(&position::UNREALIZED),
        ..money(
            position::UNREALIZED_DOC,
            &[
                argument("quantity"),
                argument("average_price"),
                argument("mark"),
                optional("multiplier", 1.0),
            ],
            |&[a, b, c, d, ..]| one(a * (c - b) * d),
            |given| match *given {
                [quantity, average, mark, multiplier] => {
                    quantity.times(mark.minus(average)?)?.times(multiplier)
                }
                _ => None,
            },
        )
    },
    Formula {
        of_position: Some(&position::TOTAL),
        ..money(
            position::TOTAL_DOC,
            &[
                argument("realized"),
                argument("quantity"),
                argument("average_price"),
                argument("mark"),
                optional("multiplier", 1.0),
            ],
            |&[a, b, c, d, e, ..]| one(a + b * (d - c) * e),
            |given| match *given {
                [realized, quantity, average, mark, multiplier] => {
                    let open = quantity.times(mark.minus(average)?)?;
                    realized.plus(open.times(multiplier)?)
                }
                _ => None,
            },
        )
    },
    number(
        doc(
            "leverage",
            "leverage(gross_exposure, net_asset_value) -> double precision",
            "Gross exposure over capital.",
            "gross_exposure / net_asset_value; null unless the latter is above zero",
            "standard",
            "SELECT leverage(price * size, 100000) FROM trades",
        ),
        &[argument("gross_exposure"), argument("net_asset_value")],
        |&[a, b, ..]| one(if b > 0.0 { a / b } else { f64::NAN }),
    ),
    number(
        doc(
            "stress_pnl",
            "stress_pnl(quantity, price, shock_pct [, delta = 1 [, gamma = 0]]) -> double \
             precision",
            "What a position earns if the price moves by a percentage.",
            "with m = price * shock_pct / 100: quantity * (delta * m + gamma * m^2 / 2)",
            "standard",
            "SELECT stress_pnl(size, price, -10) FROM trades",
        ),
        &[
            argument("quantity"),
            argument("price"),
            argument("shock_pct"),
            optional("delta", 1.0),
            optional("gamma", 0.0),
        ],
        |&[a, b, c, d, e, ..]| one(a * (d * (b * c / 100.0) + 0.5 * e * (b * c / 100.0).powi(2))),
    ),
    Formula {
        doc: doc(
            "limit_check",
            "limit_check(value, limit [, soft_pct = 80]) -> struct(breached, utilization, level)",
            "How much of a limit is used, and whether it is near (level 1) or breached (level 2).",
            "utilization = |value| / limit; breached above 1; level 2 if breached, 1 from soft_pct \
             percent on, else 0; null unless limit > 0",
            "standard",
            "SELECT limit_check(price * size, 50) FROM trades",
        ),
        arguments: &[
            argument("value"),
            argument("limit"),
            optional("soft_pct", 80.0),
        ],
        outputs: Outputs::Limit,
        evaluate: |&[value, limit, soft, ..]| limit_check(value, limit, soft),
        amount: None,
        of_position: None,
    },
];

/// Returns whether a limit is breached, how much of it is used, and the level of warning.
fn limit_check(value: f64, limit: f64, soft: f64) -> [f64; 3] {
    if limit <= 0.0 {
        return [f64::NAN; 3];
    }
    let used = value.abs() / limit;
    let level = match used {
        used if used > 1.0 => 2.0,
        used if used * 100.0 >= soft => 1.0,
        _ => 0.0,
    };
    [f64::from(used > 1.0), used, level]
}
