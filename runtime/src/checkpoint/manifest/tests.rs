//! The persisted form is what an earlier version wrote.

use std::collections::BTreeMap;

use super::{
    ManifestV1, ObjectRef, OutboxEntry, PersistedManifest, ReaderState, RelationState, SinkState,
    SourceState, SplitState,
};

fn manifest() -> ManifestV1 {
    let object = |path: &str| ObjectRef {
        path: path.to_owned(),
        bytes: 10,
        crc32c: 7,
    };
    let split = SplitState {
        offset: 42,
        latest: Some(-1),
        idle: true,
        ended: false,
    };
    ManifestV1 {
        sequence: 3,
        previous: Some("ab".to_owned()),
        directory: None,
        writer: "w".to_owned(),
        generation: 2,
        epoch: 5,
        fence: false,
        readers: vec![ReaderState {
            source: 1,
            views: vec![2],
            shared: true,
            identity: None,
            splits: BTreeMap::from([("0".to_owned(), split)]),
        }],
        relations: vec![RelationState {
            id: 2,
            fingerprint: "f".to_owned(),
            rows: vec![object("data/r")],
            delta_rows: 9,
            late: vec![object("data/l")],
            ledger: [4, 3, 1, 0],
            watermark: Some(100),
            latest: None,
            suspended: None,
            paused: false,
        }],
        sources: vec![SourceState {
            id: 1,
            errors: vec![],
            rows: 4,
            error_count: 0,
        }],
        sinks: vec![SinkState {
            id: 3,
            applied: 4,
            outbox: vec![OutboxEntry {
                epoch: 5,
                delta: object("data/r"),
            }],
            begun: true,
            paused: false,
        }],
        operators: Some(object("data/o")),
        operator_deltas: Vec::new(),
        table_log: 6,
    }
}

#[test]
fn version_1_is_read_as_it_was_written() {
    let golden = include_str!("../../../tests/golden/manifest_v1.json");
    let read: PersistedManifest = serde_json::from_str(golden).unwrap();
    assert_eq!(read, PersistedManifest::V1(manifest()));
    let written = serde_json::to_string_pretty(&PersistedManifest::V1(manifest())).unwrap();
    assert_eq!(written.trim(), golden.trim());
}

#[test]
fn deltas_of_operator_state_are_a_version_of_their_own() {
    let golden = include_str!("../../../tests/golden/manifest_v1.json");
    let mut with_deltas = manifest();
    with_deltas
        .operator_deltas
        .clone_from(&with_deltas.relations[0].late);
    let persisted = PersistedManifest::from(with_deltas.clone());
    assert_eq!(persisted, PersistedManifest::V2(with_deltas));
    let written = serde_json::to_string_pretty(&persisted).unwrap();
    assert_ne!(written.lines().nth(1), golden.lines().nth(1), "{written}");
    let read: PersistedManifest = serde_json::from_str(&written).unwrap();
    assert_eq!(read, persisted);
}
