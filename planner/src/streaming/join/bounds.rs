//! Conditions on time: how far the event times of two joined rows can lie apart.
//!
//! `a.ts >= b.ts - INTERVAL '5' SECOND` says that left − right is at least −5 s. Every spelling
//! that comes down to one column of each side with constant intervals added is understood.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::Side;
use rtsap_stream::time::nanos_per;

use super::Joined;
use crate::error::PlanError;
use crate::logical::window_length::constant_nanos;
use crate::streaming::Compiler;

/// Bounds on left time − right time, which hold for every pair that the condition admits.
#[derive(Clone, Debug)]
pub(in crate::streaming) struct TimeBounds {
    /// Index of the time column by port.
    pub times: [usize; 2],
    pub lower_nanos: i64,
    pub upper_nanos: i64,
    /// Which equalities the bounds say.
    pub equal: Vec<usize>,
    /// Which of the other conditions they say.
    pub rest: Vec<usize>,
}

/// One comparison: `left column − right column` is at least, or at most, so many nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Distance {
    times: [usize; 2],
    lower: Option<i64>,
    upper: Option<i64>,
}

/// Bounds while they are collected.
pub(super) struct Found {
    pub times: [usize; 2],
    pub lower: Option<i64>,
    pub upper: Option<i64>,
    pub equal: Vec<usize>,
    pub rest: Vec<usize>,
}

