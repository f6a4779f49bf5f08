//! Rows for windows that have none.

use std::fmt;

use datafusion::common::ScalarValue;

use crate::window::WindowSpec;

/// What a column holds in a row that is made for a window without rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Filling {
    /// The start of the window.
    Start,
    /// The key whose window it is.
    Key,
    /// What the last row of the key holds.
    Previous,
    /// A point on the line from the last row of the key to the next: a double.
    Linear,
    /// One value for all.
    Value(ScalarValue),
}

/// Adds a row for each window, of those that have passed, in which a key that has had rows has
/// none. Output columns: the input's.
#[derive(Clone, Debug, PartialEq)]
pub struct FillSpec {
    /// Which windows; each row is one of them.
    pub window: WindowSpec,
    /// Index of the column that holds the start of the window.
    pub time: usize,
    /// By column, what it holds.
    pub columns: Vec<Filling>,
}

impl FillSpec {
    /// Whether rows that are made wait for the next row of their key.
    pub fn waits(&self) -> bool {
        self.columns.contains(&Filling::Linear)
    }
}

impl fmt::Display for FillSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [", self.window)?;
        for (index, column) in self.columns.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match column {
                Filling::Start => f.write_str("start")?,
                Filling::Key => f.write_str("key")?,
                Filling::Previous => f.write_str("previous")?,
                Filling::Linear => f.write_str("linear")?,
                Filling::Value(value) => write!(f, "{value}")?,
            }
        }
        f.write_str("]")
    }
}
