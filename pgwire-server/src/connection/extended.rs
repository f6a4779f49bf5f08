//! The extended protocol: statements prepared, bound to values, described, and executed piece by
//! piece.

use std::sync::Arc;

use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use rtsap_engine::response::Response;
use rtsap_engine::session::{Prepared, ScalarValue};

use crate::connection::Connection;
use crate::connection::rows::{RowStream, Sent, describe};
use crate::encode::Format;
use crate::error::Failure;
use crate::oid;
use crate::parameter;
use crate::request::{Bind, Target};
use crate::socket::Stop;

/// Prepared statements of one connection: drivers cache a few hundred.
const STATEMENTS_MAX: usize = 10_000;

/// Open portals of one connection, each of which may hold a running query.
const PORTALS_MAX: usize = 256;

/// A prepared statement.
pub(super) struct Statement {
    /// `None` for a text without any statement.
    prepared: Option<Prepared>,
    /// Types of the parameters on the wire.
    oids: Vec<u32>,
}

/// A statement with its values.
pub(super) struct Portal {
    statement: Arc<Statement>,
    parameters: Vec<ScalarValue>,
    formats: Vec<Format>,
    state: State,
}

/// How far a portal is.
enum State {
    /// Nothing was executed yet.
    Bound,
    /// Some rows were sent.
    Running(Box<RowStream>),
    /// All was sent.
    Done,
}

impl Connection {
    /// Prepares a statement.
    pub(super) async fn parse(
        &mut self,
        name: String,
        sql: &str,
        oids: &[u32],
    ) -> Result<(), Stop> {
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Failure::new("42P05", message).into());
        }
        if self.statements.len() >= STATEMENTS_MAX {
            let message = format!("more than {STATEMENTS_MAX} prepared statements");
            return Err(Failure::new("53400", message).hint("Close some.").into());
        }
        let mut statements = self.session.parse(sql)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Failure::new("42601", message).into());
        }
        let statement = match statements.pop() {
            None => Statement {
                prepared: None,
                oids: Vec::new(),
            },
            Some(statement) => self.prepare(&statement, oids).await?,
        };
        self.statements.insert(name, Arc::new(statement));
        Ok(self.outbox.put(&ParseComplete::new())?)
    }

    // Exclusive though it changes nothing: portals hold streams, which only one task at a time may
    // touch.
    async fn prepare(
        &mut self,
        statement: &rtsap_engine::session::Statement,
        oids: &[u32],
    ) -> Result<Statement, Stop> {
        let mut declared = oids
            .iter()
            .map(|oid| oid::declared(*oid))
            .collect::<Result<Vec<_>, _>>()?;
        let mut prepared = self.session.prepare(statement, &declared).await?;
        // A number that nothing else gave a type to is a number, not text.
        let mut open = false;
        for (index, oid) in oids.iter().enumerate() {
            let text = prepared
                .parameter_types
                .get(index)
                .is_some_and(|t| t.is_string());
            if *oid == oid::NUMERIC && text {
                declared[index] = Some(oid::NUMERIC_FALLBACK);
                open = true;
            }
        }
        if open {
            prepared = self.session.prepare(statement, &declared).await?;
        }
        let wire = |(index, inferred)| match oids.get(index) {
            None | Some(0) | Some(&oid::UNKNOWN) => oid::pg_type(inferred).oid,
            Some(given) => *given,
        };
        let oids = prepared
            .parameter_types
            .iter()
            .enumerate()
            .map(wire)
            .collect();
        Ok(Statement {
            prepared: Some(prepared),
            oids,
        })
    }

    /// Binds values to a prepared statement.
    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let statement = self.statement(&bind.statement)?;
        if bind.portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Failure::new("42P03", message).into());
        }
        if self.portals.len() >= PORTALS_MAX {
            let message = format!("more than {PORTALS_MAX} open portals");
            return Err(Failure::new("53400", message).hint("Close some.").into());
        }
        let parameters = parameters(&statement, &bind)?;
        let prepared = statement.prepared.as_ref();
        let result = prepared.and_then(|prepared| prepared.result.as_ref());
        let columns = result.map_or(0, |schema| schema.fields().len());
        let formats = match result {
            Some(_) => formats(&bind.result_formats, columns, "result")?,
            None => Vec::new(),
        };
        let portal = Portal {
            statement,
            parameters,
            formats,
            state: State::Bound,
        };
        self.portals.insert(bind.portal, portal);
        Ok(self.outbox.put(&BindComplete::new())?)
    }

    /// Describes a statement, a portal, or a cursor of SQL, which is a portal too.
    pub(super) async fn describe(&mut self, target: &Target) -> Result<(), Stop> {
        let (statement, formats) = match target {
            Target::Statement(name) => {
                let statement = self.statement(name)?;
                self.outbox
                    .put(&ParameterDescription::new(statement.oids.clone()))?;
                (statement, Vec::new())
            }
            Target::Portal(name) => match self.portals.get(name) {
                Some(portal) => (Arc::clone(&portal.statement), portal.formats.clone()),
                None => return self.describe_cursor(name).await,
            },
        };
        match statement
            .prepared
            .as_ref()
            .and_then(|prepared| prepared.result.as_ref())
        {
            Some(schema) => Ok(self.outbox.put(&describe(schema, &formats)?)?),
            None => Ok(self.outbox.put(&NoData::new())?),
        }
    }

    async fn describe_cursor(&mut self, name: &str) -> Result<(), Stop> {
        let quoted = name.replace('"', "\"\"");
        let parsed = self.session.parse(&format!("FETCH 0 FROM \"{quoted}\""));
        // What a cursor cannot be called is no cursor.
        let statement = parsed.ok().and_then(|mut statements| statements.pop());
        let statement = statement.ok_or_else(|| no_portal(name))?;
        let fetch = self.session.prepare(&statement, &[]).await;
        let schema = fetch
            .ok()
            .and_then(|fetch| fetch.result)
            .ok_or_else(|| no_portal(name))?;
        Ok(self.outbox.put(&describe(&schema, &[])?)?)
    }

    /// Runs a portal, or goes on with it.
    pub(super) async fn execute_portal(
        &mut self,
        name: &str,
        rows_max: Option<u64>,
    ) -> Result<(), Stop> {
        // Taken out while it runs: if it fails it is gone.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        let statement = Arc::clone(&portal.statement);
        let Some(prepared) = &statement.prepared else {
            self.portals.insert(name.to_owned(), portal);
            return self.complete_empty();
        };
        let mut rows = match portal.state {
            State::Running(rows) => {
                self.canceled.mark_unchanged();
                rows
            }
            State::Done if prepared.result.is_some() => {
                portal.state = State::Done;
                self.portals.insert(name.to_owned(), portal);
                return self.complete(prepared.tag, 0);
            }
            State::Done => {
                let message = format!("portal \"{name}\" cannot be run anymore");
                return Err(Failure::new("55000", message).into());
            }
            State::Bound => {
                let response = self.execute(prepared, &portal.parameters).await?;
                match self.begin(prepared, &portal.formats, response).await? {
                    Some(rows) => Box::new(rows),
                    None => {
                        portal.state = State::Done;
                        self.portals.insert(name.to_owned(), portal);
                        return Ok(());
                    }
                }
            }
        };
        portal.state = match self.send_rows(&mut rows, rows_max).await? {
            Sent::All => {
                self.complete(rows.tag, rows.sent)?;
                State::Done
            }
            Sent::Enough => {
                self.outbox.put(&PortalSuspended::new())?;
                State::Running(rows)
            }
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// The rows of an answer; answers without rows are sent here.
    async fn begin(
        &mut self,
        prepared: &Prepared,
        formats: &[Format],
        response: Response,
    ) -> Result<Option<RowStream>, Stop> {
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
                self.copy_out(schema, batches, &options, tag).await?;
                return Ok(None);
            }
            Response::CopyIn { target } => {
                self.copy_in(target).await?;
                return Ok(None);
            }
            Response::Done(tag) => {
                self.complete(tag, 0)?;
                return Ok(None);
            }
            Response::Empty => {
                self.complete_empty()?;
                return Ok(None);
            }
        };
        refuse_changed(prepared, &rows)?;
        rows.formats = formats.to_vec();
        Ok(Some(rows))
    }

    /// Forgets a statement or portal; one that is not there is no error.
    pub(super) fn close(&mut self, target: &Target) -> Result<(), Stop> {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        Ok(self.outbox.put(&CloseComplete::new())?)
    }

    fn statement(&self, name: &str) -> Result<Arc<Statement>, Failure> {
        self.statements.get(name).map(Arc::clone).ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            Failure::new("26000", message)
        })
    }
}

