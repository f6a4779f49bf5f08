//! Joins of two streams: what the operators that keep rows of two inputs are told.

use std::fmt;
use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;

use crate::window::Nanos;

/// One of a join's two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Port 0.
    Left,
    /// Port 1.
    Right,
}

impl Side {
    /// The port that its rows arrive on.
    pub const fn port(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// Which rows a join gives besides the pairs that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Pairs only.
    Inner,
    /// Also left rows without a partner, once.
    Left,
    /// Also right rows without a partner, once.
    Right,
    /// Also rows of both sides without a partner.
    Full,
    /// No pairs: left rows that have a partner, once.
    LeftSemi,
    /// No pairs: left rows that have none.
    LeftAnti,
}

impl JoinKind {
    /// Whether rows of `side` without a partner are in the result.
    pub const fn keeps(self, side: Side) -> bool {
        match side {
            Side::Left => matches!(self, Self::Left | Self::Full | Self::LeftAnti),
            Side::Right => matches!(self, Self::Right | Self::Full),
        }
    }

    /// Whether the result has pairs.
    pub const fn pairs(self) -> bool {
        !matches!(self, Self::LeftSemi | Self::LeftAnti)
    }

    /// As `EXPLAIN` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inner => "inner",
            Self::Left => "left",
            Self::Right => "right",
            Self::Full => "full",
            Self::LeftSemi => "left semi",
            Self::LeftAnti => "left anti",
        }
    }
}

/// Expressions that must be equal: over the left input, and over the right one, of one type. A null
/// equals nothing.
pub type KeyPair = (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>);

/// Which column of which input a column of the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinColumn {
    /// The input.
    pub side: Side,
    /// Index of the column in it.
    pub index: usize,
}

/// Equal keys, and event times not further apart than two bounds: `lower ≤ left − right ≤ upper`.
///
/// A row whose time is below the operator's watermark, the lesser of both inputs', is late.
#[derive(Clone, Debug)]
pub struct IntervalJoinSpec {
    /// Which rows come out.
    pub kind: JoinKind,
    /// What must be equal.
    pub keys: Vec<KeyPair>,
    /// Index of the event-time column by port.
    pub times: [usize; 2],
    /// The least distance of the left time from the right one, in nanoseconds.
    pub lower_nanos: i64,
    /// The greatest.
    pub upper_nanos: i64,
    /// What else must hold: Boolean over the left input's columns, then the right one's.
    pub residual: Option<Arc<dyn PhysicalExpr>>,
    /// The columns of the result.
    pub output: Vec<JoinColumn>,
    /// By port: rows that come late are copies of rows that were already looked at by a node
    /// before, and count nowhere.
    pub drops_late: [bool; 2],
}

impl IntervalJoinSpec {
    /// How far the watermark must be past a row of `side` for no partner to come any more.
    pub const fn reach_nanos(&self, side: Side) -> i64 {
        match side {
            Side::Left => self.lower_nanos.saturating_neg(),
            Side::Right => self.upper_nanos,
        }
    }
}

/// Each left row with the latest right row of its key that is not after it.
///
/// A left row waits until the watermark of both inputs has passed its time. Of right rows of one
/// key and time the last to arrive counts.
#[derive(Clone, Debug)]
pub struct AsofJoinSpec {
    /// Whether left rows without a partner come out.
    pub outer: bool,
    /// What must be equal.
    pub keys: Vec<KeyPair>,
    /// Index of the event-time column by port.
    pub times: [usize; 2],
    /// Whether a right row of the same time is too late to match: `>` and not `>=`.
    pub strict: bool,
    /// How old a right row may be to match.
    pub tolerance_nanos: Option<i64>,
    /// Whether the right input is a table of versions: an insert ends the version before, and
    /// deletes are the versions that ended.
    pub versions: bool,
    /// The columns of the result.
    pub output: Vec<JoinColumn>,
}

/// Equal keys, whenever the rows come.
#[derive(Clone, Debug)]
pub struct RegularJoinSpec {
    /// Which rows come out.
    pub kind: JoinKind,
    /// What must be equal.
    pub keys: Vec<KeyPair>,
    /// What else must hold: Boolean over the left input's columns, then the right one's.
    pub residual: Option<Arc<dyn PhysicalExpr>>,
    /// By port: how long rows are kept, where they are not kept for ever.
    pub kept: [Option<Kept>; 2],
    /// A left row meets the right rows that are there when it comes, and is not kept: what becomes
    /// of them later does not matter to it. The left input is append-only.
    pub lookup: bool,
    /// The columns of the result.
    pub output: Vec<JoinColumn>,
}

/// A row is forgotten once the watermark is `nanos` past its time. One that is so old when it
/// comes is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Index of the event-time column.
    pub time: usize,
    /// For how long.
    pub nanos: i64,
}

/// `left.k@0 = right.k@1, …`.
fn keys(f: &mut fmt::Formatter<'_>, keys: &[KeyPair]) -> fmt::Result {
    if keys.is_empty() {
        return f.write_str(" on all");
    }
    for (index, (left, right)) in keys.iter().enumerate() {
        let before = if index == 0 { " on" } else { " and" };
        write!(f, "{before} {left} = {right}")?;
    }
    Ok(())
}

fn residual(f: &mut fmt::Formatter<'_>, expr: Option<&Arc<dyn PhysicalExpr>>) -> fmt::Result {
    match expr {
        Some(expr) => write!(f, " where {expr}"),
        None => Ok(()),
    }
}

/// ` give [left 0, right 1]`.
fn output(f: &mut fmt::Formatter<'_>, columns: &[JoinColumn]) -> fmt::Result {
    f.write_str(" give [")?;
    for (index, column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let side = match column.side {
            Side::Left => "left",
            Side::Right => "right",
        };
        write!(f, "{comma}{side} {}", column.index)?;
    }
    f.write_str("]")
}

impl fmt::Display for IntervalJoinSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        keys(f, &self.keys)?;
        let [left, right] = self.times;
        let (lower, upper) = (Nanos(self.lower_nanos), Nanos(self.upper_nanos));
        write!(
            f,
            " and left @{left} - right @{right} in [{lower}, {upper}]"
        )?;
        residual(f, self.residual.as_ref())?;
        output(f, &self.output)
    }
}

impl fmt::Display for AsofJoinSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.outer { "left" } else { "inner" })?;
        keys(f, &self.keys)?;
        let [left, right] = self.times;
        let sign = if self.strict { ">" } else { ">=" };
        let what = if self.versions { "version" } else { "row" };
        write!(f, " and last {what} of left @{left} {sign} right @{right}")?;
        if let Some(nanos) = self.tolerance_nanos {
            write!(f, " tolerance {}", Nanos(nanos))?;
        }
        output(f, &self.output)
    }
}

impl fmt::Display for RegularJoinSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        keys(f, &self.keys)?;
        residual(f, self.residual.as_ref())?;
        if self.lookup {
            f.write_str(" as of arrival")?;
        }
        for (kept, side) in self.kept.iter().zip(["left", "right"]) {
            if let Some(Kept { time, nanos }) = kept {
                write!(f, " keep {side} @{time} for {}", Nanos(*nanos))?;
            }
        }
        output(f, &self.output)
    }
}
