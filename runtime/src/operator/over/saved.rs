//! The state of an [`Over`] in a snapshot.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use hashbrown::HashMap;
use rtsap_stream::time::EventTime;

use crate::operator::OperatorError;
use crate::state::{StateError, StateReader, StateWriter};

use super::partition::{Partition, Step};
use super::{NAME, Over};

/// How far time had come.
const META: &str = "meta";
/// Rows that the watermark has not passed.
const PENDING: &str = "pending";
/// Rows of partitions, each with whether it was sent.
const ROWS: &str = "rows";
/// Counters and accumulators of partitions.
const RUNNING: &str = "running";

impl Over {
    pub(super) fn save(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let times: ArrayRef = Arc::new(Int64Array::from(vec![self.watermark.nanos(), self.swept]));
        out.put(META, batch(vec![("times".to_owned(), times)])?);
        for rows in &self.pending {
            out.put(PENDING, rows.clone());
        }
        let all = |partitions: &HashMap<Arc<[u8]>, Partition, _>| {
            let mut keys: Vec<Arc<[u8]>> = partitions.keys().map(Arc::clone).collect();
            keys.sort_unstable();
            keys
        };
        let keys = self.saved_rows.begin(ROWS, out)?;
        let keys = keys.unwrap_or_else(|| all(&self.partitions));
        let (mut rows, mut sent, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for key in &keys {
            if let Some(partition) = self.partitions.get(key) {
                let count = partition.rows.num_rows();
                rows.push(&partition.rows);
                sent.extend((0..count).map(|row| row < partition.sent));
                numbers.extend(self.saved_rows.number(key, count));
            }
        }
        let rows = concat_batches(&self.input, rows)?;
        let mut fields: Vec<_> = self.input.fields().iter().map(Arc::clone).collect();
        fields.push(Arc::new(Field::new("$sent", DataType::Boolean, false)));
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(BooleanArray::from(sent)));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        out.put_rows(ROWS, &rows, numbers)?;
        let keys = self.saved_running.begin(RUNNING, out)?;
        let keys = keys.unwrap_or_else(|| all(&self.partitions));
        self.save_running(&keys, out)
    }

