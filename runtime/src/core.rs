//! The core: the one thread that owns all dataflows and moves them in steps.
//!
//! A step takes what readers have decoded and feeds it; a publish makes one cut of everything
//! visible; a checkpoint is a publish whose state is handed to a job. Commands from sessions are
//! carried out between steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::ChangeBatch;
use tokio::sync::{oneshot, watch};

use crate::checkpoint::chain::Chain;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::job::Committed;
use crate::checkpoint::manifest::ManifestV1;
use crate::checkpoint::store::Store;
use crate::checkpoint::table_log::LogEntry;
use crate::config::RuntimeConfig;
use crate::error::RuntimeError;
use crate::serve::{Cut, Part};
use crate::sink_task::SinkEvent;
use crate::spec::{SinkSpec, SourceSpec, StartFrom, TableSpec, ViewSpec};
use crate::status::{CheckpointStatus, RuntimeStatus};
use crate::subscribe::Subscription;

mod attach;
mod intake;
mod pace;
mod pause;
mod publish;
pub(crate) mod rebuild;
pub(crate) mod relation;
mod report;
pub(crate) mod save;
mod sinks;
mod source;

use intake::{Intake, Opened};
use pace::Occasion;
use rebuild::{Rebuild, Step};
use relation::Relation;
use sinks::SinkEntry;
use source::SourceEntry;

/// Rows a step takes from one reader at most, so that no source starves another or delays a
/// publish.
const STEP_ROWS_MAX: usize = 65_536;

/// Shortest time between two publishes however little data flows: a publish costs some hundred
/// microseconds.
const PUBLISH_GAP_MIN: Duration = Duration::from_millis(2);

/// How often idle splits, retries and memory limits are looked at.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(100);

/// The answer to a command.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, RuntimeError>>;

/// What sessions ask for.
pub(crate) enum Command {
    AddSource(SourceSpec, Answer<()>),
    AddTable(TableSpec, Answer<()>),
    AddView(ViewSpec, Answer<()>),
    AddSink(SinkSpec, Answer<()>),
    Drop(Vec<ObjectId>, Answer<()>),
    Insert(LogEntry, Answer<()>),
    Flush(Answer<()>),
    Checkpoint(Answer<u64>),
    Pause {
        object: ObjectId,
        paused: bool,
        answer: Answer<()>,
    },
    Alter(Step),
    Subscribe {
        object: ObjectId,
        part: Part,
        snapshot: bool,
        answer: Answer<Subscription>,
    },
    Stop(Answer<()>),
}

/// What background work reports.
pub(crate) enum Report {
    ReaderOpened {
        intake: u64,
        attempt: u64,
        result: Result<Opened, RuntimeError>,
    },
    CheckpointDone(Result<Committed, CheckpointError>),
    CheckpointProblem(String),
    Sink {
        sink: u64,
        event: SinkEvent,
    },
}

/// Everything that reaches the core.
pub(crate) enum Message {
    Command(Box<Command>),
    Report(Box<Report>),
}

/// What the core shares with everybody else.
pub(crate) struct Shared {
    /// The last publish.
    pub fresh: ArcSwap<Cut>,
    /// The last durable checkpoint.
    pub committed: ArcSwap<Cut>,
    /// The last report on itself.
    pub status: Mutex<RuntimeStatus>,
    /// Set when the core has ended, with the reason.
    pub ended: Mutex<Option<String>>,
}

/// The state of the core thread.
pub(crate) struct Core {
    config: RuntimeConfig,
    shared: Arc<Shared>,
    tokio: tokio::runtime::Handle,
    store: Store,
    chain: Arc<tokio::sync::Mutex<Chain>>,
    messages: Receiver<Message>,
    messages_in: Sender<Message>,
    /// Whoever waits for an answer sees by it that the core is gone.
    _alive: watch::Sender<()>,
    bell: Receiver<()>,
    bell_in: Sender<()>,
    sources: BTreeMap<ObjectId, SourceEntry>,
    relations: BTreeMap<ObjectId, Relation>,
    sinks: BTreeMap<u64, SinkEntry>,
    rebuilds: BTreeMap<ObjectId, Rebuild>,
    /// New versions of views that have not caught up with their sources yet.
    rebuilds_due: Vec<(ViewSpec, Answer<()>)>,
    /// What views that were succeeded at the start have not told yet.
    owed: Vec<(ObjectId, Vec<ChangeBatch>)>,
    cut_overs: Vec<(ObjectId, Answer<()>)>,
    intakes: Vec<Intake>,
    /// While the process starts: views that no checkpoint knows, with a source they read and from
    /// where on. Readers of the checkpoint come first.
    unattached: Option<Vec<(ObjectId, ObjectId, StartFrom)>>,
    intake_next: u64,
    manifest: ManifestV1,
    /// Whether the base of operator state in `manifest` is of this process, so that deltas can be
    /// built on it.
    has_base: bool,
    in_flight: Option<InFlight>,
    checkpoint: CheckpointStatus,
    table_log: u64,
    publishes: u64,
    touched: bool,
    changed_since_checkpoint: bool,
    last_publish: Duration,
    /// When the next view that waits for its turn may be shown.
    turn_next: Option<Duration>,
    last_checkpoint: Duration,
    last_housekeeping: Duration,
    flushes: Vec<Answer<()>>,
    checkpoint_waiters: Vec<Answer<u64>>,
    in_flight_waiters: Vec<Answer<u64>>,
    stopping: Option<Answer<()>>,
    fenced: bool,
}

