//! Sums and averages of numerics: exact, and an error where a result does not fit. DataFusion's
//! wrap around.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, ListArray,
};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type,
};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::arithmetic::quotient_of;
use super::cast::power;
use super::out_of_range;

/// What is made of the sum of numerics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    /// Digits of the values behind the point.
    scale: i8,
    /// Precision and scale of the result.
    result: (u8, i8),
    /// For an average: ten to the digits that it has more than the values.
    factor: Option<i128>,
}

impl Exact {
    /// An average of numerics; `None` for a call over another type.
    pub(super) fn average(args: &AccumulatorArgs) -> Result<Option<Self>> {
        let Some(exact) = Self::sum(args) else {
            return Ok(None);
        };
        let factor = Some(power(exact.result.1 - exact.scale)?);
        Ok(Some(Self { factor, ..exact }))
    }

    /// A sum of numerics; `None` for a call over another type.
    pub(super) fn sum(args: &AccumulatorArgs) -> Option<Self> {
        let value = args.expr_fields.first().map(|field| field.data_type());
        match (value, args.return_field.data_type()) {
            (Some(DataType::Decimal128(_, scale)), DataType::Decimal128(precision, result)) => {
                Some(Self {
                    scale: *scale,
                    result: (*precision, *result),
                    factor: None,
                })
            }
            _ => None,
        }
    }

    /// Of one group; of different values if `distinct`.
    pub(super) fn accumulator(self, distinct: bool) -> Box<dyn Accumulator> {
        match distinct {
            true => Box::new(Distinct {
                exact: self,
                values: BTreeSet::new(),
            }),
            false => Box::new(Single {
                exact: self,
                total: Total::default(),
            }),
        }
    }

    /// Of many groups.
    pub(super) fn groups_accumulator(self) -> Box<dyn GroupsAccumulator> {
        Box::new(Groups {
            exact: self,
            totals: Vec::new(),
        })
    }

    /// The result; null of no values.
    fn of(self, total: Total) -> Result<Option<i128>> {
        let Total { sum, count } = total;
        match (count, self.factor) {
            (0, _) => Ok(None),
            (count, Some(factor)) => Ok(Some(quotient_of(sum, factor, i128::from(count))?)),
            (_, None) if sum.unsigned_abs() < 10_u128.pow(u32::from(self.result.0)) => {
                Ok(Some(sum))
            }
            (_, None) => Err(out_of_range(&self.result_type()).into()),
        }
    }

    const fn result_type(self) -> DataType {
        DataType::Decimal128(self.result.0, self.result.1)
    }

    fn scalar(self, value: Option<i128>) -> ScalarValue {
        ScalarValue::Decimal128(value, self.result.0, self.result.1)
    }

    fn sums(self, sums: impl Iterator<Item = i128>) -> Decimal128Array {
        let sum = DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.scale);
        Decimal128Array::from_iter_values(sums).with_data_type(sum)
    }
}

/// The columns of a state; `None` for a call over another type than numerics.
pub(super) fn state_fields(args: &StateFieldsArgs) -> Option<Vec<FieldRef>> {
    let [input] = args.input_fields else {
        return None;
    };
    let DataType::Decimal128(_, scale) = input.data_type() else {
        return None;
    };
    let sum = DataType::Decimal128(DECIMAL128_MAX_PRECISION, *scale);
    let named = |name: &str| format_state_name(args.name, name);
    Some(match args.is_distinct {
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

/// A sum of values in units of their last digit, and how many they are.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    sum: i128,
    count: i64,
}

impl Total {
    fn add(&mut self, value: i128, count: i64) -> Result<()> {
        let sum = self.sum.checked_add(value);
        self.sum =
            sum.ok_or_else(|| out_of_range(&DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)))?;
        self.count += count;
        Ok(())
    }
}

/// The values of one group.
#[derive(Debug)]
struct Single {
    exact: Exact,
    total: Total,
}

impl Accumulator for Single {
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
        Ok(self.exact.scalar(self.exact.of(self.total)?))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Total { sum, count } = self.total;
        let precision = DECIMAL128_MAX_PRECISION;
        Ok(vec![
            ScalarValue::Decimal128(Some(sum), precision, self.exact.scale),
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

/// The different values of one group.
#[derive(Debug)]
struct Distinct {
    exact: Exact,
    values: BTreeSet<i128>,
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
        Ok(self.exact.scalar(self.exact.of(total)?))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.len() * 2 * size_of::<i128>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: ArrayRef = Arc::new(self.exact.sums(self.values.iter().copied()));
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

/// The values of many groups.
#[derive(Debug)]
struct Groups {
    exact: Exact,
    totals: Vec<Total>,
}

impl GroupsAccumulator for Groups {
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
        let results = totals.map(|total| self.exact.of(total));
        let results = results.collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(results.with_data_type(self.exact.result_type())))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let totals = emit_to.take_needed(&mut self.totals);
        let counts = Int64Array::from_iter_values(totals.iter().map(|total| total.count));
        let sums = self.exact.sums(totals.into_iter().map(|total| total.sum));
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

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut each = Self {
            exact: self.exact,
            totals: Vec::new(),
        };
        let rows = values[0].len();
        let groups: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &groups, opt_filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.totals.capacity() * size_of::<Total>()
    }
}
