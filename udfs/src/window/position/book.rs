//! The accounting of one position. Amounts are exact for [`Exact`] numbers, whatever is rounded in
//! between: what a closing trade takes from the cost basis is what it realizes against.

use std::collections::VecDeque;
use std::fmt::Debug;

use crate::window::step::Walk;

/// Which of its lots a position closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Method {
    /// A share of all.
    Average,
    /// The oldest.
    Fifo,
    /// The latest.
    Lifo,
}

/// Quantities, prices and their products. Every operation is `None` beyond the range.
pub(super) trait Amount: Copy + Debug + Default + PartialOrd {
    /// Returns the sum.
    fn plus(self, other: Self) -> Option<Self>;
    /// Returns the difference.
    fn minus(self, other: Self) -> Option<Self>;
    /// Returns the product.
    fn times(self, other: Self) -> Option<Self>;
    /// Returns `self * part / whole`, rounded half away from zero.
    fn share(self, part: Self, whole: Self) -> Option<Self>;
    /// Walks over it.
    fn walk(&mut self, walk: &mut Walk<'_>);
}

/// A decimal without its scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(super) struct Exact(pub(super) i128);

/// The least number that does not fit 38 digits.
const LIMIT: i128 = 10_i128.pow(38);

impl Exact {
    fn checked(value: Option<i128>) -> Option<Self> {
        value
            .filter(|value| -LIMIT < *value && *value < LIMIT)
            .map(Self)
    }
}

impl Amount for Exact {
    fn plus(self, other: Self) -> Option<Self> {
        Self::checked(self.0.checked_add(other.0))
    }

    fn minus(self, other: Self) -> Option<Self> {
        Self::checked(self.0.checked_sub(other.0))
    }

    fn times(self, other: Self) -> Option<Self> {
        Self::checked(self.0.checked_mul(other.0))
    }

    fn share(self, part: Self, whole: Self) -> Option<Self> {
        use datafusion::arrow::datatypes::i256;
        let wide = |value: Self| i256::from_i128(value.0);
        let product = wide(self).checked_mul(wide(part))?;
        let whole = wide(whole);
        let (quotient, rest) = (product.checked_div(whole)?, product.checked_rem(whole)?);
        let twice = rest.checked_abs()?.checked_add(rest.checked_abs()?)?;
        let away = match (
            twice >= whole.checked_abs()?,
            product.is_negative() == whole.is_negative(),
        ) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        };
        Self::checked(quotient.checked_add(i256::from_i128(away))?.to_i128())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.integer(&mut self.0);
    }
}

impl Amount for f64 {
    fn plus(self, other: Self) -> Option<Self> {
        Some(self + other)
    }

    fn minus(self, other: Self) -> Option<Self> {
        Some(self - other)
    }

    fn times(self, other: Self) -> Option<Self> {
        Some(self * other)
    }

    fn share(self, part: Self, whole: Self) -> Option<Self> {
        Some(self * (part / whole))
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(self);
    }
}

/// A position after a trade.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct State<A> {
    /// Positive if long, negative if short.
    pub(super) quantity: A,
    /// What the open quantity cost; negative if short.
    pub(super) basis: A,
    /// What closed quantities earned.
    pub(super) realized: A,
    /// How many lots are open.
    pub(super) lots: usize,
}

/// A position and its open lots.
#[derive(Debug)]
pub(super) struct Book<A> {
    method: Method,
    state: State<A>,
    /// Quantity and cost of each lot, oldest first; one for the average method.
    lots: VecDeque<(A, A)>,
}

impl<A: Amount> Book<A> {
    /// A position without trades.
    pub(super) fn new(method: Method) -> Self {
        Self {
            method,
            state: State::default(),
            lots: VecDeque::new(),
        }
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        let State {
            quantity,
            basis,
            realized,
            lots,
        } = &mut self.state;
        quantity.walk(walk);
        basis.walk(walk);
        realized.walk(walk);
        walk.count(lots);
        let length = walk.length(self.lots.len());
        self.lots.resize(length, (A::default(), A::default()));
        for (quantity, cost) in &mut self.lots {
            quantity.walk(walk);
            cost.walk(walk);
        }
    }

    /// Returns the bytes that the lots take.
    pub(super) fn heap_bytes(&self) -> usize {
        self.lots.capacity() * size_of::<(A, A)>()
    }

    /// Takes a trade and returns the position after it; `None` if an amount left its range, after
    /// which the book must not be used.
    pub(super) fn trade(&mut self, quantity: A, price: A) -> Option<State<A>> {
        let zero = A::default();
        let mut left = quantity;
        // Lots of the other side are closed first.
        while left != zero {
            let lot = match self.method {
                Method::Lifo => self.lots.back().copied(),
                Method::Average | Method::Fifo => self.lots.front().copied(),
            };
            let Some((open, cost)) = lot.filter(|(open, _)| (*open > zero) != (left > zero)) else {
                break;
            };
            left = self.close(open, cost, left, price)?;
        }
        if left != zero {
            self.open(left, left.times(price)?)?;
        }
        self.state.quantity = self.state.quantity.plus(quantity)?;
        self.state.lots = self.lots.len();
        if self.lots.is_empty() {
            // Floats may leave a rest of rounding errors; decimals are at zero already.
            (self.state.quantity, self.state.basis) = (zero, zero);
        }
        Some(self.state)
    }

    /// Closes as much of a lot as a trade of `left` can and returns what is left of the trade.
    fn close(&mut self, open: A, cost: A, left: A, price: A) -> Option<A> {
        let zero = A::default();
        let rest = open.plus(left)?;
        // The trade goes beyond the lot if their sum has the trade's side.
        let whole = rest == zero || (rest > zero) == (left > zero);
        let closed = if whole { open } else { zero.minus(left)? };
        let taken = if whole {
            cost
        } else {
            cost.share(closed, open)?
        };
        let gain = closed.times(price)?.minus(taken)?;
        self.state.realized = self.state.realized.plus(gain)?;
        self.state.basis = self.state.basis.minus(taken)?;
        let lot = match self.method {
            Method::Lifo => self.lots.back_mut(),
            Method::Average | Method::Fifo => self.lots.front_mut(),
        };
        if !whole {
            let lot = lot?;
            *lot = (rest, cost.minus(taken)?);
            return Some(zero);
        }
        match self.method {
            Method::Lifo => self.lots.pop_back(),
            Method::Average | Method::Fifo => self.lots.pop_front(),
        };
        Some(rest)
    }

    fn open(&mut self, quantity: A, cost: A) -> Option<()> {
        self.state.basis = self.state.basis.plus(cost)?;
        let only = match self.method {
            Method::Average => self.lots.back_mut(),
            Method::Fifo | Method::Lifo => None,
        };
        match only {
            Some(lot) => *lot = (lot.0.plus(quantity)?, lot.1.plus(cost)?),
            None => self.lots.push_back((quantity, cost)),
        }
        Some(())
    }
}
