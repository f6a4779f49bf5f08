//! From decoded physical columns to the relation's columns: the future-skew guard and computed
//! columns, row by row where a whole batch fails.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int8Array, Int64Array, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::reassign_expr_columns;
use rtsap_stream::decode::{DecodeSchema, Decoded, Reject};
use rtsap_stream::source::{Offset, RawBatch, SplitId};
use rtsap_stream::time::{EventTime, nanos_per};

use super::{ReadBatch, ReaderSetup, RowOffsets};
use crate::clock::Clock;
use crate::spec::{SourceColumn, SourceSpec};

/// Turns decoded batches into [`ReadBatch`]es.
pub(super) struct Finisher {
    spec: Arc<SourceSpec>,
    clock: Arc<dyn Clock>,
    schema: SchemaRef,
    columns: Vec<Column>,
    /// Where the event-time column lies in `schema`.
    event_time: Option<usize>,
}

enum Column {
    Physical(usize),
    Computed(Arc<dyn PhysicalExpr>),
    /// An expression that does not fit the columns it needs: every row is refused with this reason.
    Broken(String),
}

impl Finisher {
    pub(super) fn new(setup: &ReaderSetup, physical: &[usize], decode: &DecodeSchema) -> Self {
        let spec = Arc::clone(&setup.spec);
        let column = |index: &usize| match &spec.columns[*index] {
            SourceColumn::Physical(index) => {
                match physical.iter().position(|column| column == index) {
                    Some(place) => Column::Physical(place),
                    None => Column::Broken(format!("column {index} is not decoded")),
                }
            }
            SourceColumn::Computed(expr) => {
                match reassign_expr_columns(Arc::clone(expr), &decode.schema) {
                    Ok(expr) => Column::Computed(expr),
                    Err(error) => Column::Broken(error.to_string()),
                }
            }
        };
        let columns = setup.projection.iter().map(column).collect();
        let fields = setup
            .projection
            .iter()
            .map(|index| Arc::clone(&spec.schema.fields()[*index]));
        let schema = Arc::new(Schema::new(fields.collect::<arrow::datatypes::Fields>()));
        let event_time = spec.event_time.and_then(|time| {
            setup
                .projection
                .iter()
                .position(|column| *column == time.column)
        });
        Self {
            clock: Arc::clone(&setup.clock),
            schema,
            columns,
            event_time,
            spec,
        }
    }

    pub(super) fn ended(&self, split: SplitId) -> ReadBatch {
        ReadBatch {
            split,
            rows: RecordBatch::new_empty(Arc::clone(&self.schema)),
            ops: None,
            offsets: RowOffsets::From(0),
            rejects: Vec::new(),
            resume_at: Offset(0),
            ended: true,
        }
    }

    pub(super) fn finish(
        &self,
        split: SplitId,
        decoded: Decoded,
        mut offsets: RowOffsets,
        resume_at: Offset,
        raw: Option<&dyn RawBatch>,
    ) -> ReadBatch {
        let Decoded {
            rows: physical,
            mut rejects,
            mut ops,
        } = decoded;
        let mut bad: Vec<(usize, String)> = Vec::new();
        let mut rows = match self.compute(&physical) {
            Ok(rows) => rows,
            Err(_) => self.compute_each(&physical, ops.as_deref(), &mut bad),
        };
        self.guard_future(&rows, &mut bad);
        if let Some(ops) = &ops {
            // Of a row that is taken away only the key is looked at.
            bad.retain(|(row, _)| ops.get(*row).is_none_or(|op| *op > 0));
        }
        let silent = ops.iter().flatten().enumerate().filter(|(_, op)| **op == 0);
        let silent: Vec<usize> = silent.map(|(row, _)| row).collect();
        if !bad.is_empty() || !silent.is_empty() {
            for (row, reason) in &bad {
                let offset = offset_of(&offsets, *row);
                let payload = raw
                    .and_then(|raw| payload_at(raw, offset))
                    .unwrap_or_default();
                let reason = reason.clone();
                rejects.push(Reject {
                    split: split.clone(),
                    offset,
                    reason,
                    payload,
                });
            }
            rejects.sort_by_key(|reject| reject.offset);
            let out: HashSet<usize> = bad.iter().map(|(row, _)| *row).chain(silent).collect();
            if let Some(ops) = &mut ops {
                let mut row = 0..;
                ops.retain(|_| row.next().is_some_and(|row| !out.contains(&row)));
            }
            let (kept, listed) = without(&rows, &offsets, &out);
            // Bad rows stood as nulls; what is kept has the relation's own schema again.
            let options = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
            let schema = Arc::clone(&self.schema);
            rows = RecordBatch::try_new_with_options(schema, kept.columns().to_vec(), &options)
                .unwrap_or(kept);
            offsets = listed;
        }
        let ops = ops.filter(|ops| ops.iter().any(|op| *op < 0));
        ReadBatch {
            split,
            rows,
            ops: ops.map(Int8Array::from),
            offsets,
            rejects,
            resume_at,
            ended: false,
        }
    }

