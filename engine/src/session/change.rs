//! Statements that change definitions: each runs to its end, even if its client goes away.

use std::collections::BTreeMap;
use std::sync::Arc;

use rtsap_catalog::object::{SinkDef, ViewDef};
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_planner::statement::{CreateView, StatementKind, WithOptions};
use rtsap_planner::{bind_source, bind_table};

use tokio::sync::oneshot;

use crate::error::EngineError;
use crate::response::CommandTag;
use crate::sequence::{self, Outcome, alter, define, drop, existing, function, notice, replace};
use crate::session::{Session, Statement, defaults, plain_view};
use crate::show;

/// Statements that change definitions. They run to their end even if the client goes away.
pub(super) async fn change(
    session: &Session,
    statement: &Statement,
    kind: &StatementKind,
) -> Result<Outcome, EngineError> {
    if let Some(outcome) = Box::pin(by_session(session, statement, kind)).await? {
        return Ok(outcome);
    }
    let instance = Arc::clone(&session.instance);
    let (kind, sql) = (kind.clone(), show::redacted(statement));
    // Dropped with this future, when the client has gone away.
    let (_waits, gone) = oneshot::channel::<()>();
    let work = async move {
        let it = &instance;
        match &kind {
            StatementKind::CreateSource(create) => {
                refuse_replace(create.or_replace)?;
                let (name, exists_ok) = (&create.name, create.if_not_exists);
                sequence::create(it, name, exists_ok, sql, "CREATE SOURCE", |_, id| {
                    let bound = bind_source(create, &it.functions)?;
                    let made = define::source(it, &name.name, id, bound);
                    made.map_err(|error| at_option(error, &create.options))
                })
                .await
            }
            StatementKind::CreateTable(create) => {
                let (name, exists_ok) = (&create.name, create.if_not_exists);
                sequence::create(it, name, exists_ok, sql, "CREATE TABLE", |_, id| {
                    let bound = bind_table(create, &it.functions)?;
                    Ok(define::table(&name.name, id, bound))
                })
                .await
            }
            StatementKind::CreateView(create) => {
                let (name, exists_ok) = (&create.name, create.if_not_exists);
                let tag = "CREATE STREAMING VIEW";
                let build = |catalog: &CatalogSnapshot, id| {
                    let made = define::view(it, catalog, &name.name, id, view_def(create));
                    made.map_err(|error| shifted(error, create.query_offset))
                };
                match create.or_replace {
                    true => replace::replace(it, name, sql, tag, build).await,
                    false => sequence::create(it, name, exists_ok, sql, tag, build).await,
                }
            }
            StatementKind::CreateSink(create) => {
                let (name, exists_ok) = (&create.name, create.if_not_exists);
                sequence::create(it, name, exists_ok, sql, "CREATE SINK", |catalog, id| {
                    let from = existing(catalog, &create.from)?;
                    let def = SinkDef {
                        from: from.def.id,
                        options: plain_options(&create.options),
                        record: None,
                    };
                    let made = define::sink(it, &name.name, id, from, def);
                    made.map_err(|error| at_option(error, &create.options))
                })
                .await
            }
            StatementKind::CreateFunction(create) => function::create(it, create, sql).await,
            StatementKind::Alter(statement) => alter::alter(it, statement, gone).await,
            StatementKind::Drop(statement) => drop::drop_objects(it, statement).await,
            StatementKind::Comment(statement) => drop::comment(it, statement).await,
            _ => Err(EngineError::unsupported("this statement")),
        }
    };
    // A change that stopped half-way would leave a definition without its dataflow.
    sequence::to_the_end(work).await
}

/// `options` as they are persisted.
fn plain_options(options: &WithOptions) -> BTreeMap<String, String> {
    options
        .iter()
        .map(|(key, option)| (key.clone(), option.value.clone()))
        .collect()
}

pub(crate) fn view_def(create: &CreateView) -> ViewDef {
    ViewDef {
        query: create.query.clone(),
        column_names: create.column_names.clone(),
        options: plain_options(&create.options),
    }
}

/// An error about an option, at the position of its key.
fn at_option(error: EngineError, options: &WithOptions) -> EngineError {
    if error.position.is_some() {
        return error;
    }
    let named = options
        .iter()
        .find(|(key, _)| error.message.contains(&format!("\"{key}\"")));
    let position = named.map(|(_, option)| option.position);
    error.at(position)
}

/// An error about a text that begins `characters` later in the whole one.
pub(crate) fn shifted(mut error: EngineError, characters: u32) -> EngineError {
    error.position = error.position.map(|position| position + characters);
    error
}

/// What needs the session: views that are queries, indexes, and the check of defaults.
async fn by_session(
    session: &Session,
    statement: &Statement,
    kind: &StatementKind,
) -> Result<Option<Outcome>, EngineError> {
    match kind {
        StatementKind::CreatePlainView(create) => {
            let made = plain_view::create(session, create, statement.text()).await;
            made.map(Some)
        }
        StatementKind::CreateIndex { .. } | StatementKind::DropIndex => {
            index(session, kind).map(Some)
        }
        _ => defaults::check(session, kind).await.map(|()| None),
    }
}

/// `CREATE INDEX` and `DROP INDEX` do nothing, and say so.
fn index(session: &Session, kind: &StatementKind) -> Result<Outcome, EngineError> {
    let (tag, message) = match kind {
        StatementKind::CreateIndex { relation } => {
            existing(&session.instance.snapshot(), relation)?;
            let message = "tables and views are kept by their keys already: no index was made";
            ("CREATE INDEX", message)
        }
        _ => ("DROP INDEX", "there are no indexes: nothing was dropped"),
    };
    Ok(Outcome {
        tag: CommandTag::Plain(tag),
        notices: vec![notice("00000", message)],
    })
}

fn refuse_replace(or_replace: bool) -> Result<(), EngineError> {
    if !or_replace {
        return Ok(());
    }
    Err(EngineError::unsupported("OR REPLACE").hint("Drop the object first, then create it again."))
}
