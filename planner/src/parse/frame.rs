//! `EXCLUDE` of a window's frame, which sqlparser does not know: `NO OTHERS` says nothing, the
//! others are refused.

use crate::error::PlanError;
use crate::parse::join::words;
use crate::parse::lexeme::Lexeme;

/// The tokens without `EXCLUDE NO OTHERS`.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for the other forms.
pub(super) fn plain(tokens: &[Lexeme]) -> Result<Vec<Lexeme>, PlanError> {
    const REFUSED: [&[&str]; 3] = [
        &["EXCLUDE", "CURRENT", "ROW"],
        &["EXCLUDE", "GROUP"],
        &["EXCLUDE", "TIES"],
    ];
    let mut plain = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(next) = tokens.get(at) {
        if let Some(form) = REFUSED.iter().find(|form| words(tokens, at, form)) {
            let error = PlanError::unsupported(format!("{} in a frame", form.join(" ")));
            let hint = "Take the row's own value away: sum(x) OVER w - x, count(*) OVER w - 1.";
            return Err(error.at(next.position).hint(hint));
        }
        if words(tokens, at, &["EXCLUDE", "NO", "OTHERS"]) {
            at += 3;
            continue;
        }
        plain.push(next.clone());
        at += 1;
    }
    Ok(plain)
}
