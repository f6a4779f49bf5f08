//! Rows for the elements of their lists.

use std::fmt;

/// Which rows without elements come out all the same, once, with nulls for the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutElements {
    /// None.
    Vanish,
    /// Those with a null in place of the list.
    KeepNull,
    /// Also those with an empty list.
    Keep,
}

/// One row for each element of a row's lists, which are gone through together: where one ends
/// before another, its elements are null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnnestSpec {
    /// Input columns that hold lists.
    pub lists: Vec<usize>,
    /// The input column of each column of the result: of a list the element, of another its value.
    pub output: Vec<usize>,
    /// What becomes of rows whose lists have no element.
    pub empty: WithoutElements,
}

impl fmt::Display for UnnestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = |columns: &[usize]| {
            let columns = columns.iter().map(|column| format!("@{column}"));
            columns.collect::<Vec<_>>().join(", ")
        };
        write!(f, "[{}]", columns(&self.lists))?;
        match self.empty {
            WithoutElements::Vanish => {}
            WithoutElements::KeepNull => f.write_str(" keep null")?,
            WithoutElements::Keep => f.write_str(" keep empty")?,
        }
        write!(f, " give [{}]", columns(&self.output))
    }
}
