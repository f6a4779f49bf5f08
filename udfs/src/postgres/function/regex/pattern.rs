//! PostgreSQL's regular expressions as the library's, compiled once for rows of one pattern.

use datafusion::common::Result;
use regex::{Regex, RegexBuilder};

use crate::error::FunctionError;

/// Bytes of a compiled expression: a pattern that needs more is refused.
const SIZE_MAX: usize = 1 << 20;

/// A pattern with its flags, compiled.
#[derive(Debug)]
struct Compiled {
    pattern: String,
    flags: String,
    regex: Regex,
}

/// The last pattern: mostly all rows have the same.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    last: Option<Compiled>,
}

impl Patterns {
    pub(super) fn of(&mut self, pattern: &str, flags: &str) -> Result<&Regex, FunctionError> {
        let known = self.last.take();
        let known = known.filter(|last| last.pattern == pattern && last.flags == flags);
        let compiled = match known {
            Some(known) => known,
            None => Compiled {
                pattern: pattern.to_owned(),
                flags: flags.to_owned(),
                regex: compiled(pattern, flags)?,
            },
        };
        Ok(&self.last.insert(compiled).regex)
    }
}

/// With PostgreSQL's flags; `g` is the caller's.
fn compiled(pattern: &str, flags: &str) -> Result<Regex, FunctionError> {
    let pattern = translated(pattern)?;
    let mut builder = RegexBuilder::new(&pattern);
    builder.size_limit(SIZE_MAX).dot_matches_new_line(true);
    for flag in flags.chars() {
        match flag {
            'g' | 't' => {}
            'i' => {
                builder.case_insensitive(true);
            }
            'c' => {
                builder.case_insensitive(false);
            }
            'n' | 'm' => {
                builder.multi_line(true).dot_matches_new_line(false);
            }
            's' => {
                builder.multi_line(false).dot_matches_new_line(true);
            }
            'x' => {
                builder.ignore_whitespace(true);
            }
            other => {
                let message = format!("invalid regular expression option: \"{other}\"");
                return Err(FunctionError::value("22023", message));
            }
        }
    }
    builder.build().map_err(|error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default();
        invalid(why.trim().trim_start_matches("error: "))
    })
}

fn invalid(why: &str) -> FunctionError {
    FunctionError::value("2201B", format!("invalid regular expression: {why}"))
}

/// What PostgreSQL and the library spell differently: edges of words and of the text, and brackets
/// in brackets, which the library takes for sets of their own.
fn translated(pattern: &str) -> Result<String, FunctionError> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut brackets = false;
    while let Some(char) = chars.next() {
        match char {
            '\\' => {
                let Some(escaped) = chars.next() else {
                    return Err(invalid("invalid escape \\ sequence"));
                };
                match escaped {
                    'm' if !brackets => out.push_str("\\b{start}"),
                    'M' if !brackets => out.push_str("\\b{end}"),
                    'y' if !brackets => out.push_str("\\b"),
                    'Y' if !brackets => out.push_str("\\B"),
                    'Z' if !brackets => out.push_str("\\z"),
                    '<' | '>' => out.push(escaped),
                    other => out.extend(['\\', other]),
                }
            }
            '[' if !brackets => {
                brackets = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if chars.next_if_eq(&':').is_some() => {
                out.push_str("[:");
                for char in chars.by_ref() {
                    out.push(char);
                    if char == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' if brackets => out.extend(['\\', char]),
            ']' if brackets => {
                brackets = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_edges_of_words_are_postgresqls() {
        let as_the_library_has_it = [
            (r"\mab\M", r"\b{start}ab\b{end}"),
            (r"[]a[b&&c]", r"[\]a\[b\&\&c]"),
            (r"[^[:alpha:]_]\Z", r"[^[:alpha:]_]\z"),
            (r"\[a\]", r"\[a\]"),
        ];
        for (ours, theirs) in as_the_library_has_it {
            assert_eq!(translated(ours).unwrap(), theirs);
        }
    }

    #[test]
    fn what_the_library_lacks_is_refused() {
        for pattern in [r"(a)\1", "a(?=b)", "(", "a\\"] {
            let error = compiled(pattern, "").unwrap_err();
            assert_eq!(error.sqlstate(), "2201B", "{pattern}");
        }
    }
}
