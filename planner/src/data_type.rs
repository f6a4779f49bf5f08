//! Column types: SQL spellings of PostgreSQL and Flink, their canonical text, and Arrow.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Cause, PlanError};
use crate::parse::cursor::Cursor;
use crate::parse::lexeme::lexemes;

/// A column's type. `Display` gives the canonical text, which [`SqlType::read`] reads back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// Also `varchar(n)` and `char(n)`: lengths are not enforced.
    Text,
    /// 8 bits.
    TinyInt,
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// 32-bit float.
    Real,
    /// 64-bit float.
    Double,
    /// True or false.
    Boolean,
    /// Decimal of `precision` digits, `scale` of them after the point.
    Numeric {
        /// 1 to 38.
        precision: u8,
        /// 0 to `precision`.
        scale: i8,
    },
    /// A point in time; `digits` after the second: 0, 3, 6 or 9.
    Timestamp {
        /// Digits after the second.
        digits: u8,
        /// Whether it is an instant (kept in UTC) or a wall-clock reading.
        zone: bool,
    },
    /// A day.
    Date,
    /// A time of day; `digits` as for timestamps.
    Time {
        /// Digits after the second.
        digits: u8,
    },
    /// Bytes.
    Bytea,
    /// JSON, kept as text.
    Json,
    /// JSON, kept as text.
    Jsonb,
    /// A UUID, kept as text.
    Uuid,
    /// A list.
    Array(Box<SqlType>),
    /// Named fields.
    Struct(Vec<(String, SqlType)>),
}

impl SqlType {
    /// Reads a type at the cursor.
    ///
    /// # Errors
    /// [`Cause::Type`] for an unknown type or impossible parameters, [`Cause::Syntax`] if none
    /// comes.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PlanError> {
        let mut closing = 0;
        let parsed = parse_nested(cursor, &mut closing)?;
        if closing != 0 {
            return Err(cursor.unexpected("There is one \">\" too many."));
        }
        Ok(parsed)
    }

    /// Reads a canonical text.
    ///
    /// # Errors
    /// As [`SqlType::parse`].
    pub fn read(text: &str) -> Result<Self, PlanError> {
        let tokens = lexemes(text)?;
        let mut cursor = Cursor::new(text, &tokens);
        let parsed = Self::parse(&mut cursor)?;
        cursor.done()?;
        Ok(parsed)
    }

    /// The Arrow type that carries it.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Text | Self::Json | Self::Jsonb | Self::Uuid => DataType::Utf8,
            Self::TinyInt => DataType::Int8,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Numeric { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Timestamp { digits, zone } => {
                DataType::Timestamp(unit(*digits), zone.then(|| "UTC".into()))
            }
            Self::Date => DataType::Date32,
            Self::Time { digits } => match unit(*digits) {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                unit => DataType::Time64(unit),
            },
            Self::Bytea => DataType::Binary,
            Self::Array(item) => DataType::List(Arc::new(Field::new("item", item.arrow(), true))),
            Self::Struct(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, field)| Field::new(name, field.arrow(), true));
                DataType::Struct(fields.collect::<Fields>())
            }
        }
    }

    /// The canonical text of an Arrow type, for the derived type of a computed column; `None` if
    /// SQL has none for it.
    pub fn of_arrow(arrow: &DataType) -> Option<Self> {
        Some(match arrow {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Int8 => Self::TinyInt,
            DataType::Int16 => Self::SmallInt,
            DataType::Int32 => Self::Integer,
            DataType::Int64 => Self::BigInt,
            DataType::Float32 => Self::Real,
            DataType::Float64 => Self::Double,
            DataType::Boolean => Self::Boolean,
            DataType::Decimal128(precision, scale) if *scale >= 0 => Self::Numeric {
                precision: *precision,
                scale: *scale,
            },
            DataType::Timestamp(unit, zone) => Self::Timestamp {
                digits: digits(*unit),
                zone: zone.is_some(),
            },
            DataType::Date32 => Self::Date,
            DataType::Time32(unit) | DataType::Time64(unit) => Self::Time {
                digits: digits(*unit),
            },
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytea,
            DataType::List(item) => Self::Array(Box::new(Self::of_arrow(item.data_type())?)),
            DataType::Struct(fields) => {
                let named = fields
                    .iter()
                    .map(|field| Some((field.name().clone(), Self::of_arrow(field.data_type())?)));
                Self::Struct(named.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Boolean => f.write_str("boolean"),
            Self::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            Self::Timestamp { digits, zone: true } => {
                write!(f, "timestamp({digits}) with time zone")
            }
            Self::Timestamp {
                digits,
                zone: false,
            } => write!(f, "timestamp({digits})"),
            Self::Date => f.write_str("date"),
            Self::Time { digits } => write!(f, "time({digits})"),
            Self::Bytea => f.write_str("bytea"),
            Self::Json => f.write_str("json"),
            Self::Jsonb => f.write_str("jsonb"),
            Self::Uuid => f.write_str("uuid"),
            Self::Array(item) => write!(f, "{item}[]"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{}\" {field}", name.replace('"', "\"\""))?;
                }
                f.write_str(">")
            }
        }
    }
}

