//! `DROP` and `COMMENT ON`.

use std::collections::BTreeSet;
use std::sync::Arc;

use rtsap_catalog::object::{ObjectKind, ObjectNumber};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_planner::statement::{CommentStatement, DropStatement, ObjectNoun};

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::CommandTag;
use crate::sequence::{Outcome, check_noun, existing_of, notice, own_name};

/// `DROP SOURCE | TABLE | VIEW | STREAMING VIEW | SINK | FUNCTION`.
///
/// # Errors
/// `RT0201` for an unknown name, `RT0541` for another kind, `RT0404` if something reads it and
/// `CASCADE` is missing.
pub(crate) async fn drop_objects(
    instance: &Arc<Instance>,
    statement: &DropStatement,
) -> Result<Outcome, EngineError> {
    let tag = CommandTag::Plain(match statement.noun {
        ObjectNoun::Source => "DROP SOURCE",
        ObjectNoun::Table => "DROP TABLE",
        ObjectNoun::View => "DROP STREAMING VIEW",
        ObjectNoun::AnyView => "DROP VIEW",
        ObjectNoun::Sink => "DROP SINK",
        ObjectNoun::Function => "DROP FUNCTION",
    });
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    let mut notices = Vec::new();
    let mut going = BTreeSet::new();
    for name in &statement.names {
        let own = own_name(name)?;
        let (what, found) = match statement.noun {
            ObjectNoun::Function => ("function", before.function(own.as_str())),
            _ => ("relation", before.resolve(own.as_str())),
        };
        if statement.if_exists && found.is_none() {
            let message = format!("{what} \"{own}\" does not exist, skipping");
            notices.push(notice("00000", message));
            continue;
        }
        let object = existing_of(&before, statement.noun, name)?;
        check_noun(&object.def, statement.noun, "DROP", name)?;
        going.insert(object.def.id);
        if statement.cascade {
            for dependent in before.dependents(object.def.id) {
                let def = &dependent.def;
                if going.insert(def.id) {
                    let message = format!("drop cascades to {} {}", def.kind.noun(), def.name);
                    notices.push(notice("00000", message));
                }
            }
        }
    }
    if going.is_empty() {
        return Ok(Outcome { tag, notices });
    }
    let after = store
        .commit(
            &before,
            &CatalogChange::Drop(going.iter().copied().collect()),
        )
        .await?;
    *instance.catalog.write() = after;
    // Readers before what they read.
    let ids = going.iter().rev();
    let ids = ids.filter(|id| runs(&before, **id)).map(|id| ObjectId(*id));
    let ids: Vec<ObjectId> = ids.collect();
    instance.runtime.drop_objects(&ids).await?;
    instance.plans.write().retain(|id, _| !going.contains(id));
    Ok(Outcome { tag, notices })
}

/// Whether the runtime knows an object: functions and views do not run.
fn runs(catalog: &CatalogSnapshot, id: ObjectNumber) -> bool {
    let still =
        |kind: &ObjectKind| matches!(kind, ObjectKind::Function(_) | ObjectKind::PlainView(_));
    catalog
        .by_id(id)
        .is_some_and(|object| !still(&object.def.kind))
}

/// `COMMENT ON`.
///
/// # Errors
/// `RT0201` for an unknown name, `RT0541` for another kind.
pub(crate) async fn comment(
    instance: &Arc<Instance>,
    statement: &CommentStatement,
) -> Result<Outcome, EngineError> {
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    let object = existing_of(&before, statement.noun, &statement.name)?;
    check_noun(&object.def, statement.noun, "COMMENT ON", &statement.name)?;
    let change = CatalogChange::Comment {
        id: object.def.id,
        comment: statement.comment.clone(),
    };
    let after = store.commit(&before, &change).await?;
    *instance.catalog.write() = after;
    Ok(Outcome {
        tag: CommandTag::Plain("COMMENT"),
        notices: Vec::new(),
    })
}
