//! The simple protocol: a text of statements, run one after the other until one fails.

use rtsap_engine::response::Response;

use crate::connection::Connection;
use crate::connection::rows::{RowStream, describe};
use crate::encode::Format;
use crate::error::Failure;
use crate::socket::Stop;

impl Connection {
    /// Runs all statements of `sql` and sends their answers.
    pub(super) async fn simple(&mut self, sql: &str) -> Result<(), Stop> {
        // As in PostgreSQL: a text of statements replaces the unnamed ones.
        self.statements.remove("");
        self.portals.remove("");
        let statements = self.session.parse(sql)?;
        if statements.is_empty() {
            return self.complete_empty();
        }
        for statement in statements {
            let prepared = self.session.prepare(&statement, &[]).await?;
            if !prepared.parameter_types.is_empty() {
                let failure = Failure::new("42P02", "there is no parameter $1");
                return Err(failure
                    .hint("Prepare the statement to give it parameters.")
                    .into());
            }
            let response = self.execute(&prepared, &[]).await?;
            self.answer(response).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, response: Response) -> Result<(), Stop> {
        let mut rows = match response {
            Response::Rows {
                schema,
                batches,
                tag,
            } => RowStream::rows(schema, batches, tag),
            Response::Changes { schema, changes } => RowStream::changes(schema, changes),
            Response::CopyOut {
                schema,
                batches,
                options,
                tag,
            } => {
                return self.copy_out(schema, batches, &options, tag).await;
            }
            Response::CopyIn { target } => return self.copy_in(target).await,
            Response::Done(tag) => return self.complete(tag, 0),
            Response::Empty => return self.complete_empty(),
        };
        rows.formats = vec![Format::Text; rows.schema.fields().len()];
        self.outbox.put(&describe(&rows.schema, &rows.formats)?)?;
        self.send_rows(&mut rows, None).await?;
        self.complete(rows.tag, rows.sent)
    }
}
