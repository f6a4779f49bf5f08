//! The chain under crashes, zombies and unclear answers.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::Chain;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::manifest::{ManifestV1, ObjectRef, RelationState};
use crate::checkpoint::store::Store;

/// A store that writes and then says it has not, `lies` times.
#[derive(Debug)]
struct Unclear {
    inner: InMemory,
    lies: AtomicUsize,
}

impl Display for Unclear {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("unclear")
    }
}

type Result<T> = object_store::Result<T>;

#[async_trait]
impl ObjectStore for Unclear {
    async fn put_opts(&self, to: &Path, data: PutPayload, how: PutOptions) -> Result<PutResult> {
        let done = self.inner.put_opts(to, data, how).await?;
        let lie = |left: usize| left.checked_sub(1);
        if self
            .lies
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lie)
            .is_ok()
        {
            let source = "connection lost after the request was sent".into();
            return Err(object_store::Error::Generic {
                store: "unclear",
                source,
            });
        }
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, how).await
    }

    async fn get_opts(&self, from: &Path, how: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(from, how).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(from, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}

fn store() -> Store {
    Store::new(Arc::new(InMemory::new()))
}

async fn open(store: &Store, writer: &str) -> Chain {
    Chain::take_over(store.clone(), writer.to_owned())
        .await
        .unwrap()
}

fn epoch(number: u64) -> ManifestV1 {
    ManifestV1 {
        epoch: number,
        ..ManifestV1::default()
    }
}

/// An epoch in which a relation's rows are in these objects.
fn of_rows(number: u64, rows: Vec<ObjectRef>) -> ManifestV1 {
    let relation = RelationState {
        id: 1,
        rows,
        ..RelationState::default()
    };
    ManifestV1 {
        relations: vec![relation],
        ..epoch(number)
    }
}

#[tokio::test]
async fn a_restart_finds_the_last_epoch_and_takes_the_next_generation() {
    let store = store();
    let mut first = open(&store, "a").await;
    assert_eq!((first.tip().generation, first.tip().epoch), (1, 0));
    first.append(epoch(1)).await.unwrap();
    let second = open(&store, "b").await;
    assert_eq!((second.tip().generation, second.tip().epoch), (2, 1));
}

#[tokio::test]
async fn a_process_that_was_overtaken_cannot_commit() {
    let store = store();
    let mut zombie = open(&store, "a").await;
    let mut newer = open(&store, "b").await;
    let error = zombie.append(epoch(1)).await.unwrap_err();
    assert!(
        matches!(error, CheckpointError::Fenced { generation: 2 }),
        "{error}"
    );
    newer.append(epoch(1)).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_resolved_by_looking() {
    let unclear = Unclear {
        inner: InMemory::new(),
        lies: AtomicUsize::new(2),
    };
    let store = Store::new(Arc::new(unclear));
    let mut chain = open(&store, "a").await;
    chain.append(epoch(1)).await.unwrap();
    assert_eq!(open(&store, "b").await.tip().epoch, 1);
}

#[tokio::test]
async fn a_changed_manifest_breaks_the_chain() {
    let store = store();
    let mut chain = open(&store, "a").await;
    chain.append(epoch(1)).await.unwrap();
    chain.append(epoch(2)).await.unwrap();
    let path = super::path_of(2);
    let bytes = store.find(&path).await.unwrap().unwrap();
    let text = String::from_utf8(bytes.to_vec())
        .unwrap()
        .replace("\"epoch\":1", "\"epoch\":7");
    store.put(&path, text.into_bytes()).await.unwrap();
    let error = Chain::take_over(store.clone(), "b".to_owned())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("link does not fit"), "{error}");
}

#[tokio::test]
async fn a_missing_manifest_breaks_the_chain() {
    let store = store();
    let mut chain = open(&store, "a").await;
    chain.append(epoch(1)).await.unwrap();
    chain.append(epoch(2)).await.unwrap();
    store.delete(vec![super::path_of(2)]).await.unwrap();
    let error = Chain::take_over(store.clone(), "b".to_owned())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("number 2 is missing"), "{error}");
}

