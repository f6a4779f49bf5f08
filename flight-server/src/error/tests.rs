//! Statuses of errors.

use rtsap_engine::error::EngineError;
use rtsap_stream::error::ErrorKind;
use tonic::Code;

use super::status;

fn check(error: EngineError, code: Code, text: &str) {
    let status = status(error);
    assert_eq!((status.code(), status.message()), (code, text));
}

#[test]
fn a_status_tells_everything_in_lines() {
    let error = EngineError::invalid("RT0201", "relation \"v\" does not exist")
        .sqlstate("42P01")
        .detail("There are no relations.")
        .hint("Create one.")
        .at(Some(15));
    check(
        error,
        Code::NotFound,
        "relation \"v\" does not exist (RT0201, SQLSTATE 42P01)\nDETAIL: There are no relations.\n\
         HINT: Create one.\nPOSITION: 15",
    );
}

#[test]
fn every_kind_has_its_code() {
    for (kind, code) in [
        (ErrorKind::Invalid, Code::InvalidArgument),
        (ErrorKind::Denied, Code::PermissionDenied),
        (ErrorKind::Unavailable, Code::Unavailable),
        (ErrorKind::Data, Code::DataLoss),
        (ErrorKind::Exhausted, Code::ResourceExhausted),
        (ErrorKind::Fenced, Code::Unavailable),
        (ErrorKind::Canceled, Code::Cancelled),
        (ErrorKind::Internal, Code::Internal),
    ] {
        check(
            EngineError::new(kind, "RT0500", "it failed"),
            code,
            "it failed (RT0500)",
        );
    }
    check(
        EngineError::unsupported("this"),
        Code::Unimplemented,
        "this is not supported (RT0502, SQLSTATE 0A000)",
    );
}
