//! Names of catalog objects: folding and quoting as PostgreSQL does, one schema (`public`).
//!
//! Never decides whether a name is taken; [`crate::snapshot`] does.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::CatalogError;

/// Bytes a name may have: PostgreSQL's NAMEDATALEN less its terminator, so that every client can
/// show it in full.
pub const NAME_BYTES_MAX: usize = 63;

/// The only schema that holds objects of users.
pub const SCHEMA: &str = "public";

/// The name of an object, already folded and without its schema, which is always `public`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectName(String);

impl ObjectName {
    /// Reads a name as written in SQL: `Trades` and `public.trades` are `trades`, `"Trades"` keeps
    /// its case.
    ///
    /// # Errors
    /// [`CatalogError::BadName`] if it is empty, too long, not well quoted, or in a schema other
    /// than `public`.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let parts = split(text)?;
        match parts.as_slice() {
            [name] => Self::from_folded(name),
            [schema, name] if schema == SCHEMA => Self::from_folded(name),
            [_, schema, name] if schema == SCHEMA => Self::from_folded(name),
            _ => Err(bad(text, "objects live in the schema public only")),
        }
    }

    /// Takes a name whose case is already final, such as an identifier that a parser has folded.
    ///
    /// # Errors
    /// [`CatalogError::BadName`] if it is empty, too long, or holds a control character.
    pub fn from_folded(name: &str) -> Result<Self, CatalogError> {
        if name.is_empty() {
            return Err(bad(name, "a name has at least one character"));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(bad(name, "a name has at most 63 bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err(bad(name, "a name holds no control characters"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name, without quotes and schema.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it must be written in SQL: in quotes where folding or a special character makes
    /// them necessary.
    pub fn quoted(&self) -> String {
        quote(&self.0)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `identifier` as it must be written in SQL.
pub fn quote(identifier: &str) -> String {
    let mut bytes = identifier.bytes();
    let plain_start = bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let plain_rest =
        bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'$');
    if plain_start && plain_rest {
        identifier.to_owned()
    } else {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }
}

/// The dotted parts of a name, folded: ASCII letters outside quotes become lowercase.
fn split(text: &str) -> Result<Vec<String>, CatalogError> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(inner) => quoted_part(inner).ok_or_else(|| bad(text, "a quote is not closed"))?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].trim().to_ascii_lowercase(), &rest[end..])
            }
        };
        parts.push(part);
        match after.trim_start().strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if after.trim().is_empty() => return Ok(parts),
            None => return Err(bad(text, "a quoted name is followed by other characters")),
        }
    }
}

/// The identifier up to its closing quote, doubled quotes undone, and what follows.
fn quoted_part(inner: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = inner.char_indices().peekable();
    while let Some((index, char)) = chars.next() {
        if char != '"' {
            name.push(char);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, &inner[index + 1..]));
        }
    }
    None
}

fn bad(name: &str, reason: &'static str) -> CatalogError {
    CatalogError::BadName {
        name: name.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
