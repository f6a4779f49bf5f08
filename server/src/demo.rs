//! `rtsap demo`: the main job on embedded defaults. A broker in this process speaks the Kafka
//! protocol, a seeded market writes trades and quotes into it, and four views answer over both
//! protocols.

use std::io::Write;
use std::time::Duration;

use arrow::util::pretty::pretty_format_batches;
use futures::StreamExt;
use metrics_exporter_prometheus::PrometheusHandle;
use rtsap_engine::Engine;
use rtsap_engine::response::Response;
use rtsap_engine::session::{Session, SessionSettings};

use crate::assemble::Server;
use crate::cli::DemoArgs;
use crate::config::Config;
use crate::error::ServerError;

mod broker;
mod market;

pub use broker::Broker;

/// What the demo defines. `{brokers}` is where its broker listens.
const DEFINITIONS: &str = include_str!("demo/definitions.sql");

/// The first question, asked by the demo itself.
const FIRST_ANSWER: &str = "SELECT window_start, symbol, open, high, low, close, volume, \
     round(vwap, 4) AS vwap FROM ohlc_1s ORDER BY window_start DESC, volume DESC LIMIT 5";

/// How long the first answer may take before the demo gives up on itself.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(30);

/// How often it is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// A file that tells a directory of the demo from one that somebody works with.
const MARKER: &str = ".rtsap-demo";

/// Runs the demo until `signal`.
///
/// # Errors
/// [`ServerError`] if a part does not start.
pub async fn run(
    args: DemoArgs,
    metrics: PrometheusHandle,
    out: &mut (impl Write + Send),
    signal: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let mut config = Config {
        log: "warn".to_owned(),
        ..Config::default()
    };
    config.apply(&args.common);
    let (directory, temporary) = directory(&args)?;
    config.data_dir = directory;
    say(out, "starting a Kafka broker in this process …")?;
    let broker = Broker::start(&["trades", "quotes"])?;
    say(out, "starting the server …")?;
    let server = Server::start(&config, metrics).await?;
    let producer = market::Producer::start(&args, &broker.address())?;
    say(out, "defining two sources and four views …")?;
    define(server.engine(), &broker.address()).await?;
    let answer = first_answer(server.engine()).await?;
    write!(out, "{}", greeting(&server, &broker, &answer))
        .and_then(|()| out.flush())
        .map_err(|source| ServerError::Io {
            action: "print".to_owned(),
            source,
        })?;
    let result = server.run(signal).await;
    producer.stop();
    drop(temporary);
    result
}

/// The demo's broker is new at each start, so its data directory is too.
fn directory(
    args: &DemoArgs,
) -> Result<(std::path::PathBuf, Option<tempfile::TempDir>), ServerError> {
    let failed = |source| ServerError::Io {
        action: "make a data directory".to_owned(),
        source,
    };
    let Some(given) = &args.common.data_dir else {
        let temporary = tempfile::tempdir().map_err(failed)?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    let used = given.exists() && given.read_dir().map_err(failed)?.next().is_some();
    if used && !given.join(MARKER).exists() {
        return Err(ServerError::Config {
            message: format!("{} is not empty and not the demo's", given.display()),
            hint: Some("Give the demo a directory of its own; it empties it at each start.".into()),
        });
    }
    if used {
        std::fs::remove_dir_all(given).map_err(failed)?;
    }
    std::fs::create_dir_all(given).map_err(failed)?;
    std::fs::write(given.join(MARKER), "emptied by each start of rtsap demo\n").map_err(failed)?;
    Ok((given.clone(), None))
}

fn say(out: &mut impl Write, text: &str) -> Result<(), ServerError> {
    writeln!(out, "==> {text}")
        .and_then(|()| out.flush())
        .map_err(|source| ServerError::Io {
            action: "print".to_owned(),
            source,
        })
}

async fn define(engine: &Engine, brokers: &str) -> Result<(), ServerError> {
    let mut session = engine.session(settings())?;
    let sql = DEFINITIONS.replace("{brokers}", brokers);
    for statement in session.parse(&sql)? {
        let prepared = session.prepare(&statement, &[]).await?;
        session.execute(&prepared, &[]).await?;
    }
    Ok(())
}

fn settings() -> SessionSettings {
    SessionSettings {
        user: "rtsap".to_owned(),
        database: "rtsap".to_owned(),
        application_name: "rtsap demo".to_owned(),
        ..SessionSettings::default()
    }
}

/// Asks until there is an answer.
async fn first_answer(engine: &Engine) -> Result<String, ServerError> {
    let mut session = engine.session(settings())?;
    let asked = tokio::time::timeout(FIRST_ANSWER_MAX, async {
        loop {
            let answer = ask(&mut session).await?;
            if let Some(answer) = answer {
                return Ok(answer);
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    });
    let late = || ServerError::Demo(format!("no answer within {FIRST_ANSWER_MAX:?}"));
    asked.await.map_err(|_| late())?
}

async fn ask(session: &mut Session) -> Result<Option<String>, ServerError> {
    let mut batches = Vec::new();
    for statement in session.parse(FIRST_ANSWER)? {
        let prepared = session.prepare(&statement, &[]).await?;
        if let Response::Rows {
            batches: mut rows, ..
        } = session.execute(&prepared, &[]).await?
        {
            while let Some(batch) = rows.next().await {
                batches.push(batch?);
            }
        }
    }
    let rows: usize = batches
        .iter()
        .map(arrow::record_batch::RecordBatch::num_rows)
        .sum();
    if rows < 5 {
        return Ok(None);
    }
    let table = pretty_format_batches(&batches);
    table
        .map(|table| Some(table.to_string()))
        .map_err(|error| ServerError::Demo(error.to_string()))
}

fn greeting(server: &Server, broker: &Broker, answer: &str) -> String {
    let (pg, flight, http) = (server.pg, server.flight, server.http);
    format!(
        "\n{answer}\n\n\
         RTSAP is running. This was the first answer; ask on:\n\n  \
         psql      psql -h {pg_host} -p {pg_port} -U rtsap rtsap\n            \
                   SELECT * FROM top_movers ORDER BY abs(move_pct) DESC LIMIT 10;\n            \
                   SELECT * FROM spreads ORDER BY symbol LIMIT 10;\n            \
                   COPY (SUBSCRIBE ohlc_1s) TO STDOUT;\n  \
         Python    import pyarrow.flight as fl\n            \
                   client = fl.connect(\"grpc://{flight}\")\n            \
                   print(client.do_get(fl.Ticket(b\"SELECT * FROM volatility\")).read_all())\n  \
         console   http://{http}/\n  \
         Kafka     {brokers} (topics trades and quotes; in memory, gone with the demo)\n\n\
         Views: ohlc_1s, spreads, top_movers, volatility. Ctrl-C ends the demo.\n",
        pg_host = pg.ip(),
        pg_port = pg.port(),
        brokers = broker.address(),
    )
}
