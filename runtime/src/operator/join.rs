//! What joins share: rows of two inputs by place, their keys as numbers, and results gathered from
//! them.
//!
//! Rows stay in the batches they came in. A *place* says where a row lies; a result is built column
//! by column from pairs of places.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use rtsap_plan::join::{JoinColumn, KeyPair, Side};
use rtsap_stream::time::EventTime;

use crate::aggregate::keys::{GroupKeys, group_keys};
use crate::state::StateError;

use super::window_aggregate::time::TimeColumn;
use super::{OperatorError, Output};

pub mod gather;
pub mod made;
pub mod rows;
pub mod saved;
pub mod store;

/// The number of a key that equals nothing, since a part of it is null.
pub const NO_KEY: u32 = u32::MAX;

/// Most rows of one result batch, and about as many of one chunk of state.
pub const BATCH_ROWS: usize = 8_192;

/// Numbers of keys without rows are forgotten once there are more of them than this, beside so many
/// rows: to number the rows anew then costs little for each of them.
pub fn dead_keys_max(rows: usize) -> usize {
    4_096.max(rows / 4)
}

/// Where a row lies: in which chunk of its side, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The chunk.
    pub chunk: u32,
    /// The row in it.
    pub row: u32,
}

/// The join keys of both sides: equal keys have one number.
pub struct JoinKeys {
    operator: &'static str,
    exprs: [Vec<Arc<dyn PhysicalExpr>>; 2],
    types: Vec<DataType>,
    numbers: Box<dyn GroupKeys>,
    /// The numbers of a batch, kept for their room.
    groups: Vec<usize>,
}

impl JoinKeys {
    /// The keys of `pairs` over rows of the two `inputs`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if keys of their types cannot be told apart.
    pub fn new(
        operator: &'static str,
        pairs: &[KeyPair],
        inputs: &[SchemaRef],
    ) -> Result<Self, OperatorError> {
        let compute = OperatorError::compute(operator);
        let [left, _] = inputs else {
            let found = format!("{} inputs", inputs.len());
            return Err(OperatorError::contract(operator, found));
        };
        let types = pairs.iter().map(|(key, _)| key.data_type(left));
        let types = types.collect::<Result<Vec<_>, _>>().map_err(compute)?;
        Ok(Self {
            operator,
            exprs: [
                pairs.iter().map(|(left, _)| Arc::clone(left)).collect(),
                pairs.iter().map(|(_, right)| Arc::clone(right)).collect(),
            ],
            numbers: group_keys(&types).map_err(compute)?,
            types,
            groups: Vec::new(),
        })
    }

    /// The number of each row's key.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if a key cannot be computed.
    pub fn number(&mut self, side: Side, rows: &RecordBatch) -> Result<Vec<u32>, OperatorError> {
        let operator = self.operator;
        let compute = |source| OperatorError::Compute { operator, source };
        let exprs = self.exprs[side.port()].iter();
        let columns = exprs.map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
        let columns = columns
            .collect::<Result<Vec<ArrayRef>, _>>()
            .map_err(compute)?;
        self.numbers
            .intern(&columns, rows.num_rows(), &mut self.groups)
            .map_err(compute)?;
        let mut numbers: Vec<u32> = self.groups.iter().map(|group| *group as u32).collect();
        for column in &columns {
            let Some(nulls) = column.logical_nulls().filter(|n| n.null_count() > 0) else {
                continue;
            };
            for (row, number) in numbers.iter_mut().enumerate() {
                if nulls.is_null(row) {
                    *number = NO_KEY;
                }
            }
        }
        Ok(numbers)
    }

    /// How many keys have numbers.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Forgets all numbers.
    ///
    /// # Errors
    /// As [`JoinKeys::new`].
    pub fn clear(&mut self) -> Result<(), OperatorError> {
        let operator = self.operator;
        self.numbers = group_keys(&self.types)
            .map_err(|source| OperatorError::Compute { operator, source })?;
        Ok(())
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.numbers.size()
    }
}

/// Rows of a batch by whether they came in time.
pub struct Punctual {
    /// Rows in time, with their times in nanoseconds.
    pub rows: RecordBatch,
    /// One entry a row.
    pub times: Vec<i64>,
    /// Rows that are late or have no time.
    pub late: Option<RecordBatch>,
}

