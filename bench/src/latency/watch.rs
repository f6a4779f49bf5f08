//! Clients of the server that note when they see what.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, pin_mut};
use tokio::runtime::Builder;
use tokio_postgres::Client;

use crate::Failure;
use crate::histogram::Percentiles;
use crate::server::connect;
use crate::topic::now_us;

use super::schedule::{Schedule, Watch};
use super::{DRAIN_MAX, Pace};

/// Asks the server again and again how far each partition has come.
///
/// # Errors
/// If a message is never seen.
pub fn poll(
    address: &str,
    gap: Duration,
    schedule: &Schedule,
    pace: &Pace,
) -> Result<Percentiles, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = connect(address).await?;
        let mut watch = schedule.watch();
        let mut patience = Patience::new();
        let statement = client
            .prepare("SELECT CAST(split AS TEXT), last_ts FROM progress")
            .await?;
        while watch.left() > 0 && !pace.stopped() {
            let rows = client.query(&statement, &[]).await?;
            let now_us = now_us();
            if let Some(start_us) = pace.start_us() {
                for row in rows {
                    let last_us = micros(row.try_get(1)?)?;
                    watch.see(row.try_get(0)?, last_us - start_us, now_us - start_us);
                }
                patience.check(&watch)?;
            }
            tokio::time::sleep(gap).await;
        }
        Ok(watch.percentiles())
    })
}

/// Follows the candles.
///
/// # Errors
/// If a message is never seen.
pub fn subscribe(address: &str, schedule: &Schedule, pace: &Pace) -> Result<Percentiles, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = connect(address).await?;
        let mut watch = schedule.watch();
        follow(&client, &mut watch, pace).await?;
        Ok(watch.percentiles())
    })
}

async fn follow(client: &Client, watch: &mut Watch<'_>, pace: &Pace) -> Result<(), Failure> {
    let none: [&str; 0] = [];
    let changes = client.query_raw("SUBSCRIBE candles", none).await?;
    pin_mut!(changes);
    let mut patience = Patience::new();
    let mut columns = None;
    while watch.left() > 0 && !pace.stopped() {
        let waited = tokio::time::timeout(Duration::from_secs(1), changes.next()).await;
        let row = match waited {
            Err(_) => {
                if pace.start_us().is_some() {
                    patience.check(watch)?;
                }
                continue;
            }
            Ok(None) => return Err("the subscription came to an end".into()),
            Ok(Some(row)) => row?,
        };
        let now_us = now_us();
        let place = |name: &str| {
            row.columns()
                .iter()
                .position(|column| column.name() == name)
        };
        if columns.is_none() {
            let [op, symbol, last] = ["rtsap_op", "symbol", "last_ts"].map(place);
            columns = op.zip(symbol).zip(last);
        }
        let ((op, symbol), last) = columns.ok_or("the subscription lacks a column")?;
        let start_us = pace
            .start_us()
            .ok_or("a trade came before the first was due")?;
        if row.try_get::<_, &str>(op)? == "insert" {
            let last_us = micros(row.try_get(last)?)?;
            watch.see(row.try_get(symbol)?, last_us - start_us, now_us - start_us);
        }
    }
    Ok(())
}

/// Gives up when nothing new is seen for too long.
struct Patience {
    left: u64,
    moved: Instant,
}

impl Patience {
    fn new() -> Self {
        Self {
            left: u64::MAX,
            moved: Instant::now(),
        }
    }

    fn check(&mut self, watch: &Watch<'_>) -> Result<(), Failure> {
        if watch.left() != self.left {
            (self.left, self.moved) = (watch.left(), Instant::now());
        }
        if self.moved.elapsed() > DRAIN_MAX {
            return Err(format!("{} messages were never seen", self.left).into());
        }
        Ok(())
    }
}

fn micros(time: SystemTime) -> Result<i64, Failure> {
    Ok(i64::try_from(time.duration_since(UNIX_EPOCH)?.as_micros())?)
}
