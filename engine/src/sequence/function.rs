//! `CREATE [OR REPLACE] FUNCTION`.

use std::sync::Arc;

use rtsap_catalog::object::{ObjectDef, ObjectKind};
use rtsap_catalog::snapshot::CatalogChange;
use rtsap_planner::bind_function;
use rtsap_planner::statement::CreateFunction;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::response::CommandTag;
use crate::sequence::{Outcome, irreplaceable, own_name};

/// Creates a function, or replaces one that nothing calls.
///
/// # Errors
/// `RT0402` if the name is taken, `RT0404` if something calls the one that would be replaced, and
/// what the planner refuses of the body.
pub(crate) async fn create(
    instance: &Arc<Instance>,
    create: &CreateFunction,
    sql: String,
) -> Result<Outcome, EngineError> {
    let name = own_name(&create.name)?;
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    if instance.functions.contains(name.as_str()) {
        let message = format!("function \"{name}\" already exists");
        return Err(EngineError::invalid("RT0402", message)
            .sqlstate("42723")
            .hint("It is a function of the system. Choose another name.")
            .at(Some(create.name.position)));
    }
    let replaced = before.function(name.as_str()).map(|object| object.def.id);
    if replaced.is_some() && !create.or_replace {
        let message = format!("function \"{name}\" already exists");
        return Err(EngineError::invalid("RT0402", message)
            .sqlstate("42723")
            .hint("Write CREATE OR REPLACE FUNCTION. A name has one function, whatever its types.")
            .at(Some(create.name.position)));
    }
    // The new body must not call the old one of the same name.
    let visible = match replaced {
        Some(id) => before
            .apply(&CatalogChange::Drop(vec![id]))
            .map_err(|error| irreplaceable(error, "function", "calls"))?,
        None => before.clone(),
    };
    let bound = bind_function(create, &visible, &instance.functions)?;
    let def = ObjectDef {
        id: before.next_id(),
        name,
        sql,
        depends_on: bound.depends_on,
        kind: ObjectKind::Function(bound.def),
        comment: None,
    };
    let change = match replaced {
        Some(id) => CatalogChange::Replace { old: id, def },
        None => CatalogChange::Create(def),
    };
    *instance.catalog.write() = store.commit(&before, &change).await?;
    Ok(Outcome {
        tag: CommandTag::Plain("CREATE FUNCTION"),
        notices: Vec::new(),
    })
}
