//! COPY … FROM STDIN: pieces of text or CSV from the client, rows to the engine, nothing written
//! before the end.

use pgwire::messages::copy::CopyInResponse;
use rtsap_engine::copy::{CopyFormat, CopyIn};

use crate::connection::Connection;
use crate::connection::copy_out::{binary_input, formats};
use crate::copy::read::CopyReader;
use crate::encode::too_many_columns;
use crate::error::Failure;
use crate::request::Request;
use crate::socket::Stop;

impl Connection {
    /// Takes rows until the client ends the COPY.
    pub(super) async fn copy_in(&mut self, mut target: CopyIn) -> Result<(), Stop> {
        let (format, column_format) = formats(target.options());
        let fields = target.schema().fields().len();
        let count = i16::try_from(fields).map_err(|_| too_many_columns())?;
        self.outbox.put(&CopyInResponse::new(
            format,
            count,
            vec![column_format; fields],
        ))?;
        self.outbox.flush().await?;
        let mut reader = CopyReader::new(target.options(), target.schema());
        let binary = target.options().format == CopyFormat::Binary;
        loop {
            match self.copy_request().await? {
                // Not before: clients that send a Sync with the statement expect the error after
                // it.
                Request::CopyData(_) | Request::CopyDone if binary => {
                    return Err(binary_input().into());
                }
                Request::CopyData(bytes) => {
                    for batch in reader.read(&bytes)? {
                        target.push(&batch)?;
                    }
                }
                Request::CopyDone => break,
                Request::CopyFail(reason) => {
                    let message = format!("COPY from stdin failed: {reason}");
                    return Err(Failure::new("57014", message).into());
                }
                // Clients that do not know what they sent may end it like any other statement.
                Request::Flush | Request::Sync => {}
                _ => {
                    let message = "unexpected message type during COPY from stdin";
                    return Err(Failure::protocol(message).fatal().into());
                }
            }
        }
        if let Some(batch) = reader.end()? {
            target.push(&batch)?;
        }
        let tag = target.finish(&mut self.session).await?;
        self.complete(tag, 0)
    }

    async fn copy_request(&mut self) -> Result<Request, Stop> {
        let frame = tokio::select! {
            frame = self.inbox.frame() => frame?,
            changed = self.canceled.changed() => return match changed {
                Ok(()) => Err(Failure::canceled().into()),
                Err(_) => Err(Stop::Gone),
            },
            () = self.stop.cancelled() => return Err(Failure::shutdown().into()),
        };
        Ok(Request::read(frame)?)
    }
}
