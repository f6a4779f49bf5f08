//! A panic of an operator stops its view and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::operator::OperatorError;

/// The result of `work`, or the words of its panic. What it worked on must not be used afterwards.
///
/// # Errors
/// Those of `work`; [`OperatorError::Bug`] for a panic.
pub(crate) fn guarded<T>(
    work: impl FnOnce() -> Result<T, OperatorError>,
) -> Result<T, OperatorError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(OperatorError::Bug {
            message: words(panic.as_ref()),
        })
    })
}

/// What a panic has said.
pub fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::guarded;
    use crate::operator::OperatorError;

    #[test]
    fn a_panic_is_an_error() {
        let failed = guarded::<()>(|| panic!("index {} out of bounds", 7));
        let text = failed.map_err(|error| error.to_string());
        assert_eq!(text, Err("a bug: index 7 out of bounds".to_owned()));
        let passed: Result<u8, OperatorError> = guarded(|| Ok(1));
        assert!(matches!(passed, Ok(1)));
    }
}
