//! What a change may do to a catalog.

use super::*;
use crate::object::{TableDef, ViewDef};

pub(crate) fn table(id: u64, name: &str) -> ObjectDef {
    ObjectDef {
        id,
        name: ObjectName::parse(name).unwrap(),
        sql: format!("CREATE TABLE {name} ()"),
        depends_on: vec![],
        kind: ObjectKind::Table(TableDef {
            append_only: false,
            columns: vec![],
            watermark: None,
            primary_key: vec![],
        }),
        comment: None,
    }
}

pub(crate) fn view(id: u64, name: &str, reads: &[u64]) -> ObjectDef {
    let kind = ViewDef {
        query: "SELECT 1".to_owned(),
        column_names: vec![],
        options: BTreeMap::new(),
    };
    let depends_on = reads.to_vec();
    ObjectDef {
        kind: ObjectKind::View(kind),
        depends_on,
        ..table(id, name)
    }
}

fn built(defs: &[ObjectDef]) -> CatalogSnapshot {
    defs.iter()
        .fold(CatalogSnapshot::default(), |catalog, def| {
            catalog.apply(&CatalogChange::Create(def.clone())).unwrap()
        })
}

#[test]
fn dependents_are_transitive_and_in_order() {
    let catalog = built(&[
        table(1, "t"),
        view(2, "a", &[1]),
        table(3, "u"),
        view(4, "b", &[2, 3]),
    ]);
    let names = |id| {
        let objects = catalog.dependents(id);
        objects
            .iter()
            .map(|object| object.name().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(1), ["a", "b"]);
    assert_eq!(names(3), ["b"]);
    assert!(names(4).is_empty());
}

#[test]
fn drop_refuses_to_leave_a_reader_behind() {
    let catalog = built(&[table(1, "t"), view(2, "a", &[1])]);
    let error = catalog.apply(&CatalogChange::Drop(vec![1])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot drop table \"t\" because other objects depend on it"
    );
    assert_eq!(error.detail().unwrap(), "streaming view a depends on t.");
    let empty = catalog.apply(&CatalogChange::Drop(vec![1, 2])).unwrap();
    assert_eq!(empty.objects().count(), 0);
    assert_eq!(empty.next_id(), 3, "numbers are never given again");
}

#[test]
fn names_are_unique_and_dollar_is_reserved() {
    let catalog = built(&[table(1, "t")]);
    let refused = |def| {
        catalog
            .apply(&CatalogChange::Create(def))
            .unwrap_err()
            .code()
    };
    assert_eq!(refused(table(2, "t")), "RT0402");
    assert_eq!(refused(table(2, "t$late")), "RT0401");
    assert_eq!(refused(table(1, "u")), "RT0405");
    assert_eq!(refused(view(2, "v", &[7])), "RT0405");
}

#[test]
fn the_nearest_name_is_suggested_only_when_close() {
    let catalog = built(&[table(1, "ohlc_1s"), table(2, "trades")]);
    assert_eq!(catalog.nearest("ohlc1s"), Some("ohlc_1s"));
    assert_eq!(catalog.nearest("tradse"), Some("trades"));
    assert_eq!(catalog.nearest("quotes"), None);
}
