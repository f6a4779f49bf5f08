//! Answers of the engine as rows of the reference.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

use crate::value::{Row, Value};

/// All rows of `batches`.
///
/// # Errors
/// A type that no case has.
pub fn rows(batches: &[RecordBatch]) -> Result<Vec<Row>, String> {
    let mut out = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns = columns.map(|column| values(column.as_ref()));
        let columns = columns.collect::<Result<Vec<_>, String>>()?;
        for row in 0..batch.num_rows() {
            out.push(columns.iter().map(|column| column[row].clone()).collect());
        }
    }
    Ok(out)
}

fn values(array: &dyn Array) -> Result<Vec<Value>, String> {
    let rows = 0..array.len();
    let typed = |of: &DataType| cast(array, of).map_err(|error| error.to_string());
    let value: Box<dyn Fn(usize) -> Value> = match array.data_type() {
        DataType::Null => Box::new(|_| Value::Null),
        DataType::Boolean => {
            let array = array.as_boolean().clone();
            Box::new(move |row| Value::Bool(array.value(row)))
        }
        of if of.is_integer() => {
            let array = typed(&DataType::Int64)?.as_primitive::<Int64Type>().clone();
            Box::new(move |row| Value::Int(array.value(row)))
        }
        of if of.is_floating() => {
            let array = typed(&DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone();
            Box::new(move |row| Value::Real(array.value(row)))
        }
        DataType::Decimal128(_, 0) => {
            let array = array.as_primitive::<Decimal128Type>().clone();
            Box::new(move |row| Value::Int(array.value(row) as i64))
        }
        DataType::Decimal128(_, 2) => {
            let array = array.as_primitive::<Decimal128Type>().clone();
            Box::new(move |row| Value::Decimal(array.value(row)))
        }
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            let array = typed(&DataType::Utf8)?.as_string::<i32>().clone();
            Box::new(move |row| Value::Text(array.value(row).to_owned()))
        }
        DataType::Timestamp(_, zone) => {
            let of = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let array = typed(&of)?
                .as_primitive::<TimestampMicrosecondType>()
                .clone();
            Box::new(move |row| Value::Time(array.value(row)))
        }
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            let lists: Result<Vec<Value>, String> = rows
                .clone()
                .map(|row| match array.is_null(row) {
                    true => Ok(Value::Null),
                    false => values(array.value(row).as_ref()).map(Value::List),
                })
                .collect();
            return lists;
        }
        other => return Err(format!("no case has a column of type {other}")),
    };
    Ok(rows
        .map(|row| match array.is_null(row) {
            true => Value::Null,
            false => value(row),
        })
        .collect())
}
