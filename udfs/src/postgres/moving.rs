//! `sum` and `avg` of doubles over frames that move: a value that leaves takes nothing with it that
//! others have brought. DataFusion subtracts, and what a large value has swallowed stays lost.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;

use crate::weighting::Compensated;

/// The values of a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Moving {
    average: bool,
    sum: Compensated,
    /// Values that are not null.
    count: i64,
    /// Those that are not finite: an infinity cannot be subtracted.
    nan: i64,
    positive: i64,
    negative: i64,
}

impl Moving {
    /// A sum or an average of doubles, all of them; `None` for another call.
    pub(super) fn of(args: &AccumulatorArgs, average: bool) -> Option<Box<dyn Accumulator>> {
        let value = args.expr_fields.first()?.data_type();
        let doubles = *value == DataType::Float64 && !args.is_distinct;
        doubles.then(|| {
            Box::new(Self {
                average,
                ..Self::default()
            }) as Box<dyn Accumulator>
        })
    }

    fn take(&mut self, values: &[ArrayRef], weight: i64) -> Result<()> {
        let [values] = values else {
            return exec_err!("a sum of {} columns", values.len());
        };
        let Some(values) = values.as_primitive_opt::<Float64Type>() else {
            return exec_err!("a sum of {} as doubles", values.data_type());
        };
        for value in values.iter().flatten() {
            self.count += weight;
            match value {
                value if value.is_nan() => self.nan += weight,
                f64::INFINITY => self.positive += weight,
                f64::NEG_INFINITY => self.negative += weight,
                value => self.sum.add(if weight < 0 { -value } else { value }),
            }
        }
        if self.count == 0 {
            self.sum = Compensated::default();
        }
        Ok(())
    }

    fn value(&self) -> Option<f64> {
        let sum = match (self.nan > 0, self.positive > 0, self.negative > 0) {
            (true, ..) | (_, true, true) => f64::NAN,
            (_, true, _) => f64::INFINITY,
            (_, _, true) => f64::NEG_INFINITY,
            _ => self.sum.rounded(),
        };
        match (self.count, self.average) {
            (0, _) => None,
            (count, true) => Some(sum / count as f64),
            (_, false) => Some(sum),
        }
    }
}

impl Accumulator for Moving {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.value()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        exec_err!("a frame that moves has no state that is handed on")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        exec_err!("a frame that moves has no state that is handed on")
    }
}
