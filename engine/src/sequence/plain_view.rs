//! `CREATE [OR REPLACE] VIEW`, planned: into the catalog.

use std::sync::Arc;

use rtsap_catalog::object::{ObjectDef, ObjectKind, ObjectNumber, PlainViewDef};
use rtsap_catalog::snapshot::CatalogChange;
use rtsap_planner::bind::plain_view::plain_view_relation;
use rtsap_planner::statement::named_query::CreatePlainView;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::CommandTag;
use crate::sequence::{Outcome, notice, own_name};

/// A view that has been planned.
pub(crate) struct Bound {
    /// What is kept of it.
    pub(crate) def: PlainViewDef,
    /// What its query names.
    pub(crate) depends_on: Vec<ObjectNumber>,
    /// The view in whose place it comes.
    pub(crate) old: Option<ObjectNumber>,
}

/// Writes a view that was planned at `version` of the catalog; `bound` is `None` if there is one of
/// its name. Returns `None` if the catalog has changed since.
///
/// # Errors
/// Failures of the catalog's store.
pub(crate) async fn commit(
    instance: &Arc<Instance>,
    create: &CreatePlainView,
    sql: String,
    bound: Option<Bound>,
    version: u64,
) -> Result<Option<Outcome>, EngineError> {
    let tag = CommandTag::Plain("CREATE VIEW");
    let name = own_name(&create.name)?;
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    if before.version() != version {
        return Ok(None);
    }
    let Some(bound) = bound else {
        let noun = before.resolve(name.as_str());
        let noun = noun.map_or("view", |taken| taken.def.kind.noun());
        let message = format!("{noun} \"{name}\" already exists, skipping");
        let notices = vec![notice("42P07", message)];
        return Ok(Some(Outcome { tag, notices }));
    };
    let (id, relation) = (before.next_id(), plain_view_relation(&bound.def));
    let def = ObjectDef {
        id,
        name,
        sql,
        depends_on: bound.depends_on,
        kind: ObjectKind::PlainView(bound.def),
        comment: None,
    };
    let change = match bound.old {
        Some(old) => CatalogChange::Replace { old, def },
        None => CatalogChange::Create(def),
    };
    let after = store.commit(&before, &change).await?;
    *instance.catalog.write() = after.with_relation(id, relation);
    let notices = Vec::new();
    Ok(Some(Outcome { tag, notices }))
}
