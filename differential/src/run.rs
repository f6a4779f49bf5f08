//! Runs a case on an engine in memory and compares each view with the reference.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::StreamExt;
use object_store::memory::InMemory;
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_engine::error::EngineError;
use rtsap_engine::response::Response;
use rtsap_engine::session::{Session, SessionSettings};

use crate::case::{Action, Case, STREAMS, bases};
use crate::late;
use crate::reference;
use crate::rel::Rel;
use crate::script::{Script, Scripts};
use crate::value::{Row, row_text};

mod follow;
mod read;

use follow::Follower;

/// How often to look whether rows have come through, and for how long.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// 20 s: a loaded machine needs a second at worst.
const LOOKS_MAX: usize = 40_000;

/// What became of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered what the reference answers: so many rows.
    Right(usize),
    /// The planner refused it, with this code.
    Refused(String),
    /// It did not.
    Wrong(String),
}

/// A server on a store that outlives it.
struct Server {
    engine: Engine,
    session: Session,
    store: Arc<InMemory>,
    scripts: Arc<Scripts>,
    lives: usize,
    /// Who follows the views that run, by number.
    followers: BTreeMap<usize, Follower>,
}

fn said(error: &EngineError) -> String {
    let mut text = format!("{} {}", error.code, error.message);
    for more in [&error.detail, &error.hint].into_iter().flatten() {
        text += &format!(" / {more}");
    }
    text
}

async fn start(
    store: &Arc<InMemory>,
    scripts: &Arc<Scripts>,
    life: usize,
) -> Result<(Engine, Session), String> {
    let store: Arc<InMemory> = Arc::clone(store);
    let mut config = EngineConfig::new(store, format!("differential-{life}"));
    config.publish_interval = Duration::from_millis(1);
    config.check_edges = true;
    let connectors: Arc<Scripts> = Arc::clone(scripts);
    let engine = Engine::start(config, connectors).await;
    let engine = engine.map_err(|error| format!("cannot start: {}", said(&error)))?;
    let settings = SessionSettings {
        user: "rtsap".to_owned(),
        database: "rtsap".to_owned(),
        ..SessionSettings::default()
    };
    let session = engine.session(settings).map_err(|error| said(&error))?;
    Ok((engine, session))
}

impl Server {
    async fn new(scripts: Scripts) -> Result<Self, String> {
        let (store, scripts) = (Arc::new(InMemory::new()), Arc::new(scripts));
        let (engine, session) = start(&store, &scripts, 1).await?;
        Ok(Self {
            engine,
            session,
            store,
            scripts,
            lives: 1,
            followers: BTreeMap::new(),
        })
    }

