//! The SQL functions that RTSAP adds to DataFusion.
//!
//! ```text
//! scalar/     time_bucket, accessors of candlesticks
//! aggregate/  vwap, first, last, arg_min, arg_max, candlestick_agg, rollup …
//! window/     ema, rsi
//! fold        the frame that turns an aggregate's arithmetic into accumulators
//! registry    all of them, with documentation
//! ```
//!
//! Rules that hold everywhere: a row whose argument is null, NaN or infinite does not count; a
//! group without a row that counts is null; a division by zero is null; decimals are exact and
//! never wrap; partial states of any cut of the rows merge into the result of one pass.
//! This crate depends on DataFusion and on no other crate of the workspace.

mod aggregate;
mod arguments;
pub mod error;
mod fold;
mod ordering;
mod overload;
pub mod registry;
mod scalar;
#[cfg(test)]
mod trial;
mod weighting;
mod window;

pub use error::FunctionError;
pub use registry::{FunctionDoc, FunctionKind, FunctionRegistry};
