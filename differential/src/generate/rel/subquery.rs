//! Random queries inside queries, set operations, and rows for each of some values.

use super::Maker;
use crate::generate::expr::{column_of, some, truth};
use crate::rel::{As, Purpose, Rel, SetOperation, Shape, Subquery, Test, Unnest};
use crate::value::Type;

impl Maker<'_> {
    pub(super) fn sets(&mut self, depth: usize) -> Rel {
        let mut types = vec![self.random.one_of(&[Type::Int, Type::Text])];
        if self.random.one_in(2) {
            types.push(self.random.one_of(&[Type::Text, Type::Bool, Type::Int]));
        }
        let mut side = |depth: usize| {
            let rel = self.rel(depth);
            Box::new(self.projected(rel, &types))
        };
        let (left, right) = (side(depth), side(depth.saturating_sub(1)));
        Rel::Sets(SetOperation {
            common: self.random.one_in(2),
            all: self.random.one_in(2),
            left,
            right,
        })
    }

    pub(super) fn unnest(&mut self, depth: usize) -> Rel {
        let from = match self.random.one_in(2) {
            true => self.timed(depth).0,
            false => self.rel(depth),
        };
        let types = self.shape(&from).types;
        let of = self.random.one_of(&[Type::Int, Type::Text, Type::Int]);
        let items = (0..1 + self.random.below(3))
            .map(|_| some(self.random, &types, of, 1))
            .collect();
        Rel::Unnest(Unnest {
            from: Box::new(from),
            items,
            of,
            numbered: self.random.one_in(3),
        })
    }

    pub(super) fn subquery(&mut self, depth: usize) -> Rel {
        let (from, inner) = (self.rel(depth), self.rel(depth.saturating_sub(1)));
        let (ours, theirs) = (self.shape(&from), self.shape(&inner));
        let equal = match self.random.one_in(3) {
            true => None,
            false => self.equal(&ours, &theirs),
        };
        let purpose = match self.random.below(6) {
            0..=2 => {
                let Some(test) = self.test(&ours, &theirs) else {
                    return from;
                };
                let place = match self.random.below(4) {
                    0 => As::Or(truth(self.random, &ours.types, 1)),
                    1 => As::Column,
                    _ => As::Condition,
                };
                Purpose::Test(test, place)
            }
            3..=4 => Purpose::Value(self.call(&theirs.types, true)),
            _ => Purpose::First(self.random.between(1, 2), self.random.one_in(2)),
        };
        let lists = theirs.types.contains(&Type::List);
        if lists && matches!(purpose, Purpose::First(..)) {
            return from;
        }
        Rel::Subquery(Subquery {
            from: Box::new(from),
            inner: Box::new(inner),
            equal,
            purpose,
        })
    }

    fn test(&mut self, ours: &Shape, theirs: &Shape) -> Option<Test> {
        let positive = !self.random.one_in(3);
        if self.random.one_in(3) {
            return Some(Test::Exists(positive));
        }
        let of = self.random.one_of(&[Type::Text, Type::Int]);
        let value = column_of(self.random, &ours.types, of)?;
        let column = column_of(self.random, &theirs.types, of)?;
        Some(Test::In(value, column, positive))
    }
}
