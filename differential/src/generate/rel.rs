//! Random queries. What the language cannot state may come out; the planner then refuses it.

use crate::expr::{Compare, Expr};
use crate::generate::expr::{column_of, literal, some, truth};
use crate::random::Random;
use crate::rel::{
    Asof, Base, Call, Emit, Family, Frame, Function, Group, Join, Kind, Near, OverCall, Rel,
    Select, Shape, Window,
};
use crate::value::Type;

mod rank;

/// How often to try for an input that has event time before a stream is taken.
const TRIES: usize = 4;

const SECOND: i64 = 1_000_000;

/// Makes queries over `bases`.
pub struct Maker<'a> {
    random: &'a mut Random,
    bases: &'a [Base],
}

impl<'a> Maker<'a> {
    /// A maker that chooses by `random`.
    pub const fn new(random: &'a mut Random, bases: &'a [Base]) -> Self {
        Self { random, bases }
    }

    fn shape(&self, rel: &Rel) -> Shape {
        rel.shape(self.bases)
    }

    /// A query of at most `depth` operators above a base.
    pub fn rel(&mut self, depth: usize) -> Rel {
        if depth == 0 {
            return Rel::Base(self.random.one_of(&[0, 0, 0, 1, 1, 1, 2, 3, 3]));
        }
        let depth = depth - 1;
        match self.random.below(24) {
            0..=3 => self.select(depth),
            4..=5 => self.union(depth),
            6..=8 => self.group(depth),
            9..=12 => self.window(depth),
            13..=14 => self.regular(depth),
            15..=16 => self.interval(depth),
            17 => self.window_join(depth),
            18 => self.asof(depth),
            19..=20 => self.top(depth),
            21..=22 => self.over(depth),
            _ => {
                let emit = self.random.one_of(&[Emit::Default, Emit::Close]);
                let from = self.rel(depth.max(1));
                let closes = matches!(from, Rel::Window(_));
                let emit = if closes { emit } else { Emit::Default };
                Rel::Stored(Box::new(from), emit)
            }
        }
    }

    /// A query whose rows never change and have event time.
    fn timed(&mut self, depth: usize) -> (Rel, Shape, usize) {
        for _ in 0..TRIES {
            let rel = self.rel(depth);
            let shape = self.shape(&rel);
            if let (true, Some(time)) = (shape.append, shape.time) {
                return (rel, shape, time);
            }
        }
        let rel = Rel::Base(self.random.below(2));
        let shape = self.shape(&rel);
        let time = shape.time.unwrap_or_default();
        (rel, shape, time)
    }

    /// One operator that rows may be too late for, over streams.
    pub fn gate(&mut self) -> Rel {
        loop {
            let rel = match self.random.below(6) {
                0 | 1 => self.window(0),
                2 => self.over(0),
                3 => self.interval(0),
                4 => self.window_join(0),
                _ => self.asof(0),
            };
            let session = |rel: &Rel| {
                let family = match rel {
                    Rel::Window(window) => window.family,
                    _ => return false,
                };
                matches!(family, Family::Session(_))
            };
            // Joined aggregations show by another rule; which rows a session takes depends on all.
            let aggregated = |rel: &Rel| match rel {
                Rel::Join(join) => matches!(join.left.as_ref(), Rel::Window(_)),
                _ => false,
            };
            // A row that waits for the rows after it may wait for ever.
            let waits = |call: &OverCall| match call {
                OverCall::Shift(_, _, by, _) => *by < 0,
                OverCall::Aggregate(_, _, Frame::Rows(_, after)) => *after > 0,
                _ => false,
            };
            let waiting = matches!(&rel, Rel::Over(over) if over.calls.iter().any(waits));
            let defined = !matches!(rel, Rel::Base(_)) && !waiting;
            if defined && !session(&rel) && !aggregated(&rel) {
                return rel;
            }
        }
    }

    fn select(&mut self, depth: usize) -> Rel {
        let from = self.rel(depth);
        let shape = self.shape(&from);
        let filter = (!self.random.one_in(3)).then(|| truth(self.random, &shape.types, 2));
        let mut columns = Vec::new();
        let distinct = self.random.one_in(6);
        if distinct || self.random.one_in(2) {
            for _ in 0..1 + self.random.below(3) {
                let of = self.random.one_of(&shape.types);
                columns.push((some(self.random, &shape.types, of, 2), of));
            }
            if let Some(time) = shape.time.filter(|_| !distinct && !self.random.one_in(4)) {
                let place = self.random.below(columns.len() + 1);
                columns.insert(place, (Expr::Column(time), Type::Time));
            }
            if !shape.append && !distinct {
                // Upserts must keep their key, which may be any of the columns.
                let all = (0..shape.types.len()).filter(|c| shape.types[*c] != Type::List);
                columns.extend(all.map(|c| (Expr::Column(c), shape.types[c])));
            }
        }
        Rel::Select(Select {
            from: Box::new(from),
            filter,
            columns,
            distinct,
        })
    }

    /// `rel` with columns of other types; the event time where there is one.
    fn projected(&mut self, rel: Rel, types: &[Type]) -> Rel {
        let shape = self.shape(&rel);
        let columns = types.iter().map(|of| {
            let time = shape.time.filter(|_| *of == Type::Time);
            let column = time.or_else(|| column_of(self.random, &shape.types, *of));
            let expr = column.map_or_else(|| literal(self.random, *of), Expr::Column);
            (expr, *of)
        });
        let columns = columns.collect();
        Rel::Select(Select {
            from: Box::new(rel),
            filter: None,
            columns,
            distinct: false,
        })
    }

