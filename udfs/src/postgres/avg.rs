//! `avg` of numerics: with the digits of a quotient, and rounded, as in PostgreSQL: it equals
//! `sum(x) / count(x)`. Everything else is DataFusion's own `avg`.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, ListArray,
};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type,
};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator,
    ReversedUDAF, Signature,
};

use super::arithmetic::{QUOTIENT_SCALE_MIN, quotient_of};
use super::cast::power;

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
        match Digits::of(&args)? {
            Some(digits) if args.is_distinct => Ok(Box::new(Distinct::new(digits))),
            Some(digits) => Ok(Box::new(Average {
                digits,
                total: Total::default(),
            })),
            None => self.inner.accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let [input] = args.input_fields else {
            return self.inner.state_fields(args);
        };
        let DataType::Decimal128(_, scale) = input.data_type() else {
            return self.inner.state_fields(args);
        };
        let sum = DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale);
        let named = |name: &str| format_state_name(args.name, name);
        Ok(match args.is_distinct {
            true => {
                let item = Field::new_list_field(sum, true);
                vec![Arc::new(Field::new_list(named("values"), item, true))]
            }
            false => vec![
                Arc::new(Field::new(named("sum"), sum, true)),
                Arc::new(Field::new(named("count"), DataType::Int64, true)),
            ],
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match Digits::of(&args) {
            Ok(Some(_)) => !args.is_distinct,
            _ => self.inner.groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match Digits::of(&args)? {
            Some(digits) => Ok(Box::new(Averages {
                digits,
                totals: Vec::new(),
            })),
            None => self.inner.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Digits::of(&args)? {
            Some(_) => self.accumulator(args),
            None => self.inner.create_sliding_accumulator(args),
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

/// Digits behind the point of the values and of their average.
#[derive(Clone, Copy, Debug)]
struct Digits {
    value: i8,
    average: i8,
    /// Ten to those that the average has more.
    factor: i128,
}

impl Digits {
    /// Those of a call over a numeric; `None` for another type.
    fn of(args: &AccumulatorArgs) -> Result<Option<Self>> {
        let value = args.expr_fields.first().map(|field| field.data_type());
        match (value, args.return_field.data_type()) {
            (Some(DataType::Decimal128(_, value)), DataType::Decimal128(_, average)) => {
                Ok(Some(Self {
                    value: *value,
                    average: *average,
                    factor: power(average - value)?,
                }))
            }
            _ => Ok(None),
        }
    }

    fn sums(self, sums: impl Iterator<Item = i128>) -> Decimal128Array {
        let sum = DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.value);
        Decimal128Array::from_iter_values(sums).with_data_type(sum)
    }
}

/// A sum of values in units of their last digit, and how many they are.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: i128,
    count: i64,
}

impl Total {
    fn add(&mut self, value: i128, count: i64) -> Result<()> {
        let sum = self.sum.checked_add(value);
        self.sum = sum.ok_or_else(|| exec_datafusion_err!("the sum of avg exceeds 128 bits"))?;
        self.count += count;
        Ok(())
    }

    /// The average; null of no values.
    fn average(self, digits: Digits) -> Result<Option<i128>> {
        match self.count {
            0 => Ok(None),
            count => Ok(Some(quotient_of(
                self.sum,
                digits.factor,
                i128::from(count),
            )?)),
        }
    }
}

/// One average.
#[derive(Debug)]
struct Average {
    digits: Digits,
    total: Total,
}

impl Accumulator for Average {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut values = values[0].as_primitive::<Decimal128Type>().iter().flatten();
        values.try_for_each(|value| self.total.add(value, 1))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut values = values[0].as_primitive::<Decimal128Type>().iter().flatten();
        values.try_for_each(|value| self.total.add(-value, -1))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar(self.total.average(self.digits)?, self.digits)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Total { sum, count } = self.total;
        let precision = DECIMAL128_MAX_PRECISION;
        Ok(vec![
            ScalarValue::Decimal128(Some(sum), precision, self.digits.value),
            ScalarValue::Int64(Some(count)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let sums = states[0].as_primitive::<Decimal128Type>();
        let counts = states[1].as_primitive::<Int64Type>();
        let mut states = sums.values().iter().zip(counts.values());
        states.try_for_each(|(sum, count)| self.total.add(*sum, *count))
    }
}

fn scalar(average: Option<i128>, digits: Digits) -> Result<ScalarValue> {
    let precision = DECIMAL128_MAX_PRECISION;
    Ok(ScalarValue::Decimal128(average, precision, digits.average))
}

/// An average of different values.
#[derive(Debug)]
struct Distinct {
    digits: Digits,
    values: BTreeSet<i128>,
}

impl Distinct {
    fn new(digits: Digits) -> Self {
        Self {
            digits,
            values: BTreeSet::new(),
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Decimal128Type>();
        self.values.extend(values.iter().flatten());
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut total = Total::default();
        self.values
            .iter()
            .try_for_each(|value| total.add(*value, 1))?;
        scalar(total.average(self.digits)?, self.digits)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.len() * 2 * size_of::<i128>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: ArrayRef = Arc::new(self.digits.sums(self.values.iter().copied()));
        let list = SingleRowListArrayBuilder::new(values).build_list_scalar();
        Ok(vec![list])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists: &ListArray = states[0].as_list::<i32>();
        for values in lists.iter().flatten() {
            self.update_batch(&[values])?;
        }
        Ok(())
    }
}

/// An average for each group.
#[derive(Debug)]
struct Averages {
    digits: Digits,
    totals: Vec<Total>,
}

impl GroupsAccumulator for Averages {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.totals.resize(total_num_groups, Total::default());
        let values = values[0].as_primitive::<Decimal128Type>();
        let counts =
            |row: usize| opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        for (row, group) in group_indices.iter().enumerate() {
            if values.is_valid(row) && counts(row) {
                self.totals[*group].add(values.value(row), 1)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let totals = emit_to.take_needed(&mut self.totals).into_iter();
        let averages = totals.map(|total| total.average(self.digits));
        let averages = averages.collect::<Result<Decimal128Array>>()?;
        let average = DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.digits.average);
        Ok(Arc::new(averages.with_data_type(average)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let totals = emit_to.take_needed(&mut self.totals);
        let counts = Int64Array::from_iter_values(totals.iter().map(|total| total.count));
        let sums = self.digits.sums(totals.into_iter().map(|total| total.sum));
        Ok(vec![Arc::new(sums), Arc::new(counts)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.totals.resize(total_num_groups, Total::default());
        let sums = values[0].as_primitive::<Decimal128Type>();
        let counts = values[1].as_primitive::<Int64Type>();
        for (row, group) in group_indices.iter().enumerate() {
            self.totals[*group].add(sums.value(row), counts.value(row))?;
        }
        Ok(())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.totals.capacity() * size_of::<Total>()
    }
}
