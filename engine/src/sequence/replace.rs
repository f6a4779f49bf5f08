//! `CREATE OR REPLACE STREAMING VIEW`: the new view is started beside the old one, takes its name
//! in one change of the catalog, and the old one goes.

use std::sync::Arc;

use rtsap_catalog::object::{ObjectDef, ObjectNumber};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_planner::statement::{Name, ObjectNoun};

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::CommandTag;
use crate::sequence::{Candidate, Outcome, check_noun, create, notice, own_name};

/// Creates a view, in place of the one of its name if there is one. `build` as in [`create`].
///
/// # Errors
/// As [`create`]; `RT0404` if something reads the view that would go, `RT0541` if the name is that
/// of another kind of object. Nothing has changed then.
pub(crate) async fn replace(
    instance: &Arc<Instance>,
    name: &Name,
    sql: String,
    tag: &'static str,
    build: impl FnOnce(&CatalogSnapshot, ObjectNumber) -> Result<Candidate, EngineError> + Send,
) -> Result<Outcome, EngineError> {
    let object_name = own_name(name)?;
    if instance.snapshot().resolve(object_name.as_str()).is_none() {
        return create(instance, name, false, sql, tag, build).await;
    }
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    let Some(old) = before.resolve(object_name.as_str()).map(Arc::clone) else {
        drop(store);
        return create(instance, name, false, sql, tag, build).await;
    };
    check_noun(&old.def, ObjectNoun::View, "DROP", name)?;
    let old = old.def.id;
    // The view that goes cannot be read by the one that comes; nothing else may read it.
    let without = before.apply(&CatalogChange::Drop(vec![old]))?;
    let id = before.next_id();
    let candidate = build(&without, id)?;
    let def = ObjectDef {
        id,
        name: object_name,
        sql,
        depends_on: candidate.depends_on,
        kind: candidate.kind,
        comment: None,
    };
    let change = CatalogChange::Replace { old, def };
    before.apply(&change)?;
    candidate.start.start(instance).await?;
    let mut after = match store.commit(&before, &change).await {
        Ok(after) => after,
        Err(error) => {
            forget(instance, id).await?;
            return Err(error.into());
        }
    };
    if let Some(relation) = candidate.relation {
        after = after.with_relation(id, relation);
    }
    *instance.catalog.write() = after;
    forget(instance, old).await?;
    let notices = candidate.notices.into_iter();
    Ok(Outcome {
        tag: CommandTag::Plain(tag),
        notices: notices.map(|text| notice("00000", text)).collect(),
    })
}

/// Takes an object out of the runtime.
async fn forget(instance: &Instance, id: ObjectNumber) -> Result<(), EngineError> {
    instance.runtime.drop_objects(&[ObjectId(id)]).await?;
    instance.plans.write().remove(&id);
    Ok(())
}
