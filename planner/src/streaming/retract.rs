//! Which aggregates can take a row back, and which keep their rows to do so.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, ExprSchemable};
use rtsap_stream::change::ChangelogMode;

use crate::error::{Cause, PlanError};

/// Whether the call `expr` over columns of `schema`, whose rows change as `mode` says, must keep
/// its rows: all functions of DataFusion but counts and exact sums do. Of ours those that are sums
/// need not (see `readable`).
///
/// # Errors
/// [`Cause::UpdatingInput`] for functions of the order of arrival: a row that changes has none.
pub(super) fn keeps_rows(
    expr: &Expr,
    schema: &DFSchema,
    mode: ChangelogMode,
) -> Result<bool, PlanError> {
    let call = match expr {
        Expr::Alias(alias) => return keeps_rows(&alias.expr, schema, mode),
        Expr::AggregateFunction(call) => call,
        _ => return Err(PlanError::internal("an aggregate is no function")),
    };
    let name = call.func.name();
    if matches!(name, "first_value" | "last_value" | "nth_value") && call.params.order_by.is_empty()
    {
        let operator = format!("aggregate {name} without ORDER BY");
        let error = PlanError::new(Cause::UpdatingInput { operator, mode });
        let detail = "Rows of its input change after they were read, so they have no order of \
                      arrival.";
        let hint = format!("Write {name}(x ORDER BY ts).");
        return Err(error.detail(detail).hint(hint));
    }
    Ok(!subtracts(call, schema))
}

/// Whether the runtime's kernel takes a row back by arithmetic that is exact.
fn subtracts(call: &AggregateFunction, schema: &DFSchema) -> bool {
    if call.params.distinct {
        return false;
    }
    let argument = call.params.args.first().map(|arg| arg.get_type(schema));
    match (call.func.name(), argument) {
        ("count", _) => call.params.args.len() == 1,
        ("sum", Some(Ok(of))) => {
            matches!(
                of,
                DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(..)
            )
        }
        ("avg", Some(Ok(of))) => matches!(of, DataType::Float64 | DataType::Decimal128(..)),
        _ => false,
    }
}
