//! Functions of PostgreSQL that DataFusion lacks or computes otherwise, as a table: name, types,
//! arithmetic and words. One file for each subject.
//!
//! A row with a null argument is null, unless the function says otherwise.

mod fill;
mod format;
mod interval;
mod json;
mod json_parts;
mod json_path;
mod list;
mod number;
mod parts;
mod regex;
mod series;
mod text;
mod unit;
mod whole;
mod zone;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::arguments;
use crate::error::FunctionError;
use crate::postgres::type_name;
use crate::registry::{self, FunctionDoc, FunctionKind};

/// An interval as Arrow has it.
pub(crate) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// PostgreSQL's `timestamp`.
const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// PostgreSQL's `timestamptz`; every session is in UTC.
fn timestamptz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What arguments are coerced to, and the type of the result.
type Types = (Vec<DataType>, DataType);

/// One function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    name: &'static str,
    signature: &'static str,
    description: &'static str,
    example: &'static str,
    /// Names of the arguments, for calls by name.
    parameters: &'static [&'static str],
    /// `None` for arguments that the function does not take.
    types: fn(&[DataType]) -> Option<Types>,
    /// The values from arguments of those types, all of one length; the last one is the type of
    /// the result.
    compute: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
}

/// A function whose arguments have no names: signature, description and example are `words`.
const fn entry(
    name: &'static str,
    words: [&'static str; 3],
    types: fn(&[DataType]) -> Option<Types>,
    compute: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
) -> Entry {
    let [signature, description, example] = words;
    Entry {
        name,
        signature,
        description,
        example,
        parameters: &[],
        types,
        compute,
    }
}

/// Every function.
fn all() -> impl Iterator<Item = &'static Entry> {
    let subjects: [&'static [Entry]; 16] = [
        &fill::ALL,
        &format::ALL,
        &interval::ALL,
        &json::ALL,
        &json_parts::ALL,
        &json_path::ALL,
        &list::ALL,
        &number::ALL,
        &parts::ALL,
        &regex::ALL,
        &regex::replace::ALL,
        &series::ALL,
        &text::ALL,
        &unit::ALL,
        &whole::ALL,
        &zone::ALL,
    ];
    subjects.into_iter().flatten()
}

/// The functions.
pub(crate) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    all().map(|entry| Arc::new(ScalarUDF::new_from_impl(PgFunction::new(entry))))
}

/// A call of a function by its name.
///
/// # Errors
/// An internal one for a name that is not in the table.
pub(crate) fn named(name: &str, arguments: Vec<Expr>) -> Result<Expr> {
    match all().find(|entry| entry.name == name) {
        Some(entry) => Ok(ScalarUDF::new_from_impl(PgFunction::new(entry)).call(arguments)),
        None => internal_err!("there is no function {name}"),
    }
}

/// What a person wants to know about them.
pub(crate) fn docs() -> impl Iterator<Item = FunctionDoc> {
    all().map(|entry| FunctionDoc {
        name: entry.name,
        kind: FunctionKind::Scalar,
        signature: entry.signature,
        description: entry.description,
        formula: "as in PostgreSQL 15, errors too",
        reference: "PostgreSQL 15",
        example: entry.example,
    })
}

#[derive(Debug)]
struct PgFunction {
    entry: &'static Entry,
    signature: Signature,
}

impl PgFunction {
    fn new(entry: &'static Entry) -> Self {
        let signature = arguments::named(entry.parameters.to_vec());
        Self { entry, signature }
    }

    fn types(&self, types: &[DataType]) -> Result<Types> {
        let plain: Vec<DataType> = types.iter().map(plain).collect();
        (self.entry.types)(&plain).ok_or_else(|| no_function(self.entry.name, types).into())
    }
}

impl PartialEq for PgFunction {
    fn eq(&self, other: &Self) -> bool {
        self.entry.name == other.entry.name
    }
}

impl Eq for PgFunction {}

impl Hash for PgFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entry.name.hash(state);
    }
}

/// One type for all texts.
fn plain(found: &DataType) -> DataType {
    match found {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

/// `42883`: PostgreSQL's refusal of arguments that no function takes.
fn no_function(name: &str, types: &[DataType]) -> FunctionError {
    let shown: Vec<String> = types.iter().map(shown).collect();
    // People wrote what it is planned for.
    let name = if name == "series_list" {
        "generate_series"
    } else {
        name
    };
    let message = format!("function {name}({}) does not exist", shown.join(", "));
    FunctionError::value("42883", message)
}

fn shown(found: &DataType) -> String {
    match found {
        DataType::Null => "unknown".to_owned(),
        DataType::Timestamp(_, None) => "timestamp without time zone".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone".to_owned(),
        other => type_name(other),
    }
}

impl ScalarUDFImpl for PgFunction {
    fn name(&self) -> &str {
        self.entry.name
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        Ok(self
            .types(types)
            .map_or_else(|_| types.to_vec(), |types| types.0))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(self.types(types)?.1)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        // Without arguments each row is one of its own.
        let once = !args.args.is_empty() && args.args.iter().all(is_scalar);
        let rows = if once { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| arg.to_array(rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let result = (self.entry.compute)(&columns, args.return_type())?;
        if once {
            let value = ScalarValue::try_from_array(&result, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(result))
    }
}

/// The rows in which no argument is null.
fn nulls(columns: &[ArrayRef]) -> Option<NullBuffer> {
    let each = columns.iter().map(|column| column.logical_nulls());
    each.fold(None, |all, one| {
        NullBuffer::union(all.as_ref(), one.as_ref())
    })
}

/// Calls `each` with the number of every row in which no argument is null, and collects.
fn rows<T>(
    columns: &[ArrayRef],
    mut each: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<Option<T>>> {
    let nulls = nulls(columns);
    let count = columns.first().map_or(0, |column| column.len());
    let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    (0..count)
        .map(|row| match is_null(row) {
            true => Ok(None),
            false => each(row).map(Some),
        })
        .collect()
}

fn is_text(found: &DataType) -> bool {
    matches!(found, DataType::Utf8 | DataType::Null)
}

fn is_number(found: &DataType) -> bool {
    found.is_integer()
        || found.is_floating()
        || matches!(found, DataType::Decimal128(..) | DataType::Null)
}

#[cfg(test)]
mod tests;
