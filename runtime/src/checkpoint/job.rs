//! The work of one checkpoint off the core thread: encode, write objects, append the manifest,
//! collect garbage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use rtsap_stream::failpoint;
use tokio::sync::Mutex;

use crate::checkpoint::chain::Chain;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::manifest::{ManifestV1, ObjectRef, OutboxEntry};
use crate::checkpoint::store::Store;
use crate::checkpoint::table_log;
use crate::clock::Clock;
use crate::state::{StateError, encode};

/// How long to wait before a failed checkpoint is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Where the reference to an object goes in the manifest.
#[derive(Clone, Debug)]
pub enum Target {
    /// State of all operators.
    Operators {
        /// Whether it is all of it, and not only what has changed.
        base: bool,
    },
    /// A delta or, with `base`, a new base of a relation's rows; for the outboxes of `sinks` too.
    Rows {
        /// The relation.
        relation: u64,
        /// Whether it replaces what was before.
        base: bool,
        /// Whether it belongs to the relation at all, or only to sinks.
        kept: bool,
        /// Sinks whose outbox it goes to.
        sinks: Vec<u64>,
    },
    /// Late rows of a relation.
    Late {
        /// The relation.
        relation: u64,
        /// Whether it replaces what was before.
        base: bool,
    },
    /// Error rows of a source.
    Errors {
        /// The source.
        source: u64,
        /// Whether it replaces what was before.
        base: bool,
    },
}

/// An object to write.
#[derive(Debug)]
pub struct Blob {
    /// Its path.
    pub path: String,
    /// Its content.
    pub sections: BTreeMap<String, Vec<RecordBatch>>,
    /// Where its reference goes.
    pub target: Target,
}

/// One checkpoint, cut and ready to be written.
#[derive(Debug)]
pub struct Job {
    /// The manifest without the references of `blobs`.
    pub manifest: ManifestV1,
    /// The objects to write.
    pub blobs: Vec<Blob>,
    /// Whether they are encoded where the job runs, and not on a thread for long work: in a
    /// simulation, so that nothing depends on how fast another thread is.
    pub driven: bool,
}

/// A checkpoint that is durable.
#[derive(Debug)]
pub struct Committed {
    /// Its manifest.
    pub manifest: ManifestV1,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes `job`, trying again while storage is away. `problem` is told why it does not get through.
///
/// # Errors
/// Anything but an outage: [`CheckpointError::Fenced`], or state that cannot be encoded.
pub async fn run(
    job: Job,
    chain: Arc<Mutex<Chain>>,
    store: Store,
    clock: Arc<dyn Clock>,
    problem: impl Fn(String) + Send,
) -> Result<Committed, CheckpointError> {
    let Job {
        mut manifest,
        blobs,
        driven,
    } = job;
    let mut bytes = 0;
    for blob in blobs {
        let encoded = encoded(blob.sections, driven).await?;
        bytes += encoded.len() as u64;
        let reference = loop {
            match store.put(&blob.path, encoded.clone()).await {
                Ok(reference) => break reference,
                Err(error) => problem(error.to_string()),
            }
            clock.sleep(RETRY_WAIT).await;
        };
        place(&mut manifest, &blob.target, reference);
        failpoint::pass("checkpoint.blob_written");
    }
    failpoint::pass("checkpoint.blobs_written");
    let mut chain = chain.lock().await;
    let contained = chain.tip().table_log;
    loop {
        match chain.append(manifest.clone()).await {
            Ok(()) => break,
            Err(error @ CheckpointError::Store { .. }) => problem(error.to_string()),
            Err(error) => return Err(error),
        }
        clock.sleep(RETRY_WAIT).await;
    }
    failpoint::pass("checkpoint.committed");
    // What could not be deleted now is deleted after a later checkpoint.
    if let Err(error) = chain.collect_garbage().await {
        tracing::warn!(%error, "cannot collect old checkpoints");
    }
    failpoint::pass("checkpoint.garbage_collected");
    if manifest.table_log != contained
        && let Err(error) = table_log::forget(&store, manifest.table_log).await
    {
        tracing::warn!(%error, "cannot shorten the table log");
    }
    failpoint::pass("checkpoint.log_shortened");
    Ok(Committed {
        manifest: chain.tip().clone(),
        bytes,
    })
}

async fn encoded(
    sections: BTreeMap<String, Vec<RecordBatch>>,
    driven: bool,
) -> Result<Bytes, CheckpointError> {
    if driven {
        return Ok(encode(&sections)?.into());
    }
    let work = tokio::task::spawn_blocking(move || encode(&sections));
    let done = work.await.map_err(|error| {
        CheckpointError::State(StateError::Section {
            section: "checkpoint".to_owned(),
            found: format!("could not be encoded: {error}"),
        })
    })?;
    Ok(done?.into())
}

fn place(manifest: &mut ManifestV1, target: &Target, reference: ObjectRef) {
    let epoch = manifest.epoch;
    let add = |list: &mut Vec<ObjectRef>, base: bool, reference: ObjectRef| {
        if base {
            list.clear();
        }
        list.push(reference);
    };
    match target {
        Target::Operators { base: true } => {
            manifest.operators = Some(reference);
            manifest.operator_deltas.clear();
        }
        Target::Operators { base: false } => manifest.operator_deltas.push(reference),
        Target::Rows {
            relation,
            base,
            kept,
            sinks,
        } => {
            let found = manifest
                .relations
                .iter_mut()
                .find(|state| state.id == *relation);
            if let Some(state) = found.filter(|_| *kept) {
                add(&mut state.rows, *base, reference.clone());
            }
            for sink in manifest
                .sinks
                .iter_mut()
                .filter(|sink| sinks.contains(&sink.id))
            {
                sink.outbox.push(OutboxEntry {
                    epoch,
                    delta: reference.clone(),
                });
            }
        }
        Target::Late { relation, base } => {
            let found = manifest
                .relations
                .iter_mut()
                .find(|state| state.id == *relation);
            if let Some(state) = found {
                add(&mut state.late, *base, reference);
            }
        }
        Target::Errors { source, base } => {
            let found = manifest
                .sources
                .iter_mut()
                .find(|state| state.id == *source);
            if let Some(state) = found {
                add(&mut state.errors, *base, reference);
            }
        }
    }
}
