//! Arrow types and PostgreSQL types: which column gets which, and which existing column will do.

use arrow::datatypes::{DataType, Field, IntervalUnit, SchemaRef, TimeUnit};
use rtsap_stream::error::ConnectorError;

use super::options::quote;

/// A PostgreSQL type that this sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PgType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric(precision, scale)`
    Numeric(u8, u8),
    /// `text`
    Text,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp(digits)`
    Timestamp(u8),
    /// `timestamptz(digits)`
    TimestampTz(u8),
    /// `interval`
    Interval,
    /// `jsonb`
    Jsonb,
    /// An array of a type that is no array.
    Array(Box<PgType>),
}

/// A column of the target.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its name as SQL.
    pub sql_name: String,
    /// The type that its values are written in.
    pub pg_type: PgType,
    /// Whether NULL may come.
    pub nullable: bool,
}

/// The columns that `schema` needs.
///
/// # Errors
/// `Invalid` for a column that PostgreSQL has no type for.
pub fn columns(
    sink: &str,
    schema: &SchemaRef,
    round_to_micros: bool,
) -> Result<Vec<Column>, ConnectorError> {
    let column = |field: &std::sync::Arc<Field>| {
        let nanos = matches!(
            field.data_type(),
            DataType::Timestamp(TimeUnit::Nanosecond, _)
        );
        if nanos && !round_to_micros {
            return Err(ConnectorError::invalid(format!(
                "cannot write column \"{}\" of sink \"{sink}\": PostgreSQL keeps microseconds, not \
                 nanoseconds",
                field.name()
            ))
            .with_hint(
                "Cast it to TIMESTAMP(6), or set 'timestamp_precision' = 'us' to round down.",
            ));
        }
        let pg_type = PgType::of(field.data_type()).ok_or_else(|| {
            ConnectorError::invalid(format!(
                "cannot write column \"{}\" of sink \"{sink}\": PostgreSQL has no type for {}",
                field.name(),
                field.data_type()
            ))
            .with_hint("Cast it to another type in the view.")
        })?;
        Ok(Column {
            name: field.name().clone(),
            sql_name: quote(field.name()),
            pg_type,
            nullable: field.is_nullable(),
        })
    };
    schema.fields().iter().map(column).collect()
}

impl PgType {
    /// The type for Arrow's `data_type`, if there is one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 => Self::Int8,
            DataType::UInt64 => Self::Numeric(20, 0),
            DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Decimal128(precision, scale @ 0..) => {
                Self::Numeric(*precision, scale.unsigned_abs())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytea,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::Time,
            DataType::Timestamp(unit, zone) => {
                let digits = match unit {
                    TimeUnit::Second => 0,
                    TimeUnit::Millisecond => 3,
                    TimeUnit::Microsecond | TimeUnit::Nanosecond => 6,
                };
                if zone.is_some() {
                    Self::TimestampTz(digits)
                } else {
                    Self::Timestamp(digits)
                }
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval,
            DataType::Struct(_) | DataType::Map(..) => Self::Jsonb,
            DataType::List(element) => match Self::of(element.data_type())? {
                // PostgreSQL's arrays of arrays are rectangles; lists of lists are not.
                Self::Array(_) => Self::Jsonb,
                scalar => Self::Array(Box::new(scalar)),
            },
            _ => return None,
        })
    }

    /// As SQL. Timestamps carry no digits: fewer digits than six save nothing and only round.
    pub fn sql(&self) -> String {
        match self {
            Self::Numeric(precision, scale) => format!("numeric({precision},{scale})"),
            Self::Array(element) => format!("{}[]", element.sql()),
            other => other.catalog_name().to_owned(),
        }
    }

    /// The name in `pg_type`, of the element for an array.
    pub fn catalog_name(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Numeric(..) => "numeric",
            Self::Text => "text",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(_) => "timestamptz",
            Self::Interval => "interval",
            Self::Jsonb => "jsonb",
            Self::Array(element) => element.catalog_name(),
        }
    }

    /// The object identifier that binary arrays name their elements by.
    pub fn oid(&self) -> u32 {
        use tokio_postgres::types::Type;
        let of = match self {
            Self::Bool => Type::BOOL,
            Self::Int2 => Type::INT2,
            Self::Int4 => Type::INT4,
            Self::Int8 => Type::INT8,
            Self::Float4 => Type::FLOAT4,
            Self::Float8 => Type::FLOAT8,
            Self::Numeric(..) => Type::NUMERIC,
            Self::Text => Type::TEXT,
            Self::Bytea => Type::BYTEA,
            Self::Date => Type::DATE,
            Self::Time => Type::TIME,
            Self::Timestamp(_) => Type::TIMESTAMP,
            Self::TimestampTz(_) => Type::TIMESTAMPTZ,
            Self::Interval => Type::INTERVAL,
            Self::Jsonb => Type::JSONB,
            Self::Array(element) => return element.oid(),
        };
        of.oid()
    }

    /// Whether a column of the target with `pg_type.typname` and `atttypmod` holds every value of
    /// this type exactly.
    pub fn fits(&self, typname: &str, modifier: i32) -> bool {
        match self {
            Self::Array(element) => {
                let name = typname.strip_prefix('_');
                name.is_some_and(|name| name == element.catalog_name())
                    && element.fits(element.catalog_name(), modifier)
            }
            Self::Int2 => {
                ["int2", "int4", "int8"].contains(&typname) || wide_numeric(typname, modifier, 5, 0)
            }
            Self::Int4 => {
                ["int4", "int8"].contains(&typname) || wide_numeric(typname, modifier, 10, 0)
            }
            Self::Int8 => typname == "int8" || wide_numeric(typname, modifier, 19, 0),
            Self::Float4 => ["float4", "float8"].contains(&typname),
            Self::Numeric(precision, scale) => {
                wide_numeric(typname, modifier, i32::from(*precision), i32::from(*scale))
            }
            Self::Text => typname == "text" || (typname == "varchar" && modifier < 0),
            // The modifier of a time is its digits; −1 stands for all six.
            Self::Timestamp(digits) | Self::TimestampTz(digits) => {
                typname == self.catalog_name() && (modifier < 0 || modifier >= i32::from(*digits))
            }
            Self::Jsonb => typname == "jsonb" || typname == "json",
            Self::Time | Self::Interval => typname == self.catalog_name() && modifier < 0,
            other => typname == other.catalog_name(),
        }
    }

    /// Whether binary values of this type can be copied straight into a column of type `typname`.
    pub fn same_binary(&self, typname: &str) -> bool {
        match self {
            Self::Array(element) => typname
                .strip_prefix('_')
                .is_some_and(|name| name == element.catalog_name()),
            Self::Text => typname == "text" || typname == "varchar",
            other => typname == other.catalog_name(),
        }
    }
}

/// Whether the column is a numeric with at least that many digits before and after the point.
fn wide_numeric(typname: &str, modifier: i32, precision: i32, scale: i32) -> bool {
    if typname != "numeric" {
        return false;
    }
    if modifier < 0 {
        return true;
    }
    // numeric_in's packing: ((precision << 16) | scale) + VARHDRSZ, the scale in eleven bits with a
    // sign.
    let packed = modifier - 4;
    let held_precision = packed >> 16;
    let held_scale = ((packed & 0x7FF) ^ 1024) - 1024;
    held_scale >= scale && held_precision - held_scale >= precision - scale
}

#[cfg(test)]
mod tests;
