//! `sum` in reads: of `bigint` a numeric, as in PostgreSQL, and of numerics exact, so that no sum
//! wraps. Everything else is DataFusion's own `sum`.
//!
//! Coercing twice must be coercing once, for plans are coerced more than once: so smaller integers
//! stay what they are and are widened here. A cast to `bigint` would make their sum a numeric.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    Signature, Volatility,
};

use super::exact::{self, Exact};
use super::moving::Moving;
use crate::error::FunctionError;
use crate::postgres::type_name;

/// `bigint` as a decimal; its sum has ten digits more.
const BIGINT: DataType = DataType::Decimal128(19, 0);

/// PostgreSQL's `sum`.
#[must_use]
pub fn sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Sum {
        inner: sum_udaf(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Int64] => Ok(vec![BIGINT]),
            [DataType::UInt64] => Ok(vec![DataType::Decimal128(20, 0)]),
            [t] if is_small(t) => Ok(vec![t.clone()]),
            [DataType::Null] => Ok(vec![DataType::Float64]),
            [DataType::Float16 | DataType::Float32] => Ok(vec![DataType::Float64]),
            [other] => Ok(vec![other.clone()]),
            types => plan_err!("sum takes one argument, not {}", types.len()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [t] if is_small(t) => Ok(DataType::Int64),
            [found @ (DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)] => {
                let message = format!("function sum({}) does not exist", type_name(found));
                Err(FunctionError::value("42883", message).into())
            }
            types => self.inner.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if let Some(exact) = Exact::sum(&args) {
            return Ok(exact.accumulator(args.is_distinct));
        }
        widened(args, |args| self.inner.accumulator(args))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match exact::state_fields(&args) {
            Some(fields) => Ok(fields),
            None => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match Exact::sum(&args) {
            Some(_) => !args.is_distinct,
            None => self.inner.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        if let Some(exact) = Exact::sum(&args) {
            return Ok(exact.groups_accumulator());
        }
        let small = has_small(&args);
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(match small {
            true => Box::new(Widened(inner)),
            false => inner,
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if let Some(exact) = Exact::sum(&args) {
            return Ok(exact.accumulator(args.is_distinct));
        }
        if let Some(moving) = Moving::of(&args, false) {
            return Ok(moving);
        }
        widened(args, |args| self.inner.create_sliding_accumulator(args))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }
}

/// Integers whose sum fits into `bigint` however many there are.
fn is_small(of: &DataType) -> bool {
    of.is_integer() && !matches!(of, DataType::Int64 | DataType::UInt64)
}

fn has_small(args: &AccumulatorArgs) -> bool {
    args.expr_fields
        .first()
        .is_some_and(|field| is_small(field.data_type()))
}

fn widened(
    args: AccumulatorArgs,
    make: impl FnOnce(AccumulatorArgs) -> Result<Box<dyn Accumulator>>,
) -> Result<Box<dyn Accumulator>> {
    let small = has_small(&args);
    let inner = make(args)?;
    Ok(match small {
        true => Box::new(Widened(inner)),
        false => inner,
    })
}

/// An accumulator of `bigint` over smaller integers.
#[derive(Debug)]
struct Widened<A>(A);

fn wide(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let wide = values.iter().map(|values| cast(values, &DataType::Int64));
    Ok(wide.collect::<std::result::Result<_, _>>()?)
}

impl Accumulator for Widened<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&wide(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&wide(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}

impl GroupsAccumulator for Widened<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.0
            .update_batch(&wide(values)?, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&wide(values)?, opt_filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