    fn compute(&self, physical: &RecordBatch) -> Result<RecordBatch, String> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            columns.push(match column {
                Column::Physical(place) => Arc::clone(physical.column(*place)),
                Column::Broken(reason) => return Err(reason.clone()),
                Column::Computed(expr) => {
                    let text = |error: datafusion::error::DataFusionError| error.to_string();
                    let value = expr.evaluate(physical).map_err(text)?;
                    let array = value.into_array(physical.num_rows()).map_err(text)?;
                    fit(array, self.schema.field(index).data_type())?
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(physical.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| error.to_string())
    }

    /// A row that is taken away, whose computed columns nobody looks at.
    fn only_physical(&self, physical: &RecordBatch) -> Result<RecordBatch, String> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(self.schema.fields()) {
            columns.push(match column {
                Column::Physical(place) => Arc::clone(physical.column(*place)),
                Column::Broken(reason) => return Err(reason.clone()),
                Column::Computed(_) => match field.is_nullable() {
                    true => new_null_array(field.data_type(), physical.num_rows()),
                    false => ScalarValue::new_default(field.data_type())
                        .and_then(|value| value.to_array_of_size(physical.num_rows()))
                        .map_err(|error| error.to_string())?,
                },
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| error.to_string())
    }

    /// Computes row by row, so that one row that cannot be computed costs only itself. A bad row
    /// keeps its place, as nulls, until [`without`] takes it out; of a row that is taken away the
    /// key is kept.
    fn compute_each(
        &self,
        physical: &RecordBatch,
        ops: Option<&[i8]>,
        bad: &mut Vec<(usize, String)>,
    ) -> RecordBatch {
        let mut good = Vec::with_capacity(physical.num_rows());
        let mut fine = Vec::with_capacity(physical.num_rows());
        for row in 0..physical.num_rows() {
            let one = physical.slice(row, 1);
            let goes = ops.is_some_and(|ops| ops.get(row).is_some_and(|op| *op < 0));
            let computed = match self.compute(&one) {
                Err(_) if goes => self.only_physical(&one),
                computed => computed,
            };
            match computed {
                Ok(batch) => {
                    good.push(batch);
                    fine.push(row);
                }
                Err(reason) => bad.push((row, format!("cannot compute a column: {reason}"))),
            }
        }
        let nullable: Vec<_> = self
            .schema
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        let nullable = nullable.into_iter().map(|field| field.with_nullable(true));
        let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
        let all = arrow::compute::concat_batches(&self.schema, &good)
            .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(&self.schema)));
        let mut next = 0;
        let places: Int64Array = (0..physical.num_rows())
            .map(|row| {
                let found = fine.get(next) == Some(&row);
                next += usize::from(found);
                found.then(|| i64::try_from(next - 1).unwrap_or(i64::MAX))
            })
            .collect();
        let take = |column: &ArrayRef| arrow::compute::take(column, &places, None);
        let columns: Result<Vec<ArrayRef>, _> = all.columns().iter().map(take).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(physical.num_rows()));
        columns
            .and_then(|columns| RecordBatch::try_new_with_options(schema, columns, &options))
            .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(&self.schema)))
    }

    /// Sets rows aside whose event time lies too far in the future: they would close every window.
    fn guard_future(&self, rows: &RecordBatch, bad: &mut Vec<(usize, String)>) {
        let Some(times) = self
            .event_time
            .and_then(|column| nanos(rows.column(column)))
        else {
            return;
        };
        let skew = i64::try_from(self.spec.future_skew_max.as_nanos()).unwrap_or(i64::MAX);
        let limit = self
            .clock
            .wall()
            .as_event_time()
            .nanos()
            .saturating_add(skew);
        if arrow::compute::max(&times).is_none_or(|max| max <= limit) {
            return;
        }
        let known: HashSet<usize> = bad.iter().map(|(row, _)| *row).collect();
        for row in (0..times.len()).filter(|row| times.is_valid(*row) && !known.contains(row)) {
            let time = times.value(row);
            if time > limit {
                let ahead = (time - (limit - skew)) / 1_000_000_000;
                let allowed = self.spec.future_skew_max.as_secs();
                let reason = format!(
                    "event time is {ahead} s ahead of the clock, more than max_future_skew \
                     ({allowed} s)"
                );
                bad.push((row, reason));
            }
        }
    }
}

