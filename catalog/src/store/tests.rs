//! Compare-and-swap, fencing, retention, and the stored form.

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

use super::*;
use crate::object::ObjectKind;
use crate::snapshot::tests::{table, view};

async fn open(store: &Arc<InMemory>, writer: &str) -> (CatalogStore, CatalogSnapshot) {
    let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
    CatalogStore::open(store, writer).await.unwrap()
}

fn create(snapshot: &CatalogSnapshot, name: &str) -> CatalogChange {
    CatalogChange::Create(table(snapshot.next_id(), name))
}

#[tokio::test]
async fn a_committed_change_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let local = LocalFileSystem::new_with_prefix(folder.path())
        .unwrap()
        .with_fsync(true);
    let local: Arc<dyn ObjectStore> = Arc::new(local);
    let (store, base) = CatalogStore::open(Arc::clone(&local), "a").await.unwrap();
    let base = store.commit(&base, &create(&base, "t")).await.unwrap();
    let base = store
        .commit(&base, &CatalogChange::Create(view(2, "v", &[1])))
        .await
        .unwrap();
    let (store, again) = CatalogStore::open(local, "b").await.unwrap();
    assert_eq!(store.generation().number(), 2);
    assert_eq!(again.version(), base.version() + 1);
    let defs = |snapshot: &CatalogSnapshot| {
        snapshot
            .objects()
            .map(|object| object.def.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(defs(&again), defs(&base));
    assert_eq!(again.next_id(), 3);
}

#[tokio::test]
async fn a_newer_owner_fences_the_older_even_after_cleaning_up() {
    let store = Arc::new(InMemory::new());
    let (old, old_base) = open(&store, "old").await;
    let (new, mut base) = open(&store, "new").await;
    let error = old
        .commit(&old_base, &create(&old_base, "t"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CatalogError::Fenced { ours: 1, theirs: 2 }),
        "{error}"
    );
    for n in 0..2 * VERSIONS_KEPT {
        base = new
            .commit(&base, &create(&base, &format!("t{n}")))
            .await
            .unwrap();
    }
    // Now the number that the old owner would write next is free again.
    let error = old
        .commit(&old_base, &create(&old_base, "t"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, CatalogError::Fenced { ours: 1, theirs: 2 }),
        "{error}"
    );
    let (_, again) = open(&store, "third").await;
    assert!(again.resolve("t").is_none());
    assert!(again.resolve("t31").is_some());
}

#[tokio::test]
async fn an_unclear_write_of_ours_is_superseded() {
    let store = Arc::new(InMemory::new());
    let (owner, base) = open(&store, "a").await;
    owner.commit(&base, &create(&base, "lost")).await.unwrap();
    // The caller never learnt of the first commit and still holds `base`.
    let next = owner.commit(&base, &create(&base, "kept")).await.unwrap();
    assert_eq!(next.version(), base.version() + 2);
    let (_, again) = open(&store, "b").await;
    assert!(again.resolve("kept").is_some() && again.resolve("lost").is_none());
}

#[tokio::test]
async fn old_versions_are_forgotten() {
    let store = Arc::new(InMemory::new());
    let (owner, mut base) = open(&store, "a").await;
    for n in 0..40 {
        base = owner
            .commit(&base, &create(&base, &format!("t{n}")))
            .await
            .unwrap();
    }
    let versions = owner.versions().await.unwrap();
    assert_eq!(versions.len() as u64, VERSIONS_KEPT);
    assert_eq!(versions.last(), Some(&base.version()));
}

#[tokio::test]
async fn a_broken_file_is_refused_not_skipped() {
    let store = Arc::new(InMemory::new());
    open(&store, "a").await;
    store
        .put(&path_of(9), "{\"format\":\"1\"".into())
        .await
        .unwrap();
    let dynamic: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
    let error = CatalogStore::open(dynamic, "b").await.unwrap_err();
    assert_eq!(error.code(), "RT0408");
}

#[test]
fn the_stored_form_is_the_golden_file() {
    let golden = include_str!("../../tests/golden/catalog_v1.json");
    let PersistedCatalog::V1(read) = serde_json::from_str(golden).unwrap();
    assert_eq!(read.objects.len(), 5);
    read_back(&read).unwrap();
    let written = serde_json::to_string_pretty(&PersistedCatalog::V1(read)).unwrap();
    assert_eq!(written, golden.trim_end());
}

#[test]
fn a_table_that_does_not_say_so_is_append_only() {
    let golden = include_str!("../../tests/golden/catalog_v1.json");
    let before = golden.replace(",\n          \"append_only\": false", "");
    assert_ne!(before, golden);
    let PersistedCatalog::V1(read) = serde_json::from_str(&before).unwrap();
    let tables = read.objects.iter().filter_map(|object| match &object.kind {
        ObjectKind::Table(table) => Some(table.append_only),
        _ => None,
    });
    assert_eq!(tables.collect::<Vec<_>>(), [true]);
}
