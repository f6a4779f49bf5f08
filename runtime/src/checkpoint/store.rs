//! The only I/O on checkpoint storage: put, get, list, delete, each object checked against its
//! reference.
//!
//! Durability is the store's: for a local directory it must be opened with fsync (file and
//! directory).

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use rtsap_stream::failpoint;

use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::manifest::ObjectRef;

/// Objects deleted at once.
const DELETES_MAX: usize = 16;

/// The answer to a conditional put.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// The object is ours.
    Done,
    /// Something is there already.
    Exists,
}

/// Checkpoint storage.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
}

impl Store {
    /// Over `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner }
    }

    /// Writes `bytes` as a new object under a path nobody else uses.
    ///
    /// # Errors
    /// [`CheckpointError::Store`].
    pub async fn put(
        &self,
        path: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<ObjectRef, CheckpointError> {
        let bytes = bytes.into();
        let reference = ObjectRef {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(&bytes),
        };
        let payload = PutPayload::from(bytes);
        failpoint::pass("store.put_begun");
        self.inner
            .put(&Path::from(path), payload)
            .await
            .map_err(|source| failed("write", path, source))?;
        failpoint::pass("store.put_done");
        Ok(reference)
    }

    /// Writes `bytes` only if nothing is there.
    ///
    /// # Errors
    /// [`CheckpointError::Store`]: then it is unclear whether the object was written.
    pub async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<Put, CheckpointError> {
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        let payload = PutPayload::from(bytes);
        failpoint::pass("store.put_if_absent_begun");
        let answer = self
            .inner
            .put_opts(&Path::from(path), payload, options)
            .await;
        failpoint::pass("store.put_if_absent_done");
        match answer {
            Ok(_) => Ok(Put::Done),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::Exists),
            Err(source) => Err(failed("write", path, source)),
        }
    }

    /// The bytes under `path`, or `None`.
    ///
    /// # Errors
    /// [`CheckpointError::Store`].
    pub async fn find(&self, path: &str) -> Result<Option<Bytes>, CheckpointError> {
        let found = match self.inner.get(&Path::from(path)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed("read", path, source)),
        };
        failpoint::pass("store.read");
        found
            .bytes()
            .await
            .map(Some)
            .map_err(|source| failed("read", path, source))
    }

    /// The bytes that `reference` names, checked.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if they are missing or differ in length or checksum.
    pub async fn get(&self, reference: &ObjectRef) -> Result<Bytes, CheckpointError> {
        let damaged = |found: &str| CheckpointError::Damaged {
            path: reference.path.clone(),
            found: found.to_owned(),
        };
        let bytes = self
            .find(&reference.path)
            .await?
            .ok_or_else(|| damaged("it is missing"))?;
        if bytes.len() as u64 != reference.bytes {
            return Err(damaged("its length is wrong"));
        }
        if crc32c::crc32c(&bytes) != reference.crc32c {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(bytes)
    }

    /// Paths under `prefix`, in order.
    ///
    /// # Errors
    /// [`CheckpointError::Store`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, CheckpointError> {
        let found = self.inner.list(Some(&Path::from(prefix)));
        let mut paths: Vec<String> = found
            .map_ok(|meta| meta.location.to_string())
            .try_collect()
            .await
            .map_err(|source| failed("list", prefix, source))?;
        paths.sort_unstable();
        Ok(paths)
    }

    /// Deletes objects; one that is gone already is no error.
    ///
    /// # Errors
    /// [`CheckpointError::Store`] for the first that could not be deleted.
    pub async fn delete(&self, paths: Vec<String>) -> Result<(), CheckpointError> {
        let work = futures::stream::iter(paths).map(|path| async move {
            let answer = self.inner.delete(&Path::from(path.as_str())).await;
            failpoint::pass("store.deleted");
            match answer {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(failed("delete", &path, source)),
            }
        });
        work.buffer_unordered(DELETES_MAX)
            .try_collect::<Vec<()>>()
            .await
            .map(|_| ())
    }
}

fn failed(action: &'static str, path: &str, source: object_store::Error) -> CheckpointError {
    CheckpointError::Store {
        action,
        path: path.to_owned(),
        source,
    }
}
