//! Texts by a template: `to_char`, `to_date`, `to_timestamp`, `to_number`, and Java's patterns.
//!
//! ```text
//! template  PostgreSQL's and Java's patterns as one list of pieces
//! moment    what a template reads and writes: a time taken apart
//! write     a time by a template
//! read      a template's time from a text
//! number    numbers by a template, both ways
//! ```

pub(crate) mod moment;
pub(crate) mod number;
pub(crate) mod read;
pub(crate) mod template;
pub(crate) mod write;
