//! One process: an engine on a runtime of its own, moved step by step, and dropped to die.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use rtsap_engine::Engine;
use rtsap_engine::config::{EngineConfig, Simulated};
use rtsap_engine::error::EngineError;
use rtsap_engine::response::Response;
use rtsap_engine::session::SessionSettings;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::decode::{DecodeSchema, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};
use rtsap_stream::sink::{Sink, SinkInput};
use rtsap_stream::source::Source;

use super::source::{START_US, SimSource};
use super::store::SimStore;
use super::target::{Cells, SimSink};
use super::world::{Shared, World};

const DEFINITIONS: [&str; 7] = [
    "CREATE SOURCE IF NOT EXISTS t (id BIGINT NOT NULL, k BIGINT NOT NULL, v BIGINT NOT NULL, \
     ts TIMESTAMP(6) NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
     WITH ('connector' = 'simulated', 'scan.watermark.idle-timeout' = '2 s')",
    "CREATE STREAMING VIEW IF NOT EXISTS all_rows AS SELECT id, k, v FROM t",
    "CREATE STREAMING VIEW IF NOT EXISTS sums AS SELECT k, count(*) AS c, sum(v) AS s, \
     max(id) AS m FROM t GROUP BY k",
    "CREATE STREAMING VIEW IF NOT EXISTS candles AS SELECT window_start, k, count(*) AS c, \
     sum(id) AS s FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '2' SECOND) \
     GROUP BY window_start, window_end, k EMIT ON WINDOW CLOSE",
    "CREATE SINK IF NOT EXISTS all_out FROM all_rows WITH ('connector' = 'simulated', \
     'table' = 'all_out')",
    "CREATE SINK IF NOT EXISTS sums_out FROM sums WITH ('connector' = 'simulated', \
     'table' = 'sums_out')",
    "CREATE SINK IF NOT EXISTS candles_out FROM candles WITH ('connector' = 'simulated', \
     'table' = 'candles_out')",
];

/// How often a step lets its tasks go on: longer than any chain of tasks that wait for each other.
const YIELDS: usize = 16;

