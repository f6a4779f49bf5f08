//! The SQL functions that RTSAP adds to DataFusion.
//!
//! ```text
//! scalar/     time_bucket, accessors of candlesticks, quotes, options, order books
//! aggregate/  vwap, first, last, arg_min, arg_max, candlestick_agg, rollup …
//! window/     all of TA-Lib, rolling and decaying statistics, signals, positions
//! running     the same functions row after row in a streaming view, with a state that is saved
//! fold        the frame that turns an aggregate's arithmetic into accumulators
//! exact       sums from which values can be taken away again
//! distribution  normal and Student's t, for options and for risk
//! postgres/   casts, arithmetic and operators as PostgreSQL has them
//! registry    all of them, with documentation
//! ```
//!
//! Rules that hold everywhere: a row whose argument is null, NaN or infinite does not count; a
//! group without a row that counts is null; a division by zero is null; decimals are exact and
//! never wrap; partial states of any cut of the rows merge into the result of one pass.
//! This crate depends on DataFusion and on no other crate of the workspace.

mod aggregate;
mod argument;
mod arguments;
mod distribution;
pub mod error;
mod exact;
mod fold;
mod ordering;
pub mod overload;
pub mod postgres;
pub mod registry;
pub mod running;
mod scalar;
mod side;
#[cfg(test)]
mod trial;
mod weighting;
mod window;

pub use error::FunctionError;
pub use fold::readable::{FoldGroups, ReadGroups};
pub use registry::{FunctionDoc, FunctionKind, FunctionRegistry, keeps_rows};
