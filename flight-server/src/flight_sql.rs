//! Flight SQL's commands, one method each. Text and handles go in, batches come out as they are
//! computed.

use std::pin::Pin;

use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::metadata::{SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::server::{DoPutError, FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandGetXdbcTypeInfo, CommandPreparedStatementQuery, CommandPreparedStatementUpdate,
    CommandStatementIngest, CommandStatementQuery, CommandStatementSubstraitPlan,
    CommandStatementUpdate, DoPutPreparedStatementResult, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, PutResult, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use rtsap_engine::Engine;
use rtsap_engine::session::Prepared;
use tokio::sync::watch;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use crate::error::FlightServerError;
use crate::info::{DONE, command, done, flight_info, sent};
use crate::ingest::{self, ingest};
use crate::prepared::{PreparedStatement, PreparedStatements};
use crate::statement::{self, DATABASE, Outcome, Rows, announced};
use crate::stream::{FlightStream, encoded, schema_bytes};
use crate::{metadata, parameters};

type PutStream = Pin<Box<dyn Stream<Item = Result<PutResult, Status>> + Send>>;
type HandshakeStream = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>;

/// What clients get as a token: nothing is checked in this version, and nothing follows from having
/// it.
const TOKEN: &str = "Bearer anonymous";

/// The commands of Flight SQL over one engine.
pub(crate) struct FlightSql {
    pub(crate) engine: Engine,
    prepared: PreparedStatements,
    stopping: watch::Receiver<bool>,
    info: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl FlightSql {
    /// Over `engine`, until `stopping`.
    ///
    /// # Errors
    /// A bug of ours.
    pub(crate) fn new(
        engine: Engine,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, FlightServerError> {
        Ok(Self {
            engine,
            prepared: PreparedStatements::default(),
            stopping,
            info: metadata::sql_info().map_err(FlightServerError::Internal)?,
            types: metadata::xdbc_type_info().map_err(FlightServerError::Internal)?,
        })
    }

    /// Runs `sql` and streams its rows.
    ///
    /// # Errors
    /// As [`statement::query`].
    pub(crate) async fn run(&self, sql: &str) -> Result<Response<FlightStream>, Status> {
        if sql.as_bytes() == DONE {
            return self.streamed(Outcome::Done(0).into_rows());
        }
        let rows = statement::query(&self.engine, sql).await?;
        self.streamed(rows)
    }

    /// Describes what `sql` would answer; its ticket is the text, which runs at DoGet.
    ///
    /// # Errors
    /// As [`statement::prepare`].
    pub(crate) async fn describe(
        &self,
        sql: &str,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let session = statement::session(&self.engine)?;
        let prepared = statement::prepare(&session, sql).await?;
        described(&prepared, sql, descriptor)
    }

    fn streamed(&self, rows: Rows) -> Result<Response<FlightStream>, Status> {
        Ok(Response::new(encoded(rows, self.stopping.clone())?))
    }
}

/// What the statement `prepared`, which is `sql`, will answer.
fn described(
    prepared: &Prepared,
    sql: &str,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    if !prepared.parameter_types.is_empty() {
        return Err(Status::invalid_argument(
            "the statement has parameters but no values\nHINT: Prepare it and bind them.",
        ));
    }
    let ticket = Bytes::copy_from_slice(sql.as_bytes());
    flight_info(&announced(prepared), ticket, descriptor)
}

fn text(bytes: &[u8]) -> Result<&str, Status> {
    std::str::from_utf8(bytes).map_err(|_| Status::invalid_argument("the statement is not UTF-8"))
}

fn refuse_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        None => Ok(()),
        Some(_) => Err(Status::unimplemented(
            "transactions are not supported over Arrow Flight\n\
             HINT: Switch the client to autocommit.",
        )),
    }
}

const NO_SUBSTRAIT: &str = "Substrait plans are not supported\nHINT: Send SQL text.";

#[tonic::async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<HandshakeStream>, Status> {
        let answer = HandshakeResponse {
            protocol_version: 0,
            payload: Bytes::new(),
        };
        let answers = futures::stream::once(async move { Ok(answer) });
        let mut response = Response::new(answers.boxed() as HandshakeStream);
        let token = MetadataValue::from_static(TOKEN);
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        refuse_transaction(query.transaction_id.as_ref())?;
        let descriptor = request.into_inner();
        let mut session = statement::session(&self.engine)?;
        let prepared = statement::prepare(&session, &query.query).await?;
        if prepared.result.is_none() {
            statement::change(&mut session, &prepared, &[]).await?;
            return done(descriptor);
        }
        described(&prepared, &query.query, descriptor).map(Response::new)
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented(NO_SUBSTRAIT))
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        let mut statement = statement.lock().await;
        if statement.prepared().result.is_none() {
            statement.update().await?;
            return done(request.into_inner());
        }
        command(&announced(statement.prepared()), request)
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&query.into_builder().schema(), request)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&query.into_builder().schema(), request)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&query.into_builder().schema(), request)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&query.into_builder().schema(), request)
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&query.into_builder(&self.info).schema(), request)
    }

    async fn get_flight_info_primary_keys(
        &self,
        _query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&metadata::primary_keys_schema(), request)
    }

    async fn get_flight_info_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&metadata::foreign_keys().schema(), request)
    }

    async fn get_flight_info_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&metadata::foreign_keys().schema(), request)
    }

    async fn get_flight_info_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&metadata::foreign_keys().schema(), request)
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        command(&query.into_builder(&self.types).schema(), request)
    }

    async fn get_flight_info_fallback(
        &self,
        command: Command,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let message = format!("command \"{}\" is not supported", command.type_url());
        Err(Status::unimplemented(message))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        self.run(text(&ticket.statement_handle)?).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        let rows = statement.lock().await.query().await?;
        self.streamed(rows)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let mut builder = query.into_builder();
        builder.append(DATABASE);
        sent(builder.build().map_err(Status::from)?)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::schemas(&self.engine, query).await?)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::tables(&self.engine, query).await?)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::table_types(query)?)
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let batch = query.into_builder(&self.info).build();
        sent(batch.map_err(Status::from)?)
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::primary_keys(&self.engine, query).await?)
    }

    async fn do_get_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::foreign_keys())
    }

    async fn do_get_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::foreign_keys())
    }

    async fn do_get_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        sent(metadata::foreign_keys())
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let batch = query.into_builder(&self.types).build();
        sent(batch.map_err(Status::from)?)
    }

    async fn do_put_statement_update(
        &self,
        command: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        refuse_transaction(command.transaction_id.as_ref())?;
        statement::update(&self.engine, &command.query).await
    }

    async fn do_put_statement_ingest(
        &self,
        command: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let path = ingest::target(&command)?;
        ingest(&self.engine, &path, request.into_inner()).await
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        let rows = parameters::rows(request.into_inner()).await?;
        statement.lock().await.bind(rows)?;
        Ok(DoPutPreparedStatementResult {
            prepared_statement_handle: Some(query.prepared_statement_handle),
        })
    }

    async fn do_put_prepared_statement_update(
        &self,
        query: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        let rows = parameters::rows(request.into_inner()).await?;
        let mut statement = statement.lock().await;
        if !rows.is_empty() {
            statement.bind(rows)?;
        }
        statement.update().await
    }

    async fn do_put_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(Status::unimplemented(NO_SUBSTRAIT))
    }

    async fn do_put_fallback(
        &self,
        request: Request<PeekableFlightDataStream>,
        message: Any,
    ) -> Result<Response<PutStream>, Status> {
        let mut stream = request.into_inner();
        let first = stream.peek().await.cloned().transpose()?;
        let descriptor = first.and_then(|data| data.flight_descriptor);
        let Some(descriptor) = descriptor.filter(|it| it.r#type == DescriptorType::Path as i32)
        else {
            let message = format!("command \"{}\" is not supported", message.type_url);
            return Err(Status::unimplemented(message));
        };
        ingest(&self.engine, &descriptor.path, stream).await?;
        Ok(Response::new(futures::stream::empty().boxed()))
    }

    async fn do_put_error_callback(
        &self,
        _request: Request<PeekableFlightDataStream>,
        error: DoPutError,
    ) -> Result<Response<PutStream>, Status> {
        Err(Status::invalid_argument(format!(
            "cannot take what was put: {error}"
        )))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        refuse_transaction(query.transaction_id.as_ref())?;
        let statement = PreparedStatement::new(&self.engine, &query.query).await?;
        let prepared = statement.prepared();
        let dataset_schema = schema_bytes(&announced(prepared))?;
        let parameter_schema = schema_bytes(&parameters::schema(&prepared.parameter_types))?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.prepared.insert(statement),
            dataset_schema,
            parameter_schema,
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        self.prepared.remove(&query.prepared_statement_handle);
        Ok(())
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
