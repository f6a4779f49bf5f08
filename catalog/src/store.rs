//! The catalog made durable: whole versions in an object store, each written once.
//!
//! `catalog/{version:020}.json` holds version *n* in full. A change is a compare-and-swap: the file
//! of *n* + 1 is created if absent. A process that opens the store writes a version of a new
//! generation first, which fences every earlier owner. Never plans or interprets a definition.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use rtsap_stream::failpoint;
use rtsap_stream::message::Generation;
use serde::{Deserialize, Serialize};

use crate::error::CatalogError;
use crate::object::{ObjectDef, ObjectNumber};
use crate::snapshot::{CatalogChange, CatalogSnapshot};

/// Versions that stay in the store: enough to look back over an afternoon of changes, few enough to
/// list in one call.
pub const VERSIONS_KEPT: u64 = 16;

/// How often an unclear write is tried. The store's client retries by itself; this bounds the ones
/// it gave up on.
const WRITE_ATTEMPTS_MAX: usize = 4;

/// One version as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format")]
pub enum PersistedCatalog {
    /// The first form.
    #[serde(rename = "1")]
    V1(CatalogV1),
}

/// The first form of a stored version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogV1 {
    /// The version; also in the file's name.
    pub version: u64,
    /// Generation of the process that wrote it.
    pub generation: u64,
    /// Name of that process, unique in the world: tells two writers of one generation apart.
    pub writer: String,
    /// The number that the next object gets.
    pub next_id: ObjectNumber,
    /// All objects in the order of their numbers.
    pub objects: Vec<ObjectDef>,
}

/// The one writer of a catalog, as long as no newer one opens it.
#[derive(Debug)]
pub struct CatalogStore {
    store: Arc<dyn ObjectStore>,
    writer: String,
    generation: Generation,
}

/// What a try to create a version's file came to.
enum Created {
    /// It is ours now.
    Done,
    /// An earlier, unclear write of ours with other contents.
    OwnOrphan,
    /// Somebody else's, of this generation.
    Foreign(u64),
}

