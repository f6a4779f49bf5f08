//! The chain of manifests: the one commit point.
//!
//! An epoch is committed when its manifest lies at the next place of the chain, written with
//! put-if-absent. "Already exists" means "go and look": our own bytes are a success whose answer
//! was lost; another writer's fence us.

use std::collections::BTreeSet;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::manifest::{ManifestV1, PersistedManifest};
use crate::checkpoint::store::{Put, Store};

/// Manifests kept for reading back; older ones are deleted with what only they need.
const MANIFESTS_KEPT: u64 = 8;

/// How often an unclear write is tried again before the caller hears of it.
const ATTEMPTS_MAX: usize = 3;

/// The tail of a chain that this process writes to.
#[derive(Debug)]
pub struct Chain {
    store: Store,
    writer: String,
    tip: ManifestV1,
    tip_hash: String,
    /// The manifests before the tip that are still there, oldest first, with the objects each
    /// needs.
    kept: Vec<(u64, BTreeSet<String>)>,
}

impl Chain {
    /// Finds the tip, verifies the chain, and takes over by appending a fence with the next
    /// generation.
    ///
    /// # Errors
    /// [`CheckpointError::Chain`] or [`CheckpointError::Damaged`] if the chain cannot be trusted.
    pub async fn take_over(store: Store, writer: String) -> Result<Self, CheckpointError> {
        loop {
            let mut chain = Self::read(&store, &writer).await?;
            let fence = ManifestV1 {
                fence: true,
                generation: chain.tip.generation + 1,
                ..chain.tip.clone()
            };
            match chain.append(fence).await {
                Ok(()) => return Ok(chain),
                // Somebody else took over in between: look again and take over from them.
                Err(CheckpointError::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The last manifest.
    pub fn tip(&self) -> &ManifestV1 {
        &self.tip
    }

    /// Appends `manifest`, whose place, link and writer are filled in here.
    ///
    /// # Errors
    /// [`CheckpointError::Fenced`] if another writer has the place; [`CheckpointError::Store`] if
    /// it stays unclear: call again with the same manifest.
    pub async fn append(&mut self, mut manifest: ManifestV1) -> Result<(), CheckpointError> {
        manifest.sequence = self.tip.sequence + 1;
        manifest.previous = (self.tip.sequence > 0).then(|| self.tip_hash.clone());
        manifest.writer.clone_from(&self.writer);
        manifest.generation = manifest.generation.max(self.tip.generation);
        let path = path_of(manifest.sequence);
        let bytes = encode(&manifest, &path)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.store.put_if_absent(&path, bytes.clone()).await {
                Ok(Put::Done) => break,
                Ok(Put::Exists) => {
                    if self.is_ours(&path, &bytes).await? {
                        break;
                    }
                }
                Err(error) => {
                    if self.is_ours(&path, &bytes).await? {
                        break;
                    }
                    if attempt >= ATTEMPTS_MAX {
                        return Err(error);
                    }
                }
            }
        }
        let needs = self
            .tip
            .objects()
            .map(|object| object.path.clone())
            .collect();
        if self.tip.sequence > 0 {
            self.kept.push((self.tip.sequence, needs));
        }
        self.tip = manifest;
        self.tip_hash = hash(&bytes);
        Ok(())
    }

    /// Deletes manifests that are no longer kept and the objects that only they needed.
    ///
    /// # Errors
    /// [`CheckpointError::Store`]; what was not deleted is tried again next time.
    pub async fn collect_garbage(&mut self) -> Result<(), CheckpointError> {
        let oldest = (self.tip.sequence + 1).saturating_sub(MANIFESTS_KEPT);
        let split = self
            .kept
            .partition_point(|(sequence, _)| *sequence < oldest);
        if split == 0 {
            return Ok(());
        }
        let mut needed: BTreeSet<&str> = self.tip.objects().map(|o| o.path.as_str()).collect();
        needed.extend(
            self.kept[split..]
                .iter()
                .flat_map(|(_, o)| o.iter().map(String::as_str)),
        );
        let dropped = self.kept[..split].iter();
        let objects: BTreeSet<&String> = dropped.flat_map(|(_, objects)| objects).collect();
        let objects = objects
            .into_iter()
            .filter(|path| !needed.contains(path.as_str()));
        self.store.delete(objects.cloned().collect()).await?;
        // Oldest first and one by one: a crash in between leaves no gap.
        for (sequence, _) in &self.kept[..split] {
            self.store.delete(vec![path_of(*sequence)]).await?;
        }
        self.kept.drain(..split);
        Ok(())
    }

    /// Deletes objects under `prefixes` that no kept manifest names: what a crash left behind.
    ///
    /// # Errors
    /// [`CheckpointError::Store`].
    pub async fn collect_orphans(&self, prefixes: &[&str]) -> Result<usize, CheckpointError> {
        let mut needed: BTreeSet<&str> = self.tip.objects().map(|o| o.path.as_str()).collect();
        needed.extend(
            self.kept
                .iter()
                .flat_map(|(_, o)| o.iter().map(String::as_str)),
        );
        let mut orphans = Vec::new();
        for prefix in prefixes {
            let found = self.store.list(prefix).await?;
            orphans.extend(
                found
                    .into_iter()
                    .filter(|path| !needed.contains(path.as_str())),
            );
        }
        let count = orphans.len();
        self.store.delete(orphans).await?;
        Ok(count)
    }

    async fn is_ours(&self, path: &str, bytes: &Bytes) -> Result<bool, CheckpointError> {
        let Some(found) = self.store.find(path).await? else {
            return Ok(false);
        };
        if found == *bytes {
            return Ok(true);
        }
        let other = decode(&found, path)?;
        Err(CheckpointError::Fenced {
            generation: other.generation,
        })
    }

    async fn read(store: &Store, writer: &str) -> Result<Self, CheckpointError> {
        let paths = store.list("chain").await?;
        let mut chain = Self {
            store: store.clone(),
            writer: writer.to_owned(),
            tip: ManifestV1::default(),
            tip_hash: String::new(),
            kept: Vec::new(),
        };
        for path in paths {
            let broken = |found: String| CheckpointError::Chain {
                path: path.clone(),
                found,
            };
            let Some(bytes) = store.find(&path).await? else {
                continue;
            };
            let manifest = decode(&bytes, &path)?;
            if path != path_of(manifest.sequence) {
                return Err(broken(format!(
                    "it calls itself number {}",
                    manifest.sequence
                )));
            }
            if chain.tip.sequence > 0 {
                if manifest.sequence != chain.tip.sequence + 1 {
                    return Err(broken(format!(
                        "number {} is missing",
                        chain.tip.sequence + 1
                    )));
                }
                if manifest.previous.as_ref() != Some(&chain.tip_hash) {
                    return Err(broken(
                        "its link does not fit the manifest before it".to_owned(),
                    ));
                }
                let needs = chain
                    .tip
                    .objects()
                    .map(|object| object.path.clone())
                    .collect();
                chain.kept.push((chain.tip.sequence, needs));
            }
            chain.tip_hash = hash(&bytes);
            chain.tip = manifest;
        }
        Ok(chain)
    }
}

fn path_of(sequence: u64) -> String {
    format!("chain/{sequence:020}.json")
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn encode(manifest: &ManifestV1, path: &str) -> Result<Bytes, CheckpointError> {
    let persisted = PersistedManifest::V1(manifest.clone());
    serde_json::to_vec(&persisted)
        .map(Bytes::from)
        .map_err(|error| CheckpointError::Chain {
            path: path.to_owned(),
            found: format!("it cannot be written: {error}"),
        })
}

fn decode(bytes: &[u8], path: &str) -> Result<ManifestV1, CheckpointError> {
    match serde_json::from_slice(bytes) {
        Ok(PersistedManifest::V1(manifest)) => Ok(manifest),
        Err(error) => Err(CheckpointError::Damaged {
            path: path.to_owned(),
            found: format!("not a manifest: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests;
