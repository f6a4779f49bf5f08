//! Which kernel computes a call: a native one where its result is DataFusion's own, else
//! DataFusion's accumulator.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::downcast_primitive;
use arrow::compute::SortOptions;
use arrow::datatypes::{
    DataType, Decimal128Type, Int64Type, MAX_DECIMAL128_FOR_EACH_PRECISION, Schema, UInt64Type,
};
use datafusion::common::{Result, not_impl_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use rtsap_plan::operator::AggregateSpec;

use super::count::Count;
use super::extreme::Extreme;
use super::first_last::{FirstLast, orders_by};
use super::foreign::{Foreign, Grouped, Single};
use super::moment::Moment;
use super::native::{Kernel, Native};
use super::ordered::OrderedBatch;
use super::readable::Readable;
use super::sum::{ExactResult, ExactSum, FloatSum, RetractableFloatSum};
use super::text::TextColumn;
use super::values::{Fixed, Text};
use super::{GroupAggregate, kept};

/// How a table of groups will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All groups at once, when they are complete.
    Once,
    /// Groups that changed, again and again.
    Changing,
    /// As `Changing`, and rows may be taken back.
    Forever,
}

/// Makes the aggregate of one call over a table without groups.
pub type Make = Box<dyn Fn() -> Result<Box<dyn GroupAggregate>> + Send>;

/// The kernel of a call and what it must be fed.
pub struct Choice {
    /// Makes the aggregate.
    pub make: Make,
    /// Its argument columns, then the columns of its ORDER BY.
    pub arguments: Vec<Arc<dyn PhysicalExpr>>,
}

/// Chooses for the call of `aggregate` over rows of `schema`.
///
/// # Errors
/// If no accumulator would be right: an ORDER BY that the function may not keep across batches.
pub fn choose(aggregate: &AggregateSpec, schema: &Schema, reading: Reading) -> Result<Choice> {
    let call = &aggregate.function;
    if aggregate.keeps_rows {
        return kept::choose(call, schema);
    }
    if let Some(choice) = native(call, schema, reading)? {
        return Ok(choice);
    }
    let mut arguments = call.expressions();
    if let Some(readable) = aggregate.readable.clone() {
        let make: Make = Box::new(move || Ok(Box::new(Readable::new(&readable)?)));
        return Ok(Choice { make, arguments });
    }
    let ordered = ordered_batch(call, arguments.len())?;
    arguments.extend(call.order_bys().iter().map(|order| Arc::clone(&order.expr)));
    let foreign = Foreign {
        call: Arc::clone(call),
        ordered,
    };
    // Made once here so that a function without accumulator is refused now.
    let make: Make = match reading {
        Reading::Once => {
            Grouped::new(foreign.clone())?;
            Box::new(move || Ok(Box::new(Grouped::new(foreign.clone())?)))
        }
        Reading::Changing | Reading::Forever => {
            call.create_accumulator()?;
            Box::new(move || Ok(Box::new(Single::new(foreign.clone()))))
        }
    };
    Ok(Choice { make, arguments })
}

/// How batches for a foreign call must be sorted.
fn ordered_batch(call: &AggregateFunctionExpr, arguments: usize) -> Result<Option<OrderedBatch>> {
    let name = call.fun().name();
    let sorts_itself = matches!(name, "array_agg" | "first_value" | "last_value")
        || call.fun().supports_within_group_clause();
    if call.order_bys().is_empty() || sorts_itself {
        return Ok(None);
    }
    if !matches!(name, "nth_value" | "string_agg") {
        return not_impl_err!("ORDER BY inside {name}");
    }
    let options = call.order_bys().iter().map(|order| order.options).collect();
    Ok(Some(OrderedBatch { arguments, options }))
}

fn boxed<K: Kernel>(kernel: impl Fn() -> K + Send + 'static) -> Make {
    Box::new(move || Ok(Box::new(Native::new(kernel()))))
}

