//! `ALTER`: other names, other queries, pauses.

use std::sync::Arc;

use rtsap_catalog::error::CatalogError;
use rtsap_catalog::object::{ObjectKind, ObjectNumber};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_planner::renamed;
use rtsap_planner::statement::{AlterAction, AlterStatement, Name, ObjectNoun};

use tokio::sync::oneshot;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::CommandTag;
use crate::sequence::{Outcome, check_noun, existing, notice, own_name};

mod requery;

/// `ALTER …`. What takes long is given up when `gone` says that nobody waits for it any more.
///
/// # Errors
/// `RT0201` for an unknown name, `RT0541` for another kind, `RT0402` if the new name is taken,
/// `RT0404` if other views read the object by its name.
pub(crate) async fn alter(
    instance: &Arc<Instance>,
    statement: &AlterStatement,
    gone: oneshot::Receiver<()>,
) -> Result<Outcome, EngineError> {
    let tag = CommandTag::Plain(match statement.noun {
        ObjectNoun::Source => "ALTER SOURCE",
        ObjectNoun::Table => "ALTER TABLE",
        ObjectNoun::View => "ALTER STREAMING VIEW",
        ObjectNoun::AnyView => "ALTER VIEW",
        ObjectNoun::Sink => "ALTER SINK",
        ObjectNoun::Function => {
            return Err(EngineError::unsupported("ALTER FUNCTION")
                .hint("CREATE OR REPLACE FUNCTION makes it anew.")
                .at(Some(statement.name.position)));
        }
    });
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    let own = own_name(&statement.name)?;
    if statement.if_exists && before.resolve(own.as_str()).is_none() {
        let message = format!("relation \"{own}\" does not exist, skipping");
        return Ok(Outcome {
            tag,
            notices: vec![notice("00000", message)],
        });
    }
    let object = existing(&before, &statement.name)?;
    check_noun(&object.def, statement.noun, "ALTER", &statement.name)?;
    let (id, paused) = (object.def.id, statement.action == AlterAction::Pause);
    let to = match &statement.action {
        AlterAction::Rename(to) => to,
        AlterAction::Query(..) if matches!(object.def.kind, ObjectKind::PlainView(_)) => {
            return Err(without_rows(&statement.name));
        }
        AlterAction::Query(query, query_offset) => {
            // It may take as long as the past is; other definitions need not wait for it.
            drop(store);
            let notices = requery::requery(instance, id, query, *query_offset, gone).await?;
            return Ok(Outcome { tag, notices });
        }
        AlterAction::Pause | AlterAction::Resume
            if matches!(object.def.kind, ObjectKind::View(_) | ObjectKind::Sink(_)) =>
        {
            // What a sink has under way may take long; other definitions need not wait for it.
            drop(store);
            instance.runtime.set_paused(ObjectId(id), paused).await?;
            return Ok(Outcome {
                tag,
                notices: Vec::new(),
            });
        }
        AlterAction::Pause | AlterAction::Resume => {
            let what = format!("pausing a {}", object.def.kind.noun());
            let hint = "Pause the streaming views that read it, or the sinks that follow it.";
            return Err(EngineError::unsupported(what)
                .hint(hint)
                .at(Some(statement.name.position)));
        }
    };
    let change = renaming(&before, object.def.id, to)?;
    let after = store.commit(&before, &change).await?;
    *instance.catalog.write() = after;
    Ok(Outcome {
        tag,
        notices: Vec::new(),
    })
}

fn without_rows(name: &Name) -> EngineError {
    EngineError::unsupported("ALTER VIEW … AS of a view without rows")
        .hint("CREATE OR REPLACE VIEW makes it anew.")
        .at(Some(name.position))
}

fn renaming(
    before: &CatalogSnapshot,
    id: ObjectNumber,
    to: &Name,
) -> Result<CatalogChange, EngineError> {
    let name = own_name(to)?;
    let Some(object) = before.by_id(id) else {
        return Err(CatalogError::Unknown { id }.into());
    };
    // Views are kept as text, which names what they read; sinks know it by its number.
    let readers = before.dependents(id);
    let mut views = readers.iter().filter(|reader| {
        let is_view = matches!(
            reader.def.kind,
            ObjectKind::View(_) | ObjectKind::PlainView(_)
        );
        is_view && reader.def.depends_on.contains(&id)
    });
    if let Some(reader) = views.next() {
        let (noun, by) = (object.def.kind.noun(), reader.def.kind.noun());
        let message = format!(
            "cannot rename {noun} \"{}\" because {by} \"{}\" reads it",
            object.def.name, reader.def.name
        );
        let error = EngineError::invalid("RT0404", message).sqlstate("2BP01");
        return Err(error.hint("Drop the views that read it, rename it, and create them again."));
    }
    let Some(sql) = renamed(&object.def.sql, name.as_str()) else {
        return Err(EngineError::internal(format!(
            "the definition of \"{}\" cannot be read",
            object.def.name
        )));
    };
    let change = CatalogChange::Rename { id, name, sql };
    before
        .apply(&change)
        .map_err(|error| EngineError::from(error).at(Some(to.position)))?;
    Ok(change)
}