    /// Starts anew from the last checkpoint, after the old one has stopped or not.
    async fn restart(&mut self, stops: bool) -> Result<(), String> {
        let followed: Vec<usize> = std::mem::take(&mut self.followers).into_keys().collect();
        if stops {
            let stopped = self.engine.stop().await;
            stopped.map_err(|error| format!("cannot stop: {}", said(&error)))?;
        }
        self.lives += 1;
        let (engine, session) = start(&self.store, &self.scripts, self.lives).await?;
        let old = std::mem::replace(&mut self.engine, engine);
        self.session = session;
        if !stops {
            // Fenced by its successor, it may say that it could not write.
            let _ = old.stop().await;
        }
        for view in followed {
            self.follow(view).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, view: usize) -> Result<(), String> {
        let follower = Follower::start(self, &format!("v{view}")).await?;
        self.followers.insert(view, follower);
        Ok(())
    }

    async fn run(&mut self, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
        let mut batches = Vec::new();
        for statement in self.session.parse(sql)? {
            let prepared = self.session.prepare(&statement, &[]).await?;
            if let Response::Rows {
                batches: mut found, ..
            } = self.session.execute(&prepared, &[]).await?
            {
                while let Some(batch) = found.next().await {
                    batches.push(batch?);
                }
            }
        }
        Ok(batches)
    }

    async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, String> {
        let batches = self.run(sql).await.map_err(|error| said(&error))?;
        read::rows(&batches)
    }

    /// Waits until the rows of a stream that have arrived so far can be seen.
    async fn settle(&mut self, stream: usize, rows: usize) -> Result<(), String> {
        let sql = format!("SELECT count(*) FROM probe_{}", bases()[stream].name);
        for _ in 0..LOOKS_MAX {
            let found = self.rows(&sql).await?;
            if found
                .first()
                .is_some_and(|row| row[0].text() == rows.to_string())
            {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("{rows} rows of a stream did not come through"))
    }
}

/// Runs a statement that writes.
async fn write(server: &mut Server, sql: &str) -> Result<(), String> {
    let done = server.run(sql).await;
    done.map(drop)
        .map_err(|error| format!("{sql}: {}", said(&error)))
}

/// Runs `case`; the outcome of each of its views, in order.
///
/// # Errors
/// What stopped the case as a whole.
pub async fn run(case: &Case) -> Result<Vec<Outcome>, String> {
    let bases = bases();
    let script = |stream: usize| {
        let base = &bases[stream];
        let script = Script::new(base.columns.clone(), case.splits[stream], case.seed);
        (base.name, script)
    };
    let scripts: Vec<(&'static str, Script)> = (0..STREAMS).map(script).collect();
    let handles: Vec<Script> = scripts.iter().map(|(_, script)| script.clone()).collect();
    let mut server = Server::new(Scripts(scripts)).await?;
    let mut setup = case.definitions();
    if !case.late {
        setup
            .extend(["a", "b"].map(|name| {
                format!("CREATE STREAMING VIEW probe_{name} AS SELECT id FROM {name}")
            }));
    }
    for sql in &setup {
        server
            .run(sql)
            .await
            .map_err(|error| format!("{sql}: {}", said(&error)))?;
    }
    let mut refused: Vec<Option<Outcome>> = vec![None; case.views.len()];
    let mut arrived = [0; STREAMS];
    for index in 0..=case.actions.len() {
        for view in (0..case.views.len()).filter(|view| case.views[*view].at == index) {
            refused[view] = create(&mut server, case, view).await;
        }
        match case.actions.get(index) {
            None => {}
            Some(Action::Restart) => server.restart(true).await?,
            Some(Action::Crash) => server.restart(false).await?,
            Some(Action::Insert(base, rows)) => {
                let (name, rows) = (bases[*base].name, case.values(rows));
                write(&mut server, &format!("INSERT INTO {name} VALUES {rows}")).await?;
            }
            Some(Action::Change(base, change)) => write(&mut server, &change.text(*base)).await?,
            Some(Action::Arrive(base, split, rows)) => {
                handles[*base].arrive(*split, rows);
                arrived[*base] += rows.len();
                server.settle(*base, arrived[*base]).await?;
            }
        }
    }
    handles.iter().for_each(Script::finish);
    server
        .run("FLUSH")
        .await
        .map_err(|error| format!("FLUSH: {}", said(&error)))?;
    let outcomes = compare(&mut server, case, refused).await;
    let _ = server.engine.stop().await;
    outcomes
}

/// Creates a view with those it reads; what became of it, if it does not run.
async fn create(server: &mut Server, case: &Case, view: usize) -> Option<Outcome> {
    for (_, sql) in case.statements(view) {
        match server.run(&sql).await {
            Ok(_) => {}
            // The planner's and the runtime's own mistakes are no refusals.
            Err(error) if error.code == "RT0500" || error.code.starts_with("RT06") => {
                return Some(Outcome::Wrong(format!(
                    "cannot be created: {}",
                    said(&error)
                )));
            }
            Err(error) => {
                let text = format!("{} {}", error.code, error.message);
                return Some(Outcome::Refused(text));
            }
        }
    }
    let followed = server.follow(view).await.err();
    followed.map(|said| Outcome::Wrong(format!("cannot be followed: {said}")))
}

async fn compare(
    server: &mut Server,
    case: &Case,
    refused: Vec<Option<Outcome>>,
) -> Result<Vec<Outcome>, String> {
    let bases = bases();
    let rows = case.rows();
    let widths = |rel: &Rel| rel.shape(&bases).types.len();
    let wrong = if case.late { "" } else { " OR late > 0" };
    let ledger = format!(
        "SELECT view, rows_in, used, filtered, late FROM rtsap_catalog.ledger \
         WHERE NOT balances{wrong}"
    );
    let unbalanced = server.rows(&ledger).await?;
    let unbalanced: Vec<String> = unbalanced.iter().map(|row| row_text(row)).collect();
    let mut outcomes = Vec::with_capacity(case.views.len());
    for (index, refused) in refused.into_iter().enumerate() {
        if let Some(outcome) = refused {
            outcomes.push(outcome);
            continue;
        }
        let name = format!("'v{index}'");
        let stored = format!("'v{index}_");
        if let Some(view) = unbalanced
            .iter()
            .find(|view| view.starts_with(&name) || view.starts_with(&stored))
        {
            let text = format!("the ledger of {view} does not balance, or rows were late");
            outcomes.push(Outcome::Wrong(text));
            continue;
        }
        let rel = &case.views[index].rel;
        let expected = match case.late {
            true => late::answer(case, index),
            false if rel.any(&|rel| takes_the_last(case, rel)) => None,
            false => Some(late::Expected {
                rows: reference::answer(&case.views[index].rel, &rows, &widths),
                late: 0,
            }),
        };
        let Some(expected) = expected else {
            outcomes.push(Outcome::Refused("undefined here".to_owned()));
            continue;
        };
        let ledger = format!("SELECT late FROM rtsap_catalog.ledger WHERE view = 'v{index}'");
        let late = server.rows(&ledger).await?;
        let found = server.rows(&format!("SELECT * FROM v{index}")).await;
        outcomes.push(match found {
            Err(error) => Outcome::Wrong(error),
            Ok(_) if row_text(&late.concat()) != expected.late.to_string() => {
                let found = row_text(&late.concat());
                Outcome::Wrong(format!("{found} rows are late, not {}", expected.late))
            }
            Ok(found) => match same(&found, &expected.rows) {
                Outcome::Right(rows) => followed(server, index, &found, rows).await,
                outcome => outcome,
            },
        });
    }
    Ok(outcomes)
}

/// What becomes of a view that is right when what its follower was told is looked at, too.
async fn followed(server: &Server, view: usize, rows: &[Row], count: usize) -> Outcome {
    match server.followers.get(&view) {
        None => Outcome::Wrong("nobody follows it".to_owned()),
        Some(follower) => match follower.meets(rows).await {
            None => Outcome::Right(count),
            Some(wrong) => Outcome::Wrong(wrong),
        },
    }
}

/// Whether `rel` takes the last of rows whose order is not defined.
fn takes_the_last(case: &Case, rel: &Rel) -> bool {
    let Rel::Asof(asof) = rel else {
        return false;
    };
    let is_tied = |rel: &Rel| matches!(rel, Rel::Base(stream) if case.has_ties(*stream));
    asof.right.any(&is_tied)
}

/// Whether two lists have the same rows, in any order.
fn same(found: &[Row], expected: &[Row]) -> Outcome {
    let sorted = |rows: &[Row]| {
        let mut texts: Vec<String> = rows.iter().map(|row| row_text(row)).collect();
        texts.sort_unstable();
        texts
    };
    let (found, expected) = (sorted(found), sorted(expected));
    if found == expected {
        return Outcome::Right(found.len());
    }
    let mut text = String::new();
    for (sign, list, other) in [('-', &expected, &found), ('+', &found, &expected)] {
        let mut other = other.clone();
        for row in list {
            match other.iter().position(|known| known == row) {
                Some(place) => drop(other.swap_remove(place)),
                None => text += &format!("{sign} {row}\n"),
            }
        }
    }
    Outcome::Wrong(text)
}
