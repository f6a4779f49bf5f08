//! Errors of the layers below as a client sees them.

use rtsap_catalog::error::CatalogError;
use rtsap_planner::PlanError;
use rtsap_runtime::error::RuntimeError;
use rtsap_stream::error::{ConnectorError, ErrorKind};

use crate::error::EngineError;

impl From<PlanError> for EngineError {
    fn from(error: PlanError) -> Self {
        let mut converted = Self::new(error.kind(), error.code(), error.to_string());
        converted.sqlstate_hint = sqlstate_of(error.code());
        converted.detail = error.detail_text().map(Into::into);
        converted.hint = error.hint_text().map(Into::into);
        converted.position = error.position();
        converted
    }
}

/// What PostgreSQL would answer where the planner has the same error.
fn sqlstate_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "RT0101" => "42601",
        "RT0103" => "42601",
        "RT0104" => "22007",
        "RT0201" => "42P01",
        "RT0505" => "54001",
        "RT0202" => "42703",
        "RT0203" => "42883",
        "RT0204" => "22023",
        "RT0205" => "42704",
        "RT0206" => "42701",
        "RT0207" => "42P16",
        "RT0208" => "42809",
        "RT0209" => "42804",
        "RT0210" => "42702",
        "RT0399" => "XX000",
        _ => "0A000",
    })
}

impl From<CatalogError> for EngineError {
    fn from(error: CatalogError) -> Self {
        let mut converted = Self::new(error.kind(), error.code(), error.to_string());
        converted.sqlstate_hint = match &error {
            CatalogError::Exists { .. } => Some("42P07"),
            CatalogError::InUse { .. } => Some("2BP01"),
            CatalogError::BadName { .. } => Some("42602"),
            CatalogError::Unknown { .. } => Some("42P01"),
            _ => None,
        };
        converted.detail = error.detail().map(Into::into);
        converted.hint = error.hint().map(Into::into);
        converted.caused_by(error)
    }
}

impl From<ConnectorError> for EngineError {
    fn from(error: ConnectorError) -> Self {
        let code = match error.kind {
            ErrorKind::Invalid => "RT0543",
            _ => "RT0604",
        };
        let mut converted = Self::new(error.kind, code, error.message.clone());
        converted.detail = error.detail.clone().map(Into::into);
        converted.hint = error.hint.clone().map(Into::into);
        converted.caused_by(error)
    }
}

impl From<RuntimeError> for EngineError {
    fn from(error: RuntimeError) -> Self {
        let code = match error {
            RuntimeError::Connector(error) => return error.into(),
            RuntimeError::Stopped => "RT0601",
            RuntimeError::Fenced => "RT0602",
            RuntimeError::NotA { .. } | RuntimeError::Spec { .. } => "RT0603",
            RuntimeError::Checkpoint(_) => "RT0605",
            RuntimeError::Operator(_) => "RT0606",
            RuntimeError::Restore { .. } => "RT0607",
            RuntimeError::Altering { .. } => "RT0545",
            RuntimeError::Serve(_) => "RT0608",
            RuntimeError::SlowSubscriber { .. } => "RT0609",
        };
        let converted = Self::new(error.kind(), code, error.to_string());
        let converted = match code {
            "RT0601" => converted.sqlstate("57P01"),
            "RT0602" => converted
                .sqlstate("57P01")
                .hint("Another server was started on the same data. Connect to that one."),
            "RT0545" => converted.sqlstate("55000").hint(
                "The view stays as it is. CREATE OR REPLACE STREAMING VIEW makes a view that \
                 nothing reads anew.",
            ),
            "RT0609" => converted.sqlstate("53400").hint(
                "Read faster, or subscribe to a view with fewer changes: EMIT ON WINDOW CLOSE.",
            ),
            _ => converted,
        };
        converted.caused_by(error)
    }
}
