//! One conversation: reads a request, answers it, and keeps what lives between requests.
//!
//! After a failed request of the extended protocol everything up to the next Sync is skipped. A
//! FATAL failure is the last thing that is sent.

use std::collections::HashMap;
use std::sync::Arc;

use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus as Status,
};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};
use rtsap_engine::response::{CommandTag, Response};
use rtsap_engine::session::{Prepared, ScalarValue, Session, TransactionStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connection::extended::{Portal, Statement};
use crate::encode::zone::Zone;
use crate::error::{Failure, notice_response};
use crate::request::Request;
use crate::socket::{Inbox, Outbox, Stop};

mod copy_in;
mod copy_out;
mod extended;
mod rows;
mod simple;

/// One client's conversation.
pub(crate) struct Connection {
    inbox: Inbox,
    outbox: Outbox,
    session: Session,
    statements: HashMap<String, Arc<Statement>>,
    portals: HashMap<String, Portal>,
    canceled: watch::Receiver<u64>,
    stop: CancellationToken,
    /// A request of the extended protocol failed: skip to the next Sync.
    skipping: bool,
}

impl Connection {
    /// A conversation over a session that has begun.
    pub(crate) fn new(
        inbox: Inbox,
        outbox: Outbox,
        session: Session,
        canceled: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            inbox,
            outbox,
            session,
            statements: HashMap::new(),
            portals: HashMap::new(),
            canceled,
            stop,
            skipping: false,
        }
    }

    /// Converses until one of the two ends it.
    pub(crate) async fn run(mut self, process_id: i32, secret: i32) {
        let ended = self.converse(process_id, secret).await;
        if let Err(Stop::Failed(failure)) = ended {
            // The client may be gone; there is nobody else to tell.
            if self.outbox.put(&failure.response()).is_ok() && self.outbox.flush().await.is_ok() {
                self.outbox.close().await;
            }
        }
    }

    async fn converse(&mut self, process_id: i32, secret: i32) -> Result<(), Stop> {
        self.greet(process_id, secret).await?;
        loop {
            let frame = tokio::select! {
                frame = self.inbox.frame() => frame?,
                () = self.stop.cancelled() => return Err(Failure::shutdown().into()),
            };
            if self.skipping && !matches!(frame.tag, b'S' | b'X') {
                continue;
            }
            let tag = frame.tag;
            let handled = match Request::read(frame) {
                Ok(Request::Terminate) => return Ok(()),
                Ok(request) => Box::pin(self.handle(request)).await,
                Err(failure) => Err(failure.into()),
            };
            match handled {
                Ok(()) => {}
                Err(Stop::Failed(failure)) if !failure.fatal => {
                    self.report(&failure)?;
                    if Request::is_extended(tag) {
                        self.skipping = true;
                        // Some clients wait for the error before they send their Sync.
                        self.outbox.flush().await?;
                    } else {
                        self.ready().await?;
                    }
                }
                Err(stop) => return Err(stop),
            }
        }
    }

    async fn greet(&mut self, process_id: i32, secret: i32) -> Result<(), Stop> {
        self.outbox.put(&Authentication::Ok)?;
        self.session.take_parameter_changes();
        for (name, value) in self.session.reported_parameters() {
            self.outbox
                .put(&ParameterStatus::new(name.to_owned(), value))?;
        }
        self.outbox
            .put(&BackendKeyData::new(process_id, SecretKey::I32(secret)))?;
        self.put_notices()?;
        self.ready().await
    }

    async fn handle(&mut self, request: Request) -> Result<(), Stop> {
        match request {
            Request::Query(sql) => {
                self.simple(&sql).await?;
                self.ready().await
            }
            Request::Parse { name, sql, oids } => self.parse(name, &sql, &oids).await,
            Request::Bind(bind) => self.bind(bind),
            Request::Describe(target) => self.describe(&target).await,
            Request::Execute { portal, rows_max } => self.execute_portal(&portal, rows_max).await,
            Request::Close(target) => self.close(&target),
            Request::Flush => self.outbox.flush().await,
            Request::Sync => {
                self.skipping = false;
                // The end of the implicit transaction: its portals end with it.
                if self.session.transaction_status() == TransactionStatus::Idle {
                    self.portals.clear();
                }
                self.ready().await
            }
            Request::FunctionCall => {
                Err(Failure::new("0A000", "function calls by number are not supported").into())
            }
            // What comes after a COPY has failed; nobody waits for an answer.
            Request::CopyData(_) | Request::CopyDone | Request::CopyFail(_) => Ok(()),
            Request::Terminate => Err(Stop::Gone),
        }
    }

    /// Tells of a failure. What was prepared for the client before goes out with it.
    fn report(&mut self, failure: &Failure) -> Result<(), Stop> {
        self.session.set_failed();
        self.put_notices()?;
        Ok(self.outbox.put(&failure.response())?)
    }

    /// Says that the next request may come.
    async fn ready(&mut self) -> Result<(), Stop> {
        for (name, value) in self.session.take_parameter_changes() {
            self.outbox
                .put(&ParameterStatus::new(name.to_owned(), value))?;
        }
        let status = match self.session.transaction_status() {
            TransactionStatus::Idle => Status::Idle,
            TransactionStatus::Open => Status::Transaction,
            TransactionStatus::Failed => Status::Error,
        };
        self.outbox.put(&ReadyForQuery::new(status))?;
        self.outbox.flush().await
    }

    fn put_notices(&mut self) -> Result<(), Failure> {
        for notice in self.session.take_notices() {
            self.outbox.put(&notice_response(&notice))?;
        }
        Ok(())
    }

    /// Has the engine execute a statement, unless the client goes away first.
    async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: &[ScalarValue],
    ) -> Result<Response, Stop> {
        // A cancel request from before is not for this statement.
        self.canceled.mark_unchanged();
        let work = Box::pin(self.session.execute(prepared, parameters));
        let response = tokio::select! {
            biased;
            response = work => response,
            () = self.inbox.closed() => return Err(Stop::Gone),
        };
        self.put_notices()?;
        Ok(response?)
    }

    fn complete(&mut self, tag: CommandTag, rows: u64) -> Result<(), Stop> {
        self.put_notices()?;
        Ok(self.outbox.put(&CommandComplete::new(tag.text(rows)))?)
    }

    fn complete_empty(&mut self) -> Result<(), Stop> {
        Ok(self.outbox.put(&EmptyQueryResponse::new())?)
    }

    /// The time zone in which instants are shown now.
    fn zone(&self) -> Zone {
        Zone::of(
            self.session
                .parameter("TimeZone")
                .as_deref()
                .unwrap_or("UTC"),
        )
    }
}
