//! PostgreSQL's numbers for types, both ways. Owns the mapping; never touches a value.
//!
//! Text stands for whatever PostgreSQL has no type for, as in the catalog tables that clients read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use rtsap_engine::unconstrained_numeric;

use crate::error::Failure;

/// `bool`.
pub(crate) const BOOL: u32 = 16;
/// `bytea`.
pub(crate) const BYTEA: u32 = 17;
/// `bigint`.
pub(crate) const INT8: u32 = 20;
/// `smallint`.
pub(crate) const INT2: u32 = 21;
/// `integer`.
pub(crate) const INT4: u32 = 23;
/// `text`.
pub(crate) const TEXT: u32 = 25;
/// `oid`.
pub(crate) const OID: u32 = 26;
/// `regclass`, an oid that is written as a name.
pub(crate) const REGCLASS: u32 = 2205;
/// `json`.
pub(crate) const JSON: u32 = 114;
/// `jsonb`.
pub(crate) const JSONB: u32 = 3802;
/// `real`.
pub(crate) const FLOAT4: u32 = 700;
/// `double precision`.
pub(crate) const FLOAT8: u32 = 701;
/// A literal whose type is open.
pub(crate) const UNKNOWN: u32 = 705;
/// `date`.
pub(crate) const DATE: u32 = 1082;
/// `time`.
pub(crate) const TIME: u32 = 1083;
/// `timestamp`.
pub(crate) const TIMESTAMP: u32 = 1114;
/// `timestamptz`.
pub(crate) const TIMESTAMPTZ: u32 = 1184;
/// `interval`.
pub(crate) const INTERVAL: u32 = 1186;
/// `numeric`.
pub(crate) const NUMERIC: u32 = 1700;
/// An anonymous `record`.
pub(crate) const RECORD: u32 = 2249;
/// `uuid`.
pub(crate) const UUID: u32 = 2950;

/// Element and array numbers of the types that have both.
const ARRAYS: &[(u32, u32)] = &[
    (BOOL, 1000),
    (BYTEA, 1001),
    (18, 1002),
    (19, 1003),
    (INT2, 1005),
    (INT4, 1007),
    (TEXT, 1009),
    (1042, 1014),
    (1043, 1015),
    (INT8, 1016),
    (FLOAT4, 1021),
    (FLOAT8, 1022),
    (OID, 1028),
    (TIMESTAMP, 1115),
    (DATE, 1182),
    (TIME, 1183),
    (TIMESTAMPTZ, 1185),
    (INTERVAL, 1187),
    (NUMERIC, 1231),
    (RECORD, 2287),
    (JSON, 199),
    (JSONB, 3807),
    (UUID, 2951),
];

/// What an untyped `numeric` parameter becomes where nothing around it says more: 20 digits before
/// the point, and as many after it as the finest token amounts have.
pub(crate) const NUMERIC_FALLBACK: DataType = DataType::Decimal128(38, 18);

/// A type as a row description tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PgType {
    /// Its number.
    pub(crate) oid: u32,
    /// Bytes of a value; −1 for any.
    pub(crate) length: i16,
    /// Its modifier; −1 for none.
    pub(crate) modifier: i32,
}

const fn plain(oid: u32, length: i16) -> PgType {
    PgType {
        oid,
        length,
        modifier: -1,
    }
}

