//! Names in backticks, as Flink, MySQL and BigQuery write them, as names in quotes: every character
//! stays at its place.

use std::borrow::Cow;

/// The text with its names in quotes. A text whose backticks do not come in pairs stays as it is,
/// and is refused where it is read.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    if !text.contains('`') {
        return Cow::Borrowed(text);
    }
    replaced(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn replaced(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '`' => {
                let (name, _) = rest[1..].split_once('`')?;
                if name.is_empty() || name.contains(['"', '\n']) {
                    return None;
                }
                out.push('"');
                out.push_str(name);
                out.push('"');
                rest = &rest[name.len() + 2..];
                continue;
            }
            '\'' | '"' => 1 + rest[1..].find(first)? + 1,
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/")? + 2,
            '$' => dollar_quoted(rest).unwrap_or(1),
            other => other.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Some(out)
}

/// Bytes of a text between `$tag$` and `$tag$` with both; `None` if none begins here.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let (tag, _) = rest[1..].split_once('$')?;
    if !tag.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let tag = tag.len() + 2;
    let end = rest[tag..].find(&rest[..tag])?;
    Some(tag + end + tag)
}
