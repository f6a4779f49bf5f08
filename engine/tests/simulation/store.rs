//! The object store of one process: slow, sometimes away, sometimes silent after it has obeyed.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::world::{World, sleep};

type Result<T> = object_store::Result<T>;

/// One process's way to the store.
pub struct SimStore(pub Arc<World>);

impl std::fmt::Debug for SimStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimStore")
    }
}

impl Display for SimStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimStore")
    }
}

fn fault(what: &'static str) -> Error {
    Error::Generic {
        store: "simulated",
        source: what.into(),
    }
}

impl SimStore {
    /// Time passes; a fault may come instead of the effect.
    async fn before(&self, what: &str, path: &Path) -> Result<()> {
        let world = &self.0;
        world.note(&format!("{what} {path}"));
        let wait = Duration::from_millis(world.below(6));
        sleep(&world.clock, wait).await;
        if world.strikes(60) {
            return Err(fault("503 slow down"));
        }
        Ok(())
    }

    /// Time passes; the answer may get lost behind the effect.
    async fn after(&self) -> Result<()> {
        let world = &self.0;
        sleep(&world.clock, Duration::from_millis(world.below(4))).await;
        if world.strikes(60) {
            return Err(fault("connection lost after the request was sent"));
        }
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, to: &Path, data: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.before("put", to).await?;
        let world = &self.0;
        let old = match world.objects.get(to).await {
            Ok(found) => Some(found.bytes().await?),
            Err(_) => None,
        };
        let mut how = how;
        if world.flaws.store_overwrites && how.mode == PutMode::Create {
            how.mode = PutMode::Overwrite;
        }
        let done = world.objects.put_opts(to, data, how).await?;
        if world.flaws.store_loses_unsynced {
            world.unsynced.lock().push((to.clone(), old));
        }
        self.after().await?;
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.objects.put_multipart_opts(to, how).await
    }

    async fn get_opts(&self, from: &Path, how: GetOptions) -> Result<GetResult> {
        self.before("get", from).await?;
        if self.0.flaws.store_reads_old && self.0.below(8) == 0 {
            let path = from.clone();
            return Err(Error::NotFound {
                path: path.to_string(),
                source: "it is not visible yet".into(),
            });
        }
        if self.0.flaws.store_mixes_objects
            && from.as_ref().ends_with("-operators")
            && let Some(other) = self.0.newest("-operators").await
        {
            return self.0.objects.get_opts(&other, how).await;
        }
        self.0.objects.get_opts(from, how).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.objects.get_ranges(from, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.note("delete");
        if self.0.strikes(40) {
            return futures::stream::once(async { Err(fault("503 slow down")) }).boxed();
        }
        if !self.0.flaws.store_deletes_too_much {
            return self.0.objects.delete_stream(locations);
        }
        let newest = futures::executor::block_on(self.0.newest("-operators"));
        let newest = futures::stream::iter(newest.map(Ok));
        self.0
            .objects
            .delete_stream(locations.chain(newest).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.note("list");
        if self.0.strikes(60) {
            return futures::stream::once(async { Err(fault("503 slow down")) }).boxed();
        }
        let listed = self.0.objects.list(prefix);
        if !self.0.flaws.store_lists_late {
            return listed;
        }
        // The newest of all is not there yet.
        let found: Vec<_> = futures::executor::block_on(listed.collect());
        let shown = found.len().saturating_sub(1);
        futures::stream::iter(found.into_iter().take(shown)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.0.objects.copy_opts(from, to, how).await
    }
}

impl World {
    /// The last object whose name ends with `end`.
    async fn newest(&self, end: &str) -> Option<Path> {
        let found: Vec<_> = self.objects.list(None).collect().await;
        let paths = found.into_iter().flatten().map(|meta| meta.location);
        paths.filter(|path| path.as_ref().ends_with(end)).max()
    }

    /// The power fails: a store that does not sync loses its last writes.
    pub fn power_cut(&self) {
        let lost: Vec<_> = std::mem::take(&mut *self.unsynced.lock());
        if !self.flaws.store_loses_unsynced {
            return;
        }
        let keep = lost.len().saturating_sub(3);
        for (path, old) in lost.into_iter().skip(keep).rev() {
            futures::executor::block_on(async {
                match old {
                    Some(bytes) => drop(self.objects.put(&path, bytes.into()).await),
                    None => drop(self.objects.delete(&path).await),
                }
            });
        }
    }
}
