//! Random joins.

use super::Maker;
use crate::expr::{Compare, Expr};
use crate::generate::expr::{column_of, truth};
use crate::rel::{Asof, Family, Join, Kind, Near, Rel, Select, Shape, Window};
use crate::value::Type;

impl Maker<'_> {
    /// Columns of one type on both sides.
    pub(super) fn equal(&mut self, left: &Shape, right: &Shape) -> Option<(usize, usize)> {
        let of = self
            .random
            .one_of(&[Type::Text, Type::Text, Type::Text, Type::Int]);
        let left = column_of(self.random, &left.types, of)?;
        Some((left, column_of(self.random, &right.types, of)?))
    }

    fn residual(&mut self, left: &Shape, right: &Shape) -> Option<Expr> {
        if !self.random.one_in(3) {
            return None;
        }
        let width = left.types.len();
        let of = self.random.one_of(&[Type::Int, Type::Text]);
        let own = column_of(self.random, &left.types, of)?;
        let other = column_of(self.random, &right.types, of)?;
        let op = self
            .random
            .one_of(&[Compare::Less, Compare::NotEqual, Compare::GreaterEqual]);
        let (a, b) = (Expr::Column(own), Expr::Column(width + other));
        Some(Expr::Compare(op, Box::new(a), Box::new(b)))
    }

    fn kind(&mut self) -> Kind {
        self.random.one_of(&[
            Kind::Inner,
            Kind::Inner,
            Kind::Left,
            Kind::Right,
            Kind::Full,
            Kind::Semi,
            Kind::Anti,
        ])
    }

    pub(super) fn regular(&mut self, depth: usize) -> Rel {
        let (left, right) = (self.rel(depth), self.rel(depth.saturating_sub(1)));
        let (ours, theirs) = (self.shape(&left), self.shape(&right));
        let Some(key) = self.equal(&ours, &theirs) else {
            return left;
        };
        let residual = self.residual(&ours, &theirs);
        Rel::Join(Join {
            kind: self.kind(),
            left: Box::new(left),
            right: Box::new(right),
            keys: vec![key],
            near: None,
            residual,
        })
    }

    pub(super) fn interval(&mut self, depth: usize) -> Rel {
        let (left, ours, own) = self.timed(depth);
        let (right, theirs, other) = self.timed(depth.saturating_sub(1));
        let keys = match self.random.one_in(5) {
            true => None,
            false => self.equal(&ours, &theirs),
        };
        let lower = self.random.between(-6, 4) * 500_000;
        let residual = self.residual(&ours, &theirs);
        Rel::Join(Join {
            kind: self.kind(),
            left: Box::new(left),
            right: Box::new(right),
            keys: keys.into_iter().collect(),
            near: Some(Near {
                left: own,
                right: other,
                lower,
                upper: lower + self.random.between(0, 12) * 500_000,
            }),
            residual,
        })
    }

    pub(super) fn window_join(&mut self, depth: usize) -> Rel {
        let family = loop {
            match self.family() {
                Family::Session(_) => {}
                family => break family,
            }
        };
        let aggregated = self.random.one_in(2);
        let mut side = |depth: usize| {
            let (from, shape, time) = self.timed(depth);
            if !aggregated {
                return Rel::Assigned(Box::new(from), time, family);
            }
            let calls = self.calls(&shape.types, true);
            Rel::Window(Window {
                from: Box::new(from),
                time,
                family,
                keys: column_of(self.random, &shape.types, Type::Text)
                    .into_iter()
                    .collect(),
                calls,
                having: None,
            })
        };
        let (left, right) = (side(depth), side(depth.saturating_sub(1)));
        let (ours, theirs) = (self.shape(&left), self.shape(&right));
        let start = |shape: &Shape| match aggregated {
            true => 0,
            false => shape.types.len() - 2,
        };
        let (own, other) = (start(&ours), start(&theirs));
        let mut keys = vec![(own, other), (own + 1, other + 1)];
        if !self.random.one_in(4) {
            keys.extend(self.equal(&ours, &theirs));
        }
        let residual = self.residual(&ours, &theirs);
        Rel::Join(Join {
            kind: self.kind(),
            left: Box::new(left),
            right: Box::new(right),
            keys,
            near: None,
            residual,
        })
    }

    pub(super) fn asof(&mut self, depth: usize) -> Rel {
        let (left, ours, own) = self.timed(depth);
        // Of rows of one time the last to arrive counts, so the right side is a stream as it came.
        let base = self.random.below(2);
        let stream = Rel::Base(base);
        let theirs = self.shape(&stream);
        let right = match self.random.one_in(3) {
            true => Rel::Select(Select {
                from: Box::new(stream),
                filter: Some(truth(self.random, &theirs.types, 1)),
                columns: Vec::new(),
                distinct: false,
            }),
            false => stream,
        };
        let Some(key) = column_of(self.random, &ours.types, Type::Text) else {
            return left;
        };
        Rel::Asof(Asof {
            left: Box::new(left),
            right: Box::new(right),
            times: (own, theirs.time.unwrap_or_default()),
            key: (key, 1),
            strict: self.random.one_in(3),
            outer: self.random.one_in(2),
            tolerance: self
                .random
                .one_in(2)
                .then(|| self.random.between(0, 10) * 500_000),
        })
    }
}
