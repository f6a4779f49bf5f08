//! The door: plain Flight with SQL text and paths is answered here, Flight SQL's commands are
//! passed on.

use std::pin::Pin;

use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use rtsap_engine::Engine;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::error::FlightServerError;
use crate::flight_sql::FlightSql;
use crate::info::flight_info;
use crate::ingest::name;
use crate::metadata;
use crate::statement;
use crate::stream::{FlightStream, wire_schema};

/// Begins every command of Flight SQL, after the protobuf tag and the length.
const COMMAND: &[u8] = b"type.googleapis.com/arrow.flight.protocol.sql.";
/// Actions that are answered, with what they do.
const ACTIONS: [(&str, &str); 2] = [
    (
        "CreatePreparedStatement",
        "Creates a prepared statement: ActionCreatePreparedStatementRequest, \
         ActionCreatePreparedStatementResult",
    ),
    (
        "ClosePreparedStatement",
        "Closes a prepared statement: ActionClosePreparedStatementRequest, no result",
    ),
];

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Everything a Flight client can call.
pub(crate) struct Service {
    sql: FlightSql,
}

impl Service {
    /// Over `engine`, until `stopping`.
    ///
    /// # Errors
    /// A bug of ours.
    pub(crate) fn new(
        engine: Engine,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, FlightServerError> {
        let sql = FlightSql::new(engine, stopping)?;
        Ok(Self { sql })
    }

    async fn info(&self, request: Request<FlightDescriptor>) -> Result<FlightInfo, Status> {
        let descriptor = request.get_ref();
        if descriptor.r#type == DescriptorType::Path as i32 {
            let sql = select_all(&descriptor.path)?;
            return self.sql.describe(&sql, request.into_inner()).await;
        }
        if is_command(&descriptor.cmd) {
            let info = FlightService::get_flight_info(&self.sql, request).await?;
            return Ok(info.into_inner());
        }
        let sql = text(&descriptor.cmd)?.to_owned();
        self.sql.describe(&sql, request.into_inner()).await
    }

    async fn flights(&self) -> Result<Vec<Result<FlightInfo, Status>>, Status> {
        let mut session = statement::session(&self.sql.engine)?;
        let relations = metadata::relations(&mut session, Some("public"), None).await?;
        let mut flights = Vec::new();
        for relation in relations.iter().filter(|relation| relation.is_public()) {
            let Some(columns) = metadata::columns(&session, relation).await? else {
                continue;
            };
            let path = vec![relation.name.clone()];
            let ticket = Bytes::from(select_all(&relation.path())?);
            let descriptor = FlightDescriptor::new_path(path);
            flights.push(flight_info(&wire_schema(&columns), ticket, descriptor));
        }
        Ok(flights)
    }
}

fn is_command(bytes: &[u8]) -> bool {
    const TAG: u8 = 0x0a;
    bytes.first() == Some(&TAG) && bytes.get(2..).is_some_and(|rest| rest.starts_with(COMMAND))
}

fn text(bytes: &Bytes) -> Result<&str, Status> {
    std::str::from_utf8(bytes).map_err(|_| {
        Status::invalid_argument(
            "cannot read this: it is neither a Flight SQL command nor SQL text",
        )
    })
}

/// The query that a path stands for.
fn select_all(path: &[String]) -> Result<String, Status> {
    if path.is_empty() || path.len() > 2 {
        return Err(Status::invalid_argument(
            "cannot find a relation by this path\nHINT: Use [table] or [schema, table].",
        ));
    }
    Ok(format!("SELECT * FROM {}", name(path)))
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = FlightStream;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.sql.handshake(request).await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        if !request.get_ref().expression.is_empty() {
            return Err(Status::unimplemented(
                "criteria are not supported\nHINT: Send none.",
            ));
        }
        let flights = self.flights().await?;
        Ok(Response::new(futures::stream::iter(flights).boxed()))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(request).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        // Nothing is computed before DoGet, so there is nothing to poll for.
        let info = self.info(request).await?;
        Ok(Response::new(PollInfo::new().with_info(info)))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let info = self.info(request).await?;
        let schema = info.schema;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        if is_command(&request.get_ref().ticket) {
            return self.sql.do_get(request).await;
        }
        let ticket = request.into_inner().ticket;
        self.sql.run(text(&ticket)?).await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        self.sql.do_put(request).await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let asked = &request.get_ref().r#type;
        if ACTIONS.iter().any(|(name, _)| name == asked) {
            return self.sql.do_action(request).await;
        }
        let hint = match asked.as_str() {
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                "Every statement is its own transaction; switch the client to autocommit."
            }
            "CancelQuery" | "CancelFlightInfo" => "End the DoGet call: that stops its statement.",
            _ => "ListActions names those that are.",
        };
        let message = format!("action \"{asked}\" is not supported\nHINT: {hint}");
        Err(Status::unimplemented(message))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = ACTIONS.map(|(name, description)| {
            Ok(ActionType {
                r#type: name.to_owned(),
                description: description.to_owned(),
            })
        });
        Ok(Response::new(futures::stream::iter(actions).boxed()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        let hint = "Use DoGet to read and DoPut to write.";
        let message = format!("DoExchange is not supported\nHINT: {hint}");
        Err(Status::unimplemented(message))
    }
}
