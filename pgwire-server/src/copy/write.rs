//! Rows in the formats of COPY, each row in a CopyData message of its own, as PostgreSQL sends
//! them.

use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};
use rtsap_engine::copy::{CopyFormat, CopyOptions};

use crate::encode::zone::Zone;
use crate::encode::{Columns, Format, put_framed, text};
use crate::error::Failure;

/// The signature, no flags, no header extension.
const BINARY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The number of columns that says that no row follows.
const BINARY_TAIL: i16 = -1;

/// Writes the rows of one COPY.
#[derive(Debug)]
pub(crate) struct CopyWriter {
    options: CopyOptions,
    delimiter: Vec<u8>,
    zone: Zone,
}

impl CopyWriter {
    /// A writer for `options`, with instants shown in `zone`.
    pub(crate) fn new(options: &CopyOptions, zone: Zone) -> Self {
        let delimiter = options.delimiter.to_string().into_bytes();
        Self {
            options: options.clone(),
            delimiter,
            zone,
        }
    }

    /// Writes what comes before the rows.
    pub(crate) fn put_head(&self, schema: &Schema, out: &mut BytesMut) -> Result<(), Failure> {
        if self.options.format == CopyFormat::Binary {
            return put_data(out, |out| {
                out.put_slice(BINARY_HEAD);
                Ok(())
            });
        }
        if !self.options.header {
            return Ok(());
        }
        put_data(out, |out| {
            for (index, field) in schema.fields().iter().enumerate() {
                self.put_delimiter(index, out);
                self.put_cell(field.name().as_bytes(), schema.fields().len() == 1, out);
            }
            out.put_u8(b'\n');
            Ok(())
        })
    }

    /// Writes row `row`.
    ///
    /// # Errors
    /// A value that cannot be written: nothing of the row stays in `out` then.
    pub(crate) fn put_row(
        &self,
        columns: &Columns,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let start = out.len();
        let written = put_data(out, |out| match self.options.format {
            CopyFormat::Binary => {
                columns.put_values(row, |_| Some(Format::Binary), &self.zone, out)
            }
            CopyFormat::Text | CopyFormat::Csv => self.put_line(columns, row, out),
        });
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Writes what comes after the rows.
    pub(crate) fn put_tail(&self, out: &mut BytesMut) -> Result<(), Failure> {
        match self.options.format {
            CopyFormat::Text | CopyFormat::Csv => Ok(()),
            CopyFormat::Binary => put_data(out, |out| {
                out.put_i16(BINARY_TAIL);
                Ok(())
            }),
        }
    }

    fn put_line(&self, columns: &Columns, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
        let single = columns.all().len() == 1;
        let mut cell = BytesMut::new();
        for (index, column) in columns.all().iter().enumerate() {
            self.put_delimiter(index, out);
            if column.is_null(row) {
                out.put_slice(self.options.null.as_bytes());
                continue;
            }
            cell.clear();
            text::put(column, row, &self.zone, &mut cell)?;
            self.put_cell(&cell, single, out);
        }
        out.put_u8(b'\n');
        Ok(())
    }

    fn put_delimiter(&self, index: usize, out: &mut BytesMut) {
        if index > 0 {
            out.put_slice(&self.delimiter);
        }
    }

    /// `single`: it is the only cell of its row.
    fn put_cell(&self, cell: &[u8], single: bool, out: &mut BytesMut) {
        if self.options.format == CopyFormat::Csv {
            self.put_csv(cell, single, out);
        } else {
            self.put_text(cell, out);
        }
    }

    fn put_text(&self, cell: &[u8], out: &mut BytesMut) {
        for byte in cell {
            let escaped = match byte {
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x08 => b'b',
                0x0b => b'v',
                0x0c => b'f',
                other if self.delimiter == [*other] => *other,
                other => {
                    out.put_u8(*other);
                    continue;
                }
            };
            out.put_slice(&[b'\\', escaped]);
        }
    }

    fn put_csv(&self, cell: &[u8], single: bool, out: &mut BytesMut) {
        let holds_delimiter = || {
            cell.windows(self.delimiter.len())
                .any(|part| part == self.delimiter)
        };
        let holds_syntax = || cell.iter().any(|byte| matches!(byte, b'"' | b'\n' | b'\r'));
        let looks_null = cell == self.options.null.as_bytes();
        let looks_ended = single && cell == b"\\.";
        if !(looks_null || looks_ended || holds_syntax() || holds_delimiter()) {
            out.put_slice(cell);
            return;
        }
        out.put_u8(b'"');
        for byte in cell {
            if *byte == b'"' {
                out.put_u8(b'"');
            }
            out.put_u8(*byte);
        }
        out.put_u8(b'"');
    }
}

fn put_data(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    out.put_u8(b'd');
    put_framed(out, true, write)
}