fn unit(digits: u8) -> TimeUnit {
    match digits {
        0 => TimeUnit::Second,
        3 => TimeUnit::Millisecond,
        6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// Every spelling of a type's first word, for hints.
const NAMES: [&str; 40] = [
    "text",
    "varchar",
    "string",
    "char",
    "character",
    "tinyint",
    "smallint",
    "int2",
    "int",
    "integer",
    "int4",
    "bigint",
    "int8",
    "real",
    "float4",
    "float",
    "double",
    "float8",
    "boolean",
    "bool",
    "decimal",
    "numeric",
    "dec",
    "timestamp",
    "timestamptz",
    "timestamp_ltz",
    "date",
    "time",
    "bytea",
    "bytes",
    "varbinary",
    "binary",
    "json",
    "jsonb",
    "uuid",
    "array",
    "struct",
    "row",
    "bpchar",
    "name",
];

/// Reads a type. `closing` counts the `>` that a `>>` token closed beyond this level.
fn parse_nested(cursor: &mut Cursor<'_>, closing: &mut usize) -> Result<SqlType, PlanError> {
    let start = cursor.clone();
    let (word, position) = cursor.identifier("a type")?;
    let mut parsed = match word.as_str() {
        "array" if cursor.eat_token(&Token::Lt) => {
            let item = parse_nested(cursor, closing)?;
            close(cursor, closing)?;
            SqlType::Array(Box::new(item))
        }
        "struct" | "row" => parse_struct(cursor, closing)?,
        "timestamp" | "timestamptz" | "timestamp_ltz" => parse_timestamp(cursor, &word)?,
        "time" => {
            let digits = parse_digits(cursor)?;
            if cursor.eat(&["WITH"]) {
                return Err(start.unsupported("type TIME WITH TIME ZONE"));
            }
            if cursor.eat(&["WITHOUT"]) {
                cursor.expect(&["TIME", "ZONE"])?;
            }
            SqlType::Time { digits }
        }
        "decimal" | "numeric" | "dec" => parse_numeric(cursor)?,
        _ if let Some(hint) = unsupported_hint(&word) => {
            let what = format!("type {} of a column", word.to_uppercase());
            return Err(start.unsupported(&what).hint(hint));
        }
        _ => parse_plain(cursor, &word).ok_or_else(|| {
            let known = NAMES.iter().copied();
            let message = format!("type \"{word}\" does not exist");
            PlanError::new(Cause::Type { message })
                .at(position)
                .maybe_hint(crate::error::nearest(&word, known))
        })??,
    };
    if cursor.at(&["UNSIGNED"]) {
        let error = cursor.unsupported("UNSIGNED of a type");
        return Err(error.hint(UNSIGNED));
    }
    loop {
        if cursor.at_token(&Token::LBracket) {
            cursor.advance(1);
            if matches!(
                cursor.peek().map(|next| &next.token.token),
                Some(Token::Number(..))
            ) {
                cursor.advance(1);
            }
            cursor.expect_token(&Token::RBracket)?;
        } else if !cursor.eat(&["ARRAY"]) {
            return Ok(parsed);
        }
        parsed = SqlType::Array(Box::new(parsed));
    }
}

/// Why there is no column that counts by itself.
pub(crate) const SEQUENCES: &str =
    "There are no sequences: declare the column as BIGINT and give the number in INSERT.";

const UNSIGNED: &str = "Numbers have a sign: use the next wider type, BIGINT for INT UNSIGNED, or \
                        NUMERIC(20) for BIGINT UNSIGNED.";

/// What to write instead of a type that is known and refused.
fn unsupported_hint(word: &str) -> Option<&'static str> {
    Some(match word {
        "interval" => "Use BIGINT for a number of units of time.",
        "money" => "Use NUMERIC(19,4).",
        "map" | "multiset" => "Use an array of STRUCT<key TEXT, value …>.",
        "serial" | "serial4" | "bigserial" | "serial8" | "smallserial" | "serial2" => SEQUENCES,
        "uint1" | "uint2" | "uint4" | "uint8" | "uint16" | "uint32" | "uint64" | "uint256"
        | "utinyint" | "usmallint" | "uinteger" | "ubigint" | "uhugeint" => UNSIGNED,
        _ => return None,
    })
}

/// The types that have no parameters that matter. `None` if there is no type of that name.
fn parse_plain(cursor: &mut Cursor<'_>, word: &str) -> Option<Result<SqlType, PlanError>> {
    let parsed = match word {
        "text" | "varchar" | "string" | "char" | "bpchar" | "name" => SqlType::Text,
        "character" => {
            cursor.eat(&["VARYING"]);
            SqlType::Text
        }
        "tinyint" => SqlType::TinyInt,
        "smallint" | "int2" => SqlType::SmallInt,
        "int" | "integer" | "int4" => SqlType::Integer,
        "bigint" | "int8" => SqlType::BigInt,
        "real" | "float4" => SqlType::Real,
        "float" | "float8" => SqlType::Double,
        "double" => {
            cursor.eat(&["PRECISION"]);
            SqlType::Double
        }
        "boolean" | "bool" => SqlType::Boolean,
        "date" => SqlType::Date,
        "bytea" | "bytes" | "varbinary" | "binary" => SqlType::Bytea,
        "json" => SqlType::Json,
        "jsonb" => SqlType::Jsonb,
        "uuid" => SqlType::Uuid,
        _ => return None,
    };
    let sized = matches!(parsed, SqlType::Text | SqlType::Bytea) && cursor.at_token(&Token::LParen);
    if sized {
        return Some(cursor.parenthesised().map(|_| parsed));
    }
    Some(Ok(parsed))
}

fn parse_timestamp(cursor: &mut Cursor<'_>, word: &str) -> Result<SqlType, PlanError> {
    let digits = parse_digits(cursor)?;
    let mut zone = word != "timestamp";
    if cursor.eat(&["WITH"]) {
        cursor.eat(&["LOCAL"]);
        cursor.expect(&["TIME", "ZONE"])?;
        zone = true;
    } else if !zone && cursor.eat(&["WITHOUT"]) {
        cursor.expect(&["TIME", "ZONE"])?;
    }
    Ok(SqlType::Timestamp { digits, zone })
}

/// `(0)` to `(9)`, of which 0, 3, 6 and 9 are kept; 6 without it, as in PostgreSQL and Flink.
fn parse_digits(cursor: &mut Cursor<'_>) -> Result<u8, PlanError> {
    if !cursor.eat_token(&Token::LParen) {
        return Ok(6);
    }
    let position = cursor.position();
    let digits = cursor.whole_number("the number of digits after the second")?;
    cursor.expect_token(&Token::RParen)?;
    match digits {
        0 => Ok(0),
        // What is kept has room for them.
        1..=3 => Ok(3),
        4..=6 => Ok(6),
        7..=9 => Ok(9),
        _ => {
            let message = format!("a time cannot have {digits} digits after the second");
            let error = PlanError::new(Cause::Type { message }).at(position);
            Err(error.hint("Use 0 to 9 digits."))
        }
    }
}

/// `(p [, s])`. Without it `numeric(38,10)`: room for any price and size there is, and every sum of
/// them.
fn parse_numeric(cursor: &mut Cursor<'_>) -> Result<SqlType, PlanError> {
    if !cursor.eat_token(&Token::LParen) {
        return Ok(SqlType::Numeric {
            precision: 38,
            scale: 10,
        });
    }
    let position = cursor.position();
    let precision = cursor.whole_number("the number of digits")?;
    let scale = if cursor.eat_token(&Token::Comma) {
        cursor.whole_number("the number of decimals")?
    } else {
        0
    };
    cursor.expect_token(&Token::RParen)?;
    if precision == 0 || precision > 38 || scale > precision {
        let message = format!("numeric({precision},{scale}) is out of range");
        let error = PlanError::new(Cause::Type { message }).at(position);
        return Err(error.hint("Use 1 to 38 digits, and no more decimals than digits."));
    }
    let (precision, scale) = (u8::try_from(precision), i8::try_from(scale));
    Ok(SqlType::Numeric {
        precision: precision.unwrap_or(38),
        scale: scale.unwrap_or(0),
    })
}

fn parse_struct(cursor: &mut Cursor<'_>, closing: &mut usize) -> Result<SqlType, PlanError> {
    let angle = cursor.eat_token(&Token::Lt);
    if !angle {
        cursor.expect_token(&Token::LParen)?;
    }
    let mut fields: Vec<(String, SqlType)> = Vec::new();
    loop {
        let (name, position) = cursor.identifier("a field's name")?;
        if fields.iter().any(|(other, _)| *other == name) {
            return Err(PlanError::new(Cause::DuplicateColumn { name }).at(position));
        }
        cursor.eat_token(&Token::Colon);
        let field = parse_nested(cursor, closing)?;
        // A field may always be null.
        let _ = cursor.eat(&["NOT", "NULL"]) || cursor.eat(&["NULL"]);
        fields.push((name, field));
        // A `>>` that closed the inner type has closed this one too.
        if *closing > 0 || !cursor.eat_token(&Token::Comma) {
            break;
        }
    }
    if angle {
        close(cursor, closing)?
    } else {
        cursor.expect_token(&Token::RParen)?
    }
    Ok(SqlType::Struct(fields))
}

/// Goes over one `>`, which may be part of a `>>`.
fn close(cursor: &mut Cursor<'_>, closing: &mut usize) -> Result<(), PlanError> {
    if *closing > 0 {
        *closing -= 1;
        return Ok(());
    }
    match cursor.eat_closing_angles() {
        Some(angles) => *closing = angles - 1,
        None => return Err(cursor.unexpected("Expected \">\".")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
