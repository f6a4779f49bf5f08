//! Payload formats: bytes to columns, one module each, chosen by the option `format`. Owns the
//! choice, what keys are for, and what all formats share: columns from metadata and the SQL names
//! of types.

use arrow::datatypes::{DataType, TimeUnit};
use rtsap_stream::decode::{DecodeSchema, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{Options, SourceRequest};

mod avro;
mod choice;
pub(crate) mod column;
pub mod csv;
mod csv_topic;
pub mod datetime;
pub mod json;
pub(crate) mod metadata;
pub(crate) mod number;
mod protobuf;
mod raw;
pub(crate) mod rows;
mod schema_registry;
pub(crate) mod upsert;

/// The options that the formats named in `options` of source `name` read besides `format`.
///
/// # Errors
/// `Invalid` for a missing or unknown format.
pub fn option_keys(name: &str, options: &Options) -> Result<Vec<&'static str>, ConnectorError> {
    choice::option_keys(name, options)
}

/// A decoder for payloads of the source in `request` that fills `columns`.
///
/// # Errors
/// `Invalid` for a missing or unknown format, a bad option of it, or a column type it cannot fill.
pub fn decoder(
    request: &SourceRequest,
    columns: &DecodeSchema,
) -> Result<Box<dyn Decoder>, ConnectorError> {
    choice::decoder(request, columns)
}

/// The SQL name of a column type, for messages: `DECIMAL(18,8)`, `TIMESTAMP(6) WITH TIME ZONE`.
pub fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE PRECISION".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTEA".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(unit, zone) => {
            let digits = timestamp_digits(*unit);
            let zone = if zone.is_some() {
                " WITH TIME ZONE"
            } else {
                ""
            };
            format!("TIMESTAMP({digits}){zone}")
        }
        DataType::List(element) => format!("{}[]", sql_type(element.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", field.name(), sql_type(field.data_type())))
                .collect();
            format!("ROW({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// Digits after the second that `unit` can tell apart.
pub const fn timestamp_digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
