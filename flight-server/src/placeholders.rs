//! `?` as a placeholder: what JDBC and ADBC programs write for `$1`, `$2`, …. Lexical only; the
//! engine parses.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// `sql` with every `?` outside of quotes and comments numbered from `$1`.
pub(crate) fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let mut text = String::with_capacity(sql.len() + 16);
    let mut count = 0;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match opaque(rest, &text) {
            0 if first == '?' => {
                count += 1;
                text.push_str(&format!("${count}"));
                rest = &rest[1..];
                continue;
            }
            0 => first.len_utf8(),
            length => length,
        };
        let (taken, left) = rest.split_at(length);
        text.push_str(taken);
        rest = left;
    }
    Cow::Owned(text)
}

/// Bytes of the quoted piece or comment that `rest` begins with; 0 if it begins with neither.
fn opaque(rest: &str, before: &str) -> usize {
    if rest.starts_with("--") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return comment(rest);
    }
    match rest.as_bytes().first() {
        Some(b'\'') => quoted(rest, '\'', ends_with_escape_prefix(before)),
        Some(b'"') => quoted(rest, '"', false),
        Some(b'$') => dollar_quoted(rest),
        _ => 0,
    }
}

/// Whether the string that follows is an `E'…'`, in which a backslash escapes.
fn ends_with_escape_prefix(before: &str) -> bool {
    let mut characters = before.chars().rev();
    matches!(characters.next(), Some('e' | 'E'))
        && !characters
            .next()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// A doubled quote ends one piece and begins the next, which comes to the same.
fn quoted(rest: &str, quote: char, backslash: bool) -> usize {
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        if character == quote {
            return index + 1;
        }
        if backslash && character == '\\' {
            characters.next();
        }
    }
    rest.len()
}

fn comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut index) = (0_usize, 0);
    while index < bytes.len() {
        match bytes.get(index..index + 2) {
            Some(b"/*") => {
                depth += 1;
                index += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                index += 2;
                if depth == 0 {
                    return index;
                }
            }
            _ => index += 1,
        }
    }
    rest.len()
}

fn dollar_quoted(rest: &str) -> usize {
    let Some(end) = rest[1..].find('$') else {
        return 0;
    };
    let tag = &rest[..end + 2];
    let name = &tag[1..=end];
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        return 0;
    }
    match rest[tag.len()..].find(tag) {
        Some(body) => tag.len() + body + tag.len(),
        None => rest.len(),
    }
}
