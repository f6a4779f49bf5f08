//! Changes of definitions, each in the same order: validate, commit to the catalog, start; undo if
//! the start fails.
//!
//! On boot the same from the catalog. The one writer of the catalog: whoever changes a definition
//! holds its store.

use std::sync::Arc;

use rtsap_catalog::error::CatalogError;
use rtsap_catalog::name::{ObjectName, SCHEMA};
use rtsap_catalog::object::{ObjectDef, ObjectKind, ObjectNumber, Relation};
use rtsap_catalog::snapshot::{CatalogChange, CatalogSnapshot};
use rtsap_plan::graph::StreamPlan;
use rtsap_planner::statement::{Name, ObjectNoun};
use rtsap_runtime::error::RuntimeError;
use rtsap_runtime::spec::{SinkSpec, SourceSpec, TableSpec, ViewSpec};
use rtsap_stream::failpoint;

use crate::error::{EngineError, Notice, Severity};
use crate::instance::Instance;
use crate::query::diagnose::{Scene, unknown_relation};
use crate::response::CommandTag;

pub(crate) mod alter;
pub(crate) mod boot;
pub(crate) mod define;
pub(crate) mod drop;
pub(crate) mod function;
pub(crate) mod plain_view;
pub(crate) mod replace;

/// What a change of definitions came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the client is told.
    pub(crate) tag: CommandTag,
    /// What it should know.
    pub(crate) notices: Vec<Notice>,
}

/// An object that has been validated and can be committed and started.
pub(crate) struct Candidate {
    /// Its definition.
    pub(crate) kind: ObjectKind,
    /// What it reads.
    pub(crate) depends_on: Vec<ObjectNumber>,
    /// What can be read from it.
    pub(crate) relation: Option<Relation>,
    /// How it is started.
    pub(crate) start: Start,
    /// What its author should know.
    pub(crate) notices: Vec<String>,
}

/// How an object is started.
pub(crate) enum Start {
    /// A source.
    Source(Box<SourceSpec>),
    /// A table.
    Table(TableSpec),
    /// A view.
    View(ViewSpec),
    /// A sink.
    Sink(SinkSpec),
    /// A function or a view, which do not run.
    Nothing,
}

impl Start {
    /// Hands the object to the runtime.
    ///
    /// # Errors
    /// What the runtime refuses.
    pub(crate) async fn start(self, instance: &Instance) -> Result<(), RuntimeError> {
        match self {
            Self::Source(spec) => instance.runtime.add_source(*spec).await,
            Self::Table(spec) => instance.runtime.add_table(spec).await,
            Self::View(spec) => {
                let (id, plan) = (spec.id.0, Arc::new(spec.plan.clone()));
                instance.runtime.add_view(spec).await?;
                instance.plans.write().insert(id, plan);
                Ok(())
            }
            Self::Sink(spec) => instance.runtime.add_sink(spec).await,
            Self::Nothing => Ok(()),
        }
    }
}

/// Creates an object. `build` validates it against the catalog and the number it will have.
///
/// # Errors
/// What `build` refuses; `RT0402` if the name is taken; failures of the catalog's store and of the
/// runtime.
pub(crate) async fn create(
    instance: &Arc<Instance>,
    name: &Name,
    if_not_exists: bool,
    sql: String,
    tag: &'static str,
    build: impl FnOnce(&CatalogSnapshot, ObjectNumber) -> Result<Candidate, EngineError> + Send,
) -> Result<Outcome, EngineError> {
    let tag = CommandTag::Plain(tag);
    let object_name = own_name(name)?;
    let store = instance.store.lock().await;
    let before = instance.snapshot();
    if let Some(taken) = before.resolve(object_name.as_str()) {
        let noun = taken.def.kind.noun();
        if if_not_exists {
            let message = format!("{noun} \"{object_name}\" already exists, skipping");
            return Ok(Outcome {
                tag,
                notices: vec![notice("42P07", message)],
            });
        }
        let error = CatalogError::Exists {
            name: object_name,
            noun,
        };
        return Err(EngineError::from(error).at(Some(name.position)));
    }
    let id = before.next_id();
    let candidate = build(&before, id)?;
    let def = ObjectDef {
        id,
        name: object_name,
        sql,
        depends_on: candidate.depends_on,
        kind: candidate.kind,
        comment: None,
    };
    let mut after = store.commit(&before, &CatalogChange::Create(def)).await?;
    if let Some(relation) = candidate.relation {
        after = after.with_relation(id, relation);
    }
    failpoint::pass("ddl.committed");
    if let Err(error) = candidate.start.start(instance).await {
        undo(instance, &store, &after, id).await;
        return Err(error.into());
    }
    failpoint::pass("ddl.attached");
    *instance.catalog.write() = after;
    let notices = candidate
        .notices
        .into_iter()
        .map(|text| notice("00000", text))
        .collect();
    Ok(Outcome { tag, notices })
}

/// Takes a definition back whose object could not be started.
async fn undo(
    instance: &Instance,
    store: &rtsap_catalog::store::CatalogStore,
    after: &CatalogSnapshot,
    id: ObjectNumber,
) {
    match store.commit(after, &CatalogChange::Drop(vec![id])).await {
        Ok(undone) => *instance.catalog.write() = undone,
        Err(error) => {
            // The definition stays in the store; the next start tries it again and reports why it
            // fails.
            tracing::error!(%error, id, "cannot take back a definition that did not start");
            *instance.catalog.write() = after.clone();
        }
    }
}

