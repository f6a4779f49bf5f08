//! `ALTER STREAMING VIEW v AS query`: the new version is built beside the old one and takes its
//! place, name and followers in one cut.
//!
//! Nothing is durable until the new version stands where the old one does and a checkpoint knows
//! both; then one change of the catalog decides. A crash before it leaves the old view, one after
//! it the new view: the start finds both versions in the checkpoint.

use std::sync::Arc;

use rtsap_catalog::object::{ObjectKind, ObjectNumber, Relation, ViewDef};
use rtsap_catalog::snapshot::{CatalogChange, CatalogObject, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_planner::requeried;
use rtsap_runtime::spec::{StartFrom, ViewSpec};
use rtsap_stream::failpoint;
use tokio::sync::oneshot;

use crate::error::{EngineError, Notice};
use crate::instance::Instance;
use crate::sequence::{Candidate, Start, define, notice, plan_of};
use crate::session::change::shifted;

/// Gives view `id` another query; gives up while it is being built if `gone` says so. Returns what
/// its author should know.
///
/// # Errors
/// What the planner refuses, at its position; `RT0545` if the view cannot be altered in place.
pub(super) async fn requery(
    instance: &Arc<Instance>,
    id: ObjectNumber,
    query: &str,
    query_offset: u32,
    gone: oneshot::Receiver<()>,
) -> Result<Vec<Notice>, EngineError> {
    let before = instance.snapshot();
    let (object, view) = view_of(&before, id)?;
    let def = ViewDef {
        query: query.to_owned(),
        ..view.clone()
    };
    let candidate = define::view(instance, &before, object.def.name.as_str(), id, def);
    let candidate = candidate.map_err(|error| shifted(error, query_offset))?;
    let Candidate {
        kind,
        depends_on,
        relation,
        start,
        notices,
    } = candidate;
    check_reads(&before, object, &depends_on)?;
    let (Start::View(spec), Some(relation)) = (start, relation) else {
        return Err(EngineError::internal("a view that is none"));
    };
    check_columns(object, &relation)?;
    let Some(sql) = requeried(&object.def.sql, query) else {
        return Err(EngineError::internal(format!(
            "the definition of \"{}\" cannot be read",
            object.def.name
        )));
    };
    let change = CatalogChange::Redefine {
        id,
        sql,
        depends_on,
        kind,
    };
    let plan = Arc::new(spec.plan.clone());
    let old = plan_of(instance, id);
    let same = old.is_some_and(|old| old.fingerprint() == plan.fingerprint());
    if !same {
        build(instance, object, spec, gone).await?;
    }
    let decided = decide(instance, object, &change, relation).await;
    match decided {
        Ok(()) if same => {}
        Ok(()) => {
            instance.runtime.cut_over(ObjectId(id)).await?;
            instance.plans.write().insert(id, plan);
        }
        Err(error) => {
            // If the store has taken the change and could not say so, the next start finds it
            // there; so the new version stays until then if its answer was unclear.
            if !matches!(error.code, "RT0409") {
                instance.runtime.abandon_rebuild(ObjectId(id)).await?;
            }
            return Err(error);
        }
    }
    let notices = notices.into_iter();
    Ok(notices.map(|text| notice("00000", text)).collect())
}

/// Builds the new version, and makes it durable beside the old one.
async fn build(
    instance: &Arc<Instance>,
    object: &CatalogObject,
    spec: ViewSpec,
    gone: oneshot::Receiver<()>,
) -> Result<(), EngineError> {
    if spec.start_from == StartFrom::Now {
        return Err(
            refused(object, "0A000", "it does not begin at the beginning")
                .detail(
                    "Its option start_from is 'now': what is in its open windows cannot be read.",
                )
                .hint("CREATE OR REPLACE STREAMING VIEW makes a view that nothing reads anew."),
        );
    }
    let id = spec.id;
    tokio::select! {
        built = instance.runtime.rebuild_view(spec) => built?,
        _ = gone => {
            instance.runtime.abandon_rebuild(id).await?;
            return Err(EngineError::canceled());
        }
    }
    failpoint::pass("alter.level");
    instance.runtime.checkpoint().await?;
    failpoint::pass("alter.saved");
    Ok(())
}

/// Writes the new definition, if nothing has come in between that it does not fit.
async fn decide(
    instance: &Arc<Instance>,
    object: &CatalogObject,
    change: &CatalogChange,
    relation: Relation,
) -> Result<(), EngineError> {
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    let unchanged = before
        .by_id(object.def.id)
        .is_some_and(|now| now.def.kind == object.def.kind && now.def.sql == object.def.sql);
    if !unchanged {
        let error = refused(object, "55000", "it was changed in the meantime");
        return Err(error.hint("Try the statement again."));
    }
    let after = store.commit(&before, change).await?;
    failpoint::pass("alter.committed");
    *instance.catalog.write() = after.with_relation(object.def.id, relation);
    Ok(())
}

fn view_of(
    catalog: &CatalogSnapshot,
    id: ObjectNumber,
) -> Result<(&Arc<CatalogObject>, &ViewDef), EngineError> {
    let object = catalog.by_id(id);
    match object.map(|object| (object, &object.def.kind)) {
        Some((object, ObjectKind::View(view))) => Ok((object, view)),
        _ => Err(EngineError::internal("a view that is none")),
    }
}

/// A view may only read what was there before it.
fn check_reads(
    catalog: &CatalogSnapshot,
    object: &CatalogObject,
    depends_on: &[ObjectNumber],
) -> Result<(), EngineError> {
    let id = object.def.id;
    let Some(later) = depends_on.iter().find(|read| **read >= id) else {
        return Ok(());
    };
    let Some(read) = catalog.by_id(*later).filter(|_| *later != id) else {
        return Err(refused(object, "42P17", "it would read itself"));
    };
    let (noun, name) = (read.def.kind.noun(), &read.def.name);
    let reason = format!("it would read {noun} \"{name}\", which was created after it");
    Err(refused(object, "0A000", &reason)
        .detail("Objects are started in the order of their creation.")
        .hint("Create another view, and let readers and sinks change over to it."))
}

/// Those who follow the view have been planned for its columns.
fn check_columns(object: &CatalogObject, new: &Relation) -> Result<(), EngineError> {
    let Some(old) = &object.relation else {
        return Err(EngineError::internal("a view without columns"));
    };
    let hint = "Cast the columns to what they are, or create another view and let readers and \
                sinks change over to it.";
    if old.schema != new.schema {
        let (was, is) = (columns(old), columns(new));
        let changed = was.iter().zip(&is).find(|(was, is)| was != is);
        let detail = match changed {
            Some((was, is)) => format!("Column {was} would become {is}."),
            None => format!("It has {} columns and would have {}.", was.len(), is.len()),
        };
        return Err(refused(object, "42P16", "its columns would change")
            .detail(detail)
            .hint(hint));
    }
    if (old.mode, &old.key, old.event_time) != (new.mode, &new.key, new.event_time) {
        let of = |relation: &Relation| {
            let name = |index: &usize| relation.schema.field(*index).name().clone();
            let key: Vec<String> = relation.key.iter().map(name).collect();
            let time = relation.event_time.as_ref().map_or("none".to_owned(), name);
            let mode = relation.mode.name();
            format!("{mode}, key ({}), event time {time}", key.join(", "))
        };
        let detail = format!("It is {} and would be {}.", of(old), of(new));
        return Err(
            refused(object, "42P16", "its rows would change in another way")
                .detail(detail)
                .hint(hint),
        );
    }
    Ok(())
}

fn columns(relation: &Relation) -> Vec<String> {
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("\"{}\" {}{null}", field.name(), field.data_type())
    };
    relation.schema.fields().iter().map(column).collect()
}

fn refused(object: &CatalogObject, sqlstate: &'static str, reason: &str) -> EngineError {
    let message = format!(
        "cannot alter streaming view \"{}\": {reason}",
        object.def.name
    );
    EngineError::invalid("RT0545", message).sqlstate(sqlstate)
}
