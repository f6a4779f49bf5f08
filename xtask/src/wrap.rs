//! Breaks comments and strings that are wider than a line, which stable rustfmt does not. Pure;
//! `main.rs` writes. What the program means stays: a string is broken by `\\` at the end of the
//! line.

mod string;
#[cfg(test)]
mod tests;

use crate::rust_text::RustText;
use crate::tidy::lines::COLUMNS_MAX;

/// A comment line taken apart: `    /// - text` is indent, marker, lead and text.
struct Comment<'a> {
    /// Indent and marker, as written: `    ///`.
    prefix: &'a str,
    /// Blanks and list mark before the text: ` - `.
    lead: &'a str,
    text: &'a str,
}

/// Returns the Rust file `text` with its wide comments and strings broken; the rest stays.
pub fn wrap(text: &str) -> String {
    wrap_comments(&string::wrap_strings(text))
}

fn wrap_comments(text: &str) -> String {
    let in_long_string = RustText::new(text).in_long_string;
    let mut lines: Vec<String> = Vec::new();
    // What was cut off the line before, and the blanks it continues with.
    let mut rest: Option<(String, String)> = None;
    let mut in_fence = false;
    for (index, line) in text.lines().enumerate() {
        let in_string = in_long_string.get(index).copied().unwrap_or(false);
        let comment = (!in_string).then(|| parse(line)).flatten();
        let joined = match (rest.take(), &comment) {
            (Some((cut, start)), Some(comment)) if continues(comment, &start) => {
                format!("{start}{cut} {}", comment.text)
            }
            (Some((cut, start)), _) => {
                rest = break_wide(format!("{start}{cut}"), &start, &mut lines);
                flush(&mut rest, &mut lines);
                line.to_owned()
            }
            (None, _) => line.to_owned(),
        };
        let Some(comment) = comment else {
            in_fence = false;
            lines.push(joined);
            continue;
        };
        let is_fence = comment.text.starts_with("```");
        in_fence ^= is_fence;
        if in_fence || is_fence || !is_prose(&comment) {
            lines.push(joined);
            continue;
        }
        let hang = " ".repeat(comment.lead.chars().count());
        rest = break_wide(joined, &format!("{}{hang}", comment.prefix), &mut lines);
    }
    flush(&mut rest, &mut lines);
    let mut wrapped = lines.join("\n");
    if text.ends_with('\n') {
        wrapped.push('\n');
    }
    wrapped
}

/// Pushes `line`, cut where it must be; returns what was cut off with the start of its own line.
fn break_wide(line: String, start: &str, lines: &mut Vec<String>) -> Option<(String, String)> {
    let Some(at) = break_at(&line, start.len()) else {
        lines.push(line);
        return None;
    };
    let (kept, cut) = line.split_at(at);
    lines.push(kept.trim_end().to_owned());
    Some((cut.trim().to_owned(), start.to_owned()))
}

/// Breaks what is left until nothing is.
fn flush(rest: &mut Option<(String, String)>, lines: &mut Vec<String>) {
    while let Some((cut, start)) = rest.take() {
        *rest = break_wide(format!("{start}{cut}"), &start, lines);
    }
}

/// The byte of the blank at which a wide line is cut: the last one that fits, outside of `code` if
/// possible.
fn break_at(line: &str, start_bytes: usize) -> Option<usize> {
    if line.chars().count() <= COLUMNS_MAX || line.contains("://") {
        return None;
    }
    let (mut best, mut in_code_best, mut in_code) = (None, None, false);
    for (column, (at, character)) in line.char_indices().enumerate() {
        if column > COLUMNS_MAX {
            break;
        }
        in_code ^= character == '`';
        let begins_item = starts_item(line.get(at + 1..).unwrap_or_default());
        if character == ' ' && at > start_bytes && !begins_item {
            *if in_code {
                &mut in_code_best
            } else {
                &mut best
            } = Some(at);
        }
    }
    best.or(in_code_best)
}

fn parse(line: &str) -> Option<Comment<'_>> {
    let bare = line.trim_start();
    let marker = ["//!", "///", "//"]
        .into_iter()
        .find(|marker| bare.starts_with(marker))?;
    let (prefix, body) = line.split_at(line.len() - bare.len() + marker.len());
    let text = body.trim_start();
    let item_bytes = if starts_item(text) {
        text.find(' ').map_or(0, |at| at + 1)
    } else {
        0
    };
    let (lead, text) = body.split_at(body.len() - text.len() + item_bytes);
    Some(Comment { prefix, lead, text })
}

/// Whether `comment` goes on with the paragraph whose lines start with `start`.
fn continues(comment: &Comment<'_>, start: &str) -> bool {
    !comment.text.is_empty()
        && is_prose(comment)
        && !comment.text.starts_with("```")
        && format!("{}{}", comment.prefix, comment.lead) == start
}

/// Whether a line may be broken: no table, heading, quoted block or indented code.
fn is_prose(comment: &Comment<'_>) -> bool {
    let blanks = comment.lead.len() - comment.lead.trim_start().len();
    !comment.text.starts_with(['|', '#', '>']) && blanks <= 4 && comment.lead.starts_with(' ')
}

/// Whether `text` begins a list item: `- `, `* `, `+ `, `1. `.
fn starts_item(text: &str) -> bool {
    let Some((first, _)) = text.split_once(' ') else {
        return false;
    };
    let digits = first.strip_suffix(['.', ')']);
    matches!(first, "-" | "*" | "+")
        || digits.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}
