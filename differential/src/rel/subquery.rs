//! Relations that compare rows with those of another query, or make more of one row.

use super::{Call, Rel};
use crate::expr::Expr;
use crate::value::Type;

/// EXCEPT or INTERSECT.
#[derive(Clone, Debug)]
pub struct SetOperation {
    /// INTERSECT.
    pub common: bool,
    /// ALL.
    pub all: bool,
    /// The left query.
    pub left: Box<Rel>,
    /// The right one, with columns of the same types.
    pub right: Box<Rel>,
}

/// A row for each of some values: the columns, then the value, then its number.
#[derive(Clone, Debug)]
pub struct Unnest {
    /// What it reads.
    pub from: Box<Rel>,
    /// The values.
    pub items: Vec<Expr>,
    /// Their type.
    pub of: Type,
    /// WITH ORDINALITY.
    pub numbered: bool,
}

/// A query with another one inside.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What it reads.
    pub from: Box<Rel>,
    /// What the inner query reads.
    pub inner: Box<Rel>,
    /// Columns of `from` and `inner` that are equal.
    pub equal: Option<(usize, usize)>,
    /// What for.
    pub purpose: Purpose,
}

/// What the inner query is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// A test of each row, as a condition or as a column.
    Test(Test, As),
    /// One value of an aggregate, a column behind the others.
    Value(Call),
    /// The first rows by all columns, beside each row; rows without any stay if it is outer.
    First(i64, bool),
}

/// A test of a row against the inner rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// A column of the row and one of the inner rows: `IN`, `NOT IN`.
    In(usize, usize, bool),
    /// `EXISTS`, `NOT EXISTS`.
    Exists(bool),
}

/// Where a test stands.
#[derive(Clone, Debug)]
pub enum As {
    /// `WHERE test`.
    Condition,
    /// `WHERE test OR other`.
    Or(Expr),
    /// A column behind the others.
    Column,
}