/// Refuses rows whose types are no longer those that the client was told.
fn refuse_changed(prepared: &Prepared, rows: &RowStream) -> Result<(), Failure> {
    let types = |schema: &arrow::datatypes::Schema| -> Vec<u32> {
        schema
            .fields()
            .iter()
            .map(|field| oid::pg_type(field.data_type()).oid)
            .collect()
    };
    let told = prepared.result.as_ref().map(|schema| types(schema));
    if told.is_some_and(|told| told == types(&rows.schema)) {
        return Ok(());
    }
    let message = "cached plan must not change result type";
    Err(Failure::new("0A000", message).hint("Prepare the statement again."))
}

fn no_portal(name: &str) -> Failure {
    Failure::new("34000", format!("portal \"{name}\" does not exist"))
}

fn parameters(statement: &Statement, bind: &Bind) -> Result<Vec<ScalarValue>, Failure> {
    let (given, wanted) = (bind.parameters.len(), statement.oids.len());
    if given != wanted {
        let message = format!(
            "bind message supplies {given} parameters, but prepared statement \"{}\" requires \
             {wanted}",
            bind.statement
        );
        return Err(Failure::protocol(message));
    }
    let Some(prepared) = &statement.prepared else {
        return Ok(Vec::new());
    };
    let formats = formats(&bind.parameter_formats, wanted, "parameter")?;
    let mut values = Vec::with_capacity(wanted);
    for (index, bytes) in bind.parameters.iter().enumerate() {
        let (oid, wanted) = (statement.oids[index], &prepared.parameter_types[index]);
        let value = parameter::read(oid, wanted, formats[index], bytes.as_deref());
        let in_context = |failure: Failure| failure.context(format!("parameter ${}", index + 1));
        values.push(value.map_err(in_context)?);
    }
    Ok(values)
}

/// The format of each of `count` values, from none (all text), one for all, or one each.
fn formats(codes: &[i16], count: usize, what: &str) -> Result<Vec<Format>, Failure> {
    let format = |code: &i16| match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(Failure::protocol(format!(
            "unsupported format code: {other}"
        ))),
    };
    match codes {
        [] => Ok(vec![Format::Text; count]),
        [one] => Ok(vec![format(one)?; count]),
        codes if codes.len() == count => codes.iter().map(format).collect(),
        codes => {
            let message = format!(
                "bind message has {} {what} formats but {count} {what}s",
                codes.len()
            );
            Err(Failure::protocol(message))
        }
    }
}
