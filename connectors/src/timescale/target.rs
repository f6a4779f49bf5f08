//! The table that results go to: created as the view needs it, or checked to fit. Owns all DDL of
//! this sink but that of the progress record.

use rtsap_stream::error::ConnectorError;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::column::Column;
use super::connection::database_error;
use super::options::{SinkOptions, TableName, quote};

/// What the view needs of its target.
pub struct Target {
    /// Its columns, in the view's order.
    pub columns: Vec<Column>,
    /// Indices of the key columns, the time column first; empty for an append-only view.
    pub key: Vec<usize>,
    /// Index of the time column.
    pub time: Option<usize>,
}

/// What was found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The server and the table, for the report.
    pub description: String,
    /// Whether every column of the table has the very type that is written, so that rows can be
    /// copied straight in.
    pub same_types: bool,
    /// All columns as they were found, for [`Target::columns_of`] to be compared with.
    pub columns: String,
}

/// A server: PostgreSQL, and perhaps TimescaleDB.
struct Server {
    postgres: String,
    /// Version and licence of the extension, if it is installed in this database.
    timescale: Option<(String, String)>,
    /// Whether the extension could be installed in this database.
    available: bool,
}

impl Server {
    async fn ask(client: &Client) -> Result<Self, ConnectorError> {
        let sql = "SELECT pg_catalog.current_setting('server_version'), \
            (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'), \
            pg_catalog.current_setting('timescaledb.license', true), \
            EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'timescaledb')";
        let row = client.query_one(sql, &[]).await;
        let row = row.map_err(|error| database_error("ask the server who it is", error))?;
        let version: String = row.get(0);
        let extension: Option<String> = row.get(1);
        let license: Option<String> = row.get(2);
        let postgres = version
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let timescale = extension.map(|version| (version, license.unwrap_or_default()));
        Ok(Self {
            postgres,
            timescale,
            available: row.get(3),
        })
    }

    fn description(&self) -> String {
        match &self.timescale {
            Some((version, license)) => {
                let edition = match license.as_str() {
                    "apache" => "Apache edition",
                    "timescale" => "Community edition",
                    _ => "edition unknown",
                };
                format!(
                    "TimescaleDB {version} ({edition}) on PostgreSQL {}",
                    self.postgres
                )
            }
            None if self.available => format!(
                "PostgreSQL {} (TimescaleDB is available, but CREATE EXTENSION timescaledb was \
                 not run here)",
                self.postgres
            ),
            None => format!("PostgreSQL {} (no TimescaleDB)", self.postgres),
        }
    }

    /// Whether `by_range` exists.
    fn has_dimension_builders(&self) -> bool {
        let version = self
            .timescale
            .as_ref()
            .map_or("", |(version, _)| version.as_str());
        let mut numbers = version
            .split(['.', '-'])
            .map(|number| number.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        version >= (2, 13)
    }
}

impl Target {
    /// Creates the table or checks it. Runs within the caller's transaction, behind the set-up
    /// lock.
    ///
    /// `written` says that rows have been written to it before: then it must be there.
    ///
    /// # Errors
    /// `Invalid` if the table is missing and may not be created, or does not fit; `Data` if it was
    /// written to and is gone; `Denied` if the role may not create it.
    pub async fn prepare(
        &self,
        client: &Client,
        options: &SinkOptions,
        written: bool,
    ) -> Result<Found, ConnectorError> {
        let server = Server::ask(client).await?;
        let table = &options.table;
        let exists = self.exists(client, table).await?;
        if !exists && written {
            return Err(ConnectorError::data(format!(
                "cannot write to table \"{table}\": it is gone"
            ))
            .with_detail("Rows were written to it before, and its progress record is still there.")
            .with_hint("Restore the table, or drop the sink and create it anew."));
        }
        if !exists && !options.create {
            return Err(
                ConnectorError::invalid(format!("table \"{table}\" does not exist"))
                    .with_hint("Create it, or set 'create' = 'true'."),
            );
        }
        if !exists {
            self.create(client, options, &server).await?;
        }
        let columns = self.columns_of(client, table).await?;
        let same_types = self.check(client, table).await?;
        let shape = match (
            &server.timescale,
            self.is_hypertable(client, table, &server).await?,
        ) {
            (_, true) => "hypertable",
            (Some(_), false) if options.hypertable => self.why_plain(exists),
            _ => "plain table",
        };
        Ok(Found {
            description: format!("{}, {shape}", server.description()),
            same_types,
            columns,
        })
    }

