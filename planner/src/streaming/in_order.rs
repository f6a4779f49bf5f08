//! Conditions joined by `AND`, one after the other: `qty <> 0 AND price / qty > 1` divides only
//! where there is something to divide by. DataFusion computes both sides for all rows.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, BooleanBufferBuilder};
use datafusion::arrow::compute::{filter_record_batch, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, conjunction};

/// `predicate` with each condition that may fail computed only for the rows that all before it
/// hold for; as it is if only the first one may fail.
///
/// # Errors
/// DataFusion's, for an expression without a type.
pub fn in_order(
    predicate: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let mut steps: Vec<Vec<Arc<dyn PhysicalExpr>>> = Vec::new();
    for part in split_conjunction(&predicate) {
        match steps.last_mut() {
            Some(step) if !may_fail(part, schema)? => step.push(Arc::clone(part)),
            _ => steps.push(vec![Arc::clone(part)]),
        }
    }
    if steps.len() < 2 {
        return Ok(predicate);
    }
    let steps = steps.into_iter().map(conjunction).collect();
    Ok(Arc::new(InOrder { steps }))
}

/// Whether computing `expr` may be an error for some row.
fn may_fail(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<bool> {
    use Operator as O;
    let mut found = false;
    expr.apply(|expr| {
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            let computes = matches!(
                binary.op(),
                O::Plus | O::Minus | O::Multiply | O::Divide | O::Modulo
            );
            found |= computes && !expr.data_type(schema)?.is_floating();
        }
        found |= expr.downcast_ref::<CastExpr>().is_some();
        found |= expr.downcast_ref::<ScalarFunctionExpr>().is_some();
        Ok::<_, DataFusionError>(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// True for the rows for which all steps are true, false for all others.
#[derive(Debug, Eq)]
struct InOrder {
    steps: Vec<Arc<dyn PhysicalExpr>>,
}

impl PartialEq for InOrder {
    fn eq(&self, other: &Self) -> bool {
        self.steps.eq(&other.steps)
    }
}

impl Hash for InOrder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.steps.hash(state);
    }
}

impl fmt::Display for InOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            let and = if place > 0 { " AND " } else { "" };
            write!(f, "{and}{step}")?;
        }
        Ok(())
    }
}

impl PhysicalExpr for InOrder {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut holds: Option<BooleanArray> = None;
        for step in &self.steps {
            let Some(before) = holds.take() else {
                holds = Some(truth(step, batch)?);
                continue;
            };
            let count = before.true_count();
            holds = Some(if count == 0 {
                before
            } else if count == before.len() {
                truth(step, batch)?
            } else {
                let found = truth(step, &filter_record_batch(batch, &before)?)?;
                among(&before, &found)
            });
        }
        let holds = holds.unwrap_or_else(|| vec![true; batch.num_rows()].into());
        Ok(ColumnarValue::Array(Arc::new(holds)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.steps.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { steps: children }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            if place > 0 {
                f.write_str(" AND ")?;
            }
            step.fmt_sql(f)?;
        }
        Ok(())
    }
}

/// The rows for which `step` is true; what is not known is not.
fn truth(step: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let found = step.evaluate(batch)?.into_array(batch.num_rows())?;
    let found = as_boolean_array(&found)?;
    Ok(match found.null_count() {
        0 => found.clone(),
        _ => prep_null_mask_filter(found),
    })
}

/// `found`, which is of the true rows of `before` alone, for all rows.
fn among(before: &BooleanArray, found: &BooleanArray) -> BooleanArray {
    let mut all = BooleanBufferBuilder::new(before.len());
    all.append_n(before.len(), false);
    for (row, place) in before.values().set_indices().enumerate() {
        all.set_bit(place, found.value(row));
    }
    BooleanArray::new(all.finish(), None)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{binary, col, lit};

    use super::*;

    #[test]
    fn what_may_fail_is_computed_where_all_before_it_holds() {
        let schema = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
        let values = Int64Array::from(vec![Some(0), Some(5), None, Some(20)]);
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(values)]);
        let batch = batch.unwrap();
        let x = || col("x", &schema).unwrap();
        let not_zero = binary(x(), Operator::NotEq, lit(0_i64), &schema).unwrap();
        let ratio = binary(lit(10_i64), Operator::Divide, x(), &schema).unwrap();
        let large = binary(ratio, Operator::Gt, lit(1_i64), &schema).unwrap();
        let both = conjunction(vec![not_zero, large]);
        assert!(both.evaluate(&batch).is_err());
        let ordered = in_order(both, &schema).unwrap();
        let found = ordered.evaluate(&batch).unwrap().into_array(4).unwrap();
        let expected = BooleanArray::from(vec![false, true, false, false]);
        assert_eq!(as_boolean_array(&found).unwrap(), &expected);
    }
}