/// The values of a timestamp column in nanoseconds; `None` if it is none.
pub fn nanos(column: &ArrayRef) -> Option<Int64Array> {
    let DataType::Timestamp(unit, _) = column.data_type() else {
        return None;
    };
    let values = cast(column, &DataType::Int64).ok()?;
    let values = values.as_any().downcast_ref::<Int64Array>()?;
    let factor = nanos_per(*unit);
    if factor == 1 {
        return Some(values.clone());
    }
    Some(values.unary(|value| EventTime::from_unit(value, *unit).nanos()))
}

/// The offsets of the rows that remain of `raw` without `rejects`.
pub(super) fn offsets(raw: &dyn RawBatch, rejects: &[Reject]) -> RowOffsets {
    if raw.is_empty() {
        return RowOffsets::From(raw.resume_at().0);
    }
    let (first, last) = (raw.offset(0).0, raw.offset(raw.len() - 1).0);
    if rejects.is_empty() && last - first + 1 == raw.len() as u64 {
        return RowOffsets::From(first);
    }
    let rejected: HashSet<u64> = rejects.iter().map(|reject| reject.offset.0).collect();
    let all = (0..raw.len()).map(|index| raw.offset(index).0);
    RowOffsets::Listed(all.filter(|offset| !rejected.contains(offset)).collect())
}

fn offset_of(offsets: &RowOffsets, row: usize) -> Offset {
    match offsets {
        RowOffsets::From(first) => Offset(first + row as u64),
        RowOffsets::Listed(offsets) => Offset(offsets.get(row).copied().unwrap_or_default()),
    }
}

fn payload_at(raw: &dyn RawBatch, offset: Offset) -> Option<Bytes> {
    let index = (0..raw.len()).find(|index| raw.offset(*index) == offset)?;
    raw.payload(index).map(Bytes::copy_from_slice)
}

fn without(
    rows: &RecordBatch,
    offsets: &RowOffsets,
    bad: &HashSet<usize>,
) -> (RecordBatch, RowOffsets) {
    let keep: BooleanArray = (0..rows.num_rows())
        .map(|row| Some(!bad.contains(&row)))
        .collect();
    let listed = (0..rows.num_rows()).filter(|row| !bad.contains(row));
    let listed = listed.map(|row| offset_of(offsets, row).0).collect();
    // Filtering by a mask of the batch's own length cannot fail.
    let kept = filter_record_batch(rows, &keep).unwrap_or_else(|_| rows.slice(0, 0));
    (kept, RowOffsets::Listed(listed))
}

fn fit(array: ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    if array.data_type() == wanted {
        return Ok(array);
    }
    cast(&array, wanted).map_err(|error| error.to_string())
}
