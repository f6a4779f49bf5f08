//! The frame of every scalar function: its arguments as columns of one length, its result in the
//! form in which they came.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// Calls `evaluate` with the arguments as columns and their number of rows. Where all arguments
/// are scalars there is one row, and the result is a scalar again.
///
/// # Errors
/// Those of `evaluate`; an internal error if arguments differ in length.
pub(super) fn columnar(
    args: &ScalarFunctionArgs,
    evaluate: impl FnOnce(&[ArrayRef], usize) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let is_scalar = args
        .args
        .iter()
        .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let row_count = if is_scalar { 1 } else { args.number_rows };
    let columns = args.args.iter().map(|arg| arg.to_array(row_count));
    let result = evaluate(&columns.collect::<Result<Vec<_>>>()?, row_count)?;
    if is_scalar {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
            &result, 0,
        )?));
    }
    Ok(ColumnarValue::Array(result))
}
