//! Breaks string literals that are wider than a line. A raw string is left alone: it has no way to
//! go on in the next line.

use crate::rust_text::RustText;
use crate::tidy::lines::COLUMNS_MAX;

/// Where the rest of a string starts at most; further right it would be torn into single words.
const INDENT_MAX: usize = 60;

/// Returns `text` with the strings of wide lines broken at blanks.
pub fn wrap_strings(text: &str) -> String {
    let parts = RustText::new(text);
    let mut wrapped = String::with_capacity(text.len());
    for (index, (line, code)) in text
        .split_inclusive('\n')
        .zip(parts.code.split_inclusive('\n'))
        .enumerate()
    {
        let is_long = parts.in_long_string.get(index).copied().unwrap_or(false);
        if is_long || line.contains("://") {
            wrapped.push_str(line);
        } else {
            wrap_line(line, code, &mut wrapped);
        }
    }
    wrapped
}

/// Pushes `line`, whose code is `code`, broken in its strings as often as needed.
fn wrap_line(line: &str, code: &str, wrapped: &mut String) {
    let indent = line.len() - line.trim_start().len();
    // Where in `line` the pieces begin that are not pushed yet, and how far right the next one
    // starts.
    let (mut from, mut start) = (0, 0);
    while let Some((at, next_start)) = break_at(line, code, from, start, indent) {
        let (piece, _) = line.split_at(at);
        wrapped.push_str(piece.get(from..).unwrap_or_default());
        wrapped.push_str("\\\n");
        wrapped.push_str(&" ".repeat(next_start));
        (from, start) = (at, next_start);
    }
    wrapped.push_str(line.get(from..).unwrap_or_default());
}

/// The byte before which `line` must be broken, if what is left from `from` on is too wide when it
/// starts in column `start`; and the column in which the rest starts.
fn break_at(
    line: &str,
    code: &str,
    from: usize,
    start: usize,
    indent: usize,
) -> Option<(usize, usize)> {
    let rest = line.get(from..)?;
    if start + rest.trim_end_matches('\n').chars().count() <= COLUMNS_MAX {
        return None;
    }
    let mut best = None;
    for (column, (offset, character)) in rest.char_indices().enumerate() {
        // The backslash takes a column too.
        if start + column + 2 > COLUMNS_MAX {
            break;
        }
        let at = from + offset;
        let follows_blank = character == ' ' && !line.get(at + 1..)?.starts_with(' ');
        let Some((open, close)) = follows_blank.then(|| literal_around(code, at)).flatten() else {
            continue;
        };
        // At least something must go to either side, or the next piece would begin where this one
        // did.
        if at > open && at > from && at + 1 < close {
            let aligned = line.get(..open)?.chars().count() + 1;
            best = Some((
                at + 1,
                if aligned <= INDENT_MAX {
                    aligned
                } else {
                    indent + 4
                },
            ));
        }
    }
    best
}

/// The quotes of the plain string literal around byte `at`.
fn literal_around(code: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = code.as_bytes();
    // Contents of strings and comments are blanks in `code`, so quotes are those of literals; the
    // one in a character literal is a blank as well.
    let quotes: Vec<usize> = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'"')
        .map(|(at, _)| at)
        .collect();
    let pair = quotes
        .chunks_exact(2)
        .find(|pair| pair.first() < Some(&at) && Some(&at) < pair.get(1))?;
    let (open, close) = (*pair.first()?, *pair.get(1)?);
    let before = open.checked_sub(1).and_then(|before| bytes.get(before));
    (!matches!(before, Some(b'r' | b'#'))).then_some((open, close))
}
