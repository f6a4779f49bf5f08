//! COPY … TO STDOUT: batches in one of the COPY formats, endless if they come from a subscription.

use arrow::datatypes::SchemaRef;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use rtsap_engine::copy::{CopyFormat, CopyOptions};
use rtsap_engine::response::{BatchStream, CommandTag};

use crate::connection::Connection;
use crate::copy::write::CopyWriter;
use crate::encode::{Columns, too_many_columns};
use crate::error::Failure;
use crate::socket::Stop;

impl Connection {
    /// Sends all rows.
    pub(super) async fn copy_out(
        &mut self,
        schema: SchemaRef,
        mut batches: BatchStream,
        options: &CopyOptions,
        tag: CommandTag,
    ) -> Result<(), Stop> {
        let (format, column_format) = formats(options);
        let count = i16::try_from(schema.fields().len()).map_err(|_| too_many_columns())?;
        let columns = vec![column_format; schema.fields().len()];
        self.outbox
            .put(&CopyOutResponse::new(format, count, columns))?;
        let writer = CopyWriter::new(options, self.zone());
        writer.put_head(&schema, self.outbox.bytes())?;
        let endless = is_changelog(&schema);
        let mut rows = 0;
        // Always patient: a COPY has no limit of rows.
        while let Some(Some(batch)) = self.next_batch(&mut batches, endless, true).await? {
            let columns = Columns::new(&batch)?;
            for row in 0..columns.rows() {
                writer.put_row(&columns, row, self.outbox.bytes())?;
                rows += 1;
                self.outbox.flush_if_full().await?;
            }
        }
        writer.put_tail(self.outbox.bytes())?;
        self.outbox.put(&CopyDone::new())?;
        self.complete(tag, rows)
    }
}

/// The format of the whole and that of each column.
pub(super) fn formats(options: &CopyOptions) -> (i8, i16) {
    match options.format {
        CopyFormat::Text | CopyFormat::Csv => (0, 0),
        CopyFormat::Binary => (1, 1),
    }
}

/// Whether rows are those of a subscription: they begin with its two columns.
fn is_changelog(schema: &SchemaRef) -> bool {
    let mut names = schema.fields().iter().map(|field| field.name().as_str());
    names.next() == Some("rtsap_time") && names.next() == Some("rtsap_op")
}

/// The error of a COPY whose format cannot be read.
pub(super) fn binary_input() -> Failure {
    Failure::new("0A000", "COPY FROM STDIN in binary format is not supported")
        .hint("Use the text or CSV format.")
}
