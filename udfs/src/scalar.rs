//! Scalar functions: one value out for each row in, nothing remembered between rows.

pub(crate) mod accessor;
pub(crate) mod calendar;
pub(crate) mod candlestick;
mod columnar;
pub(crate) mod formula;
pub(crate) mod interpolated;
pub(crate) mod list;
pub(crate) mod percentile;
mod plain;
pub(crate) mod profile;
pub(crate) mod signed_qty;
pub(crate) mod statistic;
pub(crate) mod time_bucket;
