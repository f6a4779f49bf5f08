//! Window functions: one value per row from the rows before it in its partition.
//!
//! ```text
//! definition   what a function is called with and gives, as data
//! parameter    its constants: defaults, ranges, how they are read
//! talib        the definitions of TA-Lib's functions, read from its own metadata
//! function     DataFusion's form of a definition, and what it refuses
//! partition    runs a definition over the rows of a partition
//! ```
//!
//! Rows with an input that is null, NaN or infinite are passed over: they give null and leave
//! the function as it is. A value that is not finite is null as well.

pub(crate) mod definition;
pub(crate) mod function;
mod parameter;
mod partition;
pub(crate) mod talib;

use std::sync::LazyLock;

use definition::Entry;

/// Returns every window function of ours, sorted by name.
pub(crate) fn all() -> &'static [Entry] {
    static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        let mut entries: Vec<Entry> = talib::definitions().map(Entry::new).collect();
        entries.sort_by_key(|entry| entry.definition.name);
        entries
    });
    &ALL
}