impl CatalogStore {
    /// Opens the catalog in `store` as its owner: reads the latest version and fences every earlier
    /// owner.
    ///
    /// `writer` names this process uniquely. For files on local disk `store` should sync
    /// (`LocalFileSystem::with_fsync`).
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`], [`CatalogError::Store`], or [`CatalogError::Fenced`] if another
    /// process opened it at the same moment and won.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        writer: impl Into<String>,
    ) -> Result<(Self, CatalogSnapshot), CatalogError> {
        let mut this = Self {
            store,
            writer: writer.into(),
            generation: Generation::new(1),
        };
        let latest = this.latest().await?;
        let (found, snapshot) = match &latest {
            Some(found) => (found.generation, read_back(found)?),
            None => (0, CatalogSnapshot::default()),
        };
        this.generation = Generation::new(found + 1);
        let snapshot = this
            .write(snapshot.at_version(snapshot.version() + 1))
            .await?;
        tracing::info!(
            generation = this.generation.number(),
            version = snapshot.version(),
            objects = snapshot.objects().count(),
            "catalog opened"
        );
        Ok((this, snapshot))
    }

    /// The generation of this owner.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Applies `change` to `base` and makes the result durable, or changes nothing.
    ///
    /// # Errors
    /// What [`CatalogSnapshot::apply`] refuses; [`CatalogError::Fenced`] if a newer process owns
    /// the catalog; [`CatalogError::Conflict`] if `base` is not the latest; [`CatalogError::Store`]
    /// if the store cannot be written.
    pub async fn commit(
        &self,
        base: &CatalogSnapshot,
        change: &CatalogChange,
    ) -> Result<CatalogSnapshot, CatalogError> {
        failpoint::pass("catalog.swap_begun");
        let written = self.write(base.apply(change)?).await?;
        failpoint::pass("catalog.swapped");
        self.forget_old(written.version()).await;
        Ok(written)
    }

    /// Makes `next` durable under its version, or under a later one if an unclear write of ours
    /// took it.
    async fn write(&self, mut next: CatalogSnapshot) -> Result<CatalogSnapshot, CatalogError> {
        for _ in 0..WRITE_ATTEMPTS_MAX {
            match self.create(&next).await? {
                Created::Done => {
                    self.check_tip(next.version()).await?;
                    return Ok(next);
                }
                // Files hold whole catalogs and we own them all, so ours is simply superseded.
                Created::OwnOrphan => next = next.at_version(next.version() + 1),
                Created::Foreign(theirs) if theirs >= self.generation.number() => {
                    return Err(self.fenced(theirs));
                }
                Created::Foreign(_) => {
                    return Err(CatalogError::Conflict {
                        base: next.version() - 1,
                    });
                }
            }
        }
        Err(CatalogError::Conflict {
            base: next.version() - 1,
        })
    }

    /// Creates the file of `next`. An unclear answer is resolved by looking.
    async fn create(&self, next: &CatalogSnapshot) -> Result<Created, CatalogError> {
        let path = path_of(next.version());
        let bytes = self.encode(next)?;
        let mut last = None;
        for _ in 0..WRITE_ATTEMPTS_MAX {
            let options = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            match self
                .store
                .put_opts(&path, bytes.clone().into(), options)
                .await
            {
                Ok(_) => return Ok(Created::Done),
                Err(error) => last = Some(error),
            }
            match self.read(&path).await? {
                None => {}
                Some((found, _)) if found == bytes => return Ok(Created::Done),
                Some((_, found)) if found.writer == self.writer => return Ok(Created::OwnOrphan),
                Some((_, found)) => return Ok(Created::Foreign(found.generation)),
            }
        }
        let source = last.unwrap_or(object_store::Error::NotImplemented {
            operation: "put".to_owned(),
            implementer: self.store.to_string(),
        });
        Err(CatalogError::Store {
            action: "write",
            source: Box::new(source),
        })
    }

    /// Makes sure that nothing lies beyond `version`: a writer that slept while others wrote and
    /// cleaned up could create a file whose number is long past.
    async fn check_tip(&self, version: u64) -> Result<(), CatalogError> {
        match self.latest().await? {
            Some(tip) if tip.version > version => Err(self.fenced(tip.generation)),
            _ => Ok(()),
        }
    }

    /// The latest stored version, if any.
    async fn latest(&self) -> Result<Option<CatalogV1>, CatalogError> {
        let Some(version) = self.versions().await?.last().copied() else {
            return Ok(None);
        };
        let path = path_of(version);
        let Some((_, found)) = self.read(&path).await? else {
            return Err(CatalogError::Conflict { base: version });
        };
        if found.version != version {
            let reason = format!("it says it is version {}", found.version);
            return Err(CatalogError::Corrupt {
                path: path.to_string(),
                source: reason.into(),
            });
        }
        Ok(Some(found))
    }

    /// All stored versions, ascending.
    async fn versions(&self) -> Result<Vec<u64>, CatalogError> {
        let listed: Vec<_> = self
            .store
            .list(Some(&Path::from(FOLDER)))
            .try_collect()
            .await
            .map_err(|source| CatalogError::Store {
                action: "list",
                source: Box::new(source),
            })?;
        let mut versions: Vec<u64> = listed
            .iter()
            .filter_map(|o| version_of(&o.location))
            .collect();
        versions.sort_unstable();
        Ok(versions)
    }

    async fn read(&self, path: &Path) -> Result<Option<(Bytes, CatalogV1)>, CatalogError> {
        let failed = |source| CatalogError::Store {
            action: "read",
            source: Box::new(source),
        };
        let got = match self.store.get(path).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let bytes = got.bytes().await.map_err(failed)?;
        let PersistedCatalog::V1(found) =
            serde_json::from_slice(&bytes).map_err(|source| CatalogError::Corrupt {
                path: path.to_string(),
                source: Box::new(source),
            })?;
        Ok(Some((bytes, found)))
    }

    fn encode(&self, snapshot: &CatalogSnapshot) -> Result<Bytes, CatalogError> {
        let version = snapshot.version();
        let persisted = PersistedCatalog::V1(CatalogV1 {
            version,
            generation: self.generation.number(),
            writer: self.writer.clone(),
            next_id: snapshot.next_id(),
            objects: snapshot
                .objects()
                .map(|object| object.def.clone())
                .collect(),
        });
        let bytes =
            serde_json::to_vec_pretty(&persisted).map_err(|source| CatalogError::Corrupt {
                path: path_of(version).to_string(),
                source: Box::new(source),
            })?;
        Ok(bytes.into())
    }

    /// Deletes versions that are too old. Failing here costs space only.
    async fn forget_old(&self, latest: u64) {
        let versions = match self.versions().await {
            Ok(versions) => versions,
            Err(error) => return tracing::warn!(%error, "cannot list old catalog versions"),
        };
        for version in versions.into_iter().filter(|v| v + VERSIONS_KEPT <= latest) {
            if let Err(error) = self.store.delete(&path_of(version)).await {
                tracing::warn!(%error, version, "cannot delete an old catalog version");
            }
        }
    }

    fn fenced(&self, theirs: u64) -> CatalogError {
        CatalogError::Fenced {
            ours: self.generation.number(),
            theirs,
        }
    }
}

const FOLDER: &str = "catalog";

fn path_of(version: u64) -> Path {
    Path::from(format!("{FOLDER}/{version:020}.json"))
}

fn version_of(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".json")?.parse().ok()
}

fn read_back(found: &CatalogV1) -> Result<CatalogSnapshot, CatalogError> {
    let restored = CatalogSnapshot::restore(found.version, found.next_id, &found.objects);
    restored.map_err(|source| CatalogError::Corrupt {
        path: path_of(found.version).to_string(),
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests;
