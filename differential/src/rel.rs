//! Relations: the queries of a case as trees, with the columns of each.

use crate::expr::Expr;
use crate::value::{Type, Value};

mod shape;
mod subquery;

pub use subquery::{As, Purpose, SetOperation, Subquery, Test, Unnest};

/// A query.
#[derive(Clone, Debug)]
pub enum Rel {
    /// A source or table of the case, by index.
    Base(usize),
    /// A view of its own that this one reads.
    Stored(Box<Self>, Emit),
    /// Projection, filter, DISTINCT.
    Select(Select),
    /// UNION, UNION ALL.
    Union(Vec<Self>, bool),
    /// Aggregation without a window.
    Group(Group),
    /// Aggregation by window: start and end, the keys, the calls.
    Window(Window),
    /// Rows with their windows: the columns, then start and end.
    Assigned(Box<Self>, usize, Family),
    /// A join of any kind.
    Join(Join),
    /// An ASOF join: the columns of both.
    Asof(Asof),
    /// The first rows of each partition.
    Top(Top),
    /// The columns, then calls over the rows around each row.
    Over(Over),
    /// EXCEPT, INTERSECT.
    Sets(SetOperation),
    /// A row for each of some values.
    Unnest(Unnest),
    /// A query with another one inside.
    Subquery(Subquery),
}

/// When a view shows its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// No clause.
    Default,
    /// `EMIT CHANGES`.
    Changes,
    /// `EMIT ON WINDOW CLOSE`.
    Close,
}

impl Emit {
    /// As SQL.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Changes => " EMIT CHANGES",
            Self::Close => " EMIT ON WINDOW CLOSE",
        }
    }
}

/// `SELECT [DISTINCT] … FROM … WHERE …`.
#[derive(Clone, Debug)]
pub struct Select {
    /// What it reads.
    pub from: Box<Rel>,
    /// The condition.
    pub filter: Option<Expr>,
    /// The columns with their types; all, if there are none.
    pub columns: Vec<(Expr, Type)>,
    /// Whether equal rows are one.
    pub distinct: bool,
}

/// An aggregation: the keys, then the calls.
#[derive(Clone, Debug)]
pub struct Group {
    /// What it reads.
    pub from: Box<Rel>,
    /// The keys with their types.
    pub keys: Vec<(Expr, Type)>,
    /// The calls.
    pub calls: Vec<Call>,
    /// A condition over the result.
    pub having: Option<Expr>,
    /// By which of the keys.
    pub sets: Sets,
}

/// Grouping sets of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sets {
    /// All keys.
    All,
    /// `ROLLUP`: each prefix of the keys.
    Rollup,
    /// `CUBE`: each choice of the keys.
    Cube,
    /// `GROUPING SETS`: keys by their numbers.
    These(Vec<Vec<usize>>),
}

/// An aggregation by window.
#[derive(Clone, Debug)]
pub struct Window {
    /// What it reads.
    pub from: Box<Rel>,
    /// The event time among its columns.
    pub time: usize,
    /// Which windows.
    pub family: Family,
    /// The keys besides the window.
    pub keys: Vec<usize>,
    /// The calls.
    pub calls: Vec<Call>,
    /// A condition over the result.
    pub having: Option<Expr>,
}

/// Windows; lengths in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Size and offset.
    Tumble(i64, i64),
    /// Slide and size.
    Hop(i64, i64),
    /// Step and size.
    Cumulate(i64, i64),
    /// Gap.
    Session(i64),
}

/// An aggregate call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function.
    pub function: Function,
    /// Its argument, unless it is `count(*)`.
    pub argument: Option<(Expr, Type)>,
    /// DISTINCT.
    pub distinct: bool,
    /// FILTER (WHERE …).
    pub filter: Option<Expr>,
}

/// Aggregate functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `count`
    Count,
    /// `sum`
    Sum,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `avg`
    Avg,
    /// `first_value(x ORDER BY all columns)`
    First,
    /// `last_value(x ORDER BY all columns)`
    Last,
    /// `array_agg(x ORDER BY all columns)`
    Array,
    /// `string_agg(x, ',' ORDER BY all columns)`
    Text,
    /// `bool_and`
    All,
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    /// The kind.
    pub kind: Kind,
    /// The left relation.
    pub left: Box<Rel>,
    /// The right one.
    pub right: Box<Rel>,
    /// Columns that are equal.
    pub keys: Vec<(usize, usize)>,
    /// Event times and the bounds of left − right, both included.
    pub near: Option<Near>,
    /// Another condition, over the columns of both.
    pub residual: Option<Expr>,
}

/// Event times near each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// The left time.
    pub left: usize,
    /// The right time.
    pub right: usize,
    /// The least left − right, in microseconds.
    pub lower: i64,
    /// The greatest.
    pub upper: i64,
}

/// Kinds of joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pairs.
    Inner,
    /// And left rows alone.
    Left,
    /// And right rows alone.
    Right,
    /// And both.
    Full,
    /// Left rows with a partner.
    Semi,
    /// Left rows without one.
    Anti,
}

/// An ASOF join.
#[derive(Clone, Debug)]
pub struct Asof {
    /// The left relation.
    pub left: Box<Rel>,
    /// The right one.
    pub right: Box<Rel>,
    /// Event times.
    pub times: (usize, usize),
    /// The columns that are equal.
    pub key: (usize, usize),
    /// `>` instead of `>=`.
    pub strict: bool,
    /// Whether left rows without a partner stay.
    pub outer: bool,
    /// How old a partner may be.
    pub tolerance: Option<i64>,
}