/// The name of an object of a user.
///
/// # Errors
/// `RT0201` for another schema than `public`, `RT0401` for a name that cannot be.
pub(crate) fn own_name(name: &Name) -> Result<ObjectName, EngineError> {
    if let Some(schema) = &name.schema {
        let last = schema
            .rsplit('.')
            .next()
            .unwrap_or(schema)
            .trim_matches('"');
        if last != SCHEMA {
            let message = format!("schema \"{last}\" does not exist");
            return Err(EngineError::invalid("RT0201", message)
                .sqlstate("3F000")
                .hint("Objects live in the schema public.")
                .at(Some(name.position)));
        }
    }
    let folded = ObjectName::from_folded(&name.name);
    folded.map_err(|error| EngineError::from(error).at(Some(name.position)))
}

/// The object called `name`.
///
/// # Errors
/// `RT0201` if there is none, with the nearest name.
pub(crate) fn existing<'a>(
    catalog: &'a CatalogSnapshot,
    name: &Name,
) -> Result<&'a Arc<rtsap_catalog::snapshot::CatalogObject>, EngineError> {
    let own = own_name(name)?;
    catalog.resolve(own.as_str()).ok_or_else(|| {
        let scene = Scene { text: "", catalog };
        unknown_relation(own.as_str(), scene).at(Some(name.position))
    })
}

/// The object that a statement about a `noun` means: functions have names of their own.
///
/// # Errors
/// `RT0201` or `RT0209` if there is none.
pub(crate) fn existing_of<'a>(
    catalog: &'a CatalogSnapshot,
    noun: ObjectNoun,
    name: &Name,
) -> Result<&'a Arc<rtsap_catalog::snapshot::CatalogObject>, EngineError> {
    if noun != ObjectNoun::Function {
        return existing(catalog, name);
    }
    let own = own_name(name)?;
    catalog.function(own.as_str()).ok_or_else(|| {
        let error = EngineError::invalid("RT0209", format!("function \"{own}\" does not exist"))
            .sqlstate("42883")
            .at(Some(name.position));
        match rtsap_catalog::snapshot::nearest(own.as_str(), catalog.function_names()) {
            Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
            None => error.hint("Functions of the system cannot be dropped or changed."),
        }
    })
}

/// Checks that an object is of the kind that a statement names.
///
/// # Errors
/// `RT0541` otherwise, with the right statement in the hint.
pub(crate) fn check_noun(
    def: &ObjectDef,
    noun: ObjectNoun,
    verb: &str,
    name: &Name,
) -> Result<(), EngineError> {
    let (word, fits) = match noun {
        ObjectNoun::Source => ("source", matches!(def.kind, ObjectKind::Source(_))),
        ObjectNoun::Table => ("table", matches!(def.kind, ObjectKind::Table(_))),
        ObjectNoun::View => ("streaming view", matches!(def.kind, ObjectKind::View(_))),
        ObjectNoun::AnyView => {
            let kinds = matches!(def.kind, ObjectKind::View(_) | ObjectKind::PlainView(_));
            ("view", kinds)
        }
        ObjectNoun::Sink => ("sink", matches!(def.kind, ObjectKind::Sink(_))),
        ObjectNoun::Function => ("function", matches!(def.kind, ObjectKind::Function(_))),
    };
    if fits {
        return Ok(());
    }
    let message = format!("\"{}\" is not a {word}", def.name);
    let right = def.kind.noun().to_uppercase();
    Err(EngineError::invalid("RT0541", message)
        .sqlstate("42809")
        .hint(format!("Use {verb} {right} {}.", def.name.quoted()))
        .at(Some(name.position)))
}

/// Why an object that others depend on cannot be replaced: what `uses` a `noun`, such as "reads" a
/// "view", was planned with it.
pub(crate) fn irreplaceable(error: CatalogError, noun: &str, uses: &str) -> EngineError {
    let CatalogError::InUse { name, .. } = &error else {
        return error.into();
    };
    let message = format!("cannot replace {noun} \"{name}\" because other objects depend on it");
    let hint = format!("Create it under another name, or drop what {uses} it first.");
    let refused = EngineError::invalid("RT0404", message).sqlstate("2BP01");
    let mut refused = refused.hint(hint);
    refused.detail = error.detail().map(Into::into);
    refused
}

/// Does `work` to its end, even if the client that waits for it goes away.
///
/// # Errors
/// Those of `work`; `RT0500` if it panics.
pub(crate) fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> impl Future<Output = Result<T, EngineError>> + Send {
    let finished = tokio::spawn(work);
    async move {
        match finished.await {
            Ok(result) => result,
            Err(error) => Err(EngineError::internal(format!("a change was lost: {error}"))),
        }
    }
}

/// A notice.
pub(crate) fn notice(sqlstate: &'static str, message: impl Into<String>) -> Notice {
    Notice {
        severity: Severity::Notice,
        sqlstate,
        message: message.into(),
        hint: None,
    }
}

/// The plan of a running view.
pub(crate) fn plan_of(instance: &Instance, id: ObjectNumber) -> Option<Arc<StreamPlan>> {
    instance.plans.read().get(&id).map(Arc::clone)
}
