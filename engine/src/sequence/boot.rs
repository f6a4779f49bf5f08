//! Every object of the catalog, planned anew and handed to the runtime in the order of numbers.

use rtsap_catalog::object::{ObjectDef, ObjectKind};
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_planner::{BoundFunction, bind_source_def, bind_table_def};

use crate::error::EngineError;
use crate::instance::Instance;
use crate::sequence::{Candidate, define};

/// Hands every object to the runtime and fills in what can be read from each.
///
/// # Errors
/// The first object that can no longer be planned: nothing runs then, because what reads it would
/// miss rows.
pub(crate) async fn boot(instance: &Instance) -> Result<(), EngineError> {
    let mut catalog = instance.snapshot();
    let defs: Vec<ObjectDef> = catalog.objects().map(|object| object.def.clone()).collect();
    for def in defs {
        let candidate =
            candidate(instance, &catalog, &def).map_err(|error| located(error, &def))?;
        if let Some(relation) = candidate.relation {
            catalog = catalog.with_relation(def.id, relation);
        }
        let started = candidate.start.start(instance).await;
        started.map_err(|error| located(error.into(), &def))?;
    }
    *instance.catalog.write() = catalog;
    Ok(())
}

fn candidate(
    instance: &Instance,
    catalog: &CatalogSnapshot,
    def: &ObjectDef,
) -> Result<Candidate, EngineError> {
    let name = def.name.as_str();
    match &def.kind {
        ObjectKind::Source(source) => {
            let bound = bind_source_def(source, &instance.functions)?;
            define::source(instance, name, def.id, bound)
        }
        ObjectKind::Table(table) => {
            let bound = bind_table_def(table, &instance.functions)?;
            Ok(define::table(name, def.id, bound))
        }
        ObjectKind::View(view) => define::view(instance, catalog, name, def.id, view.clone()),
        ObjectKind::Sink(sink) => {
            let Some(from) = catalog.by_id(sink.from) else {
                return Err(EngineError::internal(format!(
                    "sink \"{name}\" follows nothing"
                )));
            };
            define::sink(instance, name, def.id, from, sink.clone())
        }
        // Whoever reads it plans it.
        ObjectKind::PlainView(view) => Ok(define::plain_view(view.clone(), def.depends_on.clone())),
        // Whoever calls it compiles it.
        ObjectKind::Function(function) => Ok(define::function(BoundFunction {
            def: function.clone(),
            depends_on: def.depends_on.clone(),
        })),
    }
}

fn located(error: EngineError, def: &ObjectDef) -> EngineError {
    let message = format!(
        "cannot start {} \"{}\": {}",
        def.kind.noun(),
        def.name,
        error.message
    );
    let mut located = EngineError::new(error.kind, error.code, message);
    located.detail = error.detail;
    located.hint = error.hint;
    located.source = error.source;
    located
}