/// Top-N.
#[derive(Clone, Debug)]
pub struct Top {
    /// What it reads.
    pub from: Box<Rel>,
    /// The partition.
    pub partition: Vec<usize>,
    /// The order: column, descending. All other columns follow, ascending, unless ranks are shared.
    pub order: Vec<(usize, bool)>,
    /// The function.
    pub ranking: Ranking,
    /// The greatest number.
    pub last: i64,
    /// Whether only that number shows.
    pub only: bool,
    /// Whether the number is a column, the last one.
    pub numbered: bool,
    /// Whether the condition is written as `QUALIFY`.
    pub qualify: bool,
}

/// How rows are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// `ROW_NUMBER`
    RowNumber,
    /// `RANK`
    Rank,
    /// `DENSE_RANK`
    DenseRank,
}

/// Calls over rows around each row.
#[derive(Clone, Debug)]
pub struct Over {
    /// What it reads.
    pub from: Box<Rel>,
    /// The event time.
    pub time: usize,
    /// The partition.
    pub partition: Vec<usize>,
    /// The calls.
    pub calls: Vec<OverCall>,
}

/// A call over rows.
#[derive(Clone, Debug)]
pub enum OverCall {
    /// `ROW_NUMBER`, `RANK`, `DENSE_RANK`; the latter two by time only.
    Number(Ranking),
    /// `lag` (positive) or `lead` (negative) of a column by so many rows, with a default.
    Shift(usize, Type, i64, Option<Value>),
    /// An aggregate of a column.
    Aggregate(Function, Option<(usize, Type)>, Frame),
}

/// A frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// None given, by time only: peers belong to it.
    Default,
    /// `ROWS BETWEEN n PRECEDING AND m FOLLOWING`; no n is unbounded.
    Rows(Option<i64>, i64),
    /// `RANGE BETWEEN n PRECEDING AND m FOLLOWING`, in microseconds, by time only.
    Range(Option<i64>, i64),
}

/// A source or table.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: Vec<(&'static str, Type)>,
    /// Its event time.
    pub time: Option<usize>,
    /// The column of its primary key.
    pub key: Option<usize>,
}

/// What holds for a relation.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Types of its columns.
    pub types: Vec<Type>,
    /// Its event time, if it has one.
    pub time: Option<usize>,
    /// Whether its rows never change.
    pub append: bool,
}

impl Sets {
    /// The keys of each set, by their numbers below `keys`.
    pub fn numbers(&self, keys: usize) -> Vec<Vec<usize>> {
        match self {
            Self::All => vec![(0..keys).collect()],
            Self::Rollup => (0..=keys).rev().map(|last| (0..last).collect()).collect(),
            Self::Cube => (0..1_usize << keys)
                .map(|set| (0..keys).filter(|key| set >> key & 1 == 1).collect())
                .collect(),
            Self::These(sets) => sets.clone(),
        }
    }
}

impl Function {
    /// The type of its result.
    pub const fn result(self, argument: Option<Type>) -> Type {
        match (self, argument) {
            (Self::Count, _) | (_, None) => Type::Int,
            (Self::Avg, _) => Type::Real,
            (Self::Array, _) => Type::List,
            (Self::Text, _) => Type::Text,
            (Self::All, _) => Type::Bool,
            (_, Some(of)) => of,
        }
    }
}

impl Call {
    /// The type of its result.
    pub fn result(&self) -> Type {
        let argument = self.argument.as_ref().map(|(_, of)| *of);
        self.function.result(argument)
    }
}

impl OverCall {
    /// The type of its result.
    pub fn result(&self) -> Type {
        match self {
            Self::Number(_) => Type::Int,
            Self::Shift(_, of, ..) => *of,
            Self::Aggregate(function, argument, _) => {
                function.result(argument.as_ref().map(|(_, of)| *of))
            }
        }
    }
}

impl Rel {
    /// The relations it reads directly.
    pub fn inputs(&self) -> Vec<&Self> {
        match self {
            Self::Base(_) => Vec::new(),
            Self::Stored(from, _) | Self::Assigned(from, ..) => vec![from],
            Self::Select(select) => vec![&select.from],
            Self::Union(inputs, _) => inputs.iter().collect(),
            Self::Group(group) => vec![&group.from],
            Self::Window(window) => vec![&window.from],
            Self::Join(join) => vec![&join.left, &join.right],
            Self::Asof(asof) => vec![&asof.left, &asof.right],
            Self::Top(top) => vec![&top.from],
            Self::Over(over) => vec![&over.from],
            Self::Sets(sets) => vec![&sets.left, &sets.right],
            Self::Unnest(unnest) => vec![&unnest.from],
            Self::Subquery(subquery) => vec![&subquery.from, &subquery.inner],
        }
    }

    /// Whether `test` holds for it or for anything below it.
    pub fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        test(self) || self.inputs().iter().any(|input| input.any(test))
    }

    /// How many operators it has.
    pub fn size(&self) -> usize {
        1 + self
            .inputs()
            .iter()
            .map(|input| input.size())
            .sum::<usize>()
    }
}
