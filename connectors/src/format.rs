//! Payload formats: bytes to columns, one module each, chosen by the option `format`.

pub mod csv;
pub mod json;
