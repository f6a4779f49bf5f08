//! What exists: sources, tables, views, sinks and functions; versioned and persisted.
//!
//! The catalog stores the definition of an object as its owner wrote it, never a plan; what follows
//! from a definition (a view's columns, its changelog mode) is derived anew on boot. Every change
//! is one compare-and-swap.
//!
//! Reading order: [`name`], [`object`], [`snapshot`], [`store`], [`error`].

pub mod error;
pub mod name;
pub mod object;
pub mod snapshot;
pub mod store;