#[tokio::test]
async fn garbage_is_what_no_kept_manifest_needs() {
    let store = store();
    let mut chain = open(&store, "a").await;
    let base = store.put("data/base", b"base".to_vec()).await.unwrap();
    for number in 1..=30 {
        let path = format!("data/delta-{number}");
        let delta = store.put(&path, b"delta".to_vec()).await.unwrap();
        let manifest = of_rows(number, vec![base.clone(), delta]);
        chain.append(manifest).await.unwrap();
        chain.collect_garbage().await.unwrap();
    }
    let left = store.list("data").await.unwrap();
    assert!(left.contains(&"data/base".to_owned()) && left.contains(&"data/delta-30".to_owned()));
    assert!(left.len() <= 10, "{left:?}");
    let reopened = open(&store, "b").await;
    for object in reopened.tip().objects() {
        store.get(object).await.unwrap();
    }
    let left = format!("{}-rows-1", super::object_prefix(1, 31));
    store.put(&left, b"x".to_vec()).await.unwrap();
    assert_eq!(reopened.collect_orphans(&["data"]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_starter_that_was_overtaken_leaves_what_its_successor_wrote() {
    let store = store();
    let mut first = open(&store, "a").await;
    let old = format!("{}-rows-1", super::object_prefix(1, 1));
    let old = store.put(&old, b"old".to_vec()).await.unwrap();
    first.append(of_rows(1, vec![old.clone()])).await.unwrap();
    // It has taken over, and sleeps before it looks for what a crash left behind.
    let sleeper = open(&store, "b").await;
    let mut newer = open(&store, "c").await;
    let path = format!("{}-rows-1", super::object_prefix(3, 2));
    let new = store.put(&path, b"new".to_vec()).await.unwrap();
    newer.append(of_rows(2, vec![old, new])).await.unwrap();
    assert_eq!(sleeper.collect_orphans(&["data"]).await.unwrap(), 0);
    let last = open(&store, "d").await;
    assert_eq!(last.tip().objects().count(), 2);
    for object in last.tip().objects() {
        store.get(object).await.unwrap();
    }
}

/// A chain that has gone on for so long that its beginning was collected.
async fn long_after(store: &Store) -> Chain {
    let mut newer = open(store, "b").await;
    for number in 1..=30 {
        newer.append(epoch(number)).await.unwrap();
        newer.collect_garbage().await.unwrap();
    }
    newer
}

#[tokio::test]
async fn a_process_that_slept_until_its_place_was_collected_cannot_commit() {
    let store = store();
    let mut zombie = open(&store, "a").await;
    let mut newer = long_after(&store).await;
    let error = zombie.append(epoch(1)).await.unwrap_err();
    assert!(
        matches!(error, CheckpointError::Fenced { generation: 2 }),
        "{error}"
    );
    newer.append(epoch(31)).await.unwrap();
    assert_eq!(open(&store, "c").await.tip().epoch, 31);
}

#[tokio::test]
async fn what_a_sleeper_left_in_a_collected_place_does_not_break_the_chain() {
    // Any place that was collected, up to the one right before the oldest manifest that is kept.
    for number in 2.. {
        let store = store();
        let newer = long_after(&store).await;
        let place = super::path_of(number);
        if store.find(&place).await.unwrap().is_some() {
            assert!(number > 20, "{number}");
            return;
        }
        // It was killed between its put and its look behind itself.
        let stray = ManifestV1 {
            sequence: number,
            generation: 1,
            previous: Some("of another time".to_owned()),
            ..ManifestV1::default()
        };
        let bytes = super::encode(&stray, &place).unwrap();
        store.put_if_absent(&place, bytes).await.unwrap();
        let mut next = open(&store, "c").await;
        assert_eq!(next.tip().epoch, 30, "{number}");
        assert_eq!(next.tip().generation, newer.tip().generation + 1);
        next.append(epoch(31)).await.unwrap();
        next.collect_garbage().await.unwrap();
        assert!(store.find(&place).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_sleeper_does_not_follow_what_another_sleeper_left() {
    let store = store();
    let mut first = open(&store, "a").await;
    first.append(epoch(1)).await.unwrap();
    let mut second = open(&store, "b").await;
    long_after(&store).await;
    let place = super::path_of(second.tip().sequence);
    let stray = ManifestV1 {
        writer: "a".to_owned(),
        ..second.tip().clone()
    };
    let bytes = super::encode(&stray, &place).unwrap();
    store.put_if_absent(&place, bytes).await.unwrap();
    let error = second.append(epoch(2)).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Fenced { .. }), "{error}");
}

#[tokio::test]
async fn the_first_writer_who_slept_is_fenced_too() {
    let store = store();
    let sleeper = Chain::read(&store, "a").await.unwrap();
    long_after(&store).await;
    let mut sleeper = sleeper;
    let error = sleeper.append(epoch(1)).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Fenced { .. }), "{error}");
    assert_eq!(open(&store, "c").await.tip().epoch, 30);
}

#[tokio::test]
async fn the_first_writer_whose_manifest_was_gone_on_from_does_not_take_it_back() {
    let store = store();
    let mut first = Chain::read(&store, "a").await.unwrap();
    let place = super::path_of(1);
    // Its put has arrived; before it looks behind itself, another takes over from there.
    let manifest = ManifestV1 {
        sequence: 1,
        writer: "a".to_owned(),
        ..epoch(0)
    };
    let bytes = super::encode(&manifest, &place).unwrap();
    store.put_if_absent(&place, bytes).await.unwrap();
    let second = open(&store, "b").await;
    assert_eq!(second.tip().sequence, 2);
    first.append(epoch(0)).await.unwrap();
    assert!(store.find(&place).await.unwrap().is_some());
    let error = first.append(epoch(1)).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Fenced { .. }), "{error}");
}
