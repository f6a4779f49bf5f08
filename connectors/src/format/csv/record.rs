//! Where a record ends and where its fields are. A quote means something only at the start of a
//! field.

use std::borrow::Cow;

/// A field within a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldAt {
    start: usize,
    end: usize,
    /// Whether it stood in quotes.
    pub quoted: bool,
    /// Whether it holds doubled quotes.
    doubled: bool,
}

impl FieldAt {
    /// Its text, quotes taken away.
    ///
    /// # Errors
    /// In words, if it is not UTF-8.
    pub fn text<'l>(&self, line: &'l [u8]) -> Result<Cow<'l, str>, String> {
        let bytes = line.get(self.start..self.end).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8".to_owned())?;
        if self.doubled {
            return Ok(Cow::Owned(text.replace("\"\"", "\"")));
        }
        Ok(Cow::Borrowed(text))
    }
}

/// Finds the fields of one record.
///
/// # Errors
/// In words, for a quote that is not closed or is followed by text.
pub fn split_fields(line: &[u8], delimiter: u8, fields: &mut Vec<FieldAt>) -> Result<(), String> {
    fields.clear();
    let mut at = 0;
    loop {
        let (field, next) = if line.get(at) == Some(&b'"') {
            quoted_field(line, at, delimiter, fields.len())?
        } else {
            let end = memchr::memchr(delimiter, &line[at..]).map_or(line.len(), |i| at + i);
            (
                FieldAt {
                    start: at,
                    end,
                    quoted: false,
                    doubled: false,
                },
                end,
            )
        };
        fields.push(field);
        if next >= line.len() {
            return Ok(());
        }
        at = next + 1;
    }
}

fn quoted_field(
    line: &[u8],
    open: usize,
    delimiter: u8,
    index: usize,
) -> Result<(FieldAt, usize), String> {
    let mut doubled = false;
    let mut at = open + 1;
    loop {
        let Some(quote) = memchr::memchr(b'"', &line[at..]).map(|i| at + i) else {
            return Err(format!("the quote of field {} is not closed", index + 1));
        };
        match line.get(quote + 1) {
            Some(b'"') => {
                doubled = true;
                at = quote + 2;
            }
            None => {
                return Ok((
                    FieldAt {
                        start: open + 1,
                        end: quote,
                        quoted: true,
                        doubled,
                    },
                    quote + 1,
                ));
            }
            Some(byte) if *byte == delimiter => {
                return Ok((
                    FieldAt {
                        start: open + 1,
                        end: quote,
                        quoted: true,
                        doubled,
                    },
                    quote + 1,
                ));
            }
            Some(_) => {
                return Err(format!(
                    "text follows the closing quote of field {}",
                    index + 1
                ));
            }
        }
    }
}

/// The index of the line end that closes the record at the start of `bytes`; `None` if it is not in
/// there.
pub fn record_end(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let end = memchr::memchr(b'\n', bytes)?;
    if memchr::memchr(b'"', &bytes[..end]).is_none() {
        return Some(end);
    }
    let mut at = 0;
    let mut field_start = true;
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => return Some(at),
            b'"' if field_start => {
                at = closing_quote(bytes, at + 1)?;
                field_start = false;
            }
            byte => field_start = byte == delimiter,
        }
        at += 1;
    }
    None
}

fn closing_quote(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let quote = at + memchr::memchr(b'"', bytes.get(at..)?)?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}
