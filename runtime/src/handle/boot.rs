//! Starting: reads the state that the last manifest names and builds the core from it and the
//! catalog's objects.

use std::thread::JoinHandle;

use rtsap_stream::failpoint;

use super::*;
use crate::checkpoint::manifest::{SinkState, SourceState};
use crate::core::rebuild::hidden;
use crate::core::save::fingerprint;

/// The core, running on its thread or to be turned by the caller.
pub(super) enum Started {
    Thread(JoinHandle<()>),
    Driven(Box<Core>),
}

/// Reads all state, then starts the core.
pub(super) async fn start(
    boot: Boot,
    shared: &Arc<Shared>,
    messages: &Sender<Message>,
) -> Result<Started, RuntimeError> {
    let Boot {
        config,
        store,
        chain,
        receiver,
        alive,
        manifest,
        log,
        specs,
    } = boot;
    let operators = operators(&manifest, &store).await?;
    let mut restored = Vec::with_capacity(specs.len());
    for spec in specs {
        restored.push(restore(spec, &manifest, &store, &operators).await?);
    }
    failpoint::pass("boot.state_read");
    let readers = manifest.readers.clone();
    let driven = config.driven;
    let mut core = Core::new(Parts {
        config,
        shared: Arc::clone(shared),
        tokio: tokio::runtime::Handle::current(),
        store,
        chain: Arc::new(tokio::sync::Mutex::new(chain)),
        messages: receiver,
        alive,
        messages_in: messages.clone(),
        manifest,
    });
    for spec in restored {
        match spec {
            Restored::Source(spec, saved) => core.add_source(spec, saved),
            Restored::Table(spec, saved) => core.add_table(spec, saved)?,
            Restored::View(spec, saved) => core.add_view(spec, saved)?,
            Restored::Succeeded(spec, saved) => core.add_succeeded_view(spec, *saved)?,
            Restored::Sink(spec, saved) => core.add_sink(spec, saved)?,
        }
    }
    for reader in readers {
        core.restore_reader(reader);
    }
    failpoint::pass("boot.objects_added");
    for entry in log {
        // A write whose table was dropped after it is of no use to anybody.
        if let Err(error) = core.insert(entry) {
            tracing::info!(%error, "skipped a write of the table log");
        }
    }
    failpoint::pass("boot.log_replayed");
    core.settle();
    if driven {
        return Ok(Started::Driven(Box::new(core)));
    }
    let thread = std::thread::Builder::new().name("rtsap-core".to_owned());
    let thread = thread.spawn(move || core.run());
    thread
        .map(Started::Thread)
        .map_err(|error| RuntimeError::Spec {
            what: "core".to_owned(),
            found: format!("no thread: {error}"),
        })
}

enum Restored {
    Source(SourceSpec, Option<(SourceState, Vec<StateReader>)>),
    Table(TableSpec, Option<Saved>),
    View(ViewSpec, Option<Saved>),
    /// A view whose new version had drawn level, and which the catalog knows by now.
    Succeeded(ViewSpec, Box<[Saved; 2]>),
    Sink(SinkSpec, Option<SinkState>),
}

async fn restore(
    spec: BootSpec,
    manifest: &ManifestV1,
    store: &Store,
    operators: &StateReader,
) -> Result<Restored, RuntimeError> {
    Ok(match spec {
        BootSpec::Source(spec) => {
            let state = manifest.sources.iter().find(|state| state.id == spec.id.0);
            let saved = match state {
                Some(state) => Some((state.clone(), load_all(store, &state.errors).await?)),
                None => None,
            };
            Restored::Source(spec, saved)
        }
        BootSpec::Table(spec) => {
            let saved = relation(spec.id, manifest, store, operators).await?;
            Restored::Table(spec, saved)
        }
        BootSpec::View(spec) => {
            let saved = relation(spec.id, manifest, store, operators).await?;
            let print = fingerprint(&spec.plan);
            let new = match &saved {
                Some(saved) if saved.state.fingerprint != print => {
                    relation(hidden(spec.id), manifest, store, operators).await?
                }
                _ => None,
            };
            match (saved, new.filter(|new| new.state.fingerprint == print)) {
                (Some(old), Some(new)) => Restored::Succeeded(spec, Box::new([old, new])),
                (saved, _) => Restored::View(spec, saved),
            }
        }
        BootSpec::Sink(spec) => {
            let state = manifest
                .sinks
                .iter()
                .find(|state| state.id == spec.id.0)
                .cloned();
            Restored::Sink(spec, state)
        }
    })
}

/// The state of all operators: a base and its deltas.
async fn operators(manifest: &ManifestV1, store: &Store) -> Result<StateReader, RuntimeError> {
    let Some(base) = &manifest.operators else {
        return Ok(StateReader::default());
    };
    let mut layers = Layers::new(load(store, base).await?);
    for reference in &manifest.operator_deltas {
        let delta = load(store, reference).await?;
        layers.add(delta).map_err(damaged(reference))?;
    }
    layers.finish().map_err(damaged(base))
}

fn damaged(reference: &ObjectRef) -> impl Fn(StateError) -> RuntimeError {
    let what = reference.path.clone();
    move |source| RuntimeError::Restore {
        what: what.clone(),
        source,
    }
}

async fn relation(
    id: ObjectId,
    manifest: &ManifestV1,
    store: &Store,
    operators: &StateReader,
) -> Result<Option<Saved>, RuntimeError> {
    let state: Option<&RelationState> = manifest.relations.iter().find(|state| state.id == id.0);
    let Some(state) = state else { return Ok(None) };
    Ok(Some(Saved {
        rows: load_all(store, &state.rows).await?,
        late: load_all(store, &state.late).await?,
        operators: operators.under(&format!("{id}/")),
        state: state.clone(),
    }))
}

async fn load_all(
    store: &Store,
    references: &[ObjectRef],
) -> Result<Vec<StateReader>, RuntimeError> {
    let mut readers = Vec::with_capacity(references.len());
    for reference in references {
        readers.push(StateReader::new(load(store, reference).await?));
    }
    Ok(readers)
}

async fn load(store: &Store, reference: &ObjectRef) -> Result<Sections, RuntimeError> {
    let bytes = store.get(reference).await?;
    decode(&bytes).map_err(damaged(reference))
}
