//! Subqueries in forms that joins are made of, for views and for reads alike: those that are values
//! or have three answers as counts, those of FROM that depend on other relations as joins.

mod dependent;
mod lateral;
mod outer_row;
mod value;

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;

use self::dependent::Dependent;
pub(crate) use self::dependent::{ONE_ROW, has_one_row};

/// The plan with subqueries only as conditions that a join is, and as values of one row; none in
/// FROM that depends on the relations before it.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for `LATERAL` subqueries that no join says; DataFusion's.
pub fn plain(plan: LogicalPlan) -> Result<LogicalPlan> {
    let dependent = Dependent::default();
    let joined = value::to_counts(plan)?.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => lateral::joined(join, &dependent),
        other => dependent.joined(other),
    })?;
    Ok(joined.data)
}
