//! `avg` of numerics: with the digits of a quotient, and rounded, as in PostgreSQL: it equals
//! `sum(x) / count(x)`. Everything else is DataFusion's own `avg`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    Signature,
};

use super::arithmetic::QUOTIENT_SCALE_MIN;
use super::exact::{self, Exact};
use super::moving::Moving;

/// PostgreSQL's `avg`.
#[must_use]
pub fn avg() -> Arc<AggregateUDF> {
    let inner = avg_udaf();
    Arc::new(AggregateUDF::new_from_impl(Avg { inner }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Avg {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Avg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Decimal128(_, scale)] => {
                let scale = (*scale).max(QUOTIENT_SCALE_MIN);
                Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))
            }
            types => self.inner.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Exact::average(&args)? {
            Some(exact) => Ok(exact.accumulator(args.is_distinct)),
            None => self.inner.accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match exact::state_fields(&args) {
            Some(fields) => Ok(fields),
            None => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match Exact::average(&args) {
            Ok(Some(_)) => !args.is_distinct,
            _ => self.inner.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match Exact::average(&args)? {
            Some(exact) => Ok(exact.groups_accumulator()),
            None => self.inner.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Exact::average(&args)? {
            Some(exact) => Ok(exact.accumulator(args.is_distinct)),
            None => match Moving::of(&args, true) {
                Some(moving) => Ok(moving),
                None => self.inner.create_sliding_accumulator(args),
            },
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
