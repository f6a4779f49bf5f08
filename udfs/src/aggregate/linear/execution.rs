//! Costs of trading and of liquidity.

use super::moments::{add_two, mean};
use super::{ANY_SIDE, ARGUMENTS_MAX, Linear, Sums, doc, slope};
use crate::argument::{Argument, Kind, SIDE, maybe, number, optional};
use crate::side::is_side;

/// Which volume an imbalance is measured against.
const OVER: Argument = Argument {
    kind: Kind::Word(&[("known", 0.0), ("total", 1.0)], "'known' or 'total'"),
    ..optional("over", 0.0)
};

/// What an order asked for, and the price at which what was not filled is valued.
const UNFILLED: [Argument; 2] = [
    Argument {
        default: Some(f64::NAN),
        ..maybe("ordered")
    },
    Argument {
        default: Some(f64::NAN),
        ..maybe("final_price")
    },
];

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Linear; 7] = [
    Linear {
        doc: doc(
            "trade_imbalance",
            "trade_imbalance(size, side text | number [, over = 'known']) -> double precision",
            "Bought less sold size over both, from -1 to 1.",
            "(buys - sells) / (buys + sells) over rows with size > 0; side is 'B', 'buy' or 1 and \
             'S', 'sell' or -1; sizes of other sides are left out, or with 'total' added to the \
             denominator",
            "standard",
            "SELECT symbol, trade_imbalance(size, CASE WHEN price > 10 THEN 'buy' \
             ELSE 'sell' END) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("size"), ANY_SIDE],
        constants: &[OVER],
        outputs: &[],
        add: |&[size, side, ..], constants, sums| {
            let known = is_side(side);
            if size <= 0.0 || !(known || constants[0] == 1.0) {
                return false;
            }
            if known {
                sums[1].add(side * size);
            }
            sums[2].add(size);
            true
        },
        finish: |sums, _| vec![sums[1].rounded() / sums[2].rounded()],
    },
    Linear {
        doc: doc(
            "kyle_lambda",
            "kyle_lambda(price_change, signed_volume) -> double precision",
            "How far the price moves for a unit of signed volume.",
            "cov(price_change, signed_volume) / var(signed_volume), the slope of a least-squares \
             line; null if the volume does not vary",
            "Kyle 1985",
            "SELECT kyle_lambda(price - 10, size) FROM trades",
        ),
        arguments: &[number("price_change"), number("signed_volume")],
        constants: &[],
        outputs: &[],
        add: |&[change, volume, ..], _, sums| {
            add_two(volume, change, sums);
            true
        },
        finish: |sums, _| vec![slope(sums)],
    },
    Linear {
        doc: doc(
            "realized_spread",
            "realized_spread(price, mid, mid_later, side) -> double precision",
            "The mean realized spread: what liquidity earned once the price had moved.",
            "mean of 2 * side * (price - mid_later); an unknown side is the sign of price - mid",
            "Huang and Stoll 1996",
            "SELECT realized_spread(bid, mid(bid, ask), mid(bid, ask), 'S') FROM quotes",
        ),
        arguments: &[
            number("price"),
            number("mid"),
            number("mid_later"),
            ANY_SIDE,
        ],
        constants: &[],
        outputs: &[],
        add: |&[price, mid, later, side, ..], _, sums| {
            let guess = if price == mid {
                0.0
            } else {
                (price - mid).signum()
            };
            let side = if is_side(side) { side } else { guess };
            sums[1].add_product(2.0 * side, price - later);
            true
        },
        finish: |sums, _| vec![mean(sums, 1)],
    },
    Linear {
        doc: doc(
            "arrival_slippage",
            "arrival_slippage(side, price, quantity, arrival) -> double precision",
            "What fills cost against the price at arrival, in basis points weighted by value; \
             positive is a cost.",
            "10000 * sum(side * (price - arrival) * quantity) / sum(arrival * quantity) over rows \
             with quantity > 0",
            "Perold 1988",
            "SELECT arrival_slippage('B', price, size, 10.0) FROM trades",
        ),
        arguments: &[SIDE, number("price"), number("quantity"), number("arrival")],
        constants: &[],
        outputs: &[],
        add: |&[side, price, quantity, arrival, ..], _, sums| {
            if !is_side(side) || quantity <= 0.0 {
                return false;
            }
            sums[1].add_product(side * (price - arrival), quantity);
            sums[2].add_product(arrival, quantity);
            true
        },
        finish: |sums, _| vec![1e4 * sums[1].rounded() / sums[2].rounded()],
    },
    Linear {
        doc: doc(
            "implementation_shortfall",
            "implementation_shortfall(side, price, quantity, decision [, fee = 0 [, ordered, \
             final_price]]) -> double precision",
            "What orders cost against the price at decision, in basis points: their fills, their \
             fees and what was not filled; positive is a cost.",
            "10000 * sum(side * (price - decision) * quantity + fee + side * (final_price - \
             decision) * (ordered - quantity)) / sum(decision * ordered); a row is a fill, or an \
             order at its average price; ordered is quantity if it is left out, null or less, and \
             what is beyond quantity was not filled and is valued at final_price, without which \
             the row does not count; of an order with several fills, one row more with quantity 0 \
             has what was left of it; quantity and ordered of 0 do not count",
            "Perold 1988",
            "SELECT implementation_shortfall('B', price, size, 10.0, 0.01), \
             implementation_shortfall('B', price, size, 10.0, 0.01, size + 1, 11.0) FROM trades",
        ),
        arguments: &[
            SIDE,
            maybe("price"),
            number("quantity"),
            number("decision"),
            optional("fee", 0.0),
            UNFILLED[0],
            UNFILLED[1],
        ],
        constants: &[],
        outputs: &[],
        add: add_shortfall,
        finish: |sums, _| vec![1e4 * sums[1].rounded() / sums[2].rounded()],
    },
    Linear {
        doc: doc(
            "fill_ratio",
            "fill_ratio(filled, ordered) -> double precision",
            "The share of ordered quantity that was filled.",
            "sum(filled) / sum(ordered)",
            "standard",
            "SELECT fill_ratio(size, size + 1) FROM trades",
        ),
        arguments: &[number("filled"), number("ordered")],
        constants: &[],
        outputs: &[],
        add: add_pair,
        finish: |sums, _| vec![sums[1].rounded() / sums[2].rounded()],
    },
    Linear {
        doc: doc(
            "participation_rate",
            "participation_rate(own_size, market_size) -> double precision",
            "The share of the market's volume that was one's own.",
            "sum(own_size) / sum(market_size)",
            "standard",
            "SELECT participation_rate(1, size) FROM trades",
        ),
        arguments: &[number("own_size"), number("market_size")],
        constants: &[],
        outputs: &[],
        add: add_pair,
        finish: |sums, _| vec![sums[1].rounded() / sums[2].rounded()],
    },
];

/// Adds the cost of an order, filled in part, and what it was worth at decision.
fn add_shortfall(values: &[f64; ARGUMENTS_MAX], _constants: &[f64], sums: &mut Sums) -> bool {
    let &[side, price, quantity, decision, fee, ordered, last] = values;
    // The greater of the two; NaN, which stands for none, is never it.
    let ordered = quantity.max(ordered);
    let (is_filled, is_left) = (quantity > 0.0, ordered > quantity);
    if !is_side(side) || quantity < 0.0 || !(is_filled || is_left) {
        return false;
    }
    if (is_filled && price.is_nan()) || (is_left && last.is_nan()) {
        return false;
    }
    if is_filled {
        sums[1].add_product(side * (price - decision), quantity);
    }
    if is_left {
        sums[1].add_product(side * (last - decision), ordered - quantity);
    }
    sums[1].add(fee);
    sums[2].add_product(decision, ordered);
    true
}

fn add_pair(values: &[f64; ARGUMENTS_MAX], _constants: &[f64], sums: &mut Sums) -> bool {
    sums[1].add(values[0]);
    sums[2].add(values[1]);
    true
}
