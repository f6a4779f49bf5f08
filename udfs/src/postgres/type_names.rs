//! Names of types in casts that DataFusion does not know, or takes for others.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};

/// Where the field of a cast says that its text is a `uuid` or `json`.
pub(crate) const TYPE_KEY: &str = "rtsap.type";

/// Plans `uuid`, `json` and `jsonb` as checked texts and `timestamp` as microseconds.
#[derive(Debug, Default)]
pub struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let form = match sql_type {
            SqlType::Uuid => "uuid",
            SqlType::JSON | SqlType::JSONB => "json",
            SqlType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
                return Ok(Some(Arc::new(Field::new("", micros, true))));
            }
            _ => return Ok(None),
        };
        let metadata = HashMap::from([(TYPE_KEY.to_owned(), form.to_owned())]);
        let field = Field::new("", DataType::Utf8, true).with_metadata(metadata);
        Ok(Some(Arc::new(field)))
    }
}
