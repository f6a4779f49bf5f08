//! The compiled form of a view: the contract between `planner`, which builds it, and `runtime`,
//! which runs it.
//!
//! Public fields; no behaviour beyond checking, fingerprinting and printing itself. Reading order:
//! [`graph`], [`operator`], [`window`], [`join`], [`properties`], [`explain`].

pub mod explain;
pub mod fill;
pub mod graph;
pub mod graphic;
pub mod grouping;
pub mod horizon;
pub mod join;
pub mod operator;
pub mod over;
pub mod properties;
pub mod rank;
pub mod readable;
pub mod session;
pub mod unnest;
pub mod window;
