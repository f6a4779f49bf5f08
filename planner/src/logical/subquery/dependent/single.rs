//! Subqueries as values have one row at most.

use std::sync::LazyLock;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Column, TableReference};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::logical_plan::FetchType;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use rtsap_udfs::error::FunctionError;

use super::{Rows, VALUE};
use crate::error::PlanError;

/// How many rows there are for a value of the outer columns.
const COUNT: &str = "__rows";

/// The name of the function that fails for more than one row.
pub(crate) const ONE_ROW: &str = "__one_row";

/// Whether `plan` has one row at most, whatever it reads.
pub(crate) fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::Filter(filter) => has_one_row(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch == Some(1) || has_one_row(&sort.input),
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1))))
                || has_one_row(&limit.input)
        }
        LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    }
}

/// The rows as one for each value of the outer columns, or an error when it is computed.
pub(super) fn one_row(rows: Rows, value: Expr, number: usize) -> Result<(Rows, Expr)> {
    let keys = rows.keys.iter().cloned().map(Expr::Column);
    let counted = [max(value).alias(VALUE), count(lit(1_i64)).alias(COUNT)];
    let [value, count] = [VALUE, COUNT].map(|name| Expr::Column(Column::new_unqualified(name)));
    let one = ScalarUDF::from(OneRow)
        .call(vec![value, count])
        .alias(VALUE);
    let name = TableReference::bare(format!("__one_row_{number}"));
    let plan = LogicalPlanBuilder::from(rows.plan)
        .aggregate(keys.clone(), counted)?
        .project(std::iter::once(one).chain(keys))?
        .alias(name.clone())?
        .build()?;
    let keys = rows.keys.into_iter();
    let keys = keys.map(|key| Column::new(Some(name.clone()), key.name));
    let rows = Rows {
        plan,
        keys: keys.collect(),
    };
    Ok((rows, Expr::Column(Column::new(Some(name), VALUE))))
}

/// The first argument, if the second one, a number of rows, is not above one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneRow;

impl ScalarUDFImpl for OneRow {
    fn name(&self) -> &str {
        ONE_ROW
    }

    fn signature(&self) -> &Signature {
        static SIGNATURE: LazyLock<Signature> =
            LazyLock::new(|| Signature::any(2, Volatility::Immutable));
        &SIGNATURE
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, count] = args.args.as_slice() else {
            return Err(PlanError::internal("a row without its number").into());
        };
        let counts = cast(&count.to_array(args.number_rows)?, &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        if counts.values().iter().any(|count| *count > 1) && counts.null_count() == 0 {
            let message = "more than one row returned by a subquery used as an expression";
            return Err(FunctionError::value("21000", message.to_owned()).into());
        }
        Ok(value.clone())
    }
}
