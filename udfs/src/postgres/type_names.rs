//! Names of types in casts that DataFusion does not know, or takes for others.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{CharacterLength, DataType as SqlType, TimezoneInfo};

/// Where the field of a cast says that its text is a `uuid` or `json`.
pub(crate) const TYPE_KEY: &str = "rtsap.type";

/// What stands there before the length of a `varchar(n)`.
pub(crate) const VARCHAR: &str = "varchar ";
/// What stands there before the length of a `char(n)`.
pub(crate) const CHAR: &str = "char ";

fn chars_of(length: &CharacterLength) -> Option<u64> {
    match length {
        CharacterLength::IntegerLength { length, .. } => Some(*length),
        CharacterLength::Max => None,
    }
}

/// Plans `uuid`, `json` and `jsonb` as checked texts, `varchar(n)` and `char(n)` as cut ones,
/// and `timestamp` as microseconds.
#[derive(Debug, Default)]
pub struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let form = match sql_type {
            SqlType::Uuid => "uuid".to_owned(),
            SqlType::JSON | SqlType::JSONB => "json".to_owned(),
            SqlType::Varchar(Some(length))
            | SqlType::Nvarchar(Some(length))
            | SqlType::CharacterVarying(Some(length))
            | SqlType::CharVarying(Some(length)) => match chars_of(length) {
                Some(count) => format!("{VARCHAR}{count}"),
                None => return Ok(None),
            },
            SqlType::Char(length) | SqlType::Character(length) => {
                let count = length.as_ref().map_or(Some(1), chars_of);
                let Some(count) = count else { return Ok(None) };
                format!("{CHAR}{count}")
            }
            SqlType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                return Ok(Some(Arc::new(Field::new("", micros, true))));
            }
            _ => return Ok(None),
        };
        let metadata = HashMap::from([(TYPE_KEY.to_owned(), form)]);
        let field = Field::new("", DataType::Utf8, true).with_metadata(metadata);
        Ok(Some(Arc::new(field)))
    }
}
