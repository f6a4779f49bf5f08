//! The chain of manifests: the one commit point.
//!
//! An epoch is committed when its manifest lies at the next place of the chain, written with
//! put-if-absent. "Already exists" means "go and look": our own bytes are a success whose answer
//! was lost; another writer's fence us.
//!
//! Old manifests are deleted, oldest first, so a place that was taken can be empty again. Whoever
//! slept through that finds it so and must not believe it: a place counts only while the very
//! manifest that it follows is there.

use std::collections::BTreeSet;

use bytes::Bytes;
use rtsap_stream::failpoint;
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
            failpoint::pass("chain.read");
            let directory = chain.tip.directory.unwrap_or_else(|| number_of(&writer));
            let fence = ManifestV1 {
                fence: true,
                directory: Some(directory),
                generation: chain.tip.generation + 1,
                ..chain.tip.clone()
            };
            match chain.append(fence).await {
                Ok(()) => {
                    failpoint::pass("chain.taken_over");
                    return Ok(chain);
                }
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
        manifest.directory = manifest.directory.or(self.tip.directory);
        manifest.writer.clone_from(&self.writer);
        manifest.generation = manifest.generation.max(self.tip.generation);
        let path = path_of(manifest.sequence);
        let bytes = encode(&manifest, &path)?;
        self.take_place(&path, &bytes).await?;
        failpoint::pass("chain.place_taken");
        self.check_not_overtaken(&path, &bytes).await?;
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

    /// Puts `bytes` at `path`, whatever answers are lost.
    async fn take_place(&self, path: &str, bytes: &Bytes) -> Result<(), CheckpointError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            failpoint::pass("chain.put_begun");
            let unclear = match self.store.put_if_absent(path, bytes.clone()).await {
                Ok(Put::Done) if failpoint::fails("chain.put_lost") => None,
                Ok(Put::Done) => return Ok(()),
                Ok(Put::Exists) => None,
                Err(error) => Some(error),
            };
            if self.is_ours(path, bytes).await? {
                return Ok(());
            }
            match unclear {
                Some(error) if attempt >= ATTEMPTS_MAX => return Err(error),
                _ => {}
            }
        }
    }

    /// Fails if the place at `path` was free only because what lay there has been collected: then
    /// what lay before it is gone too.
    async fn check_not_overtaken(&self, path: &str, bytes: &Bytes) -> Result<(), CheckpointError> {
        let overtaken = if self.tip.sequence > 0 {
            let before = self.store.find(&path_of(self.tip.sequence)).await?;
            // Another sleeper may have put its own there.
            before.is_none_or(|before| hash(&before) != self.tip_hash)
        } else {
            // Nothing comes before the first. Somebody may have gone on from it since.
            let later = self.store.list("chain").await?;
            match later.iter().find(|later| later.as_str() > path) {
                Some(next) => !self.follows(next, &hash(bytes)).await?,
                None => false,
            }
        };
        if !overtaken {
            return Ok(());
        }
        self.store.delete(vec![path.to_owned()]).await?;
        let last = self.store.list("chain").await?.pop();
        let newer = match last {
            Some(last) => self
                .store
                .find(&last)
                .await?
                .map(|bytes| decode(&bytes, &last)),
            None => None,
        };
        let generation = newer
            .transpose()?
            .map_or(self.tip.generation + 1, |newer| newer.generation);
        Err(CheckpointError::Fenced { generation })
    }

    /// Whether the manifest at `path` comes right behind the one with the hash `before`.
    async fn follows(&self, path: &str, before: &str) -> Result<bool, CheckpointError> {
        let Some(bytes) = self.store.find(path).await? else {
            return Ok(false);
        };
        Ok(decode(&bytes, path)?.previous.as_deref() == Some(before))
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
        failpoint::pass("chain.objects_deleted");
        // Oldest first and one by one: a crash in between leaves no gap.
        for (sequence, _) in &self.kept[..split] {
            self.store.delete(vec![path_of(*sequence)]).await?;
            failpoint::pass("chain.manifest_deleted");
        }
        self.kept.drain(..split);
        Ok(())
    }

    /// Deletes objects under `prefixes` that no kept manifest names: what a crash left behind. Only
    /// those of older generations, none of which can commit any more: whoever has been overtaken
    /// since it took over may come here late, and must leave what its successor has written.
    ///
    /// # Errors
    /// [`CheckpointError::Store`].
    pub async fn collect_orphans(&self, prefixes: &[&str]) -> Result<usize, CheckpointError> {
        let older = |path: &str| {
            generation_of(path).is_some_and(|generation| generation < self.tip.generation)
        };
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
                    .filter(|path| older(path) && !needed.contains(path.as_str())),
            );
        }
        failpoint::pass("chain.orphans_listed");
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
        let last = paths.last().and_then(|path| sequence_of(path));
        let last = last.unwrap_or_default();
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
                let next = manifest.sequence == chain.tip.sequence + 1;
                let linked = manifest.previous.as_ref() == Some(&chain.tip_hash);
                // So many follow that what lies before it has been collected. What is there all the
                // same was put by somebody who slept through that and was killed before he saw it;
                // it is no part of the chain.
                let is_first = last + 1 >= manifest.sequence + MANIFESTS_KEPT;
                if !next && !is_first {
                    let missing = chain.tip.sequence + 1;
                    return Err(broken(format!("number {missing} is missing")));
                }
                if !linked && !is_first {
                    let found = "its link does not fit the manifest before it";
                    return Err(broken(found.to_owned()));
                }
                let needs = chain.tip.objects().map(|object| object.path.clone());
                chain.kept.push((chain.tip.sequence, needs.collect()));
            }
            chain.tip_hash = hash(&bytes);
            chain.tip = manifest;
        }
        Ok(chain)
    }
}

/// A number for the data directory that `writer`, whose name no other process has, is the first to
/// open.
fn number_of(writer: &str) -> u64 {
    let hash = Sha256::digest(writer.as_bytes());
    hash.iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn path_of(sequence: u64) -> String {
    format!("chain/{sequence:020}.json")
}

/// What a new object of `generation` and `epoch` is called, up to what it holds.
pub fn object_prefix(generation: u64, epoch: u64) -> String {
    format!("data/{generation:010}-{epoch:012}")
}

/// The generation of the process that wrote the object at `path`.
fn generation_of(path: &str) -> Option<u64> {
    let (generation, _) = path.rsplit('/').next()?.split_once('-')?;
    generation.parse().ok()
}

fn sequence_of(path: &str) -> Option<u64> {
    let name = path.rsplit('/').next()?;
    name.strip_suffix(".json")?.parse().ok()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn encode(manifest: &ManifestV1, path: &str) -> Result<Bytes, CheckpointError> {
    let persisted = PersistedManifest::from(manifest.clone());
    serde_json::to_vec(&persisted)
        .map(Bytes::from)
        .map_err(|error| CheckpointError::Chain {
            path: path.to_owned(),
            found: format!("it cannot be written: {error}"),
        })
}

fn decode(bytes: &[u8], path: &str) -> Result<ManifestV1, CheckpointError> {
    match serde_json::from_slice(bytes) {
        Ok(PersistedManifest::V1(manifest) | PersistedManifest::V2(manifest)) => Ok(manifest),
        Err(error) => Err(CheckpointError::Damaged {
            path: path.to_owned(),
            found: format!("not a manifest: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests;
