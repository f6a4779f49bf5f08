//! Scalar expressions: as SQL, and what they are by definition.

use std::cmp::Ordering;

use crate::value::{Row, Type, Value, clock, decimal};

/// An expression over the columns of one relation.
#[derive(Clone, Debug)]
pub enum Expr {
    /// Column by index.
    Column(usize),
    /// A constant.
    Literal(Value, Type),
    /// `a + b` and the like.
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
    /// `a < b` and the like.
    Compare(Compare, Box<Self>, Box<Self>),
    /// `a AND b`, `a OR b`.
    Logic(bool, Box<Self>, Box<Self>),
    /// `NOT a`.
    Not(Box<Self>),
    /// `a IS NULL`, `a IS NOT NULL`.
    IsNull(Box<Self>, bool),
    /// `CASE WHEN c THEN a ELSE b END`.
    Case(Box<Self>, Box<Self>, Box<Self>),
    /// `COALESCE(a, b)`.
    Coalesce(Box<Self>, Box<Self>),
    /// `a || b`.
    Concat(Box<Self>, Box<Self>),
    /// `a IN (…)`.
    In(Box<Self>, Vec<(Value, Type)>, bool),
}

/// Arithmetic on integers, doubles and decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`, of integers.
    Multiply,
    /// `%`, of integers, by a constant that is not 0.
    Modulo,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `IS NOT DISTINCT FROM`
    Same,
}

impl Compare {
    const fn sql(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Same => "IS NOT DISTINCT FROM",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal | Self::Same => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }
}

/// A constant as SQL.
pub fn literal(value: &Value, of: Type, zoned: bool) -> String {
    match value {
        Value::Null => match of {
            Type::Bool => "CAST(NULL AS BOOLEAN)".to_owned(),
            Type::Int => "CAST(NULL AS BIGINT)".to_owned(),
            Type::Real => "CAST(NULL AS DOUBLE PRECISION)".to_owned(),
            Type::Decimal => "CAST(NULL AS DECIMAL(10,2))".to_owned(),
            _ => "CAST(NULL AS TEXT)".to_owned(),
        },
        Value::Bool(value) => value.to_string().to_uppercase(),
        Value::Int(value) => format!("CAST({value} AS BIGINT)"),
        Value::Real(value) => format!("CAST({value:?} AS DOUBLE PRECISION)"),
        Value::Decimal(value) => format!("CAST({} AS DECIMAL(10,2))", decimal(*value)),
        Value::Text(value) => format!("'{value}'"),
        Value::Time(value) if zoned => format!("TIMESTAMPTZ '{}+00'", clock(*value)),
        Value::Time(value) => format!("TIMESTAMP '{}'", clock(*value)),
        Value::List(_) => "NULL".to_owned(),
    }
}

