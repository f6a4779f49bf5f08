//! Levels of an order book, best first.

use super::{Kind, ListFunction};
use crate::registry::{FunctionDoc, FunctionKind};

/// The functions of order books.
pub(super) const FUNCTIONS: [ListFunction; 3] = [
    ListFunction {
        doc: FunctionDoc {
            name: "book_imbalance",
            kind: FunctionKind::Scalar,
            signature: "book_imbalance(bid_sizes, ask_sizes [, levels]) -> double precision",
            description: "The imbalance of the sizes in a book's best levels, from -1 to 1.",
            formula: "(b - a) / (b + a) with the sums b and a of the first levels sizes of each \
                      side, of all without levels",
            reference: "standard",
            example: "SELECT book_imbalance([bid_size, 200], [ask_size, 400], 1) FROM quotes",
        },
        arguments: &[
            ("bid_sizes", Kind::List),
            ("ask_sizes", Kind::List),
            ("levels", Kind::Number),
        ],
        required: 2,
        result: Kind::Number,
        evaluate: book_imbalance,
    },
    ListFunction {
        doc: FunctionDoc {
            name: "weighted_mid",
            kind: FunctionKind::Scalar,
            signature: "weighted_mid(prices, sizes) -> double precision",
            description: "The mean of prices weighted by the sizes beside them.",
            formula: "sum(price * size) / sum(size); null unless the lists are as long as another",
            reference: "standard",
            example: "SELECT weighted_mid([bid, ask], [bid_size, ask_size]) FROM quotes",
        },
        arguments: &[("prices", Kind::List), ("sizes", Kind::List)],
        required: 2,
        result: Kind::Number,
        evaluate: weighted_mid,
    },
    ListFunction {
        doc: FunctionDoc {
            name: "l2price",
            kind: FunctionKind::Scalar,
            signature: "l2price(target, sizes, prices) -> double precision",
            description: "The average price at which a quantity fills against a book's levels.",
            formula: "levels are taken in order until target is filled; null if they are too thin",
            reference: "QuestDB l2price",
            example: "SELECT l2price(2, [bid_size, 200], [bid, bid - 0.5]) FROM quotes",
        },
        arguments: &[
            ("target", Kind::Number),
            ("sizes", Kind::List),
            ("prices", Kind::List),
        ],
        required: 3,
        result: Kind::Number,
        evaluate: l2price,
    },
];

fn book_imbalance(arguments: &[Vec<f64>]) -> Option<Vec<f64>> {
    let [bids, asks, levels @ ..] = arguments else {
        return None;
    };
    let levels = match levels.first().and_then(|levels| levels.first()) {
        Some(levels) if *levels < 1.0 => return None,
        Some(levels) => *levels as usize,
        None => usize::MAX,
    };
    let sum = |sizes: &[f64]| sizes.iter().take(levels).sum::<f64>();
    let (bid, ask) = (sum(bids), sum(asks));
    Some(vec![(bid - ask) / (bid + ask)])
}

fn weighted_mid(arguments: &[Vec<f64>]) -> Option<Vec<f64>> {
    let [prices, sizes] = arguments else {
        return None;
    };
    if prices.len() != sizes.len() {
        return None;
    }
    let products: f64 = prices
        .iter()
        .zip(sizes)
        .map(|(price, size)| price * size)
        .sum();
    Some(vec![products / sizes.iter().sum::<f64>()])
}

fn l2price(arguments: &[Vec<f64>]) -> Option<Vec<f64>> {
    let [target, sizes, prices] = arguments else {
        return None;
    };
    let target = target.first().copied().filter(|target| *target > 0.0)?;
    if prices.len() != sizes.len() {
        return None;
    }
    let (mut left, mut paid) = (target, 0.0);
    for (price, size) in prices.iter().zip(sizes) {
        let taken = size.clamp(0.0, left);
        paid += taken * price;
        left -= taken;
        if left <= 0.0 {
            return Some(vec![paid / target]);
        }
    }
    None
}
