//! Calls that need no row again: numbers, and aggregates from the first row to the current one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::{filter, prep_null_mask_filter};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::{as_binary_array, as_boolean_array};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use rtsap_plan::over::{Course, OverCall, OverFunction, OverSpec};

/// What runs along one partition.
pub(super) struct Running {
    /// Rows sent so far.
    pub rows: u64,
    /// Groups of peers sent so far.
    pub groups: u64,
    /// One entry a call.
    kept: Vec<Kept>,
    /// Whether any call counts on.
    counts: bool,
}

/// What one call keeps.
enum Kept {
    /// Nothing.
    Nothing,
    /// An aggregate's accumulator.
    Accumulator(Box<dyn Accumulator>),
    /// A function that goes on from row to row.
    Course(Box<dyn Course>),
}

impl Running {
    /// Nothing has run yet.
    ///
    /// # Errors
    /// If a function has no accumulator.
    pub fn new(calls: &[OverCall]) -> Result<Self> {
        let kept = calls.iter().map(|call| match &call.function {
            OverFunction::Running { function, .. } => {
                function.create_accumulator().map(Kept::Accumulator)
            }
            OverFunction::Along { function, .. } => function.start().map(Kept::Course),
            _ => Ok(Kept::Nothing),
        });
        let counts = calls
            .iter()
            .any(|call| !matches!(call.function, OverFunction::Kept(_)));
        Ok(Self {
            rows: 0,
            groups: 0,
            kept: kept.collect::<Result<_>>()?,
            counts,
        })
    }

    /// Whether nothing has to be remembered.
    pub const fn is_empty(&self) -> bool {
        !self.counts || self.rows == 0
    }

    /// Goes on over `new` rows and returns the values of each call that runs along.
    ///
    /// # Errors
    /// If a value cannot be computed.
    pub fn advance(
        &mut self,
        spec: &OverSpec,
        new: &RecordBatch,
        peers: &[Range<usize>],
    ) -> Result<Vec<Option<ArrayRef>>> {
        let (rows, groups) = (self.rows, self.groups);
        let spread = |of: &dyn Fn(usize, &Range<usize>) -> u64| -> ArrayRef {
            let values = peers.iter().enumerate();
            let values = values
                .flat_map(|(index, peers)| std::iter::repeat_n(of(index, peers), peers.len()));
            Arc::new(UInt64Array::from_iter_values(values))
        };
        let mut columns = Vec::with_capacity(spec.calls.len());
        for (call, kept) in spec.calls.iter().zip(&mut self.kept) {
            columns.push(match (&call.function, kept) {
                (OverFunction::RowNumber, _) => {
                    let numbers = (1..=new.num_rows() as u64).map(|number| rows + number);
                    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(numbers));
                    Some(numbers)
                }
                (OverFunction::Rank, _) => Some(spread(&|_, peers| rows + peers.start as u64 + 1)),
                (OverFunction::DenseRank, _) => Some(spread(&|index, _| groups + index as u64 + 1)),
                (
                    OverFunction::Running {
                        function,
                        filter,
                        peers: together,
                    },
                    Kept::Accumulator(kept),
                ) => {
                    let singles: Vec<Range<usize>>;
                    let steps = match together {
                        true => peers,
                        false => {
                            singles = (0..new.num_rows()).map(|row| row..row + 1).collect();
                            &singles
                        }
                    };
                    Some(accumulate(
                        kept.as_mut(),
                        function,
                        filter.as_ref(),
                        new,
                        steps,
                    )?)
                }
                (OverFunction::Along { series, .. }, Kept::Course(course)) => {
                    let series = series
                        .iter()
                        .map(|expr| expr.evaluate(new)?.into_array(new.num_rows()));
                    let series: Vec<ArrayRef> = series.collect::<Result<_>>()?;
                    Some(course.advance(&series, new.num_rows())?)
                }
                _ => None,
            });
        }
        self.rows += new.num_rows() as u64;
        self.groups += peers.len() as u64;
        Ok(columns)
    }

    /// The state of call `index`, which goes on as before; empty if it has none.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn state(&mut self, index: usize, call: &OverCall) -> Result<Vec<ScalarValue>> {
        match (self.kept.get_mut(index), &call.function) {
            (Some(Kept::Accumulator(kept)), OverFunction::Running { function, .. }) => {
                let state = kept.state()?;
                let mut fresh = function.create_accumulator()?;
                let arrays = state.iter().map(|scalar| scalar.to_array_of_size(1));
                fresh.merge_batch(&arrays.collect::<Result<Vec<_>>>()?)?;
                *kept = fresh;
                Ok(state)
            }
            (Some(Kept::Course(course)), _) => Ok(vec![ScalarValue::Binary(Some(course.save()))]),
            _ => Ok(Vec::new()),
        }
    }

    /// Takes what [`Running::state`] gave into call `index`.
    ///
    /// # Errors
    /// If it is not of this call.
    pub fn merge(&mut self, index: usize, state: &[ArrayRef]) -> Result<()> {
        match (self.kept.get_mut(index), state) {
            (Some(Kept::Accumulator(kept)), _) => kept.merge_batch(state),
            (Some(Kept::Course(course)), [saved]) => {
                let saved = as_binary_array(saved)?;
                course.load(saved.value(0))
            }
            _ => Ok(()),
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        let kept = self.kept.iter().map(|kept| match kept {
            Kept::Nothing => 0,
            Kept::Accumulator(kept) => kept.size(),
            Kept::Course(course) => course.size(),
        });
        size_of::<Self>() + kept.sum::<usize>()
    }
}

/// The value of `kept` after each of `steps`, once for each row of it.
fn accumulate(
    kept: &mut dyn Accumulator,
    function: &AggregateFunctionExpr,
    condition: Option<&Arc<dyn PhysicalExpr>>,
    new: &RecordBatch,
    steps: &[Range<usize>],
) -> Result<ArrayRef> {
    let arguments = function.expressions();
    let arguments = arguments
        .iter()
        .map(|expr| expr.evaluate(new)?.into_array(new.num_rows()));
    let arguments: Vec<ArrayRef> = arguments.collect::<Result<_>>()?;
    let passing = match condition {
        None => None,
        Some(expr) => {
            let passing = expr.evaluate(new)?.into_array(new.num_rows())?;
            let passing = as_boolean_array(&passing)?;
            // Null is not true.
            Some(match passing.null_count() {
                0 => passing.clone(),
                _ => prep_null_mask_filter(passing),
            })
        }
    };
    let mut values = Vec::with_capacity(new.num_rows());
    for step in steps {
        let slice = |column: &ArrayRef| column.slice(step.start, step.len());
        let mut rows: Vec<ArrayRef> = arguments.iter().map(slice).collect();
        if let Some(passing) = &passing {
            let passing: BooleanArray = passing.slice(step.start, step.len());
            let kept = rows.iter().map(|column| filter(column, &passing));
            rows = kept.collect::<std::result::Result<_, _>>()?;
        }
        if rows.first().is_none_or(|column| !column.is_empty()) {
            kept.update_batch(&rows)?;
        }
        let value = kept.evaluate()?;
        values.extend(std::iter::repeat_n(value, step.len()));
    }
    ScalarValue::iter_to_array(values)
}