impl Expr {
    /// As SQL; `name` names columns, `zoned` says whether times have a zone.
    pub fn sql(&self, name: &dyn Fn(usize) -> String, zoned: bool) -> String {
        let sql = |expr: &Self| expr.sql(name, zoned);
        match self {
            Self::Column(index) => name(*index),
            Self::Literal(value, of) => literal(value, *of, zoned),
            Self::Arithmetic(op, a, b) => {
                let op = match op {
                    Arithmetic::Add => '+',
                    Arithmetic::Subtract => '-',
                    Arithmetic::Multiply => '*',
                    Arithmetic::Modulo => '%',
                };
                format!("({} {op} {})", sql(a), sql(b))
            }
            Self::Compare(op, a, b) => format!("({} {} {})", sql(a), op.sql(), sql(b)),
            Self::Logic(all, a, b) => {
                let op = if *all { "AND" } else { "OR" };
                format!("({} {op} {})", sql(a), sql(b))
            }
            Self::Not(a) => format!("(NOT {})", sql(a)),
            Self::IsNull(a, true) => format!("({} IS NULL)", sql(a)),
            Self::IsNull(a, false) => format!("({} IS NOT NULL)", sql(a)),
            Self::Case(c, a, b) => {
                format!("CASE WHEN {} THEN {} ELSE {} END", sql(c), sql(a), sql(b))
            }
            Self::Coalesce(a, b) => format!("COALESCE({}, {})", sql(a), sql(b)),
            Self::Concat(a, b) => format!("({} || {})", sql(a), sql(b)),
            Self::In(a, list, inside) => {
                let list = list.iter().map(|(value, of)| literal(value, *of, zoned));
                let not = if *inside { "" } else { "NOT " };
                format!(
                    "({} {not}IN ({}))",
                    sql(a),
                    list.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// Its value for a row.
    pub fn value(&self, row: &Row) -> Value {
        match self {
            Self::Column(index) => row[*index].clone(),
            Self::Literal(value, _) => value.clone(),
            Self::Arithmetic(op, a, b) => arithmetic(*op, &a.value(row), &b.value(row)),
            Self::Compare(op, a, b) => {
                let (a, b) = (a.value(row), b.value(row));
                if *op != Compare::Same && (a.is_null() || b.is_null()) {
                    return Value::Null;
                }
                Value::Bool(op.holds(a.order(&b)))
            }
            Self::Logic(all, a, b) => logic(*all, &a.value(row), &b.value(row)),
            Self::Not(a) => match a.value(row) {
                Value::Bool(value) => Value::Bool(!value),
                _ => Value::Null,
            },
            Self::IsNull(a, wanted) => Value::Bool(a.value(row).is_null() == *wanted),
            Self::Case(c, a, b) => if c.value(row).is_true() { a } else { b }.value(row),
            Self::Coalesce(a, b) => match a.value(row) {
                Value::Null => b.value(row),
                value => value,
            },
            Self::Concat(a, b) => match (a.value(row), b.value(row)) {
                (Value::Text(a), Value::Text(b)) => Value::Text(a + &b),
                _ => Value::Null,
            },
            Self::In(a, list, inside) => {
                let a = a.value(row);
                if a.is_null() {
                    return Value::Null;
                }
                if list.iter().any(|(value, _)| value.same(&a)) {
                    return Value::Bool(*inside);
                }
                if list.iter().any(|(value, _)| value.is_null()) {
                    return Value::Null;
                }
                Value::Bool(!inside)
            }
        }
    }

    /// The same over columns that lie `by` further right.
    #[must_use]
    pub fn shifted(&self, by: usize) -> Self {
        self.mapped(&|index| index + by)
    }

    /// The same with other column numbers.
    #[must_use]
    pub fn mapped(&self, to: &dyn Fn(usize) -> usize) -> Self {
        let map = |expr: &Self| Box::new(expr.mapped(to));
        match self {
            Self::Column(index) => Self::Column(to(*index)),
            Self::Literal(..) => self.clone(),
            Self::Arithmetic(op, a, b) => Self::Arithmetic(*op, map(a), map(b)),
            Self::Compare(op, a, b) => Self::Compare(*op, map(a), map(b)),
            Self::Logic(all, a, b) => Self::Logic(*all, map(a), map(b)),
            Self::Not(a) => Self::Not(map(a)),
            Self::IsNull(a, wanted) => Self::IsNull(map(a), *wanted),
            Self::Case(c, a, b) => Self::Case(map(c), map(a), map(b)),
            Self::Coalesce(a, b) => Self::Coalesce(map(a), map(b)),
            Self::Concat(a, b) => Self::Concat(map(a), map(b)),
            Self::In(a, list, inside) => Self::In(map(a), list.clone(), *inside),
        }
    }
}

fn arithmetic(op: Arithmetic, a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(match op {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Modulo => a % b,
        }),
        (Value::Real(a), Value::Real(b)) => Value::Real(match op {
            Arithmetic::Subtract => a - b,
            _ => a + b,
        }),
        (Value::Decimal(a), Value::Decimal(b)) => Value::Decimal(match op {
            Arithmetic::Subtract => a - b,
            _ => a + b,
        }),
        _ => Value::Null,
    }
}

fn logic(all: bool, a: &Value, b: &Value) -> Value {
    match (a, b) {
        (Value::Bool(value), _) | (_, Value::Bool(value)) if *value != all => Value::Bool(*value),
        (Value::Bool(_), Value::Bool(_)) => Value::Bool(all),
        _ => Value::Null,
    }
}
