//! The language, specified by example: runs `test_files/**/*.slt` against an engine.
//!
//! Owns the runner and how values are written in the files. Never decides what is right: the files
//! do.
//!
//! ```text
//! file ── records ─▶ sqllogictest::Runner ─┬─ a session a connection ─▶ Database ─▶ engine
//!                                          ├─ … whose engine is replaced at each FLUSH
//!                                          └─ a socket a connection ─▶ WireDatabase ─▶ pgwire ─▶ engine
//! ```
//!
//! The files of `pg_compat` run against a real PostgreSQL besides: both must do what they say.
//!
//! Each file begins with an empty engine in memory. Time is driven by statements: `INSERT`, then
//! `FLUSH`; nothing sleeps.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqllogictest::{
    AsyncDB, MakeConnection, Runner, default_normalizer, default_validator, strict_column_validator,
};

use crate::database::{Database, Failure, Server};
use crate::restarts::Lives;
use crate::wire::{WireDatabase, WireServer};

pub mod database;
pub mod restarts;
mod text;
pub mod wire;

/// All `.slt` files below `folder`, sorted.
///
/// # Errors
/// A folder that cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "slt") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs one file against a new engine, to its first failure; in the end the ledger must balance.
///
/// # Errors
/// What the file expects and the engine did not do, with the place in the file.
pub async fn run(file: &Path) -> Result<(), String> {
    let server = Server::start()
        .await
        .map_err(|failure| failure.to_string())?;
    let mut runner = runner(&server);
    let result = runner.run_file_async(file).await;
    drop(runner);
    let balanced = server.check_ledger().await;
    let stopped = server.stop().await;
    result.map_err(|error| error.display(false).to_string())?;
    balanced.and(stopped).map_err(|failure| failure.to_string())
}

/// Runs one file through the PostgreSQL protocol against a new engine, to its first failure.
///
/// # Errors
/// As [`run`].
pub async fn run_over_the_wire(file: &Path) -> Result<(), String> {
    let said = |failure: Failure| failure.to_string();
    let server = Server::start().await.map_err(said)?;
    let wire = WireServer::start(server.engine().clone()).await;
    let wire = wire.map_err(said)?;
    let port = wire.port();
    let mut runner = Runner::new(move || WireDatabase::connect(port));
    runner.add_label("wire");
    let result = runner.run_file_async(file).await;
    drop(runner);
    let closed = wire.stop().await;
    let stopped = server.stop().await;
    result.map_err(|error| error.display(false).to_string())?;
    closed.and(stopped).map_err(said)
}

/// Words of what belongs to one session, and so does not outlive an engine.
const OF_A_SESSION: [&str; 4] = ["BEGIN", "DECLARE", "SET ", "SUBSCRIBE"];

/// Runs one file while its engine is replaced at every `FLUSH`, to its first failure. Files with
/// cursors and transactions are left out: returns whether it was run.
///
/// # Errors
/// As [`run`].
pub async fn run_with_restarts(file: &Path) -> Result<bool, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut statements = text.lines().filter(|line| !line.starts_with('#'));
    if statements.any(|line| OF_A_SESSION.iter().any(|word| line.starts_with(word))) {
        return Ok(false);
    }
    let said = |failure: Failure| failure.to_string();
    let lives = Lives::start().await.map_err(said)?;
    let connecting = lives.clone();
    let mut runner = Runner::new(move || {
        let connection = connecting.connect();
        async move { Ok(connection) }
    });
    runner.with_column_validator(strict_column_validator);
    runner.add_label("restarts");
    let result = runner.run_file_async(file).await;
    drop(runner);
    let stopped = lives.stop().await;
    result.map_err(|error| error.display(false).to_string())?;
    stopped.map_err(said)?;
    Ok(true)
}

/// Runs one file of `pg_compat` through the PostgreSQL protocol against a new engine, to its end.
/// Failures of statements begin with their SQLSTATE.
///
/// # Errors
/// As [`run`].
pub async fn run_like_postgres(file: &Path) -> Result<(), String> {
    let said = |failure: Failure| failure.to_string();
    let server = Server::start().await.map_err(said)?;
    let wire = WireServer::start(server.engine().clone()).await;
    let wire = wire.map_err(said)?;
    let port = wire.port();
    let connect = move || async move { Ok(WireDatabase::connect(port).await?.with_state()) };
    let result = run_to_the_end(Runner::new(connect), file).await;
    let closed = wire.stop().await;
    let stopped = server.stop().await;
    result?;
    closed.and(stopped).map_err(said)
}

/// Runs every record of a file, whatever became of those before it.
async fn run_to_the_end<D: AsyncDB, M: MakeConnection<Conn = D>>(
    mut runner: Runner<D, M>,
    file: &Path,
) -> Result<(), String> {
    let records = sqllogictest::parse_file(file).map_err(|error| error.to_string())?;
    let mut failures = Vec::new();
    for record in records {
        if let Err(error) = runner.run_async(record).await {
            failures.push(error.display(false).to_string());
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n")),
    }
}

/// Runs the same file against the PostgreSQL server at `url`, in a schema of its own.
///
/// # Errors
/// What the file expects and PostgreSQL did not do; a server that cannot be reached.
pub async fn run_on_postgres(file: &Path, url: &str) -> Result<(), String> {
    let said = |failure: Failure| failure.to_string();
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let schema = format!("like_pg_{}_{stem}", std::process::id());
    let admin = WireDatabase::open(url, "postgres").await.map_err(said)?;
    let create = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}");
    admin.execute(&create).await.map_err(said)?;
    let (address, path) = (url.to_owned(), schema.clone());
    let connect = move || {
        let (address, path) = (address.clone(), path.clone());
        async move {
            let database = WireDatabase::open(&address, "postgres").await?;
            let settings = format!("SET search_path = {path}; SET TimeZone = 'UTC'");
            database.execute(&settings).await?;
            Ok(database.with_state())
        }
    };
    let result = run_to_the_end(Runner::new(connect), file).await;
    let dropped = admin
        .execute(&format!("DROP SCHEMA {schema} CASCADE"))
        .await;
    result?;
    dropped.map_err(said)
}

/// Writes what the engine answers into the file as what is expected: to be read line by line before
/// it is kept.
///
/// # Errors
/// A file that cannot be read, parsed or written.
pub async fn rewrite(file: &Path) -> Result<(), String> {
    let server = Server::start()
        .await
        .map_err(|failure| failure.to_string())?;
    let mut runner = runner(&server);
    let rewritten = runner
        .update_test_file(
            file,
            " ",
            default_validator,
            default_normalizer,
            strict_column_validator,
        )
        .await;
    let rewritten = rewritten.map_err(|error| error.to_string());
    drop(runner);
    server.stop().await.map_err(|failure| failure.to_string())?;
    rewritten
}

/// A runner whose connections are sessions of `server`; types of columns are compared too.
fn runner(
    server: &Server,
) -> Runner<Database, impl sqllogictest::MakeConnection<Conn = Database> + use<>> {
    let server = server.clone();
    let mut runner = Runner::new(move || {
        let server = server.clone();
        async move { server.connect() }
    });
    runner.with_column_validator(strict_column_validator);
    runner
}
