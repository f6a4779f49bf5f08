//! Aggregation by session.

use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;

use crate::operator::WindowAggregateSpec;

/// Rows of one partition that follow each other within a gap are a session: from its first row to
/// the gap after its last one.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// Two rows that are further apart are in two sessions, unless others connect them.
    pub gap_nanos: i64,
    /// Expressions over the input's columns; none: one partition.
    pub partition: Vec<Arc<dyn PhysicalExpr>>,
    /// What is computed of each session. Its `window` is not used.
    pub aggregate: WindowAggregateSpec,
}
