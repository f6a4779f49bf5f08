//! `DROP` and `COMMENT ON`.

use std::collections::BTreeSet;
use std::sync::Arc;

use rtsap_catalog::snapshot::CatalogChange;
use rtsap_plan::operator::ObjectId;
use rtsap_planner::statement::{CommentStatement, DropStatement, ObjectNoun};

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::CommandTag;
use crate::sequence::{Outcome, check_noun, existing, notice, own_name};

/// `DROP SOURCE | TABLE | STREAMING VIEW | SINK`.
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
        ObjectNoun::Sink => "DROP SINK",
    });
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    let mut notices = Vec::new();
    let mut going = BTreeSet::new();
    for name in &statement.names {
        let own = own_name(name)?;
        if statement.if_exists && before.resolve(own.as_str()).is_none() {
            let message = format!("relation \"{own}\" does not exist, skipping");
            notices.push(notice("00000", message));
            continue;
        }
        let object = existing(&before, name)?;
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
    let ids: Vec<ObjectId> = going.iter().rev().map(|id| ObjectId(*id)).collect();
    instance.runtime.drop_objects(&ids).await?;
    instance.plans.write().retain(|id, _| !going.contains(id));
    Ok(Outcome { tag, notices })
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
    let object = existing(&before, &statement.name)?;
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
