//! What the engine holds: a runtime that is opened, filled from the catalog, started, and told what
//! to do.

use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use arrow::record_batch::RecordBatch;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::ChangeBatch;
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};

use crate::checkpoint::chain::Chain;
use crate::checkpoint::manifest::{ManifestV1, ObjectRef, RelationState};
use crate::checkpoint::store::Store;
use crate::checkpoint::table_log::{LogEntry, TableLog};
use crate::config::RuntimeConfig;
use crate::core::rebuild::Step;
use crate::core::relation::Saved;
use crate::core::{Answer, Command, Core, Message, Parts, Shared};
use crate::error::RuntimeError;
use crate::serve::{Cut, Part};
use crate::spec::{SinkSpec, SourceSpec, TableSpec, ViewSpec};
use crate::state::layers::Layers;
use crate::state::{Sections, StateError, StateReader, decode};
use crate::status::{Health, RuntimeStatus};
use crate::subscribe::Subscription;

mod boot;

/// Messages that may wait for the core.
const MESSAGES_MAX: usize = 4_096;

/// A runtime. Cloning gives another handle on the same one.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    messages: Sender<Message>,
    /// Changes never; its sender goes with the core.
    core: watch::Receiver<()>,
    log: tokio::sync::Mutex<TableLog>,
    boot: Mutex<Option<Boot>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    driven: Mutex<Option<Box<Core>>>,
    generation: u64,
    directory: u64,
}

/// Everything that waits for the start.
struct Boot {
    config: RuntimeConfig,
    store: Store,
    chain: Chain,
    receiver: Receiver<Message>,
    alive: watch::Sender<()>,
    manifest: ManifestV1,
    log: Vec<LogEntry>,
    specs: Vec<BootSpec>,
}

/// An object of the catalog, added before the start.
enum BootSpec {
    Source(SourceSpec),
    Table(TableSpec),
    View(ViewSpec),
    Sink(SinkSpec),
}