impl Compiler<'_> {
    /// The bounds that the condition sets on the event times of the two sides, if it bounds them
    /// both ways.
    pub(super) fn time_bounds(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
    ) -> Result<Option<TimeBounds>, PlanError> {
        let found = self.comparisons(joined, sides, true);
        let windowed = sides.map(|side| self.has_windows(side));
        let fits = |found: &&Found| {
            let by_window = |port: usize| {
                !windowed[port] || self.is_window_bound(sides[port], found.times[port])
            };
            found.lower.is_some() && found.upper.is_some() && by_window(0) && by_window(1)
        };
        // Of a window's bounds the start comes first: later windows over the result hold whole
        // ones. Cumulated windows of one start close one after the other, by their ends.
        let fitting = found.iter().filter(fits);
        let found = match sides.iter().any(|side| self.cumulates(*side)) {
            true => fitting.max_by_key(|found| found.times),
            false => fitting.min_by_key(|found| found.times),
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let (Some(lower_nanos), Some(upper_nanos)) = (found.lower, found.upper) else {
            return Ok(None);
        };
        Ok(Some(TimeBounds {
            times: found.times,
            lower_nanos,
            upper_nanos,
            equal: found.equal.clone(),
            rest: found.rest.clone(),
        }))
    }

    /// The first pair of event times that conditions besides equalities compare.
    pub(super) fn time_comparisons(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
    ) -> Option<Found> {
        self.comparisons(joined, sides, false).into_iter().next()
    }

    /// What the conditions say of each pair of event times.
    fn comparisons(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        equalities: bool,
    ) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        let equal = joined.conditions.equal.iter().enumerate();
        for (index, (left, right)) in equal.filter(|_| equalities) {
            let distances = self.distances(joined, sides, left, Operator::Eq, right);
            add(&mut found, distances, Some(index), None);
        }
        for (index, expr) in joined.conditions.rest.iter().enumerate() {
            let distances = match expr {
                Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                    self.distances(joined, sides, left, *op, right)
                }
                Expr::Between(Between {
                    expr,
                    negated: false,
                    low,
                    high,
                }) => {
                    let low = self.distances(joined, sides, expr, Operator::GtEq, low);
                    let high = self.distances(joined, sides, expr, Operator::LtEq, high);
                    match (low, high) {
                        (Some(low), Some(high)) if low.times == high.times => Some(Distance {
                            times: low.times,
                            lower: low.lower.max(high.lower),
                            upper: least(low.upper, high.upper),
                        }),
                        _ => None,
                    }
                }
                _ => None,
            };
            add(&mut found, distances, None, Some(index));
        }
        found
    }

    /// What a comparison says of the distance between two event times.
    fn distances(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        first: &Expr,
        op: Operator,
        second: &Expr,
    ) -> Option<Distance> {
        let first = self.moved_time(joined, sides, first)?;
        let second = self.moved_time(joined, sides, second)?;
        // first + a op second + b, that is left − right op' offset.
        let (times, offset, op) = match (first.side, second.side) {
            (Side::Left, Side::Right) => (
                [first.column, second.column],
                second.nanos.checked_sub(first.nanos)?,
                op,
            ),
            (Side::Right, Side::Left) => (
                [second.column, first.column],
                first.nanos.checked_sub(second.nanos)?,
                op.swap()?,
            ),
            _ => return None,
        };
        let (lower, upper) = match op {
            Operator::Eq => (Some(offset), Some(offset)),
            Operator::GtEq => (Some(offset), None),
            Operator::Gt => (Some(offset.checked_add(1)?), None),
            Operator::LtEq => (None, Some(offset)),
            Operator::Lt => (None, Some(offset.checked_sub(1)?)),
            _ => return None,
        };
        Some(Distance {
            times,
            lower,
            upper,
        })
    }

    /// An event-time column of one side with a constant interval added.
    fn moved_time(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        expr: &Expr,
    ) -> Option<MovedTime> {
        match expr {
            Expr::Alias(alias) => self.moved_time(joined, sides, &alias.expr),
            // Another unit or zone of the same instant; a coarser unit is another instant.
            Expr::Cast(cast) if is_exact(&cast.expr, cast.field.data_type(), &joined.both) => {
                self.moved_time(joined, sides, &cast.expr)
            }
            Expr::Column(column) => {
                for side in [Side::Left, Side::Right] {
                    let Some(index) = joined.schema(side).maybe_index_of_column(column) else {
                        continue;
                    };
                    return self.can_be_event_time(sides[side.port()], index).then_some(
                        MovedTime {
                            side,
                            column: index,
                            nanos: 0,
                        },
                    );
                }
                None
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (time, interval, sign) = match op {
                    Operator::Plus => match constant_nanos(right) {
                        Ok(nanos) => (left, nanos, 1),
                        Err(_) => (right, constant_nanos(left).ok()?, 1),
                    },
                    Operator::Minus => (left, constant_nanos(right).ok()?, -1),
                    _ => return None,
                };
                let time = self.moved_time(joined, sides, time)?;
                let nanos = time.nanos.checked_add(interval.checked_mul(sign)?)?;
                Some(MovedTime { nanos, ..time })
            }
            _ => None,
        }
    }
}

/// Whether a timestamp loses nothing as one of type `to`.
fn is_exact(expr: &Expr, to: &DataType, schema: &DFSchema) -> bool {
    match (expr.get_type(schema), to) {
        (Ok(DataType::Timestamp(from, _)), DataType::Timestamp(to, _)) => {
            nanos_per(*to) <= nanos_per(from)
        }
        _ => false,
    }
}

struct MovedTime {
    side: Side,
    column: usize,
    nanos: i64,
}

fn add(
    found: &mut Vec<Found>,
    distance: Option<Distance>,
    equal: Option<usize>,
    rest: Option<usize>,
) {
    let Some(distance) = distance else { return };
    let at = found.iter().position(|found| found.times == distance.times);
    let at = at.unwrap_or_else(|| {
        found.push(Found {
            times: distance.times,
            lower: None,
            upper: None,
            equal: Vec::new(),
            rest: Vec::new(),
        });
        found.len() - 1
    });
    let known = &mut found[at];
    known.lower = known.lower.max(distance.lower);
    known.upper = least(known.upper, distance.upper);
    known.equal.extend(equal);
    known.rest.extend(rest);
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}
