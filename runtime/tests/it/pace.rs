//! Views that show at most so often, windows that close when no rows come, and views that are
//! paused: with a clock that the test moves, across restarts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimeUnit};
use object_store::memory::InMemory;
use parking_lot::Mutex;
use rtsap_plan::graph::{Node, StreamPlan};
use rtsap_plan::operator::{Emit, ObjectId, OperatorSpec, WindowColumn};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_runtime::clock::Clock;
use rtsap_runtime::config::RuntimeConfig;
use rtsap_runtime::handle::Runtime;
use rtsap_runtime::serve::Part;
use rtsap_runtime::spec::{EventTimeSpec, Pace, StartFrom, TableSpec, ViewSpec};
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::time::WallTime;

use super::plans::{compile, group_node, schema, window_node};
use super::rows::{Row, batch};
use super::script::tumble;

const TABLE: ObjectId = ObjectId(1);
const VIEW: ObjectId = ObjectId(2);

/// A clock that stands until it is moved.
#[derive(Debug, Default)]
struct Hand(Mutex<Duration>);

impl Hand {
    fn pass(&self, time: Duration) {
        *self.0.lock() += time;
    }
}

impl Clock for Hand {
    fn wall(&self) -> WallTime {
        WallTime::from_micros(0)
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock()
    }
}

struct World {
    store: Arc<InMemory>,
    clock: Arc<Hand>,
    plan: StreamPlan,
    pace: Pace,
}

impl World {
    async fn open(&self) -> Runtime {
        let mut config = RuntimeConfig::new(Arc::clone(&self.store) as _);
        config.clock = Arc::clone(&self.clock) as _;
        let runtime = Runtime::open(config).await.unwrap();
        let table = TableSpec {
            id: TABLE,
            name: "t".to_owned(),
            schema: schema(TimeUnit::Second),
            key: Vec::new(),
            event_time: Some(EventTimeSpec {
                column: 0,
                delay_nanos: 0,
            }),
        };
        runtime.add_table(table).await.unwrap();
        let view = ViewSpec {
            id: VIEW,
            name: "v".to_owned(),
            plan: self.plan.clone(),
            start_from: StartFrom::Beginning,
            pace: self.pace,
        };
        runtime.add_view(view).await.unwrap();
        runtime.start().await.unwrap();
        runtime
    }
}

fn plan(node: Node) -> StreamPlan {
    let schema = schema(TimeUnit::Second);
    let input = Node {
        spec: OperatorSpec::Input {
            object: TABLE,
            name: "t".to_owned(),
            columns: (0..schema.fields().len()).collect(),
        },
        inputs: Vec::new(),
        properties: StreamProperties {
            schema,
            mode: ChangelogMode::Append,
            key: Vec::new(),
            event_time: Some(0),
            state: StateBound::None,
        },
    };
    StreamPlan {
        nodes: vec![input, node],
    }
}

fn row(ts: i64, k: &str) -> Row {
    Row {
        ts: Some(ts),
        k: Some(k.to_owned()),
        ..Row::default()
    }
}

async fn insert(runtime: &Runtime, rows: &[Row]) {
    let rows: RecordBatch = batch(&schema(TimeUnit::Second), rows);
    runtime.insert(TABLE, vec![rows]).await.unwrap();
}

/// What the view shows: the value of its column `at` by that of its column `by`.
fn shown(runtime: &Runtime, by: usize, at: usize) -> BTreeSet<(String, i64)> {
    let cut = runtime.cut();
    let Some(table) = cut.tables.get(&(VIEW, Part::Rows)) else {
        return BTreeSet::new();
    };
    let mut found = BTreeSet::new();
    for rows in table.batches().unwrap() {
        let key = arrow::compute::cast(rows.column(by), &arrow::datatypes::DataType::Utf8).unwrap();
        let value = rows.column(at).as_primitive::<Int64Type>();
        for row in 0..rows.num_rows() {
            found.insert((
                key.as_string::<i32>().value(row).to_owned(),
                value.value(row),
            ));
        }
    }
    found
}

fn counts(pairs: &[(&str, i64)]) -> BTreeSet<(String, i64)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), *value))
        .collect()
}

/// Lets the core do what the clock now asks of it: a checkpoint is a command like any other.
async fn settle(runtime: &Runtime) {
    runtime.checkpoint().await.unwrap();
    runtime.checkpoint().await.unwrap();
}