    fn why_plain(&self, existed: bool) -> &'static str {
        match self.time {
            _ if existed => "plain table (it was there before)",
            None => "plain table (the view has no event time)",
            Some(_) => "plain table (the key does not contain the event time)",
        }
    }

    async fn exists(&self, client: &Client, table: &TableName) -> Result<bool, ConnectorError> {
        let sql = "SELECT c.relkind::text FROM pg_catalog.pg_class c \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname = $1 AND c.relname = $2";
        let row = client.query_opt(sql, &[&table.schema, &table.name]).await;
        let row =
            row.map_err(|error| database_error(&format!("look up table \"{table}\""), error))?;
        let Some(row) = row else { return Ok(false) };
        let kind: String = row.get(0);
        if kind != "r" && kind != "p" {
            return Err(ConnectorError::invalid(format!(
                "cannot write to \"{table}\": it is no table"
            )));
        }
        Ok(true)
    }

    async fn create(
        &self,
        client: &Client,
        options: &SinkOptions,
        server: &Server,
    ) -> Result<(), ConnectorError> {
        let table = &options.table;
        let action = format!("create table \"{table}\"");
        let failed = |error| database_error(&action, error);
        let schema = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
        if client
            .query_opt(schema, &[&table.schema])
            .await
            .map_err(failed)?
            .is_none()
        {
            let sql = format!("CREATE SCHEMA {}", quote(&table.schema));
            client.batch_execute(&sql).await.map_err(failed)?;
        }
        let mut parts: Vec<String> = self.columns.iter().map(column_sql).collect();
        if !self.key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", self.key_sql()));
        }
        let sql = format!("CREATE TABLE {} ({})", table.sql(), parts.join(", "));
        client.batch_execute(&sql).await.map_err(failed)?;
        let Some(time) = self.time else { return Ok(()) };
        let partitionable = self.key.is_empty() || self.key.contains(&time);
        if !options.hypertable || server.timescale.is_none() || !partitionable {
            return Ok(());
        }
        let action = format!("turn table \"{table}\" into a hypertable");
        let failed = |error| database_error(&action, error);
        // With a key its index leads with the time; without one the extension adds an index on the
        // time.
        let default_index = self.key.is_empty();
        let relation = table.sql();
        let column = &self.columns[time].name;
        let interval = &options.chunk_interval;
        let sql = if server.has_dimension_builders() {
            "SELECT create_hypertable($1::text::regclass, \
             by_range($2::text::name, $3::text::interval), \
             create_default_indexes => $4::bool)"
        } else {
            "SELECT create_hypertable($1::text::regclass, $2::text::name, \
             chunk_time_interval => $3::text::interval, create_default_indexes => $4::bool)"
        };
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&relation, column, interval, &default_index];
        client.execute(sql, &parameters).await.map_err(failed)?;
        Ok(())
    }

    /// Whether the table is a hypertable.
    async fn is_hypertable(
        &self,
        client: &Client,
        table: &TableName,
        server: &Server,
    ) -> Result<bool, ConnectorError> {
        if server.timescale.is_none() {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM timescaledb_information.hypertables \
            WHERE hypertable_schema = $1 AND hypertable_name = $2";
        let row = client.query_opt(sql, &[&table.schema, &table.name]).await;
        let row =
            row.map_err(|error| database_error(&format!("look up table \"{table}\""), error))?;
        Ok(row.is_some())
    }

    /// The table's columns as text: another text means that somebody has changed one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn columns_of(
        &self,
        client: &Client,
        table: &TableName,
    ) -> Result<String, ConnectorError> {
        let sql = "SELECT coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, \
                a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated), ',' \
                ORDER BY a.attnum), '') FROM pg_catalog.pg_attribute a \
            WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = client.query_typed(sql, &[(&table.sql(), Type::TEXT)]).await;
        let rows =
            rows.map_err(|error| database_error(&format!("look up table \"{table}\""), error))?;
        let columns = rows.first().and_then(|row| row.try_get(0).ok());
        Ok(columns.unwrap_or_default())
    }

    /// Checks that every column is there with a type that holds its values, that no other column
    /// must be filled, and that the key is unique. Returns whether all types are the very ones that
    /// are written.
    ///
    /// # Errors
    /// `Invalid` with the column that does not fit.
    pub async fn check(&self, client: &Client, table: &TableName) -> Result<bool, ConnectorError> {
        let sql = "SELECT a.attname::text, t.typname::text, a.atttypmod, a.attnotnull, \
                a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a', \
                pg_catalog.format_type(a.atttypid, a.atttypmod) \
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
            WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = client.query(sql, &[&table.sql()]).await;
        let rows =
            rows.map_err(|error| database_error(&format!("look up table \"{table}\""), error))?;
        let wrong = |detail: String| {
            ConnectorError::invalid(format!(
                "cannot write to table \"{table}\": it does not fit"
            ))
            .with_detail(detail)
            .with_hint("Change the table or the view, or name another table.")
        };
        let mut same_types = true;
        let mut not_null = Vec::new();
        for row in &rows {
            let (name, typname): (&str, &str) = (row.get(0), row.get(1));
            let (modifier, is_not_null): (i32, bool) = (row.get(2), row.get(3));
            let (has_default, generated): (bool, bool) = (row.get(4), row.get(5));
            let Some(column) = self.columns.iter().find(|column| column.name == name) else {
                if is_not_null && !has_default && !generated {
                    return Err(wrong(format!(
                        "Column \"{name}\" is NOT NULL without a default, and the view has no such \
                         column."
                    )));
                }
                continue;
            };
            if generated {
                return Err(wrong(format!(
                    "Column \"{name}\" is generated and cannot be written."
                )));
            }
            if !column.pg_type.fits(typname, modifier) {
                let held: &str = row.get(6);
                let needed = column.pg_type.sql();
                return Err(wrong(format!(
                    "Column \"{name}\" is {held}; {needed} is needed."
                )));
            }
            same_types &= column.pg_type.same_binary(typname);
            if is_not_null {
                not_null.push(name);
            }
        }
        let found = |column: &&Column| rows.iter().any(|row| row.get::<_, &str>(0) == column.name);
        if let Some(column) = self.columns.iter().find(|column| !found(column)) {
            let needed = column.pg_type.sql();
            return Err(wrong(format!(
                "Column \"{}\" of type {needed} is missing.",
                column.name
            )));
        }
        self.check_key(client, table, &not_null).await?;
        Ok(same_types)
    }

    /// Checks that a unique index on exactly the key columns exists, and that none of them may be
    /// NULL: NULLs differ from each other in it, so a row with one could never be found again.
    async fn check_key(
        &self,
        client: &Client,
        table: &TableName,
        not_null: &[&str],
    ) -> Result<(), ConnectorError> {
        if self.key.is_empty() {
            return Ok(());
        }
        let wrong = |detail: String| {
            ConnectorError::invalid(format!(
                "cannot write to table \"{table}\": it does not fit"
            ))
            .with_detail(detail)
        };
        let key: Vec<&str> = self
            .key
            .iter()
            .map(|index| self.columns[*index].name.as_str())
            .collect();
        if let Some(name) = key.iter().find(|name| !not_null.contains(*name)) {
            return Err(
                wrong(format!("Key column \"{name}\" may be NULL.")).with_hint(format!(
                    "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL.",
                    table.sql(),
                    quote(name)
                )),
            );
        }
        let sql = "SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey::int2[]) \
                WITH ORDINALITY k(attnum, place) JOIN pg_catalog.pg_attribute a \
                ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place <= i.indnkeyatts) \
            FROM pg_catalog.pg_index i WHERE i.indrelid = $1::text::regclass AND i.indisunique \
                AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL";
        let rows = client.query(sql, &[&table.sql()]).await;
        let rows =
            rows.map_err(|error| database_error(&format!("look up table \"{table}\""), error))?;
        let fits = rows.iter().any(|row| {
            let columns: Vec<&str> = row.get(0);
            columns.len() == key.len() && key.iter().all(|name| columns.contains(name))
        });
        if fits {
            return Ok(());
        }
        Err(wrong(format!(
            "No unique index covers exactly the key ({}).",
            key.join(", ")
        ))
        .with_hint(format!(
            "CREATE UNIQUE INDEX ON {} ({}).",
            table.sql(),
            self.key_sql()
        )))
    }

    /// The key columns as SQL, separated by commas.
    pub fn key_sql(&self) -> String {
        let names: Vec<&str> = self
            .key
            .iter()
            .map(|index| self.columns[*index].sql_name.as_str())
            .collect();
        names.join(", ")
    }
}

fn column_sql(column: &Column) -> String {
    let not_null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {}{not_null}", column.sql_name, column.pg_type.sql())
}
