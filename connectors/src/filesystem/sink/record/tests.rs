//! The chain of records under restarts, zombies and other sinks.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::progress::{Owner, Progress};

use super::{KEPT, Records, path};

fn at(generation: u64, epoch: u64) -> Progress {
    Progress { generation, epoch }
}

fn kind<T>(result: Result<T, ConnectorError>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind)
}

fn store() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

async fn open(store: &Arc<dyn ObjectStore>) -> Records {
    Records::open(Arc::clone(store), "s", Owner::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_last_record_is_found_again_by_its_own_sink() {
    let store = store();
    let mut records = open(&store).await;
    assert_eq!(records.last(), None);
    records.put(at(1, 0), None).await.unwrap();
    records
        .put(at(1, 7), Some(("f".to_owned(), 9)))
        .await
        .unwrap();
    assert_eq!(open(&store).await.last(), Some(at(1, 7)));
    let other = Records::open(Arc::clone(&store), "other", Owner::default()).await;
    assert_eq!(kind(other), Some(ErrorKind::Data));
    store.put(&path(3), "{".into()).await.unwrap();
    let broken = Records::open(Arc::clone(&store), "s", Owner::default()).await;
    assert_eq!(kind(broken), Some(ErrorKind::Data));
}

#[tokio::test]
async fn a_record_of_ours_whose_answer_was_lost_is_put_again() {
    let store = store();
    let mut records = open(&store).await;
    let bytes = records.encode(at(1, 1), None);
    store.put(&path(1), bytes.into()).await.unwrap();
    records.put(at(1, 1), None).await.unwrap();
    records.put(at(1, 2), None).await.unwrap();
    assert_eq!(open(&store).await.last(), Some(at(1, 2)));
}

#[tokio::test]
async fn an_old_process_is_fenced_even_where_its_place_is_free_again() {
    for later in [1, 3 * KEPT] {
        for begun in [false, true] {
            let store = store();
            let mut old = open(&store).await;
            if begun {
                old.put(at(1, 0), None).await.unwrap();
            }
            let mut new = open(&store).await;
            for epoch in 0..later {
                new.put(at(2, epoch), None).await.unwrap();
                new.forget_old().await;
            }
            let count = store.list_with_delimiter(Some(&"_rtsap".into())).await;
            assert!(count.unwrap().objects.len() as u64 <= 2 * KEPT);
            let refused = old.put(at(1, 1), None).await;
            assert_eq!(kind(refused), Some(ErrorKind::Fenced), "{later} {begun}");
            new.put(at(2, later), None).await.unwrap();
            assert_eq!(open(&store).await.last(), Some(at(2, later)));
        }
    }
}

#[tokio::test]
async fn the_first_record_that_was_gone_on_from_is_not_taken_back() {
    let store = store();
    let mut first = open(&store).await;
    // Its put has arrived; before it looks behind itself, another process takes over from there.
    let bytes = first.encode(at(1, 0), None);
    store.put(&path(1), bytes.into()).await.unwrap();
    let mut second = open(&store).await;
    second.put(at(2, 0), None).await.unwrap();
    first.put(at(1, 0), None).await.unwrap();
    assert_eq!(
        kind(first.put(at(1, 1), None).await),
        Some(ErrorKind::Fenced)
    );
    second.put(at(2, 1), None).await.unwrap();
    assert_eq!(open(&store).await.last(), Some(at(2, 1)));
}
