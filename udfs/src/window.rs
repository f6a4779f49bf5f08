//! Window functions: one value per row from the rows before it in its partition.

pub(crate) mod technical;