    fn union(&mut self, depth: usize) -> Rel {
        let mut types = vec![Type::Int, Type::Text];
        if self.random.one_in(2) {
            types.push(Type::Time);
        }
        if self.random.one_in(2) {
            types.push(Type::Int);
        }
        let all = !self.random.one_in(3);
        let inputs = (0..2 + self.random.below(2)).map(|_| {
            let input = match types.contains(&Type::Time) {
                true => self.timed(depth.saturating_sub(1)).0,
                false => self.rel(depth.saturating_sub(1)),
            };
            self.projected(input, &types)
        });
        Rel::Union(inputs.collect(), all)
    }

    fn call(&mut self, types: &[Type], kept: bool) -> Call {
        let function = self.random.one_of(&[
            Function::Count,
            Function::Count,
            Function::Sum,
            Function::Sum,
            Function::Min,
            Function::Max,
            Function::Avg,
            Function::First,
            Function::Last,
            Function::All,
            Function::Array,
            Function::Text,
        ]);
        let function = match function {
            Function::Array | Function::Text if !kept => Function::Sum,
            function => function,
        };
        let of = match function {
            Function::Sum => self
                .random
                .one_of(&[Type::Int, Type::Int, Type::Real, Type::Decimal]),
            Function::Avg => self.random.one_of(&[Type::Int, Type::Real]),
            Function::All => Type::Bool,
            Function::Text => Type::Text,
            Function::Array => self.random.one_of(&[Type::Int, Type::Text]),
            _ => self
                .random
                .one_of(&[Type::Int, Type::Text, Type::Real, Type::Decimal]),
        };
        let star = function == Function::Count && self.random.one_in(2);
        let depth = self.random.below(2);
        let argument = (!star).then(|| (some(self.random, types, of, depth), of));
        let distinct = !star
            && matches!(function, Function::Count | Function::Sum)
            && of != Type::Real
            && self.random.one_in(4);
        let filter = self.random.one_in(5).then(|| truth(self.random, types, 1));
        Call {
            function,
            argument,
            distinct,
            filter,
        }
    }

    fn calls(&mut self, types: &[Type], kept: bool) -> Vec<Call> {
        (0..1 + self.random.below(3))
            .map(|_| self.call(types, kept))
            .collect()
    }

    fn having(&mut self, types: &[Type]) -> Option<Expr> {
        let plain = types.iter().all(|of| *of != Type::List);
        (plain && self.random.one_in(5)).then(|| truth(self.random, types, 1))
    }

    fn group(&mut self, depth: usize) -> Rel {
        let from = self.rel(depth);
        let shape = self.shape(&from);
        let mut keys = Vec::new();
        for _ in 0..self.random.below(3) {
            let of = self
                .random
                .one_of(&[Type::Text, Type::Int, Type::Bool, Type::Text]);
            if let Some(column) = column_of(self.random, &shape.types, of) {
                let plain = self.random.one_in(2);
                let key = match plain {
                    true => Expr::Column(column),
                    false => some(self.random, &shape.types, of, 1),
                };
                keys.push((key, of));
            }
        }
        let rollup = keys.len() > 1
            && self.random.one_in(4)
            && keys.iter().all(|(key, _)| matches!(key, Expr::Column(_)));
        let calls = self.calls(&shape.types, !shape.append);
        let mut group = Group {
            from: Box::new(from),
            keys,
            calls,
            having: None,
            rollup,
        };
        let types = self.shape(&Rel::Group(group.clone())).types;
        group.having = self.having(&types);
        Rel::Group(group)
    }

    fn family(&mut self) -> Family {
        let size = self.random.one_of(&[1, 2, 5, 7, 10, 60]) * SECOND;
        match self.random.below(7) {
            0..=2 => Family::Tumble(size, self.random.one_of(&[0, 0, SECOND, 500_000])),
            3..=4 => {
                let slide = self
                    .random
                    .one_of(&[SECOND, 2 * SECOND, 3 * SECOND, 10 * SECOND]);
                Family::Hop(slide, size)
            }
            5 => Family::Cumulate(2 * SECOND, self.random.one_of(&[4, 6, 10, 20]) * SECOND),
            _ => Family::Session(self.random.one_of(&[1, 2, 4]) * SECOND),
        }
    }

    fn keys_of(&mut self, shape: &Shape, most: usize) -> Vec<usize> {
        let plain = |of: &Type| matches!(of, Type::Text | Type::Int | Type::Bool);
        let fitting: Vec<usize> = (0..shape.types.len())
            .filter(|index| plain(&shape.types[*index]))
            .collect();
        let mut keys = Vec::new();
        for _ in 0..self.random.below(most + 1) {
            if !fitting.is_empty() {
                let key = self.random.one_of(&fitting);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    fn window(&mut self, depth: usize) -> Rel {
        let (from, shape, time) = self.timed(depth);
        let keys = self.keys_of(&shape, 2);
        let calls = self.calls(&shape.types, true);
        let mut window = Window {
            from: Box::new(from),
            time,
            family: self.family(),
            keys,
            calls,
            having: None,
        };
        let types = self.shape(&Rel::Window(window.clone())).types;
        window.having = self.having(&types);
        Rel::Window(window)
    }

    /// Columns of one type on both sides.
    fn equal(&mut self, left: &Shape, right: &Shape) -> Option<(usize, usize)> {
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

    fn regular(&mut self, depth: usize) -> Rel {
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

    fn interval(&mut self, depth: usize) -> Rel {
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

    fn window_join(&mut self, depth: usize) -> Rel {
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

    fn asof(&mut self, depth: usize) -> Rel {
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
