//! Random rows in a random order, cut at random, with publishes, watermarks and crashes between.

use proptest::prelude::*;
use proptest::sample::select;

use super::rows::Row;

/// What happens to an operator.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows arrive.
    Rows(Vec<Row>),
    /// The watermark follows the rows seen, this many seconds behind.
    Watermark(i64),
    /// A cut is published.
    Publish,
    /// A cut is published and saved; the process dies and starts again from it.
    Crash,
    /// Some rows of before are taken back: every `n`-th one still there.
    Retract(usize),
}

/// A life of an operator. Times of rows are in seconds until `run` scales them.
pub type Script = Vec<Event>;

/// Scripts of up to a few hundred rows.
pub fn script() -> impl Strategy<Value = Script> {
    let event = prop_oneof![
        6 => prop::collection::vec(row(), 1..40).prop_map(Event::Rows),
        3 => (0..12_i64).prop_map(Event::Watermark),
        2 => Just(Event::Publish),
        1 => Just(Event::Crash),
        1 => (1..5_usize).prop_map(Event::Retract),
    ];
    prop::collection::vec(event, 1..24).prop_map(number)
}

fn row() -> impl Strategy<Value = Row> {
    let texts = select(vec![
        None,
        Some("a"),
        Some("b"),
        Some("ccc"),
        Some("a longer name"),
        Some(""),
    ]);
    let names = select(vec![
        None,
        Some("x"),
        Some("yy"),
        Some("zzz"),
        Some("the fourth of them"),
    ]);
    (
        prop::option::weighted(0.97, -3..10_i64),
        texts,
        prop::option::weighted(0.9, 0..2_i32),
        prop::option::weighted(0.9, (0..6400_i64).prop_map(|n| n as f64 / 64.0)),
        prop::option::weighted(0.9, (-1_000_000..1_000_000_i64).prop_map(i128::from)),
        prop::option::weighted(0.9, -50..50_i64),
        names,
        any::<i32>(),
    )
        .prop_map(|(ts, k, side, price, amount, qty, name, salt)| Row {
            ts,
            k: k.map(str::to_owned),
            side,
            price,
            amount,
            qty,
            name: name.map(str::to_owned),
            id: i64::from(salt),
        })
}

/// Lets time advance with the rows and makes ids unique, in no relation to arrival.
fn number(mut script: Script) -> Script {
    let mut seen = 0;
    for event in &mut script {
        let Event::Rows(rows) = event else { continue };
        for row in rows {
            seen += 1;
            // Half a second a row, with disorder of up to ten seconds.
            row.ts = row.ts.map(|jitter| seen / 2 + jitter - 100);
            row.id = (row.id << 20) + seen;
        }
    }
    script
}