impl Runtime {
    /// Takes over the state under `config.store`: every process that wrote there before is fenced
    /// from now on.
    ///
    /// # Errors
    /// [`RuntimeError::Checkpoint`] if the state cannot be read or trusted.
    pub async fn open(config: RuntimeConfig) -> Result<Self, RuntimeError> {
        let store = Store::new(Arc::clone(&config.store));
        let chain = Chain::take_over(store.clone(), writer_name(&config)).await?;
        let orphans = chain.collect_orphans(&["data"]).await?;
        if orphans > 0 {
            tracing::info!(orphans, "removed objects that no checkpoint names");
        }
        let manifest = chain.tip().clone();
        let generation = manifest.generation;
        let directory = manifest.directory.unwrap_or_default();
        let opened = TableLog::open(store.clone(), generation, manifest.table_log).await?;
        let (log, entries) = opened;
        let (messages, receiver) = crossbeam_channel::bounded(MESSAGES_MAX);
        let (alive, core) = watch::channel(());
        let shared = Arc::new(Shared {
            fresh: ArcSwap::from_pointee(Cut::default()),
            committed: ArcSwap::from_pointee(Cut::default()),
            status: Mutex::new(RuntimeStatus::default()),
            ended: Mutex::new(None),
        });
        let specs = Vec::new();
        let boot = Boot {
            config,
            store,
            chain,
            receiver,
            alive,
            manifest,
            log: entries,
            specs,
        };
        let inner = Inner {
            shared,
            messages,
            core,
            log: tokio::sync::Mutex::new(log),
            boot: Mutex::new(Some(boot)),
            thread: Mutex::new(None),
            driven: Mutex::new(None),
            generation,
            directory,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The number of this life of the process on its state.
    pub fn generation(&self) -> u64 {
        self.inner.generation
    }

    /// The number of the state that this process runs on: that of no other data directory.
    pub fn directory(&self) -> u64 {
        self.inner.directory
    }

    /// Defines a source. It is read once a view needs it.
    ///
    /// # Errors
    /// [`RuntimeError::Stopped`].
    pub async fn add_source(&self, spec: SourceSpec) -> Result<(), RuntimeError> {
        let Some(BootSpec::Source(spec)) = self.at_boot(BootSpec::Source(spec)) else {
            return Ok(());
        };
        self.ask(|answer| Command::AddSource(spec, answer)).await
    }

    /// Defines a table.
    ///
    /// # Errors
    /// [`RuntimeError::Serve`] if its key cannot be compared.
    pub async fn add_table(&self, spec: TableSpec) -> Result<(), RuntimeError> {
        let Some(BootSpec::Table(spec)) = self.at_boot(BootSpec::Table(spec)) else {
            return Ok(());
        };
        self.ask(|answer| Command::AddTable(spec, answer)).await
    }

    /// Starts a view. Its inputs must have been added before.
    ///
    /// # Errors
    /// [`RuntimeError::Operator`] if an operator cannot be built, [`RuntimeError::Spec`] if an
    /// input is unknown.
    pub async fn add_view(&self, spec: ViewSpec) -> Result<(), RuntimeError> {
        let Some(BootSpec::View(spec)) = self.at_boot(BootSpec::View(spec)) else {
            return Ok(());
        };
        self.ask(|answer| Command::AddView(spec, answer)).await
    }

    /// Starts a sink on a table or view that was added before.
    ///
    /// # Errors
    /// [`RuntimeError::NotA`] if there is no such relation.
    pub async fn add_sink(&self, spec: SinkSpec) -> Result<(), RuntimeError> {
        let Some(BootSpec::Sink(spec)) = self.at_boot(BootSpec::Sink(spec)) else {
            return Ok(());
        };
        self.ask(|answer| Command::AddSink(spec, answer)).await
    }

    /// Restores what the last checkpoint knows of the objects added so far, and begins to run. Call
    /// once.
    ///
    /// # Errors
    /// [`RuntimeError::Checkpoint`] if saved state cannot be read, and whatever adding an object
    /// can give.
    pub async fn start(&self) -> Result<(), RuntimeError> {
        let boot = self.inner.boot.lock().take();
        let Some(boot) = boot else { return Ok(()) };
        match boot::start(boot, &self.inner.shared, &self.inner.messages).await? {
            boot::Started::Thread(thread) => *self.inner.thread.lock() = Some(thread),
            boot::Started::Driven(core) => *self.inner.driven.lock() = Some(core),
        }
        Ok(())
    }

    /// Moves a driven runtime once; `false` once it has ended or where it has a thread of its own.
    pub fn turn(&self) -> bool {
        let mut driven = self.inner.driven.lock();
        let goes_on = driven.as_mut().is_some_and(|core| core.turn());
        if !goes_on {
            *driven = None;
        }
        goes_on
    }

    /// Removes objects and everything they hold. The caller names dependents too.
    ///
    /// # Errors
    /// [`RuntimeError::Stopped`].
    pub async fn drop_objects(&self, objects: &[ObjectId]) -> Result<(), RuntimeError> {
        let objects = objects.to_vec();
        self.ask(|answer| Command::Drop(objects, answer)).await
    }

    /// Adds rows to a table. When this returns they are durable and published.
    ///
    /// # Errors
    /// [`RuntimeError::NotA`] if it is no table, [`RuntimeError::Checkpoint`] if they could not be
    /// made durable.
    pub async fn insert(
        &self,
        table: ObjectId,
        rows: Vec<RecordBatch>,
    ) -> Result<u64, RuntimeError> {
        let rows = rows.into_iter().map(ChangeBatch::inserts);
        self.write(table, rows.collect()).await
    }

    /// Applies changes to a table, in order; rows are taken away by key. When this returns they are
    /// durable and published.
    ///
    /// # Errors
    /// As [`Runtime::insert`].
    pub async fn write(
        &self,
        table: ObjectId,
        changes: Vec<ChangeBatch>,
    ) -> Result<u64, RuntimeError> {
        let count = changes.iter().map(|changes| changes.len() as u64).sum();
        let runtime = self.clone();
        // A task of its own, which ends what it began even if the caller goes away: the core must
        // get every entry.
        let writing = tokio::spawn(async move {
            // One writer at a time: the core must take entries in the order of their numbers.
            let mut log = runtime.inner.log.lock().await;
            let mut last = None;
            for entry in log.append(table.0, changes).await? {
                let (answer, answered) = oneshot::channel();
                runtime.send(Command::Insert(entry, answer)).await?;
                last = Some(answered);
            }
            Ok::<_, RuntimeError>(last)
        });
        let answered = writing.await.map_err(|_| self.gone())??;
        if let Some(answered) = answered {
            self.answer(answered).await?;
        }
        Ok(count)
    }

    /// Waits until everything written before, and everything bounded sources hold, is visible in
    /// every view.
    ///
    /// # Errors
    /// [`RuntimeError::Stopped`].
    pub async fn flush(&self) -> Result<(), RuntimeError> {
        self.ask(Command::Flush).await
    }

    /// Makes a checkpoint and waits until it is durable; returns its epoch.
    ///
    /// # Errors
    /// [`RuntimeError::Stopped`], [`RuntimeError::Fenced`].
    pub async fn checkpoint(&self) -> Result<u64, RuntimeError> {
        self.ask(Command::Checkpoint).await
    }

    /// Stops a view or a sink where it stands, or lets it go on from there. Durable when this
    /// returns, and nothing is under way at the target of a sink that was stopped.
    ///
    /// A sink that was suspended goes on too, if what suspended it has been mended.
    ///
    /// # Errors
    /// [`RuntimeError::NotA`] if there is no such view or sink, [`RuntimeError::Stopped`].
    pub async fn set_paused(&self, object: ObjectId, paused: bool) -> Result<(), RuntimeError> {
        self.ask(|answer| Command::Pause {
            object,
            paused,
            answer,
        })
        .await?;
        self.checkpoint().await.map(|_| ())
    }

    /// Builds a new version of view `spec.id` beside it, with the same columns; returns once both
    /// stand at the same place in all their inputs. Then [`Runtime::cut_over`]. If the future is
    /// dropped before it returns, the new version is given up.
    ///
    /// # Errors
    /// [`RuntimeError::Altering`] with the reason if it cannot be built, or not now.
    pub async fn rebuild_view(&self, spec: ViewSpec) -> Result<(), RuntimeError> {
        self.ask(|answer| Command::Alter(Step::Build(spec, answer)))
            .await
    }

    /// Lets the new version of a view take its place: readers, subscribers, views and sinks go on
    /// with it between two cuts.
    ///
    /// # Errors
    /// [`RuntimeError::NotA`] if there is no new version.
    pub async fn cut_over(&self, view: ObjectId) -> Result<(), RuntimeError> {
        self.ask(|answer| Command::Alter(Step::CutOver(view, answer)))
            .await
    }

    /// Gives the new version of a view up; the view stays as it is.
    ///
    /// # Errors
    /// [`RuntimeError::Stopped`].
    pub async fn abandon_rebuild(&self, view: ObjectId) -> Result<(), RuntimeError> {
        self.ask(|answer| Command::Alter(Step::Abandon(view, answer)))
            .await
    }

    /// Follows a relation: its rows as of now if `snapshot`, then every change.
    ///
    /// # Errors
    /// [`RuntimeError::NotA`] if there is no such relation.
    pub async fn subscribe(
        &self,
        object: ObjectId,
        part: Part,
        snapshot: bool,
    ) -> Result<Subscription, RuntimeError> {
        self.ask(|answer| Command::Subscribe {
            object,
            part,
            snapshot,
            answer,
        })
        .await
    }

    /// The last publish.
    pub fn cut(&self) -> Arc<Cut> {
        self.inner.shared.fresh.load_full()
    }

    /// The last durable checkpoint.
    pub fn committed_cut(&self) -> Arc<Cut> {
        self.inner.shared.committed.load_full()
    }

    /// The last report, at most a tenth of a second old.
    pub fn status(&self) -> RuntimeStatus {
        self.inner.shared.status.lock().clone()
    }

    /// How `view` is doing, by the last report.
    pub fn view_health(&self, view: ObjectId) -> Option<Health> {
        let status = self.inner.shared.status.lock();
        let view = status.views.iter().find(|status| status.id == view);
        view.map(|view| view.health.clone())
    }

    /// Why the runtime has ended, if it has.
    pub fn ended(&self) -> Option<String> {
        self.inner.shared.ended.lock().clone()
    }

    /// Makes a last checkpoint and ends.
    ///
    /// # Errors
    /// [`RuntimeError::Stopped`] if it had ended already.
    pub async fn stop(&self) -> Result<(), RuntimeError> {
        if self.inner.boot.lock().take().is_some() {
            return Ok(());
        }
        self.ask(Command::Stop).await?;
        let thread = self.inner.thread.lock().take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !joined.unwrap_or(false) {
                return Err(RuntimeError::Stopped);
            }
        }
        Ok(())
    }

    /// Keeps `spec` for the start, or gives it back if the runtime runs already.
    fn at_boot(&self, spec: BootSpec) -> Option<BootSpec> {
        match self.inner.boot.lock().as_mut() {
            Some(boot) => {
                boot.specs.push(spec);
                None
            }
            None => Some(spec),
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, RuntimeError> {
        let (answer, answered) = oneshot::channel();
        self.send(command(answer)).await?;
        self.answer(answered).await
    }

    /// Waits for an answer, or for the end of the core: a message that it did not take any more
    /// stays in the channel, and what it would answer with too.
    async fn answer<T>(
        &self,
        mut answered: oneshot::Receiver<Result<T, RuntimeError>>,
    ) -> Result<T, RuntimeError> {
        let mut core = self.inner.core.clone();
        let answer = tokio::select! {
            biased;
            answer = &mut answered => answer.ok(),
            _ = core.changed() => answered.try_recv().ok(),
        };
        answer.unwrap_or_else(|| Err(self.gone()))
    }

    async fn send(&self, command: Command) -> Result<(), RuntimeError> {
        let mut message = Message::Command(Box::new(command));
        loop {
            match self.inner.messages.try_send(message) {
                Ok(()) => return Ok(()),
                Err(crossbeam_channel::TrySendError::Disconnected(_)) => return Err(self.gone()),
                Err(crossbeam_channel::TrySendError::Full(back)) => message = back,
            }
            tokio::task::yield_now().await;
        }
    }

    fn gone(&self) -> RuntimeError {
        match self.ended() {
            Some(reason) if reason.contains("newer process") => RuntimeError::Fenced,
            _ => RuntimeError::Stopped,
        }
    }
}

/// A name that no other process has: from the clock, the process id and an address.
fn writer_name(config: &RuntimeConfig) -> String {
    let mut hash = Sha256::new();
    hash.update(config.clock.wall().micros().to_le_bytes());
    hash.update(std::process::id().to_le_bytes());
    hash.update(format!("{:p}", Arc::as_ptr(&config.clock)));
    hash.finalize()
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
