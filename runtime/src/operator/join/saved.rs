//! Rows of joins in a snapshot: as they came, with one more column for what the join knows of each.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::{as_boolean_array, as_int64_array};
use rtsap_stream::time::EventTime;

use super::rows::Counted;
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

/// Writes rows with a flag each.
///
/// # Errors
/// [`StateError::Arrow`].
pub fn put_rows(
    section: &str,
    rows: &RecordBatch,
    flags: Vec<bool>,
    out: &mut StateWriter,
) -> Result<(), StateError> {
    let schema = rows.schema();
    let mut fields: Vec<_> = schema.fields().iter().map(Arc::clone).collect();
    fields.push(Arc::new(Field::new("flag", DataType::Boolean, false)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(BooleanArray::from(flags)));
    out.put(
        section,
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?,
    );
    Ok(())
}

/// Reads what [`put_rows`] wrote.
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

/// Writes rows with their counts.
///
/// # Errors
/// [`StateError::Arrow`].
pub fn put_counted(
    section: &str,
    counted: &Counted,
    out: &mut StateWriter,
) -> Result<(), StateError> {
    let schema = counted.rows.schema();
    let mut fields: Vec<_> = schema.fields().iter().map(Arc::clone).collect();
    let mut columns = counted.rows.columns().to_vec();
    let counts: Int64Array = counted
        .counts
        .iter()
        .map(|count| i64::from(*count))
        .collect();
    for (name, values) in [
        ("count", counts),
        ("matches", Int64Array::from(counted.matches.clone())),
    ] {
        fields.push(Arc::new(Field::new(name, DataType::Int64, true)));
        columns.push(Arc::new(values));
    }
    out.put(
        section,
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?,
    );
    Ok(())
}

/// Reads what [`put_counted`] wrote.
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
        });
    }
    Ok(read)
}
