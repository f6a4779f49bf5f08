//! Formulas of quotes and prices.

use super::{Formula, Outputs, doc, money, number, one};
use crate::argument::{Argument, Kind, maybe, number as argument, optional};

/// The formulas of this subject.
pub(super) const FORMULAS: [Formula; 9] = [
    number(
        doc(
            "mid",
            "mid(bid, ask) -> double precision",
            "The middle of a quote.",
            "(bid + ask) / 2",
            "standard",
            "SELECT mid(bid, ask) FROM quotes",
        ),
        &[argument("bid"), argument("ask")],
        |&[a, b, ..]| one(a + (b - a) / 2.0),
    ),
    number(
        doc(
            "spread",
            "spread(bid, ask) -> double precision",
            "The spread of a quote.",
            "ask - bid",
            "standard",
            "SELECT spread(bid, ask) FROM quotes",
        ),
        &[argument("bid"), argument("ask")],
        |&[a, b, ..]| one(b - a),
    ),
    number(
        doc(
            "spread_bps",
            "spread_bps(bid, ask) -> double precision",
            "The spread of a quote in basis points of its middle.",
            "10000 * (ask - bid) / mid(bid, ask)",
            "standard",
            "SELECT spread_bps(bid, ask) FROM quotes",
        ),
        &[argument("bid"), argument("ask")],
        |&[a, b, ..]| one(1e4 * (b - a) / (a + (b - a) / 2.0)),
    ),
    number(
        doc(
            "microprice",
            "microprice(bid, ask, bid_size, ask_size) -> double precision",
            "The middle of a quote, pulled to the side with less size.",
            "(ask * bid_size + bid * ask_size) / (bid_size + ask_size)",
            "standard",
            "SELECT microprice(bid, ask, bid_size, ask_size) FROM quotes",
        ),
        &[
            argument("bid"),
            argument("ask"),
            argument("bid_size"),
            argument("ask_size"),
        ],
        |&[a, b, c, d, ..]| one((b * c + a * d) / (c + d)),
    ),
    number(
        doc(
            "imbalance",
            "imbalance(bid_size, ask_size) -> double precision",
            "The imbalance of a quote's sizes, from -1 to 1.",
            "(bid_size - ask_size) / (bid_size + ask_size)",
            "standard",
            "SELECT imbalance(bid_size, ask_size) FROM quotes",
        ),
        &[argument("bid_size"), argument("ask_size")],
        |&[a, b, ..]| one((a - b) / (a + b)),
    ),
    Formula {
        doc: doc(
            "lee_ready",
            "lee_ready(price, bid, ask, previous_price) -> integer",
            "Whether a trade was bought (1) or sold (-1) by who crossed the spread, 0 if unknown.",
            "above the middle of the quote 1, below it -1; at the middle by tick_rule(price, \
             previous_price), 0 if the previous price is null",
            "Lee and Ready 1991",
            "SELECT lee_ready(10.0, bid, ask, 9.9) FROM quotes",
        ),
        arguments: &[
            argument("price"),
            argument("bid"),
            argument("ask"),
            maybe("previous_price"),
        ],
        outputs: Outputs::Integer,
        evaluate: |&[price, bid, ask, previous, ..]| {
            let sign = sign_of(price - (bid + (ask - bid) / 2.0));
            one(if sign == 0.0 && previous.is_finite() {
                sign_of(price - previous)
            } else {
                sign
            })
        },
        amount: None,
        of_position: None,
    },
    Formula {
        doc: doc(
            "tick_rule",
            "tick_rule(price, previous_price) -> integer",
            "Whether a price rose (1), fell (-1) or stood (0).",
            "sign(price - previous_price)",
            "Lee and Ready 1991",
            "SELECT tick_rule(price, 10) FROM trades",
        ),
        arguments: &[argument("price"), argument("previous_price")],
        outputs: Outputs::Integer,
        evaluate: |&[a, b, ..]| one(sign_of(a - b)),
        amount: None,
        of_position: None,
    },
    money(
        doc(
            "notional",
            "notional(price, quantity [, multiplier = 1 [, rate = 1]]) -> amount",
            "The value of a position or a trade.",
            "price * quantity * multiplier * rate; exact if all are decimals or integers and one \
             is a decimal, else double precision",
            "standard",
            "SELECT notional(price, size) FROM trades",
        ),
        &[
            argument("price"),
            argument("quantity"),
            optional("multiplier", 1.0),
            optional("rate", 1.0),
        ],
        |&[a, b, c, d, ..]| one(a * b * c * d),
        |given| match *given {
            [price, quantity, multiplier, rate] => {
                price.times(quantity)?.times(multiplier)?.times(rate)
            }
            _ => None,
        },
    ),
    number(
        doc(
            "round_to_tick",
            "round_to_tick(price, tick [, mode = 'nearest']) -> double precision",
            "A price on the grid of its ticks.",
            "the multiple of tick that is nearest (half away from zero), next up or next down; a \
             price within a billionth of a tick of one stays on it; null unless tick > 0",
            "standard",
            "SELECT round_to_tick(price, 0.05, 'down') FROM trades",
        ),
        &[argument("price"), argument("tick"), ROUNDING],
        |&[price, tick, mode, ..]| one(round_to_tick(price, tick, mode)),
    ),
];

/// How prices are rounded.
const ROUNDING: Argument = Argument {
    kind: Kind::Word(
        &[("nearest", 0.0), ("up", 1.0), ("down", -1.0)],
        "'nearest', 'up' or 'down'",
    ),
    ..optional("mode", 0.0)
};

/// Returns −1, 0 or 1.
fn sign_of(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

/// Returns the multiple of `tick` below (`mode` −1), nearest to (0) or above (1) `price`.
fn round_to_tick(price: f64, tick: f64, mode: f64) -> f64 {
    if tick <= 0.0 {
        return f64::NAN;
    }
    let ticks = price / tick;
    let nearest = ticks.round();
    let count = if mode == 0.0 || (ticks - nearest).abs() < 1e-9 {
        nearest
    } else if mode > 0.0 {
        ticks.ceil()
    } else {
        ticks.floor()
    };
    // Dividing by 20 rather than multiplying by 0.05 gives the double nearest to the decimal.
    let per_unit = (1.0 / tick).round();
    if per_unit >= 1.0 && (per_unit * tick - 1.0).abs() < 1e-12 {
        count / per_unit
    } else {
        count * tick
    }
}
