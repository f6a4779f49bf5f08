//! Formulas of execution quality.

use super::{Formula, doc, number, one};
use crate::argument::{SIDE, number as argument};
use crate::side::is_side;

/// The formulas of this subject.
pub(super) const FORMULAS: [Formula; 3] = [
    number(
        doc(
            "slippage_bps",
            "slippage_bps(side, price, arrival) -> double precision",
            "What a fill cost against the price at arrival, in basis points; positive is a cost.",
            "10000 * side * (price - arrival) / arrival",
            "Perold 1988",
            "SELECT slippage_bps('buy', ask, mid(bid, ask)) FROM quotes",
        ),
        &[SIDE, argument("price"), argument("arrival")],
        |&[side, price, arrival, ..]| one(1e4 * signed(side, price - arrival) / arrival),
    ),
    number(
        doc(
            "effective_spread_bps",
            "effective_spread_bps(price, mid) -> double precision",
            "The effective spread of a trade, in basis points of the middle.",
            "20000 * |price - mid| / mid",
            "standard",
            "SELECT effective_spread_bps(ask, mid(bid, ask)) FROM quotes",
        ),
        &[argument("price"), argument("mid")],
        |&[a, b, ..]| one(2e4 * (a - b).abs() / b),
    ),
    number(
        doc(
            "markout",
            "markout(price, side, mid_later) -> double precision",
            "What a trade earned by a later middle, in basis points; positive is a gain.",
            "10000 * side * (mid_later - price) / price",
            "standard",
            "SELECT markout(bid, 'B', mid(bid, ask)) FROM quotes",
        ),
        &[argument("price"), SIDE, argument("mid_later")],
        |&[price, side, later, ..]| one(1e4 * signed(side, later - price) / price),
    ),
];

/// Returns `value` as seen from a side, NaN from what is none.
fn signed(side: f64, value: f64) -> f64 {
    if is_side(side) {
        side * value
    } else {
        f64::NAN
    }
}
