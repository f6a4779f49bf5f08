//! What is outside of a process: time, the topic, the store's objects, the targets; and the script
//! that a seed writes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use object_store::memory::InMemory;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rtsap_runtime::clock::Clock;
use rtsap_stream::time::WallTime;

use super::life::Life;
use super::target::Table;

/// What is broken on purpose, so that the check can be checked. None by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flaws {
    pub target_rows_before_record: bool,
    pub target_keeps_no_record: bool,
    pub target_ignores_generation: bool,
    pub target_ignores_gaps: bool,
    pub target_forgets_half: bool,
    pub target_starts_over: bool,
    pub target_keeps_old_rows: bool,
    pub target_swaps_epochs: bool,
    pub target_answers_early: bool,
    pub store_loses_unsynced: bool,
    pub store_overwrites: bool,
    pub store_reads_old: bool,
    pub store_lists_late: bool,
    pub store_deletes_too_much: bool,
    pub store_mixes_objects: bool,
    pub source_skips_on_open: bool,
    pub source_repeats_on_open: bool,
    pub source_loses_on_outage: bool,
    pub source_skips_new_splits: bool,
    pub source_hides_new_splits: bool,
    pub source_swaps_splits: bool,
    pub source_wrong_resume: bool,
    pub source_reorders_on_open: bool,
}

/// One trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub key: i64,
    pub value: i64,
    /// Seconds of event time.
    pub second: i64,
}

/// Everything outside.
pub struct World {
    pub flaws: Flaws,
    pub random: Mutex<SmallRng>,
    pub clock: Arc<SimClock>,
    pub topic: Mutex<Topic>,
    pub objects: Arc<InMemory>,
    /// What a disk without fsync would lose at a power cut: path and what lay there before.
    pub unsynced: Mutex<Vec<(object_store::path::Path, Option<bytes::Bytes>)>>,
    pub tables: Mutex<BTreeMap<String, Table>>,
    /// Whether faults happen at all.
    pub calm: Mutex<bool>,
    pub faults: Mutex<u64>,
    trace: Mutex<Vec<String>>,
}

/// The topic.
#[derive(Default)]
pub struct Topic {
    pub identity: u64,
    pub partitions: Vec<Vec<Row>>,
}

impl World {
    fn new(seed: u64, flaws: Flaws) -> Self {
        Self {
            flaws,
            random: Mutex::new(SmallRng::seed_from_u64(seed)),
            clock: Arc::new(SimClock::default()),
            topic: Mutex::new(Topic {
                identity: 1,
                partitions: vec![Vec::new(); 2],
            }),
            objects: Arc::new(InMemory::new()),
            unsynced: Mutex::default(),
            tables: Mutex::default(),
            calm: Mutex::new(false),
            faults: Mutex::new(0),
            trace: Mutex::default(),
        }
    }

    /// A number below `limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.random.lock().random_range(0..limit.max(1))
    }

    /// Whether one of `in_how_many` happens. Never in a calm world.
    pub fn strikes(&self, in_how_many: u64) -> bool {
        let strikes = self.below(in_how_many) == 0 && !*self.calm.lock();
        if strikes {
            *self.faults.lock() += 1;
        }
        strikes
    }

    /// Writes an event into the trace that two runs of a seed must share.
    pub fn note(&self, event: &str) {
        let at = self.clock.elapsed().as_millis();
        self.trace.lock().push(format!("{at} ms: {event}"));
    }
}

/// Time that moves when it is told to.
#[derive(Default)]
pub struct SimClock {
    now: Mutex<Duration>,
    /// Who waits for it to move, in the order in which they began to.
    sleepers: Mutex<Vec<Waker>>,
}

impl SimClock {
    pub fn advance(&self, by: Duration) {
        *self.now.lock() += by;
        let sleepers = std::mem::take(&mut *self.sleepers.lock());
        for sleeper in sleepers {
            sleeper.wake();
        }
    }

    pub fn elapsed(&self) -> Duration {
        *self.now.lock()
    }
}

/// The clock as a process has it: it can be waited for.
pub struct Shared(pub Arc<SimClock>);

impl Clock for Shared {
    fn wall(&self) -> WallTime {
        let micros = i64::try_from(self.0.elapsed().as_micros()).unwrap();
        // 2024-01-03T16:40:00Z, after all that happens in the topic.
        WallTime::from_micros(1_704_300_000_000_000 + micros)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        sleep(&self.0, time)
    }
}

