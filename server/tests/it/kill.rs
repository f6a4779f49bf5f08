//! kill -9 at random moments changes no number: every view, every sink, the late rows and the bad
//! rows equal what a plain computation over the messages gives.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rtsap_connectors::datagen::market::{MarketConfig, MarketGenerator};
use tokio_postgres::NoTls;

use super::harness::{Server, rows, wait_for};

/// Messages produced; every thousandth is no JSON.
const MESSAGES: u64 = 60_000;

/// How often the server is killed while they come.
const KILLS: u64 = 6;

/// 2024-01-02T14:30:00Z.
const START_US: i64 = 1_704_205_800_000_000;

/// Event time between two trades: 250 a second.
const STEP_US: i64 = 4_000;

#[derive(Clone, Debug, PartialEq)]
struct Candle {
    open: i64,
    high: i64,
    low: i64,
    close: i64,
    volume: i64,
    trades: i64,
}

/// What the view must hold in the end: (second, symbol) → candle, by a loop over the messages.
fn oracle(market: &MarketGenerator) -> BTreeMap<(i64, String), Candle> {
    let mut candles: BTreeMap<(i64, String), Candle> = BTreeMap::new();
    for number in (0..MESSAGES).filter(|number| number % 1000 != 999) {
        let trade = market.trade(number, time_of(number));
        let second = time_of(number).div_euclid(1_000_000);
        let (price, size) = (trade.price_cents, i64::from(trade.size));
        let new = Candle {
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 0,
            trades: 0,
        };
        let candle = candles
            .entry((second, trade.symbol.to_owned()))
            .or_insert(new);
        candle.high = candle.high.max(price);
        candle.low = candle.low.min(price);
        candle.close = price;
        candle.volume += size;
        candle.trades += 1;
    }
    candles
}

fn time_of(number: u64) -> i64 {
    START_US + i64::try_from(number).unwrap() * STEP_US
}

fn expected(candles: &BTreeMap<(i64, String), Candle>) -> Vec<String> {
    let cents = |value: i64| format!("{}.{:02}", value / 100, value % 100);
    let line = |((second, symbol), c): (&(i64, String), &Candle)| {
        let prices = [c.open, c.high, c.low, c.close].map(cents).join("|");
        format!("{second}|{symbol}|{prices}|{}|{}", c.volume, c.trades)
    };
    let mut lines: Vec<String> = candles.iter().map(line).collect();
    lines.sort();
    lines
}

fn produce(
    producer: &ThreadedProducer<DefaultProducerContext>,
    market: &MarketGenerator,
    number: u64,
) {
    let trade = market.trade(number, time_of(number));
    let mut payload = Vec::new();
    if number % 1000 == 999 {
        payload.extend_from_slice(b"{\"symbol\":");
    } else {
        trade.write_json(&mut payload);
    }
    // By symbol, so that each candle's trades are in one partition and in order.
    producer
        .send(BaseRecord::to("trades").key(trade.symbol).payload(&payload))
        .map_err(|e| e.0)
        .unwrap();
}

const ASK: &str = "SELECT extract(epoch FROM window_start)::bigint, symbol, open, high, low, close, volume, trades \
     FROM candles";

async fn define(server: &Server, brokers: &str, sink: Option<&str>) {
    let client = server.client().await;
    let source = format!(
        "CREATE SOURCE trades (symbol TEXT NOT NULL, price DECIMAL(12,2) NOT NULL, size BIGINT NOT NULL, \
         ts TIMESTAMP(6) WITH TIME ZONE NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' HOUR) \
         WITH ('connector' = 'kafka', 'topic' = 'trades', 'properties.bootstrap.servers' = '{brokers}', 'format' = 'json')"
    );
    client.batch_execute(&source).await.unwrap();
    client
        .batch_execute(
            "CREATE STREAMING VIEW candles AS SELECT window_start, symbol, first_value(price ORDER BY ts) AS open, \
             max(price) AS high, min(price) AS low, last_value(price ORDER BY ts) AS close, sum(size) AS volume, \
             count(*) AS trades FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND) \
             GROUP BY window_start, window_end, symbol EMIT CHANGES",
        )
        .await
        .unwrap();
    if let Some(url) = sink {
        let sink = format!(
            "CREATE SINK candles_out FROM candles WITH ('connector' = 'timescaledb', 'url' = '{url}', \
             'table' = 'rtsap_kill_candles')"
        );
        client.batch_execute(&sink).await.unwrap();
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_server_loses_and_repeats_nothing() {
    let timescale = std::env::var("RTSAP_TEST_TIMESCALE").ok();
    if timescale.is_none() {
        eprintln!("SKIPPED: the sink half of the kill test; set RTSAP_TEST_TIMESCALE");
    }
    survive(&[], timescale).await;
}

/// The same with all state in an object store that speaks S3.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_with_state_in_an_s3_bucket() {
    let Ok(endpoint) = std::env::var("RTSAP_TEST_S3") else {
        eprintln!("SKIPPED: state in S3; set RTSAP_TEST_S3");
        return;
    };
    let prefix = format!("kill-{}", std::process::id());
    let environment = [
        ("RTSAP_CHECKPOINT_URL", format!("s3://rtsap/{prefix}")),
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "any".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "any".to_owned()),
    ];
    survive(&environment, None).await;
}

async fn survive(environment: &[(&str, String)], timescale: Option<String>) {
    let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("trades", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("linger.ms", "5")
        .create()
        .unwrap();
    let market = MarketGenerator::new(&MarketConfig {
        seed: 7,
        symbols: 20,
    });
    let data = tempfile::tempdir().unwrap();
    if let Some(url) = &timescale {
        let target = connect(url).await;
        target
            .batch_execute(
                "DROP TABLE IF EXISTS rtsap_kill_candles; DROP SCHEMA IF EXISTS rtsap CASCADE",
            )
            .await
            .unwrap();
    }
    let mut server = Server::start_in(data.path(), environment);
    define(&server, &brokers, timescale.as_deref()).await;
    for round in 0..KILLS {
        for number in round * MESSAGES / KILLS..(round + 1) * MESSAGES / KILLS {
            produce(&producer, &market, number);
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        // Kills fall before, into and after checkpoints: these pauses are no multiple of their
        // interval.
        tokio::time::sleep(Duration::from_millis(130 + 370 * round)).await;
        server.kill();
        server = Server::start_in(data.path(), environment);
    }
    let wanted = expected(&oracle(&market));
    let client = server.client().await;
    wait_for(&client, ASK, &wanted).await;
    let errors = rows(
        &client,
        "SELECT count(*), count(DISTINCT (\"split\" || '/' || \"offset\")) FROM \"trades$errors\"",
    );
    let bad = MESSAGES / 1000;
    assert_eq!(errors.await.unwrap(), [format!("{bad}|{bad}")]);
    assert_eq!(
        rows(&client, "SELECT count(*) FROM \"candles$late\"")
            .await
            .unwrap(),
        ["0"]
    );
    let ledger = rows(
        &client,
        "SELECT rows_in, used + filtered + late FROM rtsap_catalog.ledger WHERE view = 'candles'",
    );
    let good = MESSAGES - bad;
    assert_eq!(ledger.await.unwrap(), [format!("{good}|{good}")]);
    if let Some(url) = &timescale {
        let target = connect(url).await;
        wait_for(
            &target,
            &ASK.replace("candles", "rtsap_kill_candles"),
            &wanted,
        )
        .await;
    }
    assert!(server.terminate(), "the last stop is a clean one");
    let again = Server::start_in(data.path(), environment);
    wait_for(&again.client().await, ASK, &wanted).await;
}