fn native(
    call: &Arc<AggregateFunctionExpr>,
    schema: &Schema,
    reading: Reading,
) -> Result<Option<Choice>> {
    let mut arguments = call.expressions();
    let name = call.fun().name();
    let [argument] = arguments.as_slice() else {
        return Ok(None);
    };
    if call.is_distinct() && !matches!(name, "min" | "max") {
        return Ok(None);
    }
    let input = argument.data_type(schema)?;
    let output = call.field().data_type().clone();
    let make = match name {
        "count" if output == DataType::Int64 => {
            let literal = argument.downcast_ref::<Literal>();
            let counts_rows = literal.is_some_and(|literal| !literal.value().is_null());
            if counts_rows {
                arguments.clear();
            }
            Some(boxed(move || Count {
                skips_nulls: !counts_rows,
            }))
        }
        "sum" | "avg" => sum(name == "avg", &input, output, reading),
        "min" | "max" if input == output => extreme(name == "max", output),
        "var" | "var_samp" | "var_pop" | "stddev" | "stddev_samp" | "stddev_pop"
            if input == DataType::Float64 && output == DataType::Float64 =>
        {
            let (sample, root) = (!name.ends_with("_pop"), name.starts_with("stddev"));
            Some(boxed(move || Moment { sample, root }))
        }
        "first_value" | "last_value" if input == output => {
            let order = match call.order_bys() {
                [] => Some(None),
                [one] if orders_by(&one.expr.data_type(schema)?) => {
                    arguments.push(Arc::clone(&one.expr));
                    Some(Some(one.options))
                }
                _ => None,
            };
            let skips_nulls = call.ignore_nulls();
            order.and_then(|order| first_last(name == "last_value", skips_nulls, order, output))
        }
        _ => None,
    };
    Ok(make.map(|make| Choice { make, arguments }))
}

fn sum(average: bool, input: &DataType, output: DataType, reading: Reading) -> Option<Make> {
    match (input, &output, average) {
        (DataType::Float64, DataType::Float64, _) if reading == Reading::Forever => {
            Some(boxed(move || RetractableFloatSum { average }))
        }
        (DataType::Float64, DataType::Float64, _) => Some(boxed(move || FloatSum { average })),
        (DataType::Int64, DataType::Int64, false) => {
            let result = ExactResult::Sum {
                min: i128::from(i64::MIN),
                max: i128::from(i64::MAX),
            };
            Some(exact::<Int64Type>(result, output))
        }
        (DataType::UInt64, DataType::UInt64, false) => {
            let result = ExactResult::Sum {
                min: 0,
                max: i128::from(u64::MAX),
            };
            Some(exact::<UInt64Type>(result, output))
        }
        (DataType::Decimal128(_, from), DataType::Decimal128(precision, to), _) => {
            let max = *MAX_DECIMAL128_FOR_EACH_PRECISION.get(usize::from(*precision))?;
            let result = if average {
                let digits = u32::try_from(to.checked_sub(*from)?).ok()?;
                // The rest of a division, below any count of rows, is multiplied by this.
                let factor = (digits <= 18).then(|| 10_i128.pow(digits))?;
                ExactResult::Average { factor, max }
            } else {
                ExactResult::Sum { min: -max, max }
            };
            (average || from == to).then(|| exact::<Decimal128Type>(result, output))
        }
        _ => None,
    }
}

fn exact<T>(result: ExactResult, data_type: DataType) -> Make
where
    T: arrow::array::ArrowPrimitiveType,
    T::Native: Into<i128> + TryFrom<i128>,
{
    boxed(move || ExactSum::<T> {
        result,
        data_type: data_type.clone(),
        phantom: PhantomData,
    })
}

fn extreme(greatest: bool, data_type: DataType) -> Option<Make> {
    if TextColumn::reads(&data_type) {
        return Some(boxed(move || {
            let values = Text {
                data_type: data_type.clone(),
            };
            if greatest {
                Extreme::greatest(values)
            } else {
                Extreme::least(values)
            }
        }));
    }
    macro_rules! fixed {
        ($t:ty) => {
            Some(boxed(move || {
                let values = Fixed::<$t>::new(data_type.clone());
                if greatest {
                    Extreme::greatest(values)
                } else {
                    Extreme::least(values)
                }
            }))
        };
    }
    downcast_primitive! {
        data_type => (fixed),
        _ => None
    }
}

fn first_last(
    last: bool,
    skips_nulls: bool,
    order: Option<SortOptions>,
    data_type: DataType,
) -> Option<Make> {
    if TextColumn::reads(&data_type) {
        return Some(boxed(move || {
            FirstLast::new(
                Text {
                    data_type: data_type.clone(),
                },
                last,
                skips_nulls,
                order,
            )
        }));
    }
    macro_rules! fixed {
        ($t:ty) => {
            Some(boxed(move || {
                FirstLast::new(
                    Fixed::<$t>::new(data_type.clone()),
                    last,
                    skips_nulls,
                    order,
                )
            }))
        };
    }
    downcast_primitive! {
        data_type => (fixed),
        _ => None
    }
}
