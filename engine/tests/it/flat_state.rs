//! An endless stream does not make state grow: views of every operator over generated trades and
//! quotes, watched while rows come.
//!
//! `RTSAP_FLAT_ROWS` says how many of each (`make flat-state`: ten million).

use std::time::{Duration, Instant};

use crate::harness::{Client, Harness};

const ROWS: u64 = 1_500_000;

/// How long it may take for a million rows.
const SECONDS_PER_MILLION: u64 = 600;

/// What state may differ by between the halves of a run: open windows hold more or fewer rows.
const FACTOR: u64 = 2;

/// A hash table that has never been larger than this is not looked at.
const BYTES_MIN: u64 = 256 * 1024;

/// By operator: a view, with its options.
const VIEWS: &[(&str, &str, &str)] = &[
    (
        "tumble",
        "",
        "SELECT window_start, symbol, count(*) AS n, stddev(price) AS s \
         FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '10' SECOND) \
         GROUP BY window_start, symbol",
    ),
    (
        "hop",
        "",
        "SELECT window_start, symbol, max(price) AS high \
         FROM HOP(TABLE trades, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND) \
         GROUP BY window_start, symbol EMIT ON WINDOW CLOSE",
    ),
    (
        "cumulate",
        "",
        "SELECT window_end, symbol, sum(size) AS volume \
         FROM CUMULATE(TABLE trades, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND) \
         GROUP BY window_end, symbol EMIT ON WINDOW CLOSE",
    ),
    (
        "session",
        "",
        "SELECT symbol, window_end, count(DISTINCT price) AS n \
         FROM SESSION(TABLE trades PARTITION BY symbol, DESCRIPTOR(ts), \
           INTERVAL '100' MILLISECOND) \
         GROUP BY symbol, window_start, window_end EMIT ON WINDOW CLOSE",
    ),
    (
        "sampled",
        "",
        "SELECT ts, symbol, last_value(price ORDER BY ts) AS price FROM trades \
         SAMPLE BY 5s FILL(PREV)",
    ),
    (
        "grouped",
        "",
        "SELECT symbol, count(*) AS n, max(price) AS high FROM trades GROUP BY symbol",
    ),
    (
        "window_top_n",
        "",
        "SELECT * FROM (SELECT window_end, symbol, price, ts, row_number() OVER \
           (PARTITION BY window_start, window_end, symbol ORDER BY price DESC) AS n \
         FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE n <= 3",
    ),
    (
        "latest",
        "",
        "SELECT symbol, price, ts FROM trades LATEST ON ts PARTITION BY symbol",
    ),
    (
        "over_rows",
        " WITH (retention = '1 minute')",
        "SELECT symbol, ts, avg(price) OVER (PARTITION BY symbol ORDER BY ts \
           ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) AS mean FROM trades",
    ),
    (
        "over_range",
        " WITH (retention = '1 minute')",
        "SELECT symbol, ts, sum(size) OVER (PARTITION BY symbol ORDER BY ts \
           RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW) AS volume FROM trades",
    ),
    (
        "indicator",
        " WITH (retention = '1 minute')",
        "SELECT symbol, ts, ema(price, 20) OVER (PARTITION BY symbol ORDER BY ts) AS e FROM trades",
    ),
    (
        "interval_join",
        " WITH (retention = '1 minute')",
        "SELECT t.symbol, t.ts, q.bid FROM trades t JOIN quotes q ON t.symbol = q.symbol \
         AND q.ts BETWEEN t.ts - INTERVAL '100' MILLISECOND AND t.ts",
    ),
    (
        "outer_join",
        " WITH (retention = '1 minute')",
        "SELECT t.symbol, t.ts, q.bid FROM trades t LEFT JOIN quotes q ON t.symbol = q.symbol \
         AND q.ts BETWEEN t.ts AND t.ts + INTERVAL '100' MILLISECOND",
    ),
    (
        "asof_join",
        " WITH (retention = '1 minute')",
        "SELECT t.symbol, t.ts, q.bid, q.ask FROM trades t ASOF JOIN quotes q \
         ON t.symbol = q.symbol AND t.ts >= q.ts",
    ),
    (
        "horizon_join",
        " WITH (retention = '1 minute')",
        "SELECT t.symbol, h.offset, h.timestamp, q.bid FROM trades t HORIZON JOIN quotes q \
         ON t.symbol = q.symbol \
         LIST (0, 2s) AS h",
    ),
    (
        "regular_join",
        " WITH (state_ttl = '1 second')",
        "SELECT t.symbol, t.ts, q.bid FROM trades t JOIN quotes q ON t.symbol = q.symbol \
         AND t.venue = q.venue AND t.ts = q.ts",
    ),
    (
        "ranked",
        "",
        "SELECT symbol, n, rank() OVER (ORDER BY n DESC) AS place \
         FROM (SELECT symbol, count(*) AS n FROM trades GROUP BY symbol) AS counts",
    ),
    (
        "zoned_hop",
        "",
        "SELECT window_start, window_end, symbol, sum(size) AS volume \
         FROM HOP(TABLE trades, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND, \
           TIME ZONE => 'America/New_York') \
         GROUP BY window_start, window_end, symbol EMIT ON WINDOW CLOSE",
    ),
    (
        "in_time",
        " WITH (late_policy = 'source', retention = '1 minute')",
        "SELECT symbol, ts, price FROM trades WHERE price > 0",
    ),
    (
        "unnested",
        "",
        "SELECT window_end, u, count(*) AS n FROM (SELECT ts, unnest(make_array(side, venue)) AS u \
         FROM trades) AS each GROUP BY TUMBLE(ts, INTERVAL '10' SECOND), u",
    ),
];

