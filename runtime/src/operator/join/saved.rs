//! Rows of joins in a snapshot: as they came, with one more column for what the join knows of each.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::{as_boolean_array, as_int64_array};
use rtsap_stream::time::EventTime;

use super::BATCH_ROWS;
use super::rows::{Counted, RowTable};
use super::store::{Saved, Store};
use crate::state::{StateError, StateReader, StateWriter};

/// The section that holds how far event time has come.
const META: &str = "meta";
/// The sections that hold the rows, by port.
pub const ROWS: [&str; 2] = ["left", "right"];

/// Writes how far event time has come.
///
/// # Errors
/// [`StateError::Arrow`].
pub fn put_time(time: EventTime, out: &mut StateWriter) -> Result<(), StateError> {
    let field = Field::new("time", DataType::Int64, false);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![time.nanos()]));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column])?;
    out.put(META, batch);
    Ok(())
}

/// Reads what [`put_time`] wrote.
///
/// # Errors
/// [`StateError::Section`] if it is not there.
pub fn time(from: &StateReader) -> Result<EventTime, StateError> {
    let [meta] = from.get(META) else {
        return Err(StateError::section(META, "is not there"));
    };
    if meta.num_columns() != 1 || meta.num_rows() != 1 {
        return Err(StateError::section(META, "has another form"));
    }
    Ok(EventTime::from_nanos(
        as_int64_array(meta.column(0))?.value(0),
    ))
}

/// Writes rows with a flag and a number each.
///
/// # Errors
/// [`StateError::Arrow`].
fn put_flagged(
    section: &str,
    rows: &RecordBatch,
    flags: Vec<bool>,
    numbers: Vec<u64>,
    out: &mut StateWriter,
) -> Result<(), StateError> {
    let schema = rows.schema();
    let mut fields: Vec<_> = schema.fields().iter().map(Arc::clone).collect();
    fields.push(Arc::new(Field::new("flag", DataType::Boolean, false)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(BooleanArray::from(flags)));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    out.put_rows(section, &rows, numbers)
}

/// Writes the rows of `store`, or in a delta what has changed in it.
///
/// # Errors
/// [`StateError::Arrow`].
pub fn put_store(
    section: &str,
    store: &mut Store,
    out: &mut StateWriter,
) -> Result<(), StateError> {
    let before = out.set_anew(!out.is_delta() || !store.was_saved());
    let (saved, gone) = store.take_unsaved(out.is_delta())?;
    out.keep(section);
    for Saved {
        rows,
        matched,
        numbers,
    } in saved
    {
        put_flagged(section, &rows, matched, numbers, out)?;
    }
    out.drop_rows(section, gone)?;
    out.set_anew(before);
    Ok(())
}

/// Reads what [`put_store`] wrote.
///
/// # Errors
/// [`StateError::Section`] if it is of another form.
pub fn rows(
    from: &StateReader,
    section: &str,
    schema: &SchemaRef,
) -> Result<Vec<(RecordBatch, Vec<bool>)>, StateError> {
    let mut read = Vec::new();
    for batch in from.get(section) {
        let mut columns = batch.columns().to_vec();
        if columns.len() != schema.fields().len() + 1 {
            return Err(StateError::section(section, "has another form"));
        }
        let Some(flags) = columns.pop() else { continue };
        let flags = as_boolean_array(&flags)?.values().iter().collect();
        read.push((RecordBatch::try_new(Arc::clone(schema), columns)?, flags));
    }
    Ok(read)
}

/// Writes the rows of `table` with their counts, or in a delta what has changed in it.
///
/// # Errors
/// [`StateError::Arrow`].
pub fn put_table(
    section: &str,
    table: &mut RowTable,
    out: &mut StateWriter,
) -> Result<(), StateError> {
    let before = out.set_anew(!out.is_delta() || !table.was_saved());
    let (saved, gone) = table.take_unsaved(out.is_delta(), BATCH_ROWS)?;
    out.keep(section);
    for counted in saved {
        put_counted(section, counted, out)?;
    }
    out.drop_rows(section, gone.into_iter().map(u64::from).collect())?;
    out.set_anew(before);
    Ok(())
}

fn put_counted(section: &str, counted: Counted, out: &mut StateWriter) -> Result<(), StateError> {
    let schema = counted.rows.schema();
    let mut fields: Vec<_> = schema.fields().iter().map(Arc::clone).collect();
    let mut columns = counted.rows.columns().to_vec();
    let counts = counted.counts.iter().map(|count| i64::from(*count));
    for (name, values) in [
        ("count", counts.collect::<Int64Array>()),
        ("matches", Int64Array::from(counted.matches)),
    ] {
        fields.push(Arc::new(Field::new(name, DataType::Int64, true)));
        columns.push(Arc::new(values));
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    out.put_rows(
        section,
        &rows,
        counted.ids.into_iter().map(u64::from).collect(),
    )
}

/// Reads what [`put_table`] wrote.
///
/// # Errors
/// [`StateError::Section`] if it is of another form.
pub fn counted(
    from: &StateReader,
    section: &str,
    schema: &SchemaRef,
) -> Result<Vec<Counted>, StateError> {
    let mut read = Vec::new();
    for batch in from.get(section) {
        let mut columns = batch.columns().to_vec();
        if columns.len() != schema.fields().len() + 2 {
            return Err(StateError::section(section, "has another form"));
        }
        let (Some(matches), Some(counts)) = (columns.pop(), columns.pop()) else {
            continue;
        };
        let counts = as_int64_array(&counts)?.values().iter();
        let counts = counts.map(|count| u32::try_from(*count));
        read.push(Counted {
            rows: RecordBatch::try_new(Arc::clone(schema), columns)?,
            counts: counts
                .collect::<Result<_, _>>()
                .map_err(|_| StateError::section(section, "has an absurd count"))?,
            matches: as_int64_array(&matches)?.values().to_vec(),
            ids: Vec::new(),
        });
    }
    Ok(read)
}
