//! SQL text to a streaming or a logical plan; pure, no I/O.
//!
//! Four stages, each a module, in this order:
//!
//! 1. [`parse`]: text to [`statement::ParsedStatement`]s, with positions.
//! 2. [`bind`]: a source, a table or a view's options, checked: types to Arrow, computed columns
//!    to expressions.
//! 3. [`logical`]: a query to DataFusion's logical plan, windows as extension nodes.
//! 4. [`streaming`]: that plan to a [`rtsap_plan::graph::StreamPlan`], one arm per node.
//!
//! Everything is a pure function of text, catalog snapshot and [`functions::Functions`]; nothing
//! awaits. Failures are [`error::PlanError`]s with code, position, detail and hint.

pub mod bind;
pub mod data_type;
pub mod duration;
pub mod error;
pub mod functions;
pub mod logical;
pub mod parse;
pub mod statement;
pub mod streaming;

pub use bind::function::{BoundFunction, bind_function, user_functions};
pub use bind::{
    BoundColumn, BoundSource, BoundWatermark, bind_source, bind_source_def, bind_table,
    bind_table_def,
};
pub use error::PlanError;
pub use functions::Functions;
pub use logical::batch::{BatchExtension, batch_extension};
pub use parse::alter::{renamed, requeried};
pub use parse::parse;
pub use statement::{ParsedStatement, StatementKind};
pub use streaming::{PlannedView, plan_view, plan_view_with};
