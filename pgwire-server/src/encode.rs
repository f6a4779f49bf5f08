//! Arrow columns as values of PostgreSQL, in text and in binary.
//!
//! A batch is prepared once ([`Columns::new`]: one downcast a column), then rows are written
//! straight into the bytes that go to the client. Owns no socket and no message but DataRow.

use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};

use crate::encode::column::Column;
use crate::encode::zone::Zone;
use crate::error::Failure;

pub(crate) mod binary;
pub(crate) mod calendar;
pub(crate) mod column;
pub(crate) mod number;
pub(crate) mod text;
pub(crate) mod zone;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As text.
    Text,
    /// In the type's binary form.
    Binary,
}

impl Format {
    /// The number on the wire.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// A batch made ready for writing.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    rows: usize,
}

impl Columns {
    /// Makes a batch ready.
    ///
    /// # Errors
    /// `22008` for instants out of PostgreSQL's range, `0A000` for types it has nothing for.
    pub(crate) fn new(batch: &RecordBatch) -> Result<Self, Failure> {
        let columns = batch
            .columns()
            .iter()
            .map(Column::new)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            columns,
            rows: batch.num_rows(),
        })
    }

    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Its columns.
    pub(crate) fn all(&self) -> &[Column] {
        &self.columns
    }

    /// Writes row `row` as a DataRow message.
    ///
    /// # Errors
    /// A value that cannot be written in its format: nothing of the row stays in `out` then.
    pub(crate) fn put_data_row(
        &self,
        row: usize,
        formats: &[Format],
        zone: &Zone,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        let start = out.len();
        out.put_u8(b'D');
        let written = put_framed(out, true, |out| {
            self.put_values(row, |index| formats.get(index).copied(), zone, out)
        });
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Writes the number of columns, then each value with its length.
    pub(crate) fn put_values(
        &self,
        row: usize,
        format: impl Fn(usize) -> Option<Format>,
        zone: &Zone,
        out: &mut BytesMut,
    ) -> Result<(), Failure> {
        out.put_u16(u16::try_from(self.columns.len()).map_err(|_| too_many_columns())?);
        for (index, column) in self.columns.iter().enumerate() {
            let format = format(index).unwrap_or(Format::Text);
            put_value(column, row, format, zone, out)?;
        }
        Ok(())
    }
}

/// The error of results that are too wide for the protocol.
pub(crate) fn too_many_columns() -> Failure {
    Failure::new(
        "54011",
        "a result has more columns than the protocol can carry",
    )
}

/// Writes a value with its length before it; −1 for null.
pub(crate) fn put_value(
    column: &Column,
    row: usize,
    format: Format,
    zone: &Zone,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    if column.is_null(row) {
        out.put_i32(-1);
        return Ok(());
    }
    put_framed(out, false, |out| match format {
        Format::Text => text::put(column, row, zone, out),
        Format::Binary => binary::put(column, row, out),
    })
}

/// Writes four bytes of length, then what `write` writes. A message's length counts itself, a
/// value's does not.
pub(crate) fn put_framed(
    out: &mut BytesMut,
    counts_itself: bool,
    write: impl FnOnce(&mut BytesMut) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let at = out.len();
    out.put_i32(0);
    write(out)?;
    let length = out.len() - at - if counts_itself { 0 } else { 4 };
    let length = i32::try_from(length)
        .map_err(|_| Failure::new("54000", "a row is too long for the protocol"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