/// Splits a batch by its times: rows before `limit` and rows without a time are late.
///
/// # Errors
/// [`OperatorError::Contract`] if the time column is none.
pub fn punctual(
    operator: &'static str,
    time: &TimeColumn,
    rows: &RecordBatch,
    limit: EventTime,
) -> Result<Punctual, OperatorError> {
    let read = time.read(operator, rows)?;
    let mut times = Vec::with_capacity(rows.num_rows());
    let mut late = Vec::new();
    for row in 0..rows.num_rows() {
        let null = read.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let nanos = if null {
            None
        } else {
            read.values[row].checked_mul(read.unit_nanos)
        };
        match nanos.filter(|nanos| *nanos >= limit.nanos()) {
            Some(nanos) => times.push(nanos),
            None => late.push(row as u32),
        }
    }
    if late.is_empty() {
        return Ok(Punctual {
            rows: rows.clone(),
            times,
            late: None,
        });
    }
    let refused = |source| OperatorError::Arrow { operator, source };
    let mut is_late = vec![false; rows.num_rows()];
    late.iter().for_each(|row| is_late[*row as usize] = true);
    let kept = (0..rows.num_rows() as u32).filter(|row| !is_late[*row as usize]);
    let kept = UInt32Array::from_iter_values(kept);
    let late = UInt32Array::from(late);
    Ok(Punctual {
        rows: take_record_batch(rows, &kept).map_err(refused)?,
        times,
        late: Some(take_record_batch(rows, &late).map_err(refused)?),
    })
}

/// The columns of pairs of rows: which to gather, and what they must fulfil.
pub struct Pairing {
    /// As `EXPLAIN` shows the operator.
    pub operator: &'static str,
    /// The columns of the result.
    pub output: Vec<JoinColumn>,
    /// Its schema.
    pub schema: SchemaRef,
    /// What pairs must fulfil besides their keys.
    pub residual: Option<Arc<dyn PhysicalExpr>>,
    /// The left input's columns, then the right one's.
    pub both: SchemaRef,
}

impl Pairing {
    /// The pairing of rows of the two `inputs`.
    pub fn new(
        operator: &'static str,
        inputs: &[SchemaRef],
        residual: Option<&Arc<dyn PhysicalExpr>>,
        output: &[JoinColumn],
        schema: &SchemaRef,
    ) -> Self {
        let fields = inputs.iter().flat_map(|input| input.fields().iter());
        let fields: Vec<_> = fields.map(Arc::clone).collect();
        Self {
            operator,
            output: output.to_vec(),
            schema: Arc::clone(schema),
            residual: residual.map(Arc::clone),
            both: Arc::new(Schema::new(fields)),
        }
    }

    /// Which of the pairs, whose columns are `columns`, fulfil the residual condition.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if the condition cannot be computed.
    pub fn fulfilled(
        &self,
        residual: &Arc<dyn PhysicalExpr>,
        columns: Vec<ArrayRef>,
    ) -> Result<BooleanArray, OperatorError> {
        let operator = self.operator;
        let batch = RecordBatch::try_new(Arc::clone(&self.both), columns)
            .map_err(|source| OperatorError::Arrow { operator, source })?;
        let value = residual
            .evaluate(&batch)
            .and_then(|value| value.into_array(batch.num_rows()));
        let value = value.map_err(|source| OperatorError::Compute { operator, source })?;
        let value = datafusion::common::cast::as_boolean_array(&value)
            .map_err(|source| OperatorError::Compute { operator, source })?;
        Ok(value.clone())
    }
}

/// Puts late rows into the output.
pub fn report_late(late: Option<RecordBatch>, out: &mut Output) {
    out.late.extend(late.filter(|rows| rows.num_rows() > 0));
}

/// An operator's failure while it restores its state.
pub fn restoring(error: OperatorError) -> StateError {
    match error {
        OperatorError::Compute { source, .. } => StateError::Aggregate(source),
        OperatorError::Arrow { source, .. } => StateError::Arrow(source),
        other @ (OperatorError::Contract { .. } | OperatorError::Bug { .. }) => {
            StateError::Aggregate(DataFusionError::Internal(other.to_string()))
        }
    }
}
