//! Text and CSV of a COPY as batches. Lines may be cut anywhere between the pieces that arrive.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use rtsap_engine::copy::{CopyFormat, CopyOptions};
use rtsap_engine::session::ScalarValue;

use crate::error::Failure;
use crate::{oid, parameter};

/// Rows of a batch: enough to hide the cost of a batch, little against any limit of memory.
const BATCH_ROWS: usize = 4_096;

/// Bytes of one row: the longest value a row description can promise is far below.
const ROW_BYTES_MAX: usize = 64 << 20;

/// Reads the rows of one COPY.
#[derive(Debug)]
pub(crate) struct CopyReader {
    csv: bool,
    delimiter: char,
    null: String,
    /// A line of names is still to be skipped.
    header: bool,
    schema: SchemaRef,
    cells: Vec<Vec<Option<String>>>,
    pending: Vec<u8>,
    /// How much of `pending` was searched for the end of a row, and whether that ended within
    /// quotes.
    searched: usize,
    quoted: bool,
    line: u64,
    ended: bool,
}

impl CopyReader {
    /// A reader of rows for `schema`.
    pub(crate) fn new(options: &CopyOptions, schema: &SchemaRef) -> Self {
        Self {
            csv: options.format == CopyFormat::Csv,
            delimiter: options.delimiter,
            null: options.null.clone(),
            header: options.header,
            schema: Arc::clone(schema),
            cells: vec![Vec::new(); schema.fields().len()],
            pending: Vec::new(),
            searched: 0,
            quoted: false,
            line: 0,
            ended: false,
        }
    }

    /// Takes a piece; returns the batches that are full.
    ///
    /// # Errors
    /// `22P04` for rows of another shape, `22021` for text that is not UTF-8; each with its line.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>, Failure> {
        self.pending.extend_from_slice(bytes);
        let mut batches = Vec::new();
        let mut start = 0;
        while let Some(end) = self.row_end() {
            let row = self.pending[start..end].to_vec();
            self.take_row(&row)?;
            start = end + 1;
            if self.rows() >= BATCH_ROWS {
                batches.push(self.batch()?);
            }
        }
        self.pending.drain(..start);
        self.searched -= start;
        if self.pending.len() > ROW_BYTES_MAX {
            let message = format!("a row of COPY is longer than {ROW_BYTES_MAX} bytes");
            return Err(self.at_line(Failure::new("54000", message)));
        }
        Ok(batches)
    }

    /// Takes the end of the data; returns the last rows.
    ///
    /// # Errors
    /// As [`CopyReader::read`]; `22P04` for a quote without its end.
    pub(crate) fn end(mut self) -> Result<Option<RecordBatch>, Failure> {
        if self.quoted {
            let failure = Failure::new("22P04", "unterminated CSV quoted field");
            return Err(self.at_line(failure));
        }
        let row = std::mem::take(&mut self.pending);
        if !row.is_empty() {
            self.take_row(&row)?;
        }
        if self.rows() == 0 {
            Ok(None)
        } else {
            self.batch().map(Some)
        }
    }

    /// Searches on for the next line feed that ends a row; the search then stands behind it.
    fn row_end(&mut self) -> Option<usize> {
        while let Some(byte) = self.pending.get(self.searched) {
            let at = self.searched;
            self.searched += 1;
            match byte {
                b'"' if self.csv => self.quoted = !self.quoted,
                b'\n' if !self.quoted => return Some(at),
                // In text a backslash before a line feed makes it part of the value.
                b'\\' if !self.csv => {
                    if self.pending.get(self.searched).is_none() {
                        self.searched = at;
                        return None;
                    }
                    self.searched += 1;
                }
                _ => {}
            }
        }
        None
    }

    fn take_row(&mut self, row: &[u8]) -> Result<(), Failure> {
        self.line += 1;
        if std::mem::take(&mut self.header) || self.ended {
            return Ok(());
        }
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        let row = std::str::from_utf8(row).map_err(|_| {
            let message = "invalid byte sequence for encoding \"UTF8\"";
            self.at_line(Failure::new("22021", message))
        })?;
        if row == "\\." {
            self.ended = true;
            return Ok(());
        }
        let cells = if self.csv {
            self.csv_cells(row)
        } else {
            self.text_cells(row)?
        };
        let wanted = self.cells.len();
        if cells.len() > wanted {
            let failure = Failure::new("22P04", "extra data after last expected column");
            return Err(self.at_line(failure));
        }
        if let Some(field) = self.schema.fields().get(cells.len()) {
            let message = format!("missing data for column \"{}\"", field.name());
            return Err(self.at_line(Failure::new("22P04", message)));
        }
        for (column, cell) in self.cells.iter_mut().zip(cells) {
            column.push(cell);
        }
        Ok(())
    }

    fn text_cells(&self, row: &str) -> Result<Vec<Option<String>>, Failure> {
        let mut cells = Vec::with_capacity(self.cells.len());
        let (mut raw, mut value) = (String::new(), String::new());
        let mut characters = row.chars().peekable();
        loop {
            match characters.next() {
                Some('\\') => {
                    raw.push('\\');
                    if let Some(next) = characters.next() {
                        raw.push(next);
                        let meant = unescape(next, &mut characters, &mut raw);
                        value.push(meant.ok_or_else(|| self.at_line(above_ascii()))?);
                    }
                }
                Some(character) if character != self.delimiter => {
                    raw.push(character);
                    value.push(character);
                }
                ended => {
                    let is_null = raw == self.null;
                    raw.clear();
                    let value = std::mem::take(&mut value);
                    cells.push(if is_null { None } else { Some(value) });
                    if ended.is_none() {
                        return Ok(cells);
                    }
                }
            }
        }
    }

    fn csv_cells(&self, row: &str) -> Vec<Option<String>> {
        let mut cells = Vec::with_capacity(self.cells.len());
        let (mut value, mut was_quoted, mut inside) = (String::new(), false, false);
        let mut characters = row.chars().peekable();
        loop {
            match characters.next() {
                Some('"') if inside && characters.peek() == Some(&'"') => {
                    characters.next();
                    value.push('"');
                }
                Some('"') => (was_quoted, inside) = (true, !inside),
                Some(character) if inside || character != self.delimiter => value.push(character),
                ended => {
                    let is_null = !was_quoted && value == self.null;
                    let value = std::mem::take(&mut value);
                    cells.push(if is_null { None } else { Some(value) });
                    was_quoted = false;
                    if ended.is_none() {
                        return cells;
                    }
                }
            }
        }
    }

    fn rows(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    fn batch(&mut self) -> Result<RecordBatch, Failure> {
        let schema = Arc::clone(&self.schema);
        let columns = schema
            .fields()
            .iter()
            .zip(&mut self.cells)
            .map(|(field, cells)| {
                let cells = std::mem::take(cells);
                column(field, cells).map_err(|failure| {
                    failure.context(format!(
                        "COPY, rows up to line {}, column {}",
                        self.line,
                        field.name()
                    ))
                })
            });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
            .collect();
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
    }

    fn at_line(&self, failure: Failure) -> Failure {
        let line = self.line.max(1);
        failure.context(format!("COPY, line {line}"))
    }
}

