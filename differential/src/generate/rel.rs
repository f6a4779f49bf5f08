//! Random queries. What the language cannot state may come out; the planner then refuses it.

use crate::case::MOVING;
use crate::expr::Expr;
use crate::generate::expr::{column_of, literal, some, truth};
use crate::random::Random;
use crate::rel::{
    Base, Call, Emit, Family, Frame, Function, Group, OverCall, Rel, Select, Sets, Shape, Window,
};
use crate::value::Type;

mod join;
mod rank;
mod subquery;

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
            return Rel::Base(self.random.one_of(&[0, 0, 0, 1, 1, 1, 2, 3, 3, MOVING]));
        }
        let depth = depth - 1;
        match self.random.below(29) {
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
            23 => self.sets(depth),
            24 => self.unnest(depth),
            25..=27 => self.subquery(depth),
            _ => {
                let emit = self.random.one_of(&[Emit::Default, Emit::Close]);
                let from = self.rel(depth.max(1));
                let open = |rel: &Rel| matches!(rel, Rel::Base(MOVING));
                let closes = matches!(from, Rel::Window(_)) && !from.any(&open);
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

    /// Rows that change and have event time.
    fn moving(&mut self) -> (Rel, Shape, usize) {
        let rel = Rel::Base(MOVING);
        let shape = self.shape(&rel);
        let time = self.bases[MOVING].time.unwrap_or_default();
        if self.random.one_in(2) {
            return (rel, shape, time);
        }
        let rel = Rel::Select(Select {
            from: Box::new(rel),
            filter: Some(truth(self.random, &shape.types, 1)),
            columns: Vec::new(),
            distinct: false,
        });
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
        let sets = self.grouping(&keys);
        let calls = self.calls(&shape.types, !shape.append);
        let mut group = Group {
            from: Box::new(from),
            keys,
            calls,
            having: None,
            sets,
        };
        let types = self.shape(&Rel::Group(group.clone())).types;
        group.having = self.having(&types);
        Rel::Group(group)
    }

    /// Grouping sets of plain keys that differ, now and then.
    fn grouping(&mut self, keys: &[(Expr, Type)]) -> Sets {
        let columns = keys.iter().map(|(key, _)| match key {
            Expr::Column(column) => Some(*column),
            _ => None,
        });
        let columns: Option<Vec<usize>> = columns.collect();
        let differ = matches!(columns.as_deref(), Some([a, b]) if a != b);
        if !differ || !self.random.one_in(3) {
            return Sets::All;
        }
        match self.random.below(3) {
            0 => Sets::Rollup,
            1 => Sets::Cube,
            _ => Sets::These(match self.random.below(3) {
                0 => vec![vec![0], vec![1]],
                1 => vec![vec![0, 1], vec![], vec![1]],
                _ => vec![vec![1, 0], vec![0], vec![0]],
            }),
        }
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
        let (from, shape, time) = match depth > 0 && self.random.one_in(6) {
            true => self.moving(),
            false => self.timed(depth),
        };
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
}