#[tokio::test]
async fn a_throttled_view_shows_all_changes_at_once_when_its_turn_comes() {
    let node = group_node(&compile(&schema(TimeUnit::Second), &["k"], &["count(*)"]).await);
    let world = World {
        store: Arc::new(InMemory::new()),
        clock: Arc::default(),
        plan: plan(node),
        pace: Pace {
            every: Some(Duration::from_secs(60)),
            timeout: None,
        },
    };
    let runtime = world.open().await;
    world.clock.pass(Duration::from_secs(100));
    insert(&runtime, &[row(1, "a")]).await;
    settle(&runtime).await;
    assert_eq!(
        shown(&runtime, 0, 1),
        counts(&[("a", 1)]),
        "its first turn is at once"
    );
    let subscription = runtime.subscribe(VIEW, Part::Rows, false).await.unwrap();
    for round in 0..3 {
        insert(&runtime, &[row(2 + round, "a"), row(2, "b")]).await;
        settle(&runtime).await;
        assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 1)]), "it waits");
    }
    // What waits is part of the state.
    runtime.stop().await.unwrap();
    drop(subscription);
    let runtime = world.open().await;
    assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 1)]));
    insert(&runtime, &[row(9, "a")]).await;
    world.clock.pass(Duration::from_secs(61));
    settle(&runtime).await;
    assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 5), ("b", 3)]));
    insert(&runtime, &[row(10, "a")]).await;
    settle(&runtime).await;
    assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 5), ("b", 3)]));
    runtime.flush().await.unwrap();
    assert_eq!(
        shown(&runtime, 0, 1),
        counts(&[("a", 6), ("b", 3)]),
        "a flush waits for nothing"
    );
    runtime.stop().await.unwrap();
}

#[tokio::test]
async fn windows_close_when_no_rows_come_for_the_timeout() {
    let compiled = compile(&schema(TimeUnit::Second), &["k"], &["count(*)"]).await;
    let emit = Emit::OnClose {
        delay_nanos: 2_000_000_000,
    };
    let node = window_node(
        &compiled,
        tumble(10),
        emit,
        0,
        TimeUnit::Second,
        WindowColumn::Time,
    );
    let world = World {
        store: Arc::new(InMemory::new()),
        clock: Arc::default(),
        plan: plan(node),
        pace: Pace {
            every: None,
            timeout: Some(Duration::from_secs(5)),
        },
    };
    let runtime = world.open().await;
    world.clock.pass(Duration::from_secs(1));
    insert(&runtime, &[row(1, "a"), row(25, "a")]).await;
    settle(&runtime).await;
    assert_eq!(
        shown(&runtime, 2, 3),
        counts(&[("a", 1)]),
        "one window is open"
    );
    world.clock.pass(Duration::from_secs(4));
    settle(&runtime).await;
    assert_eq!(shown(&runtime, 2, 3).len(), 1);
    // A row that comes begins the silence anew.
    insert(&runtime, &[row(26, "a")]).await;
    settle(&runtime).await;
    world.clock.pass(Duration::from_secs(4));
    settle(&runtime).await;
    assert_eq!(shown(&runtime, 2, 3), counts(&[("a", 1)]));
    world.clock.pass(Duration::from_secs(2));
    settle(&runtime).await;
    assert_eq!(
        shown(&runtime, 2, 3),
        counts(&[("a", 1), ("a", 2)]),
        "it has closed"
    );
    // What comes for it now is late; what comes after it is not.
    insert(&runtime, &[row(27, "a"), row(31, "b")]).await;
    settle(&runtime).await;
    world.clock.pass(Duration::from_secs(6));
    settle(&runtime).await;
    runtime.stop().await.unwrap();
    let runtime = world.open().await;
    assert_eq!(
        shown(&runtime, 2, 3),
        counts(&[("a", 1), ("a", 2), ("b", 1)])
    );
    let status = runtime.status();
    let view = status.views.iter().find(|view| view.id == VIEW).unwrap();
    assert_eq!(view.ledger.late, 1);
    assert!(view.ledger.balances());
    runtime.stop().await.unwrap();
}

#[tokio::test]
async fn a_paused_view_misses_nothing_across_a_restart() {
    let node = group_node(&compile(&schema(TimeUnit::Second), &["k"], &["count(*)"]).await);
    let world = World {
        store: Arc::new(InMemory::new()),
        clock: Arc::default(),
        plan: plan(node),
        pace: Pace::default(),
    };
    let runtime = world.open().await;
    insert(&runtime, &[row(1, "a")]).await;
    runtime.set_paused(VIEW, true).await.unwrap();
    insert(&runtime, &[row(2, "a"), row(2, "b")]).await;
    runtime.flush().await.unwrap();
    assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 1)]));
    runtime.stop().await.unwrap();
    let runtime = world.open().await;
    assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 1)]));
    insert(&runtime, &[row(3, "b")]).await;
    runtime.flush().await.unwrap();
    assert_eq!(
        shown(&runtime, 0, 1),
        counts(&[("a", 1)]),
        "it is still paused"
    );
    runtime.set_paused(VIEW, false).await.unwrap();
    runtime.flush().await.unwrap();
    assert_eq!(shown(&runtime, 0, 1), counts(&[("a", 2), ("b", 2)]));
    runtime.stop().await.unwrap();
}
