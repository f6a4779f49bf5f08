//! The demo's market: a thread that writes generated trades and quotes into Kafka at a steady pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rtsap_connectors::datagen::market::{MarketConfig, MarketGenerator};

use crate::cli::DemoArgs;
use crate::error::ServerError;

/// Length of one beat: what is due is sent once a beat.
const BEAT: Duration = Duration::from_millis(5);

/// Quotes for each trade.
const QUOTES_PER_TRADE: u64 = 2;

/// The thread.
pub(super) struct Producer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Producer {
    /// Starts producing to `brokers`.
    pub(super) fn start(args: &DemoArgs, brokers: &str) -> Result<Self, ServerError> {
        let failed = |error: &dyn std::fmt::Display| ServerError::Demo(error.to_string());
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "2")
            .create()
            .map_err(|error| failed(&error))?;
        let config = MarketConfig {
            seed: args.seed,
            symbols: args.symbols as usize,
        };
        let market = MarketGenerator::new(&config);
        let rate = u64::from(args.trades_per_second);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let work = move || produce(&market, &producer, rate, &seen);
        let thread = std::thread::Builder::new()
            .name("market".to_owned())
            .spawn(work);
        Ok(Self {
            stop,
            thread: Some(thread.map_err(|error| failed(&error))?),
        })
    }

    /// Stops and waits.
    pub(super) fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the market's thread ended badly");
        }
    }
}

fn produce(
    market: &MarketGenerator,
    producer: &ThreadedProducer<DefaultProducerContext>,
    rate: u64,
    stop: &AtomicBool,
) {
    let start = Instant::now();
    let (mut sent, mut bytes) = (0_u64, Vec::new());
    while !stop.load(Ordering::Acquire) {
        let elapsed = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = elapsed.saturating_mul(rate) / 1_000;
        let now_us = wall_us();
        while sent < due {
            let trade = market.trade(sent, now_us);
            bytes.clear();
            trade.write_json(&mut bytes);
            send(producer, "trades", trade.symbol, &bytes);
            for quote in 0..QUOTES_PER_TRADE {
                let quote = market.quote(sent * QUOTES_PER_TRADE + quote, now_us);
                bytes.clear();
                quote.write_json(&mut bytes);
                send(producer, "quotes", quote.symbol, &bytes);
            }
            sent += 1;
        }
        std::thread::sleep(BEAT);
    }
    if let Err(error) = producer.flush(Duration::from_secs(1)) {
        tracing::warn!(%error, "some messages of the market were not sent");
    }
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    key: &str,
    payload: &[u8],
) {
    let record = BaseRecord::to(topic).key(key).payload(payload);
    match producer.send(record) {
        Ok(()) => {}
        // The broker cannot keep up: the market does not wait for anybody.
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {}
        Err((error, _)) => tracing::warn!(%error, topic, "cannot produce"),
    }
}

fn wall_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
