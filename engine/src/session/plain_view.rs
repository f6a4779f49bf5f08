//! `CREATE [OR REPLACE] VIEW`: its query is planned as a read, and as a streaming view if no read
//! can run it; what can be planned in one of the two ways is kept as text.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use rtsap_catalog::error::CatalogError;
use rtsap_catalog::object::{ObjectKind, ObjectNumber};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_planner::bind::plain_view::bind_plain_view;
use rtsap_planner::logical::plain_view::{Found, inline};
use rtsap_planner::parse::lexeme::lexemes;
use rtsap_planner::parse::query;
use rtsap_planner::plan_view;
use rtsap_planner::statement::named_query::CreatePlainView;

use crate::error::EngineError;
use crate::query::compatible::compatible;
use crate::query::names::names;
use crate::sequence::plain_view::{Bound, commit};
use crate::sequence::{Outcome, irreplaceable, own_name, to_the_end};
use crate::session::Session;
use crate::session::change::shifted;

/// How often a view is planned if the catalog changes meanwhile.
const ATTEMPTS_MAX: usize = 4;

/// Creates a view, or replaces one that nothing reads.
///
/// # Errors
/// `RT0402` if the name is taken, `RT0404` if something reads the view that would be replaced,
/// `RT0409` if the catalog changes again and again, and what the planner refuses of the query.
pub(super) async fn create(
    session: &Session,
    create: &CreatePlainView,
    sql: &str,
) -> Result<Outcome, EngineError> {
    let mut version = 0;
    for _ in 0..ATTEMPTS_MAX {
        let before = session.instance.snapshot();
        version = before.version();
        let bound = Box::pin(bind(session, create, &before)).await?;
        let (instance, create) = (Arc::clone(&session.instance), create.clone());
        let sql = sql.to_owned();
        let work = async move { commit(&instance, &create, sql, bound, version).await };
        // A change that stopped half-way would leave the store and the catalog apart.
        if let Some(outcome) = to_the_end(work).await? {
            return Ok(outcome);
        }
    }
    Err(CatalogError::Conflict { base: version }.into())
}

/// The view as it is kept; `None` if there is one of its name, which stays.
async fn bind(
    session: &Session,
    create: &CreatePlainView,
    before: &CatalogSnapshot,
) -> Result<Option<Bound>, EngineError> {
    let name = own_name(&create.name)?;
    let old = before.resolve(name.as_str());
    let visible = match old.map(|old| (old.def.id, &old.def.kind)) {
        None => before.clone(),
        // The new query must not read the old view of the same name.
        Some((id, ObjectKind::PlainView(_))) if create.or_replace => before
            .apply(&CatalogChange::Drop(vec![id]))
            .map_err(|error| irreplaceable(error, "view", "reads"))?,
        Some(_) if create.if_not_exists => return Ok(None),
        Some((_, kind)) => {
            let noun = kind.noun();
            let error = EngineError::from(CatalogError::Exists { name, noun });
            return Err(error.at(Some(create.name.position)));
        }
    };
    let (found, schema, names) = Box::pin(planned(session, create, &visible))
        .await
        .map_err(|error| shifted(error, create.query_offset))?;
    Ok(Some(Bound {
        def: bind_plain_view(create, &names, &schema)?,
        depends_on: found.named.into_iter().collect(),
        old: old.map(|old| old.def.id),
    }))
}

/// What the query names, and its columns. Positions in errors are those of its text.
async fn planned(
    session: &Session,
    create: &CreatePlainView,
    catalog: &CatalogSnapshot,
) -> Result<(Found, SchemaRef, Vec<String>), EngineError> {
    let text = create.query.as_str();
    let mut statement = query::view_sql(text, &lexemes(text)?)?;
    let given = names(&statement);
    let found = inline(&mut statement, text, catalog, &query::view_sql)?;
    if let Some(parameter) = &found.parameter {
        let message = format!("there is no parameter {parameter}");
        return Err(EngineError::invalid("RT0513", message)
            .sqlstate("42P02")
            .hint("A view has no parameters; filter where it is read."));
    }
    let schema = match read(session, text, catalog).await {
        Ok(schema) => schema,
        Err(error) => {
            let streaming = plan_view(text, &[], catalog, &session.instance.functions);
            match streaming {
                Ok(planned) => planned.relation.schema,
                Err(streaming) if of_streams(catalog, &found.named) => return Err(streaming.into()),
                Err(_) => return Err(error),
            }
        }
    };
    let names = given.filter(|names| names.len() == schema.fields().len());
    let of_schema = || schema.fields().iter().map(|field| field.name().clone());
    let names = names.unwrap_or_else(|| of_schema().collect());
    Ok((found, schema, names))
}

/// The columns of the query as a read.
async fn read(
    session: &Session,
    text: &str,
    catalog: &CatalogSnapshot,
) -> Result<SchemaRef, EngineError> {
    let statement: SqlStatement = query::sql(text, &lexemes(text)?)?;
    let planning = session.planning(catalog.clone(), &Arc::from(text));
    let plan = planning.plan_read(&compatible(text, &statement)).await?;
    planning.columns(plan)
}

/// Whether one of `named` is a source, or a view of one: no read can show its rows.
fn of_streams(catalog: &CatalogSnapshot, named: &BTreeSet<ObjectNumber>) -> bool {
    let mut open: Vec<ObjectNumber> = named.iter().copied().collect();
    while let Some(object) = open.pop().and_then(|id| catalog.by_id(id)) {
        match object.def.kind {
            ObjectKind::Source(_) => return true,
            ObjectKind::PlainView(_) => open.extend(&object.def.depends_on),
            _ => {}
        }
    }
    false
}