/// Where a process is in its life.
enum Phase {
    Starting(BoxFuture<'static, Result<Engine, EngineError>>),
    Defining(Engine, BoxFuture<'static, Result<(), EngineError>>),
    Running(Engine),
    Ended(String),
}

/// A process. Dropping it is SIGKILL: nothing of it runs any further.
pub struct Life {
    phase: Phase,
    tokio: tokio::runtime::Runtime,
}

impl Life {
    pub fn begin(world: &Arc<World>, count: &mut usize) -> Self {
        *count += 1;
        world.note("begin");
        let config = EngineConfig {
            simulated: Some(Simulated(Arc::new(Shared(Arc::clone(&world.clock))))),
            checkpoint_interval: Duration::from_millis(40),
            ..EngineConfig::new(
                Arc::new(SimStore(Arc::clone(world))),
                format!("life {count}"),
            )
        };
        let connectors = Arc::new(Registry(Arc::clone(world)));
        let tokio = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_time()
            .build()
            .unwrap();
        Self {
            phase: Phase::Starting(Box::pin(Engine::start(config, connectors))),
            tokio,
        }
    }

    /// Does a little of what there is to do.
    pub fn step(&mut self, world: &World) {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended("it died".to_owned()));
        self.phase = self.tokio.block_on(async {
            let phase = next(phase, world).await;
            // Every task goes on until it waits for the clock or for a turn of the core.
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            phase
        });
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    pub fn is_defined(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    pub fn why_ended(&self) -> &str {
        match &self.phase {
            Phase::Ended(reason) => reason,
            _ => "",
        }
    }

    pub fn epoch(&self) -> u64 {
        match &self.phase {
            Phase::Running(engine) => engine.status().checkpoint_epoch,
            _ => 0,
        }
    }

    /// What is not as a loop over the topic says.
    pub fn compare(&self, world: &World, last_second: i64) -> Vec<String> {
        let Phase::Running(engine) = &self.phase else {
            return vec!["it does not run".to_owned()];
        };
        let read = |sql: &str| self.tokio.block_on(rows(engine, sql));
        let topic = world.topic.lock();
        let all: Vec<_> = topic.partitions.iter().flatten().cloned().collect();
        drop(topic);
        let late: Vec<i64> = read("SELECT id FROM \"candles$late\"")
            .into_iter()
            .map(|row| row[0])
            .collect();
        let mut wanted_all = Vec::new();
        let mut sums: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
        let mut candles: BTreeMap<(i64, i64), [i64; 2]> = BTreeMap::new();
        for row in &all {
            wanted_all.push(vec![row.id, row.key, row.value]);
            let sum = sums.entry(row.key).or_default();
            *sum = [sum[0] + 1, sum[1] + row.value, sum[2].max(row.id)];
            if !late.contains(&row.id) {
                let start = START_US + (row.second - row.second % 2) * 1_000_000;
                let candle = candles.entry((start, row.key)).or_default();
                *candle = [candle[0] + 1, candle[1] + row.id];
            }
        }
        wanted_all.sort();
        let sums: Vec<Cells> = sums
            .iter()
            .map(|(k, s)| vec![*k, s[0], s[1], s[2]])
            .collect();
        let shown = read("SELECT * FROM candles");
        let candles: Vec<Cells> = candles
            .iter()
            .map(|((start, k), c)| vec![*start, *k, c[0], c[1]])
            .collect();
        let mut wrong = Vec::new();
        let mut same = |what: &str, found: &[Cells], wanted: &[Cells]| {
            if found != wanted {
                let (found, wanted) = (found.len(), wanted.len());
                wrong.push(format!("{what}: {found} rows, {wanted} wanted, or others"));
            }
        };
        same("all_rows", &read("SELECT * FROM all_rows"), &wanted_all);
        same("sums", &read("SELECT * FROM sums"), &sums);
        // The windows of the last rows are still open, so they are not shown.
        let open = START_US + (last_second - 10) * 1_000_000;
        let closed = candles.into_iter().filter(|candle| candle[0] < open);
        same("candles", &shown, &closed.collect::<Vec<_>>());
        let outside = |table: &str| -> Vec<Cells> {
            let tables = world.tables.lock();
            let rows = tables.get(table).map(|table| table.rows.clone());
            let often = |(row, count): (Cells, i64)| {
                let count = usize::try_from(count).unwrap_or(0);
                std::iter::repeat_n(row, count)
            };
            rows.unwrap_or_default()
                .into_iter()
                .flat_map(often)
                .collect()
        };
        same("all_out", &outside("all_out"), &wanted_all);
        same("sums_out", &outside("sums_out"), &sums);
        same("candles_out", &outside("candles_out"), &shown);
        let mut once = late.clone();
        once.sort_unstable();
        once.dedup();
        if once.len() != late.len() || late.iter().any(|id| all.iter().all(|r| r.id != *id)) {
            wrong.push(format!("late rows: {late:?}"));
        }
        wrong
    }
}

/// Moves a process on by one step.
async fn next(phase: Phase, world: &World) -> Phase {
    match phase {
        Phase::Starting(mut starting) => match futures::poll!(&mut starting) {
            std::task::Poll::Pending => Phase::Starting(starting),
            std::task::Poll::Ready(Ok(engine)) => {
                world.note("started");
                let defining = Box::pin(define(engine.clone()));
                Phase::Defining(engine, defining)
            }
            // The supervisor starts the next one.
            std::task::Poll::Ready(Err(error)) => Phase::Ended(format!("{error:?}")),
        },
        Phase::Defining(engine, mut defining) => {
            if !engine.turn() {
                return ended(&engine);
            }
            match futures::poll!(&mut defining) {
                std::task::Poll::Pending => Phase::Defining(engine, defining),
                std::task::Poll::Ready(Ok(())) => Phase::Running(engine),
                std::task::Poll::Ready(Err(error)) => Phase::Ended(format!("{error:?}")),
            }
        }
        Phase::Running(engine) => {
            if engine.turn() {
                Phase::Running(engine)
            } else {
                ended(&engine)
            }
        }
        ended @ Phase::Ended(_) => ended,
    }
}

fn ended(engine: &Engine) -> Phase {
    let problem = engine.status().problem;
    Phase::Ended(problem.unwrap_or_else(|| "it was stopped".to_owned()))
}

async fn define(engine: Engine) -> Result<(), EngineError> {
    let mut session = engine.session(SessionSettings::default())?;
    for sql in DEFINITIONS {
        for statement in session.parse(sql)? {
            let prepared = session.prepare(&statement, &[]).await?;
            session.execute(&prepared, &[]).await?;
        }
    }
    Ok(())
}

/// The answer as whole numbers, sorted.
async fn rows(engine: &Engine, sql: &str) -> Vec<Cells> {
    let mut session = engine.session(SessionSettings::default()).unwrap();
    let statement = session.parse(sql).unwrap().remove(0);
    let prepared = session.prepare(&statement, &[]).await.unwrap();
    let Response::Rows { mut batches, .. } = session.execute(&prepared, &[]).await.unwrap() else {
        panic!("{sql} gives no rows")
    };
    let mut rows = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Int64).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cell =
                |column: &arrow::array::ArrayRef| column.as_primitive::<Int64Type>().value(row);
            rows.push(columns.iter().map(cell).collect());
        }
    }
    rows.sort();
    rows
}

/// The connectors of the simulated world.
struct Registry(Arc<World>);

#[async_trait]
impl ConnectorRegistry for Registry {
    fn source_names(&self) -> Vec<&'static str> {
        vec!["simulated"]
    }

    fn sink_names(&self) -> Vec<&'static str> {
        vec!["simulated"]
    }

    fn check_source(&self, _request: &SourceRequest) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn source(&self, _request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        Ok(Arc::new(SimSource(Arc::clone(&self.0))))
    }

    fn decoder(
        &self,
        _request: &SourceRequest,
        _columns: &DecodeSchema,
    ) -> Result<Box<dyn Decoder>, ConnectorError> {
        Err(ConnectorError::invalid("the source makes rows itself"))
    }

    fn check_sink(&self, _options: &Options) -> Result<ChangelogMode, ConnectorError> {
        Ok(ChangelogMode::Retract)
    }

    fn sink(&self, input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
        Ok(Box::new(SimSink {
            world: Arc::clone(&self.0),
            input: input.clone(),
            table: options.get("table").unwrap_or_default().to_owned(),
            generation: 0,
        }))
    }
}