/// Rows taken and bytes of operators' state, by view.
async fn sample(client: &mut Client, name: &str) -> (u64, u64) {
    let lines = client
        .ok(&format!("EXPLAIN ANALYZE STREAMING VIEW {name}"))
        .await;
    let number = |label: &str| {
        let (_, rest) = lines.split_once(label)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    assert!(!lines.contains("suspended"), "{name}\n{lines}");
    (
        number("Rows: in=").unwrap_or(0),
        number("Operator state: bytes=").unwrap_or(0),
    )
}

/// What has been seen of each view.
struct Watch {
    rows: u64,
    /// Most bytes of state between an eighth and a half of its rows, and between there and the last
    /// eighth.
    most: Vec<[u64; 2]>,
    seen: Vec<[u32; 2]>,
}

impl Watch {
    fn new(rows: u64) -> Self {
        Self {
            rows,
            most: vec![[0; 2]; VIEWS.len()],
            seen: vec![[0; 2]; VIEWS.len()],
        }
    }

    /// Looks at the first `created` views; returns whether they have taken all rows.
    async fn look(&mut self, client: &mut Client, created: usize) -> bool {
        let mut finished = true;
        for (view, (name, _, query)) in VIEWS[..created].iter().enumerate() {
            let all = self.rows * if query.contains("quotes") { 2 } else { 1 };
            let (came, bytes) = sample(client, name).await;
            finished &= came >= all;
            let half = match came * 8 / all {
                1..=3 => 0,
                4..=6 => 1,
                _ => continue,
            };
            self.most[view][half] = self.most[view][half].max(bytes);
            self.seen[view][half] += 1;
        }
        finished
    }

    fn check(&self) {
        for (view, (name, ..)) in VIEWS.iter().enumerate() {
            let ([before, after], seen) = (self.most[view], self.seen[view]);
            assert!(
                seen.iter().all(|n| *n > 0),
                "{name} was too fast to be seen"
            );
            assert!(
                after <= before.max(BYTES_MIN) * FACTOR,
                "the state of {name} has grown from {before} to {after} bytes"
            );
        }
    }
}

#[tokio::test]
async fn state_stays_what_it_is_while_rows_come() {
    let rows = std::env::var("RTSAP_FLAT_ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let harness = Harness::new().await;
    let mut client = harness.session();
    for (kind, columns) in [
        (
            "trades",
            "symbol TEXT, price DOUBLE PRECISION, size BIGINT, side TEXT, venue TEXT",
        ),
        (
            "quotes",
            "symbol TEXT, bid DOUBLE PRECISION, ask DOUBLE PRECISION, venue TEXT",
        ),
    ] {
        let source = format!(
            "CREATE SOURCE {kind} ({columns}, ts TIMESTAMP(6), WATERMARK FOR ts AS ts - INTERVAL \
             '100' MILLISECOND) WITH ('connector' = 'datagen', 'kind' = '{kind}', 'seed' = '7', \
             'symbols' = '20', 'rows-per-second' = '1000', 'number-of-rows' = '{rows}', \
             'pace' = 'none')"
        );
        client.ok(&source).await;
    }
    let mut watch = Watch::new(rows);
    for (created, (name, options, query)) in VIEWS.iter().enumerate() {
        client
            .ok(&format!("CREATE STREAMING VIEW {name}{options} AS {query}"))
            .await;
        watch.look(&mut client, created + 1).await;
    }
    let end = Instant::now() + Duration::from_secs(60 + rows * SECONDS_PER_MILLION / 1_000_000);
    while !watch.look(&mut client, VIEWS.len()).await {
        assert!(Instant::now() < end, "the rows do not come to an end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    watch.check();
}
