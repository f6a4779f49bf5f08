//! Values of the reference: small, ordered, with three-valued comparison.

use std::cmp::Ordering;
use std::fmt::Write;

/// Types that columns of a case have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// BOOLEAN
    Bool,
    /// BIGINT
    Int,
    /// DOUBLE PRECISION
    Real,
    /// DECIMAL(10, 2)
    Decimal,
    /// TEXT
    Text,
    /// A timestamp.
    Time,
    /// TEXT[] or BIGINT[], as a result only.
    List,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// NULL, of any type.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Real(f64),
    /// Hundredths.
    Decimal(i128),
    /// A text.
    Text(String),
    /// Microseconds since the Unix epoch.
    Time(i64),
    /// A list.
    List(Vec<Self>),
}

/// A row.
pub type Row = Vec<Value>;

impl Value {
    /// Whether it is NULL.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is true, and not NULL.
    pub const fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// The order of two values that are not NULL; NULL is below all others.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => rows_order(a, b),
            _ => self.text().cmp(&other.text()),
        }
    }

    /// Whether both are the same, NULL being the same as NULL.
    pub fn same(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Equal
    }

    /// A text that is equal for equal values; doubles to 11 digits.
    pub fn text(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Real(value) if *value == 0.0 => "0e0".to_owned(),
            Self::Real(value) => format!("{value:.10e}"),
            Self::Decimal(value) => decimal(*value),
            Self::Text(value) => format!("'{value}'"),
            Self::Time(value) => format!("@{}", clock(*value)),
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(Self::text).collect();
                format!("[{}]", values.join(", "))
            }
        }
    }
}

/// The order of two rows, column by column.
pub fn rows_order(a: &[Value], b: &[Value]) -> Ordering {
    let columns = a.iter().zip(b);
    let orders = columns.map(|(a, b)| a.order(b));
    orders
        .fold(Ordering::Equal, Ordering::then)
        .then(a.len().cmp(&b.len()))
}

/// A text that is equal for equal rows.
pub fn row_text(row: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in row.iter().enumerate() {
        let comma = if index == 0 { "" } else { " | " };
        // Writing into a String cannot fail.
        let _ = write!(out, "{comma}{}", value.text());
    }
    out
}

/// Hundredths with their point.
pub fn decimal(hundredths: i128) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let value = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", value / 100, value % 100)
}

/// The first moment of every case: 2024-01-02 10:00:00.
pub const START_US: i64 = 1_704_189_600_000_000;

/// A time of a case as `2024-01-02 10:00:01.250000`; cases last less than a day.
pub fn clock(us: i64) -> String {
    let since = us - (START_US - 36_000_000_000);
    let (day, since) = (
        since.div_euclid(86_400_000_000),
        since.rem_euclid(86_400_000_000),
    );
    let seconds = since / 1_000_000;
    format!(
        "2024-01-{:02} {:02}:{:02}:{:02}.{:06}",
        2 + day,
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        since % 1_000_000
    )
}