/// The type that values of `data_type` are sent as.
pub(crate) fn pg_type(data_type: &DataType) -> PgType {
    use DataType as T;
    match data_type {
        T::Boolean => plain(BOOL, 1),
        T::Int8 | T::UInt8 | T::Int16 => plain(INT2, 2),
        T::UInt16 | T::Int32 => plain(INT4, 4),
        // Numbers of rows are UInt64; nothing else is.
        T::UInt32 | T::Int64 | T::UInt64 => plain(INT8, 8),
        T::Float16 | T::Float32 => plain(FLOAT4, 4),
        T::Float64 => plain(FLOAT8, 8),
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => numeric(*precision, *scale),
        T::Timestamp(unit, zone) => {
            let oid = if zone.is_some() {
                TIMESTAMPTZ
            } else {
                TIMESTAMP
            };
            PgType {
                modifier: digits(*unit),
                ..plain(oid, 8)
            }
        }
        T::Date32 | T::Date64 => plain(DATE, 4),
        T::Time32(_) | T::Time64(_) => plain(TIME, 8),
        T::Interval(_) | T::Duration(_) => plain(INTERVAL, 16),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => plain(BYTEA, -1),
        T::Struct(_) => plain(RECORD, -1),
        T::Map(entries, _) => plain(array_of(pg_type(entries.data_type()).oid), -1),
        T::List(item)
        | T::LargeList(item)
        | T::FixedSizeList(item, _)
        | T::ListView(item)
        | T::LargeListView(item) => {
            let element = pg_type(item.data_type());
            PgType {
                modifier: element.modifier,
                ..plain(array_of(element.oid), -1)
            }
        }
        T::Dictionary(_, value) => pg_type(value),
        T::RunEndEncoded(_, values) => pg_type(values.data_type()),
        _ => plain(TEXT, -1),
    }
}

fn numeric(precision: u8, scale: i8) -> PgType {
    if unconstrained_numeric(precision, scale) {
        return plain(NUMERIC, -1);
    }
    let modifier = ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4;
    PgType {
        modifier,
        ..plain(NUMERIC, -1)
    }
}

/// Digits after the second. PostgreSQL has at most six; finer ones are cut without a modifier.
fn digits(unit: TimeUnit) -> i32 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond | TimeUnit::Nanosecond => -1,
    }
}

/// The array type with elements of type `oid`. Arrays of arrays have the number of the inner array,
/// as in PostgreSQL.
pub(crate) fn array_of(oid: u32) -> u32 {
    ARRAYS
        .iter()
        .find(|(element, _)| *element == oid)
        .map_or(oid, |(_, array)| *array)
}

/// The type of the elements, if `oid` is an array type.
pub(crate) fn element_of(oid: u32) -> Option<u32> {
    ARRAYS
        .iter()
        .find(|(_, array)| *array == oid)
        .map(|(element, _)| *element)
}

/// The Arrow type of a parameter that the client declared as `oid`; `None` leaves it to the
/// statement.
///
/// # Errors
/// `0A000` for types that cannot be parameters.
pub(crate) fn declared(oid: u32) -> Result<Option<DataType>, Failure> {
    // A numeric has any scale: what stands around the parameter decides.
    if matches!(oid, 0 | UNKNOWN | NUMERIC) {
        return Ok(None);
    }
    value_type(oid).map(Some).ok_or_else(|| {
        let message = format!("parameters of the type with OID {oid} are not supported");
        let hint = "Pass the value as text and cast it in the statement.";
        Failure::new("0A000", message).hint(hint)
    })
}

/// The Arrow type that values of `oid` are read as.
pub(crate) fn value_type(oid: u32) -> Option<DataType> {
    use DataType as T;
    if let Some(element) = element_of(oid) {
        let item = if element == NUMERIC {
            NUMERIC_FALLBACK
        } else {
            value_type(element)?
        };
        return Some(T::List(Arc::new(Field::new("item", item, true))));
    }
    Some(match oid {
        BOOL => T::Boolean,
        BYTEA => T::Binary,
        INT2 => T::Int16,
        INT4 => T::Int32,
        INT8 | OID => T::Int64,
        FLOAT4 => T::Float32,
        FLOAT8 => T::Float64,
        NUMERIC => NUMERIC_FALLBACK,
        DATE => T::Date32,
        TIME => T::Time64(TimeUnit::Microsecond),
        TIMESTAMP => T::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        INTERVAL => T::Interval(IntervalUnit::MonthDayNano),
        // "char", name, text, xml, bpchar, varchar and what we keep as text.
        18 | 19 | TEXT | 142 | 1042 | 1043 | JSON | JSONB | UUID | REGCLASS => T::Utf8,
        _ => return None,
    })
}