struct InFlight {
    cut: Arc<Cut>,
    started: Duration,
}

/// What a core is made of.
pub(crate) struct Parts {
    pub config: RuntimeConfig,
    pub shared: Arc<Shared>,
    pub tokio: tokio::runtime::Handle,
    pub store: Store,
    pub chain: Arc<tokio::sync::Mutex<Chain>>,
    pub messages: Receiver<Message>,
    pub messages_in: Sender<Message>,
    pub alive: watch::Sender<()>,
    pub manifest: ManifestV1,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let (bell_in, bell) = crossbeam_channel::bounded(1);
        let checkpoint = CheckpointStatus {
            epoch: parts.manifest.epoch,
            ..Default::default()
        };
        Self {
            config: parts.config,
            shared: parts.shared,
            tokio: parts.tokio,
            store: parts.store,
            chain: parts.chain,
            messages: parts.messages,
            messages_in: parts.messages_in,
            _alive: parts.alive,
            bell,
            bell_in,
            sources: BTreeMap::new(),
            relations: BTreeMap::new(),
            sinks: BTreeMap::new(),
            rebuilds: BTreeMap::new(),
            rebuilds_due: Vec::new(),
            owed: Vec::new(),
            cut_overs: Vec::new(),
            intakes: Vec::new(),
            unattached: Some(Vec::new()),
            intake_next: 0,
            table_log: parts.manifest.table_log,
            manifest: parts.manifest,
            has_base: false,
            in_flight: None,
            checkpoint,
            publishes: 0,
            touched: true,
            changed_since_checkpoint: false,
            last_publish: Duration::ZERO,
            turn_next: None,
            last_checkpoint: Duration::ZERO,
            last_housekeeping: Duration::ZERO,
            flushes: Vec::new(),
            checkpoint_waiters: Vec::new(),
            in_flight_waiters: Vec::new(),
            stopping: None,
            fenced: false,
        }
    }

    /// Runs until stopped or fenced.
    pub(crate) fn run(mut self) {
        loop {
            self.wait();
            if !self.turn() {
                return;
            }
        }
    }

    /// Does once what there is to do; `false` once the core has ended.
    pub(crate) fn turn(&mut self) -> bool {
        while let Ok(message) = self.messages.try_recv() {
            self.receive(message);
        }
        // Whoever stops reads no further: what comes never ends.
        let more = self.stopping.is_none() && self.step();
        self.publish_if_due(more);
        self.watch_rebuilds();
        self.cut_over_due();
        self.housekeep();
        self.checkpoint_if_due();
        if self.fenced {
            self.end("a newer process has taken over this data directory");
            return false;
        }
        let saved = self.in_flight.is_none() && !self.changed_since_checkpoint;
        if self.stopping.is_some() && saved {
            let answer = self.stopping.take();
            self.end("stopped");
            if let Some(answer) = answer {
                let _ = answer.send(Ok(()));
            }
            return false;
        }
        true
    }

    /// Blocks until there is something to do, at most until the next deadline.
    fn wait(&mut self) {
        let waiting = self.stopping.is_none() && self.intakes.iter().any(Intake::has_work);
        if waiting || !self.messages.is_empty() {
            return;
        }
        let now = self.config.clock.elapsed();
        let mut timeout = HOUSEKEEPING_INTERVAL;
        if self.touched {
            timeout = timeout.min((self.last_publish + PUBLISH_GAP_MIN).saturating_sub(now));
        }
        if let Some(turn) = self.turn_next {
            timeout = timeout.min(turn.saturating_sub(now));
        }
        if timeout.is_zero() {
            return;
        }
        let mut message = None;
        crossbeam_channel::select! {
            recv(self.messages) -> received => message = received.ok(),
            recv(self.bell) -> _ => {}
            default(timeout) => {}
        }
        if let Some(message) = message {
            self.receive(message);
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Command(command) => self.carry_out(*command),
            Message::Report(report) => self.take_report(*report),
        }
    }

    fn carry_out(&mut self, command: Command) {
        // A session that has gone away does not want its answer; nothing is lost by that.
        match command {
            Command::AddSource(spec, answer) => {
                self.add_source(spec, None);
                self.publish();
                let _ = answer.send(Ok(()));
            }
            // What was just created can be read: it is in the cut before the answer.
            Command::AddTable(spec, answer) => {
                let added = self.add_table(spec, None);
                self.publish();
                let _ = answer.send(added);
            }
            Command::AddView(spec, answer) => {
                let added = self.add_view(spec, None);
                self.publish();
                let _ = answer.send(added);
            }
            Command::AddSink(spec, answer) => {
                let _ = answer.send(self.add_sink(spec, None));
            }
            Command::Drop(objects, answer) => {
                self.drop_objects(&objects);
                let _ = answer.send(Ok(()));
            }
            Command::Insert(entry, answer) => {
                let _ = answer.send(self.insert(entry));
            }
            Command::Flush(answer) => {
                self.touched = true;
                self.flushes.push(answer);
            }
            Command::Checkpoint(answer) => {
                self.changed_since_checkpoint = true;
                self.checkpoint_waiters.push(answer);
            }
            Command::Pause {
                object,
                paused,
                answer,
            } if self.sinks.contains_key(&object.0) => {
                self.set_sink_paused(object.0, paused, answer);
            }
            Command::Pause {
                object,
                paused,
                answer,
            } => {
                let _ = answer.send(self.set_paused(object, paused));
            }
            Command::Alter(step) => self.alter(step),
            Command::Subscribe {
                object,
                part,
                snapshot,
                answer,
            } => {
                let _ = answer.send(self.subscribe(object, part, snapshot));
            }
            Command::Stop(answer) => {
                self.changed_since_checkpoint = true;
                self.stopping = Some(answer);
            }
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::ReaderOpened {
                intake,
                attempt,
                result,
            } => {
                self.reader_opened(intake, attempt, result);
            }
            Report::CheckpointDone(result) => self.checkpoint_done(result),
            Report::CheckpointProblem(problem) => self.checkpoint.problem = Some(problem),
            Report::Sink { sink, event } => self.hear_sink(sink, event),
        }
    }

    /// Feeds what readers have decoded. Returns whether more waits.
    fn step(&mut self) -> bool {
        // The shared reader of a source comes before private ones, which follow it up to where it
        // stands.
        self.align();
        for index in 0..self.intakes.len() {
            self.drain(index);
        }
        self.merge_intakes();
        self.intakes.iter().any(Intake::has_work)
    }

    fn publish_if_due(&mut self, more_waits: bool) {
        let now = self.config.clock.elapsed();
        let since = now.saturating_sub(self.last_publish);
        self.touched |= self.turn_next.is_some_and(|turn| now >= turn);
        let gap = if more_waits {
            self.config.publish_interval
        } else {
            PUBLISH_GAP_MIN
        };
        let asked = !self.flushes.is_empty();
        let occasion = match asked {
            true => Occasion::Flush,
            false => Occasion::Step,
        };
        if (self.touched && since >= gap) || asked {
            self.publish_at(occasion);
            if asked {
                self.limit_memory();
                self.report();
            }
            self.answer_flushes();
        }
    }

    fn housekeep(&mut self) {
        let now = self.config.clock.elapsed();
        if now.saturating_sub(self.last_housekeeping) < HOUSEKEEPING_INTERVAL {
            return;
        }
        self.last_housekeeping = now;
        self.find_idle_splits(now);
        self.time_out_silent(now);
        self.retry_readers(now);
        self.limit_memory();
        self.report();
    }

    fn checkpoint_if_due(&mut self) {
        if self.in_flight.is_some() || !self.changed_since_checkpoint {
            return;
        }
        let since = self
            .config
            .clock
            .elapsed()
            .saturating_sub(self.last_checkpoint);
        let asked = !self.checkpoint_waiters.is_empty() || self.stopping.is_some();
        if asked || since >= self.config.checkpoint_interval {
            self.publish_at(Occasion::Checkpoint);
            self.begin_checkpoint();
        }
    }

    fn end(&mut self, reason: &str) {
        *self.shared.ended.lock() = Some(reason.to_owned());
        self.intakes.clear();
        self.sinks.clear();
        self.relations.clear();
        for answer in self.flushes.drain(..) {
            let _ = answer.send(Err(RuntimeError::Stopped));
        }
    }

    /// A way for background work to report.
    fn reporter(&self) -> impl Fn(Report) + Send + Clone + use<> {
        let messages = self.messages_in.clone();
        move |report| {
            // The core has ended: nobody is left to be told.
            let _ = messages.send(Message::Report(Box::new(report)));
        }
    }
}
