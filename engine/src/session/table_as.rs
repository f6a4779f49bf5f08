//! `CREATE TABLE … AS`: a table with the columns of a query, and its rows.
//!
//! The query runs to its end before there is a table, and its rows are one write: so the table has
//! all of them, or is not there. Between the two a crash leaves the table empty; the client has no
//! answer then.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use rtsap_catalog::error::CatalogError;
use rtsap_catalog::name::quote;
use rtsap_catalog::object::ColumnKind;
use rtsap_planner::bind_table;
use rtsap_planner::data_type::SqlType;
use rtsap_planner::statement::named_query::CreateTableAs;
use rtsap_planner::statement::{ColumnClause, CreateTable, DropStatement, ObjectNoun, TableBody};
use rtsap_planner::streaming::plain_type;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::{BatchStream, CommandTag, Response};
use crate::sequence::{self, Outcome, define, drop, existing, notice, own_name};
use crate::session::{Session, writes};

/// Creates the table and writes `rows`, whose columns are `found`.
///
/// # Errors
/// `RT0402` if the name is taken; what a table's declaration may not be; those of `rows`; limits;
/// failures to make it durable.
pub(super) async fn create(
    session: &mut Session,
    create: &CreateTableAs,
    found: &SchemaRef,
    rows: BatchStream,
) -> Result<Response, EngineError> {
    let name = own_name(&create.name)?;
    let instance = Arc::clone(&session.instance);
    if let Some(taken) = instance.snapshot().resolve(name.as_str()) {
        let noun = taken.def.kind.noun();
        if create.if_not_exists {
            let message = format!("{noun} \"{name}\" already exists, skipping");
            session.add_notices(vec![notice("42P07", message)]);
            return Ok(Response::Done(CommandTag::Plain("CREATE TABLE AS")));
        }
        let error = EngineError::from(CatalogError::Exists { name, noun });
        return Err(error.at(Some(create.name.position)));
    }
    let table = declared(create, found)?;
    let schema = bind_table(&table, &instance.functions)?.relation.schema;
    let rows = match create.with_data {
        true => writes::collected(&instance, &schema, name.as_str(), rows).await?,
        false => Vec::new(),
    };
    let outcome = made(&instance, &table).await?;
    session.add_notices(outcome.notices);
    let id = existing(&instance.snapshot(), &create.name)?.def.id;
    match writes::insert(session, id, name.as_str(), rows).await {
        Ok(count) => Ok(Response::Done(CommandTag::Affected("SELECT", count))),
        Err(error) => {
            let gone = DropStatement {
                noun: ObjectNoun::Table,
                names: vec![create.name.clone()],
                if_exists: true,
                cascade: false,
            };
            drop::drop_objects(&instance, &gone).await?;
            Err(error)
        }
    }
}

/// Makes the table, to the end even if the client goes away.
async fn made(instance: &Arc<Instance>, table: &CreateTable) -> Result<Outcome, EngineError> {
    let (instance, table) = (Arc::clone(instance), table.clone());
    let work = async move {
        let (name, sql) = (&table.name, text(&table));
        sequence::create(&instance, name, false, sql, "CREATE TABLE AS", |_, id| {
            let bound = bind_table(&table, &instance.functions)?;
            Ok(define::table(&name.name, id, bound))
        })
        .await
    };
    sequence::to_the_end(work).await
}

/// The table as it would be declared.
fn declared(create: &CreateTableAs, found: &SchemaRef) -> Result<CreateTable, EngineError> {
    let (given, count) = (&create.column_names, found.fields().len());
    if given.len() > count {
        let message = format!(
            "the table has {} column names but its query has {count} columns",
            given.len()
        );
        return Err(EngineError::invalid("RT0209", message)
            .sqlstate("42601")
            .at(Some(create.name.position)));
    }
    let mut columns = Vec::with_capacity(count);
    for (index, field) in found.fields().iter().enumerate() {
        let (name, position) = match given.get(index) {
            Some((name, position)) => (name.clone(), *position),
            None => (field.name().clone(), create.name.position),
        };
        let sql_type = sql_type(field.data_type()).ok_or_else(|| {
            let what = format!("a column \"{name}\" of type {}", field.data_type());
            let error = EngineError::unsupported(what).hint("Cast it in the query.");
            error.at(Some(position))
        })?;
        columns.push(ColumnClause {
            name,
            sql_type: Some(sql_type.to_string()),
            nullable: true,
            kind: ColumnKind::Physical,
            default: None,
            position,
            expression_offset: 0,
        });
    }
    Ok(CreateTable {
        name: create.name.clone(),
        if_not_exists: false,
        body: TableBody {
            columns,
            watermark: None,
            primary_key: create.primary_key.clone(),
            append_only: false,
        },
    })
}

fn sql_type(found: &DataType) -> Option<SqlType> {
    match plain_type(found) {
        Some(plain) => SqlType::of_arrow(&plain),
        None => SqlType::of_arrow(found),
    }
}

/// The statement that makes the table without its rows.
fn text(table: &CreateTable) -> String {
    let column = |column: &ColumnClause| {
        let sql_type = column.sql_type.as_deref().unwrap_or("text");
        format!("{} {sql_type}", quote(&column.name))
    };
    let mut parts: Vec<String> = table.body.columns.iter().map(column).collect();
    let key = table.body.primary_key.iter().map(|(name, _)| quote(name));
    let key = key.collect::<Vec<_>>().join(", ");
    if !key.is_empty() {
        parts.push(format!("PRIMARY KEY ({key})"));
    }
    format!(
        "CREATE TABLE {} ({})",
        quote(&table.name.name),
        parts.join(", ")
    )
}
