//! Random top-N queries and calls over the rows around each row.

use super::{Maker, SECOND};
use crate::rel::{Family, Frame, Function, Over, OverCall, Ranking, Rel, Shape, Top};
use crate::value::{Type, Value};

impl Maker<'_> {
    pub(super) fn top(&mut self, depth: usize) -> Rel {
        let windows = self.random.one_in(3);
        let from = if windows {
            match self.window(depth) {
                Rel::Window(window) if self.random.one_in(2) => {
                    let tumble = Family::Tumble(5 * SECOND, 0);
                    Rel::Assigned(window.from, window.time, tumble)
                }
                window => window,
            }
        } else {
            self.rel(depth)
        };
        let shape = self.shape(&from);
        let mut partition = self.keys_of(&shape, 1);
        if windows && !self.random.one_in(4) {
            let start = match &from {
                Rel::Assigned(..) => shape.types.len() - 2,
                _ => 0,
            };
            partition.extend([start, start + 1]);
        }
        let ordered: Vec<usize> = (0..shape.types.len())
            .filter(|index| shape.types[*index] != Type::List)
            .collect();
        if ordered.is_empty() {
            return from;
        }
        let mut order: Vec<(usize, bool)> = Vec::new();
        for _ in 0..1 + self.random.below(2) {
            let column = self.random.one_of(&ordered);
            if order.iter().all(|(known, _)| *known != column) {
                order.push((column, self.random.one_in(2)));
            }
        }
        let ranking = match self.random.below(4) {
            0 => Ranking::Rank,
            1 => Ranking::DenseRank,
            _ => Ranking::RowNumber,
        };
        let lists = ordered.len() < shape.types.len();
        Rel::Top(Top {
            from: Box::new(from),
            partition,
            order,
            ranking: if lists { Ranking::Rank } else { ranking },
            last: self.random.between(1, 4),
            only: self.random.one_in(4),
            numbered: self.random.one_in(2),
            qualify: self.random.one_in(3),
        })
    }

    pub(super) fn over(&mut self, depth: usize) -> Rel {
        let (from, shape, time) = loop {
            let (from, shape, time) = match depth > 0 && self.random.one_in(6) {
                true => self.moving(),
                false => self.timed(depth),
            };
            if !shape.types.contains(&Type::List) {
                break (from, shape, time);
            }
        };
        let partition = self.keys_of(&shape, 1);
        let calls = (0..1 + self.random.below(3))
            .map(|_| self.over_call(&shape))
            .collect();
        Rel::Over(Over {
            from: Box::new(from),
            time,
            partition,
            calls,
        })
    }

    fn over_call(&mut self, shape: &Shape) -> OverCall {
        let column = self.random.below(shape.types.len());
        let of = shape.types[column];
        match self.random.below(6) {
            0 => OverCall::Number(self.random.one_of(&[
                Ranking::RowNumber,
                Ranking::Rank,
                Ranking::DenseRank,
            ])),
            1 | 2 => {
                let default = match (of, self.random.one_in(3)) {
                    (Type::Int, true) => Some(Value::Int(-1)),
                    (Type::Text, true) => Some(Value::Text("none".to_owned())),
                    _ => None,
                };
                let by = self.random.one_of(&[1, 1, 2, 3, -1, -1, -2]);
                OverCall::Shift(column, of, by, default)
            }
            _ => self.over_aggregate(shape, column),
        }
    }

    fn over_aggregate(&mut self, shape: &Shape, column: usize) -> OverCall {
        let frame = match self.random.below(5) {
            0 | 1 => Frame::Default,
            2 | 3 => {
                let before = self.random.one_of(&[None, Some(0), Some(1), Some(3)]);
                Frame::Rows(before, self.random.one_of(&[0, 0, 1, 2]))
            }
            _ => {
                let before = self.random.one_of(&[None, Some(1), Some(5)]);
                let after = self.random.one_of(&[0, 0, 1, 2]) * SECOND;
                Frame::Range(before.map(|seconds| seconds * SECOND), after)
            }
        };
        let of = shape.types[column];
        let function = match (of, self.random.below(6)) {
            (_, 0) => return OverCall::Aggregate(Function::Count, None, frame),
            (_, 1) => Function::Count,
            (Type::Int | Type::Real, 2) => Function::Avg,
            (Type::Int | Type::Real | Type::Decimal, 3) => Function::Sum,
            (_, 4) if matches!(frame, Frame::Rows(..)) => Function::First,
            (_, 5) if matches!(frame, Frame::Rows(..)) => Function::Last,
            (Type::Bool, _) => Function::All,
            (_, 2) => Function::Min,
            _ => Function::Max,
        };
        OverCall::Aggregate(function, Some((column, of)), frame)
    }
}
