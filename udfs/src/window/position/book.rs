//! The accounting of one position. What a closing trade takes from the cost basis is what it
//! realizes against, so cost basis less realized profit is the cash that was paid, exactly for
//! [`Exact`] numbers, whatever is rounded in between.
//!
//! Rounded is the cost of a part of a lot at average cost, to the digits that amounts have. A lot
//! remembers the cost of all of it, so a trade that reduces it leaves its average as it is.

use std::collections::VecDeque;
use std::fmt::Debug;

use datafusion::arrow::datatypes::i256;

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

    /// Returns `self * factor` over the product of `divisors`, rounded half away from zero; `None`
    /// beyond the range and for a division by zero.
    pub(super) fn over(self, factor: Self, divisors: [Self; 2]) -> Option<Self> {
        let product = |a: Self, b: Self| i256::from_i128(a.0).checked_mul(i256::from_i128(b.0));
        let (product, whole) = (product(self, factor)?, product(divisors[0], divisors[1])?);
        let (quotient, rest) = (product.checked_div(whole)?, product.checked_rem(whole)?);
        let rest = rest.checked_abs()?;
        // Half of the divisor or more, without a sum that could leave the range.
        let is_half = rest >= whole.checked_abs()?.checked_sub(rest)?;
        let away = match (is_half, product.is_negative() == whole.is_negative()) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => -1,
        };
        Self::checked(quotient.checked_add(i256::from_i128(away))?.to_i128())
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
        self.over(part, [whole, Self(1)])
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
    /// A cost and a quantity whose quotient is the average cost of the open quantity.
    pub(super) average: (A, A),
    /// How many lots are open.
    pub(super) lots: usize,
}

/// Quantity that was bought or sold together, as far as it is still open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Lot<A> {
    /// What is still open.
    open: A,
    /// What was opened.
    opened: A,
    /// What `opened` cost.
    cost: A,
}

impl<A: Amount> Lot<A> {
    /// Returns what the open quantity cost: exact for a lot of one trade, which has one price.
    fn basis(self) -> Option<A> {
        match self.open == self.opened {
            true => Some(self.cost),
            false => self.cost.share(self.open, self.opened),
        }
    }
}

/// A position and its open lots.
#[derive(Debug)]
pub(super) struct Book<A> {
    method: Method,
    state: State<A>,
    /// Oldest first; at most one for the average method.
    lots: VecDeque<Lot<A>>,
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
        let state = &mut self.state;
        state.quantity.walk(walk);
        state.basis.walk(walk);
        state.realized.walk(walk);
        let length = walk.length(self.lots.len());
        self.lots.resize(length, Lot::default());
        for lot in &mut self.lots {
            lot.open.walk(walk);
            lot.opened.walk(walk);
            lot.cost.walk(walk);
        }
    }

    /// Returns the bytes that the lots take.
    pub(super) fn heap_bytes(&self) -> usize {
        self.lots.capacity() * size_of::<Lot<A>>()
    }

    /// Takes a trade and returns the position after it; `None` if an amount left its range, after
    /// which the book must not be used.
    pub(super) fn trade(&mut self, quantity: A, price: A) -> Option<State<A>> {
        let zero = A::default();
        let mut left = quantity;
        // Lots of the other side are closed first.
        while left != zero {
            let Some(lot) = self.next_lot().copied() else {
                break;
            };
            if (lot.open > zero) == (left > zero) {
                break;
            }
            left = self.close(lot, left, price)?;
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
        self.state.average = match (self.method, self.lots.front()) {
            (Method::Average, Some(lot)) => (lot.cost, lot.opened),
            _ => (self.state.basis, self.state.quantity),
        };
        Some(self.state)
    }

    /// The lot that is closed first.
    fn next_lot(&mut self) -> Option<&mut Lot<A>> {
        match self.method {
            Method::Lifo => self.lots.back_mut(),
            Method::Average | Method::Fifo => self.lots.front_mut(),
        }
    }

    /// Closes as much of the next lot as a trade of `left` can and returns what is left of the
    /// trade.
    fn close(&mut self, lot: Lot<A>, left: A, price: A) -> Option<A> {
        let zero = A::default();
        let rest = lot.open.plus(left)?;
        // The trade goes beyond the lot if their sum has the trade's side.
        let is_whole = rest == zero || (rest > zero) == (left > zero);
        let closed = if is_whole {
            lot.open
        } else {
            zero.minus(left)?
        };
        let open = if is_whole { zero } else { rest };
        let kept = Lot { open, ..lot };
        let taken = lot.basis()?.minus(kept.basis()?)?;
        let gain = closed.times(price)?.minus(taken)?;
        self.state.realized = self.state.realized.plus(gain)?;
        self.state.basis = self.state.basis.minus(taken)?;
        if !is_whole {
            *self.next_lot()? = kept;
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
        let before = match &only {
            Some(lot) => **lot,
            None => Lot::default(),
        };
        let open = before.open.plus(quantity)?;
        let lot = Lot {
            open,
            opened: open,
            cost: before.basis()?.plus(cost)?,
        };
        match only {
            Some(only) => *only = lot,
            None => self.lots.push_back(lot),
        }
        Some(())
    }
}
