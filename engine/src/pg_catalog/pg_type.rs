//! Arrow types as PostgreSQL's: number, length and modifier.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType as SqlType;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use rtsap_udfs::postgres::{PostgresTypes, unconstrained_numeric};

/// A type of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PgType {
    /// Its number in `pg_type`.
    pub(crate) oid: i32,
    /// Its length in bytes; −1 for any.
    pub(crate) length: i16,
    /// `atttypmod`; −1 for none.
    pub(crate) modifier: i32,
    /// How many dimensions an array has.
    pub(crate) dimensions: i32,
}

const fn plain(oid: i32, length: i16) -> PgType {
    PgType {
        oid,
        length,
        modifier: -1,
        dimensions: 0,
    }
}

/// The type that a column of `data_type` is shown as; text for what PostgreSQL does not have.
pub(crate) fn pg_type(data_type: &DataType) -> PgType {
    match data_type {
        DataType::Boolean => plain(16, 1),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => plain(21, 2),
        DataType::UInt16 | DataType::Int32 => plain(23, 4),
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => plain(20, 8),
        DataType::Float16 | DataType::Float32 => plain(700, 4),
        DataType::Float64 => plain(701, 8),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => PgType {
            modifier: numeric(*precision, *scale),
            ..plain(1700, -1)
        },
        DataType::Timestamp(unit, None) => PgType {
            modifier: digits(*unit),
            ..plain(1114, 8)
        },
        DataType::Timestamp(unit, Some(_)) => PgType {
            modifier: digits(*unit),
            ..plain(1184, 8)
        },
        DataType::Date32 | DataType::Date64 => plain(1082, 4),
        DataType::Time32(_) | DataType::Time64(_) => plain(1083, 8),
        DataType::Interval(
            IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano,
        )
        | DataType::Duration(_) => plain(1186, 16),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => plain(17, -1),
        DataType::Struct(_) | DataType::Map(..) => plain(114, -1),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let element = pg_type(item.data_type());
            PgType {
                oid: array_of(element.oid),
                length: -1,
                modifier: element.modifier,
                dimensions: element.dimensions + 1,
            }
        }
        DataType::Dictionary(_, value) => pg_type(value),
        _ => plain(25, -1),
    }
}

fn numeric(precision: u8, scale: i8) -> i32 {
    if unconstrained_numeric(precision, scale) {
        return -1;
    }
    ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4
}

/// Digits after the second. PostgreSQL has at most six; nine are shown without a modifier.
fn digits(unit: TimeUnit) -> i32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => -1,
    }
}

/// The number of the array type with elements of type `oid`.
fn array_of(oid: i32) -> i32 {
    match oid {
        16 => 1000,
        17 => 1001,
        20 => 1016,
        21 => 1005,
        23 => 1007,
        114 => 199,
        700 => 1021,
        701 => 1022,
        1082 => 1182,
        1083 => 1183,
        1114 => 1115,
        1184 => 1185,
        1186 => 1187,
        1700 => 1231,
        25 => 1009,
        array => array,
    }
}

/// Names of PostgreSQL's own types in casts: numbers of objects, and the texts that its catalogs
/// are made of.
#[derive(Debug, Default)]
pub(crate) struct PgTypePlanner;

impl TypePlanner for PgTypePlanner {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let name = sql_type.to_string().to_lowercase();
        let text = matches!(name.as_str(), "name" | "cstring" | "bpchar" | "\"char\"");
        if text {
            return Ok(Some(Arc::new(Field::new("", DataType::Utf8, true))));
        }
        match PostgresTypes.plan_type_field(sql_type)? {
            Some(field) => Ok(Some(field)),
            None => PgOidTypePlanner.plan_type_field(sql_type),
        }
    }
}
