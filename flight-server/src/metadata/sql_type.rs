//! The SQL types and what drivers of JDBC and ODBC need to know of them (GetXdbcTypeInfo).

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// One type.
struct Kind {
    name: &'static str,
    data_type: XdbcDataType,
    /// Digits or characters; `None` if there is no limit.
    size: Option<i32>,
    quoted: bool,
    parameters: &'static [&'static str],
    scale_max: Option<i32>,
    subcode: Option<XdbcDatetimeSubcode>,
}

const fn number(name: &'static str, data_type: XdbcDataType, size: i32) -> Kind {
    Kind {
        name,
        data_type,
        size: Some(size),
        quoted: false,
        parameters: &[],
        scale_max: None,
        subcode: None,
    }
}

const fn text(name: &'static str, data_type: XdbcDataType, size: Option<i32>) -> Kind {
    Kind {
        name,
        data_type,
        size,
        quoted: true,
        parameters: &[],
        scale_max: None,
        subcode: None,
    }
}

const KINDS: [Kind; 14] = [
    number("boolean", XdbcDataType::XdbcBit, 1),
    number("smallint", XdbcDataType::XdbcSmallint, 5),
    number("integer", XdbcDataType::XdbcInteger, 10),
    number("bigint", XdbcDataType::XdbcBigint, 19),
    number("real", XdbcDataType::XdbcReal, 6),
    number("double precision", XdbcDataType::XdbcDouble, 15),
    Kind {
        parameters: &["precision", "scale"],
        scale_max: Some(38),
        ..number("numeric", XdbcDataType::XdbcNumeric, 38)
    },
    text("text", XdbcDataType::XdbcLongvarchar, None),
    text("varchar", XdbcDataType::XdbcVarchar, None),
    text("bytea", XdbcDataType::XdbcVarbinary, None),
    Kind {
        // Date and year share the code 1.
        subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeYear),
        ..text("date", XdbcDataType::XdbcDate, Some(10))
    },
    Kind {
        subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTime),
        scale_max: Some(9),
        ..text("time", XdbcDataType::XdbcTime, Some(18))
    },
    Kind {
        parameters: &["precision"],
        scale_max: Some(9),
        subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        ..text("timestamp", XdbcDataType::XdbcTimestamp, Some(29))
    },
    Kind {
        parameters: &["precision"],
        scale_max: Some(9),
        subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone),
        ..text(
            "timestamp with time zone",
            XdbcDataType::XdbcTimestamp,
            Some(35),
        )
    },
];

/// All types.
///
/// # Errors
/// A bug of ours.
pub(crate) fn xdbc_type_info() -> Result<XdbcTypeInfoData, ArrowError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for kind in &KINDS {
        types.append(info(kind));
    }
    types.build().map_err(|error| match error {
        FlightError::Arrow(error) => error,
        other => ArrowError::ExternalError(Box::new(other)),
    })
}

fn info(kind: &Kind) -> XdbcTypeInfo {
    let quote = kind.quoted.then(|| "'".to_owned());
    let is_number = !kind.quoted;
    XdbcTypeInfo {
        type_name: kind.name.to_owned(),
        data_type: kind.data_type,
        column_size: kind.size,
        literal_prefix: quote.clone(),
        literal_suffix: quote,
        create_params: (!kind.parameters.is_empty())
            .then(|| kind.parameters.iter().map(ToString::to_string).collect()),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: kind.quoted,
        searchable: Searchable::Full,
        unsigned_attribute: is_number.then_some(false),
        fixed_prec_scale: false,
        auto_increment: is_number.then_some(false),
        local_type_name: Some(kind.name.to_owned()),
        minimum_scale: kind.scale_max.map(|_| 0),
        maximum_scale: kind.scale_max,
        sql_data_type: kind.data_type,
        datetime_subcode: kind.subcode,
        num_prec_radix: is_number.then_some(10),
        interval_precision: None,
    }
}