/// Completes once `clock` has moved on by `time`.
pub fn sleep(clock: &Arc<SimClock>, time: Duration) -> BoxFuture<'static, ()> {
    let until = clock.elapsed() + time;
    Box::pin(Sleep {
        clock: Arc::clone(clock),
        until,
    })
}

struct Sleep {
    clock: Arc<SimClock>,
    until: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.elapsed() >= self.until {
            return Poll::Ready(());
        }
        self.clock.sleepers.lock().push(context.waker().clone());
        Poll::Pending
    }
}

/// What became of a seed.
#[derive(Debug, Default)]
pub struct Report {
    pub wrong: Vec<String>,
    pub rows: usize,
    pub lives: usize,
    pub faults: u64,
    pub epochs: u64,
    pub trace: Vec<String>,
}

/// Steps of a script.
const STEPS: u64 = 700;

/// Steps that a calm world may take to come to rest.
const REST_STEPS: u64 = 6_000;

/// Runs the script of `seed`.
pub fn run(seed: u64, flaws: Flaws) -> Report {
    let world = Arc::new(World::new(seed, flaws));
    let mut report = Report::default();
    let mut produced = 0;
    let mut lives: Vec<Life> = Vec::new();
    for _ in 0..STEPS {
        world
            .clock
            .advance(Duration::from_millis(1 + world.below(12)));
        match world.below(100) {
            0..30 => produce(&world, &mut produced),
            // A second process on the same store, while the first may go on.
            30 if lives.len() < 2 => lives.push(Life::begin(&world, &mut report.lives)),
            31..34 if !lives.is_empty() && world.strikes(2) => {
                let victim = usize::try_from(world.below(lives.len() as u64)).unwrap();
                world.note("kill");
                drop(lives.remove(victim));
                world.power_cut();
            }
            34 if world.strikes(4) => {
                let mut topic = world.topic.lock();
                if topic.partitions.len() < 4 {
                    topic.partitions.push(Vec::new());
                }
            }
            35 => world
                .clock
                .advance(Duration::from_millis(world.below(3_000))),
            _ => {}
        }
        if lives.is_empty() {
            lives.push(Life::begin(&world, &mut report.lives));
        }
        // One of them is given the processor; the other sleeps, for as long as chance wants.
        let turn = usize::try_from(world.below(lives.len() as u64)).unwrap();
        for _ in 0..1 + world.below(8) {
            lives[turn].step(&world);
        }
        world.end_orphans();
        lives.retain(|life| !life.has_ended());
    }
    drop(lives);
    finish(&world, &mut report, &mut produced);
    report.faults = *world.faults.lock();
    report.trace = std::mem::take(&mut *world.trace.lock());
    report
}

fn produce(world: &World, produced: &mut i64) {
    let mut topic = world.topic.lock();
    let partitions = topic.partitions.len() as u64;
    for _ in 0..world.below(20) {
        let id = *produced;
        *produced += 1;
        let back = i64::try_from(world.below(4)).unwrap();
        let row = Row {
            id,
            key: id % 5,
            value: i64::try_from(world.below(1_000)).unwrap(),
            second: (id / 20 - back).max(0),
        };
        let partition = usize::try_from(world.below(partitions)).unwrap();
        topic.partitions[partition].push(row);
    }
}

/// One last row in each partition, far ahead, closes all windows before it; returns its second.
fn close(world: &World, produced: &mut i64) -> i64 {
    let second = *produced / 20 + 1_000;
    for partition in &mut world.topic.lock().partitions {
        partition.push(Row {
            id: *produced,
            key: 0,
            value: 0,
            second,
        });
        *produced += 1;
    }
    second
}

/// Lets everything come to rest, and compares.
fn finish(world: &Arc<World>, report: &mut Report, produced: &mut i64) {
    *world.calm.lock() = true;
    let last_second = close(world, produced);
    world.end_orphans();
    let mut life = Life::begin(world, &mut report.lives);
    let mut wrong = vec!["it did not start".to_owned()];
    for step in 0..REST_STEPS {
        world.clock.advance(Duration::from_millis(5));
        life.step(world);
        world.end_orphans();
        if life.has_ended() {
            wrong = vec![format!("it ended: {}", life.why_ended())];
            break;
        }
        if step % 50 == 49 && life.is_defined() {
            wrong = life.compare(world, last_second);
            if wrong.is_empty() {
                break;
            }
        }
    }
    report.rows = world.topic.lock().partitions.iter().map(Vec::len).sum();
    report.epochs = life.epoch();
    report.wrong = wrong;
}