/// What follows a backslash: a letter for a control character, digits for a byte, or itself. `None`
/// for a byte that is no character of its own.
fn unescape(
    first: char,
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    raw: &mut String,
) -> Option<char> {
    let mut digits = |radix: u32, most: usize, start: &str| {
        let mut text = start.to_owned();
        while text.len() < most
            && let Some(digit) = rest.next_if(|next| next.is_digit(radix))
        {
            raw.push(digit);
            text.push(digit);
        }
        text
    };
    let byte = |text: &str, radix| u32::from_str_radix(text, radix).ok();
    let ascii = |byte: Option<u32>| byte.and_then(char::from_u32).filter(char::is_ascii);
    match first {
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        'x' => match digits(16, 2, "").as_str() {
            "" => Some('x'),
            text => ascii(byte(text, 16)),
        },
        '0'..='7' => ascii(byte(&digits(8, 3, &first.to_string()), 8)),
        other => Some(other),
    }
}

fn above_ascii() -> Failure {
    Failure::new("0A000", "COPY escapes of bytes above 127 are not supported")
        .hint("Write the character itself.")
}

/// Cells as a column: text for the engine to cast, or values where its cast means something else.
fn column(field: &Field, cells: Vec<Option<String>>) -> Result<ArrayRef, Failure> {
    let wanted = field.data_type();
    let read_here = matches!(
        wanted,
        DataType::Binary | DataType::List(_) | DataType::Boolean | DataType::Struct(_)
    );
    if !read_here {
        return Ok(Arc::new(StringArray::from(cells)));
    }
    let pg_type = oid::pg_type(wanted).oid;
    if pg_type == oid::RECORD || pg_type == oid::array_of(oid::RECORD) {
        let message = format!(
            "COPY into column \"{}\" of type {wanted} is not supported",
            field.name()
        );
        return Err(Failure::new("0A000", message));
    }
    let value = |cell: Option<String>| match cell {
        None => parameter::read(pg_type, wanted, crate::encode::Format::Text, None),
        Some(text) => {
            let value = parameter::text(pg_type, &text)?;
            value.cast_to(wanted).map_err(|error| {
                let message = format!("cannot read \"{text}\" as {wanted}");
                let mut failure = Failure::new("22P02", message);
                failure.detail = Some(format!("{error}.").into());
                failure
            })
        }
    };
    let values = cells
        .into_iter()
        .map(value)
        .collect::<Result<Vec<_>, _>>()?;
    ScalarValue::iter_to_array(values).map_err(|error| {
        Failure::new(
            "22P02",
            format!("cannot read column \"{}\": {error}", field.name()),
        )
    })
}
