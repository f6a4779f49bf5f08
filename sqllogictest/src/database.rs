//! An engine in memory and its sessions, as the runner knows databases.

use std::fmt;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt;
use object_store::memory::InMemory;
use rtsap_connectors::registry::BuiltinConnectors;
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_engine::error::EngineError;
use rtsap_engine::response::{BatchStream, CommandTag, Response};
use rtsap_engine::session::{Session, SessionSettings};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

use crate::text;

type Output = DBOutput<DefaultColumnType>;

/// A running engine on an empty store. Cloning shares it.
#[derive(Clone)]
pub struct Server {
    engine: Engine,
}

impl Server {
    /// Starts an engine.
    ///
    /// # Errors
    /// Why the engine did not start.
    pub async fn start() -> Result<Self, Failure> {
        Self::start_on(Arc::new(InMemory::new()), 0).await
    }

    /// Starts an engine on what `before` others have left in `store`.
    ///
    /// # Errors
    /// Why the engine did not start.
    pub async fn start_on(store: Arc<InMemory>, before: u64) -> Result<Self, Failure> {
        let mut config = EngineConfig::new(store, format!("sqllogictest {before}"));
        config.check_edges = true;
        let engine = Engine::start(config, Arc::new(BuiltinConnectors)).await?;
        Ok(Self { engine })
    }

    /// A new session.
    ///
    /// # Errors
    /// Why there is none.
    pub fn connect(&self) -> Result<Database, Failure> {
        let settings = SessionSettings {
            user: "rtsap".to_owned(),
            database: "rtsap".to_owned(),
            ..SessionSettings::default()
        };
        let session = self.engine.session(settings)?;
        Ok(Database { session })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Looks whether every row that views have read is accounted for.
    ///
    /// # Errors
    /// Views of which this is not so.
    pub async fn check_ledger(&self) -> Result<(), Failure> {
        // What is suspended stands somewhere between two rows.
        let wrong = "SELECT * FROM rtsap_catalog.ledger WHERE NOT balances AND view NOT IN \
                     (SELECT name FROM rtsap_catalog.views WHERE state = 'suspended')";
        match self.connect()?.run_all(wrong).await? {
            DBOutput::Rows { rows, .. } if !rows.is_empty() => Err(Failure::new(format!(
                "the ledger does not balance: {rows:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// Stops the engine.
    ///
    /// # Errors
    /// What its last checkpoint met.
    pub async fn stop(&self) -> Result<(), Failure> {
        Ok(self.engine.stop().await?)
    }
}

/// What a statement failed with: message, detail and hint, a line each.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    sqlstate: Option<String>,
}

impl Failure {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self::said(&text.to_string(), None, None, None)
    }

    /// What a statement was refused with.
    pub(crate) fn said(
        message: &str,
        detail: Option<&str>,
        hint: Option<&str>,
        sqlstate: Option<String>,
    ) -> Self {
        let mut text = message.to_owned();
        if let Some(detail) = detail {
            text.push_str(&format!("\ndetail: {detail}"));
        }
        if let Some(hint) = hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
        Self { text, sqlstate }
    }

    /// The same with its SQLSTATE before the message.
    pub(crate) fn with_state(mut self) -> Self {
        if let Some(state) = &self.sqlstate {
            self.text = format!("{state}: {}", self.text);
        }
        self
    }

    pub(crate) fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::said(
            &error.message,
            error.detail.as_deref(),
            error.hint.as_deref(),
            error.sqlstate_hint.map(str::to_owned),
        )
    }
}

/// One session.
pub struct Database {
    session: Session,
}

impl Database {
    async fn run_all(&mut self, sql: &str) -> Result<Output, Failure> {
        let mut output = DBOutput::StatementComplete(0);
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(&statement, &[]).await?;
            let response = self.session.execute(&prepared, &[]).await?;
            output = answer(response).await?;
        }
        Ok(output)
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<Output, Failure> {
        let result = self.run_all(sql).await;
        if result.is_err() {
            self.session.set_failed();
        }
        result
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "rtsap"
    }

    fn error_sql_state(failure: &Failure) -> Option<String> {
        failure.sqlstate().map(str::to_owned)
    }
}

async fn answer(response: Response) -> Result<Output, Failure> {
    match response {
        Response::Rows {
            schema, batches, ..
        } => rows(&schema, batches).await,
        Response::Done(CommandTag::Affected(_, rows)) => Ok(DBOutput::StatementComplete(rows)),
        Response::Done(_) | Response::Empty => Ok(DBOutput::StatementComplete(0)),
        Response::Changes { .. } => Err(Failure::new(
            "a subscription never ends: DECLARE c CURSOR FOR SUBSCRIBE …, then FETCH 3 FROM c",
        )),
        Response::CopyOut { .. } | Response::CopyIn { .. } => {
            Err(Failure::new("COPY belongs to the tests of the protocols"))
        }
    }
}

async fn rows(schema: &Schema, mut batches: BatchStream) -> Result<Output, Failure> {
    let types = schema.fields().iter();
    let types = types.map(|field| column_type(field.data_type())).collect();
    let mut rows = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            rows.push(cells(&batch, row)?);
        }
    }
    Ok(DBOutput::Rows { types, rows })
}

/// A value as the files write it. When a change was published differs from run to run, so it is not
/// shown.
pub(crate) fn shown(column: &str, text: String) -> String {
    match text {
        _ if column == "rtsap_time" => "<time>".to_owned(),
        text if text.is_empty() => "(empty)".to_owned(),
        text => text,
    }
}

fn cells(batch: &RecordBatch, row: usize) -> Result<Vec<String>, Failure> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns());
    let cell = |(field, column): (&Arc<arrow::datatypes::Field>, &Arc<dyn Array>)| {
        let text = text::of(column.as_ref(), row).map_err(Failure::new)?;
        Ok(shown(field.name(), text))
    };
    columns.map(cell).collect()
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        DataType::Decimal128(..) | DataType::Decimal256(..) => DefaultColumnType::FloatingPoint,
        _ if data_type.is_integer() => DefaultColumnType::Integer,
        _ if data_type.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}