    fn save_running(
        &mut self,
        keys: &[Arc<[u8]>],
        out: &mut StateWriter,
    ) -> Result<(), StateError> {
        let running = |key: &&Arc<[u8]>| {
            self.partitions
                .get(*key)
                .is_some_and(|partition| !partition.running.is_empty())
        };
        let keys: Vec<Arc<[u8]>> = keys.iter().filter(running).map(Arc::clone).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        if !self.spec.partition.is_empty() {
            let parser = self.partition_rows.parser();
            let rows = keys.iter().map(|key| parser.parse(key));
            let values = self.partition_rows.convert_rows(rows)?;
            let named = values.into_iter().enumerate();
            columns.extend(named.map(|(index, values)| (format!("key_{index}"), values)));
        }
        let (mut counts, mut groups, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let mut states: Vec<Vec<Vec<ScalarValue>>> = vec![Vec::new(); self.spec.calls.len()];
        for key in &keys {
            let Some(partition) = self.partitions.get_mut(key) else {
                continue;
            };
            numbers.extend(self.saved_running.number(key, 1));
            counts.push(partition.running.rows);
            groups.push(partition.running.groups);
            for (index, call) in self.spec.calls.iter().enumerate() {
                let state = partition.running.state(index, call)?;
                if !state.is_empty() {
                    states[index].push(state);
                }
            }
        }
        columns.push(("rows".to_owned(), Arc::new(UInt64Array::from(counts))));
        columns.push(("groups".to_owned(), Arc::new(UInt64Array::from(groups))));
        for (index, states) in states.into_iter().enumerate() {
            let parts = states.first().map_or(0, Vec::len);
            for part in 0..parts {
                let values = states.iter().filter_map(|state| state.get(part).cloned());
                let values = ScalarValue::iter_to_array(values)?;
                columns.push((format!("call_{index}_{part:04}"), values));
            }
        }
        out.put_rows(RUNNING, &batch(columns)?, numbers)
    }

    pub(super) fn load(&mut self, from: &StateReader) -> Result<(), StateError> {
        let [meta] = from.get(META) else {
            return Err(damaged(META, "is not there"));
        };
        let times = meta
            .column_by_name("times")
            .and_then(|times| times.as_primitive_opt::<Int64Type>());
        let Some(times) = times.filter(|times| times.len() == 2) else {
            return Err(damaged(META, "has another form"));
        };
        self.watermark = EventTime::from_nanos(times.value(0));
        self.swept = times.value(1);
        self.pending = from.get(PENDING).to_vec();
        self.partitions.clear();
        for saved in from.get(ROWS) {
            self.load_rows(saved)?;
        }
        for saved in from.get(RUNNING) {
            self.load_running(saved)?;
        }
        Ok(())
    }

    fn load_rows(&mut self, saved: &RecordBatch) -> Result<(), StateError> {
        let width = self.input.fields().len();
        let sent = saved
            .columns()
            .get(width)
            .and_then(|column| column.as_boolean_opt());
        let Some(sent) = sent else {
            return Err(damaged(ROWS, "does not say what was sent"));
        };
        let again = |error: OperatorError| damaged(ROWS, &error.to_string());
        let marked: Vec<u32> = (0..saved.num_rows() as u32)
            .filter(|row| sent.value(*row as usize))
            .collect();
        let columns = saved.columns()[..width].to_vec();
        let rows = RecordBatch::try_new(Arc::clone(&self.input), columns)?;
        let parts = self
            .by_partition((rows.num_rows() > 0).then(|| rows.clone()))
            .map_err(again)?;
        let taken = arrow::compute::take_record_batch(&rows, &UInt32Array::from(marked))?;
        let sent_parts = self
            .by_partition((taken.num_rows() > 0).then_some(taken))
            .map_err(again)?;
        for (key, rows) in parts {
            let sent = sent_parts.iter().find(|(known, _)| *known == key);
            let sent = sent.map_or(0, |(_, rows)| rows.num_rows());
            let mut partition = Partition::new(&self.spec, &self.input)?;
            partition
                .load(&self.step(self.watermark), rows, sent)
                .map_err(again)?;
            self.partitions.insert(key, partition);
        }
        Ok(())
    }

    fn load_running(&mut self, saved: &RecordBatch) -> Result<(), StateError> {
        let number = |name: &str| {
            let column = saved.column_by_name(name);
            let column = column.and_then(|column| column.as_primitive_opt::<UInt64Type>());
            column.ok_or_else(|| damaged(RUNNING, "has no counts"))
        };
        let (counts, groups) = (number("rows")?, number("groups")?);
        let keys: Vec<Arc<[u8]>> = match self.spec.partition.len() {
            0 => vec![Arc::from(&[][..])],
            width => {
                let columns = saved.columns().get(..width).unwrap_or_default();
                let keys = self.partition_rows.convert_columns(columns)?;
                keys.iter().map(|key| key.data().into()).collect()
            }
        };
        for (row, key) in keys.iter().enumerate() {
            if !self.partitions.contains_key(key) {
                let partition = Partition::new(&self.spec, &self.input)?;
                self.partitions.insert(Arc::clone(key), partition);
            }
            let Some(partition) = self.partitions.get_mut(key) else {
                continue;
            };
            (partition.running.rows, partition.running.groups) =
                (counts.value(row), groups.value(row));
            for index in 0..self.spec.calls.len() {
                let prefix = format!("call_{index}_");
                let schema = saved.schema_ref();
                let state = schema.fields().iter().zip(saved.columns());
                let state = state.filter(|(field, _)| field.name().starts_with(&prefix));
                let state: Vec<ArrayRef> = state.map(|(_, column)| column.slice(row, 1)).collect();
                if !state.is_empty() {
                    partition.running.merge(index, &state)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn step(&self, watermark: EventTime) -> Step<'_> {
        Step {
            spec: &self.spec,
            schema: &self.schema,
            time: &self.time,
            reach: self.reach,
            watermark,
        }
    }
}

fn batch(columns: Vec<(String, ArrayRef)>) -> Result<RecordBatch, StateError> {
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn damaged(section: &str, found: &str) -> StateError {
    StateError::Section {
        section: section.to_owned(),
        found: format!("{found} ({NAME})"),
    }
}
