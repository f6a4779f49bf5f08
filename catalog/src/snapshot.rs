//! Everything that exists, at one version; and the changes that lead from one version to the next.
//!
//! Pure: [`crate::store`] makes a version durable. Owns the rules of names, numbers and
//! dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::CatalogError;
use crate::name::ObjectName;
use crate::object::{ObjectDef, ObjectKind, ObjectNumber, Relation};

/// An object with what follows from its definition.
#[derive(Clone, Debug)]
pub struct CatalogObject {
    /// As persisted.
    pub def: ObjectDef,
    /// What can be read under its name; `None` for a sink, and on boot until the definition is
    /// planned anew.
    pub relation: Option<Relation>,
}

impl CatalogObject {
    /// Its name.
    pub fn name(&self) -> &ObjectName {
        &self.def.name
    }
}

/// Everything that exists, at one version. Immutable; cloning is one reference count.
#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot(Arc<CatalogState>);

#[derive(Clone, Debug)]
struct CatalogState {
    version: u64,
    next_id: ObjectNumber,
    objects: BTreeMap<ObjectNumber, Arc<CatalogObject>>,
    by_name: BTreeMap<String, ObjectNumber>,
    /// Functions have names of their own: a table and a function may be called alike.
    functions: BTreeMap<String, ObjectNumber>,
}

impl Default for CatalogState {
    fn default() -> Self {
        Self {
            version: 0,
            next_id: 1,
            objects: BTreeMap::new(),
            by_name: BTreeMap::new(),
            functions: BTreeMap::new(),
        }
    }
}

/// One step from a version to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogChange {
    /// A new object; its number is [`CatalogSnapshot::next_id`].
    Create(ObjectDef),
    /// Objects that go together; nothing that stays may read them.
    Drop(Vec<ObjectNumber>),
    /// A new object in place of one that goes and that nothing reads; its number is
    /// [`CatalogSnapshot::next_id`].
    Replace {
        /// What goes.
        old: ObjectNumber,
        /// What comes.
        def: ObjectDef,
    },
    /// Another name for an object.
    Rename {
        /// The object.
        id: ObjectNumber,
        /// Its name from now on.
        name: ObjectName,
        /// The statement that would make it under that name.
        sql: String,
    },
    /// Another definition of the same kind under the same name and number.
    Redefine {
        /// The object.
        id: ObjectNumber,
        /// The statement that would make it so.
        sql: String,
        /// Numbers of the objects it reads now: all smaller than its own.
        depends_on: Vec<ObjectNumber>,
        /// What it is now.
        kind: ObjectKind,
    },
    /// `COMMENT ON`; `None` takes the comment away.
    Comment {
        /// The object.
        id: ObjectNumber,
        /// The text.
        comment: Option<String>,
    },
}

impl CatalogSnapshot {
    /// The version: 0 for the empty catalog of a new store, then rising.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// The number that the next object gets.
    pub fn next_id(&self) -> ObjectNumber {
        self.0.next_id
    }

    /// The function called `name` (folded, without schema).
    pub fn function(&self, name: &str) -> Option<&Arc<CatalogObject>> {
        self.0.objects.get(self.0.functions.get(name)?)
    }

    /// The names of all functions, in order.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.0.functions.keys().map(String::as_str)
    }

    /// The relation or sink called `name` (folded, without schema).
    pub fn resolve(&self, name: &str) -> Option<&Arc<CatalogObject>> {
        self.0.objects.get(self.0.by_name.get(name)?)
    }

    /// The object of number `id`.
    pub fn by_id(&self, id: ObjectNumber) -> Option<&Arc<CatalogObject>> {
        self.0.objects.get(&id)
    }

    /// All names of relations and sinks, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.by_name.keys().map(String::as_str)
    }

    /// All objects in the order of their numbers: each after everything it reads.
    pub fn objects(&self) -> impl DoubleEndedIterator<Item = &Arc<CatalogObject>> {
        self.0.objects.values()
    }

    /// The existing name that `name` was probably meant to be.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.names())
    }

    /// Every object that reads `id` directly or through others, in the order of their numbers;
    /// without `id` itself.
    pub fn dependents(&self, id: ObjectNumber) -> Vec<Arc<CatalogObject>> {
        let mut reached = BTreeSet::from([id]);
        // One pass suffices: an object reads only objects of smaller numbers.
        let objects = self.objects().filter(|object| {
            let reads = object
                .def
                .depends_on
                .iter()
                .any(|read| reached.contains(read));
            reads && reached.insert(object.def.id)
        });
        objects.map(Arc::clone).collect()
    }

    /// The same version with `relation` filled in for `id`; unchanged if there is no such object.
    #[must_use]
    pub fn with_relation(&self, id: ObjectNumber, relation: Relation) -> Self {
        let mut state = CatalogState::clone(&self.0);
        if let Some(object) = state.objects.get_mut(&id) {
            let def = object.def.clone();
            *object = Arc::new(CatalogObject {
                def,
                relation: Some(relation),
            });
        }
        Self(Arc::new(state))
    }

    /// The next version, with `change` made.
    ///
    /// # Errors
    /// [`CatalogError::Exists`], [`CatalogError::BadName`], [`CatalogError::InUse`],
    /// [`CatalogError::Unknown`], or [`CatalogError::Contradiction`] for a definition whose numbers
    /// do not fit.
    pub fn apply(&self, change: &CatalogChange) -> Result<Self, CatalogError> {
        let mut state = CatalogState::clone(&self.0);
        match change {
            CatalogChange::Create(def) => state.create(def)?,
            CatalogChange::Drop(ids) => state.drop_all(ids)?,
            CatalogChange::Replace { old, def } => {
                state.drop_all(&[*old])?;
                state.create(def)?;
            }
            CatalogChange::Rename { id, name, sql } => state.rename(*id, name, sql)?,
            CatalogChange::Redefine {
                id,
                sql,
                depends_on,
                kind,
            } => state.redefine(*id, sql, depends_on, kind)?,
            CatalogChange::Comment { id, comment } => {
                let object = state
                    .objects
                    .get_mut(id)
                    .ok_or(CatalogError::Unknown { id: *id })?;
                let object = Arc::make_mut(object);
                object.def.comment.clone_from(comment);
            }
        }
        state.version += 1;
        Ok(Self(Arc::new(state)))
    }

    /// The catalog that holds `objects`, none of them planned yet.
    ///
    /// # Errors
    /// [`CatalogError::Contradiction`] or [`CatalogError::Exists`] if they do not fit together.
    pub(crate) fn restore(
        version: u64,
        next_id: ObjectNumber,
        objects: &[ObjectDef],
    ) -> Result<Self, CatalogError> {
        let mut state = CatalogState {
            version,
            ..CatalogState::default()
        };
        for def in objects {
            if def.id < state.next_id {
                let reason = "numbers do not rise";
                return Err(CatalogError::Contradiction { id: def.id, reason });
            }
            state.next_id = def.id;
            state.create(def)?;
        }
        if next_id < state.next_id {
            let reason = "its number would be given again";
            return Err(CatalogError::Contradiction {
                id: next_id,
                reason,
            });
        }
        state.next_id = next_id;
        Ok(Self(Arc::new(state)))
    }

    /// The same catalog under a later version number.
    pub(crate) fn at_version(&self, version: u64) -> Self {
        let mut state = CatalogState::clone(&self.0);
        state.version = version;
        Self(Arc::new(state))
    }
}

impl CatalogState {
    fn create(&mut self, def: &ObjectDef) -> Result<(), CatalogError> {
        let contradiction = |reason| Err(CatalogError::Contradiction { id: def.id, reason });
        if def.id != self.next_id {
            return contradiction("it is not the next number");
        }
        let is_function = matches!(def.kind, ObjectKind::Function(_));
        self.check_name(&def.name, is_function)?;
        if !def
            .depends_on
            .iter()
            .all(|read| self.objects.contains_key(read))
        {
            return contradiction("it reads an object that does not exist");
        }
        if let ObjectKind::Sink(sink) = &def.kind
            && !def.depends_on.contains(&sink.from)
        {
            return contradiction("it follows an object that it does not depend on");
        }
        let names = match is_function {
            true => &mut self.functions,
            false => &mut self.by_name,
        };
        names.insert(def.name.as_str().to_owned(), def.id);
        let object = CatalogObject {
            def: def.clone(),
            relation: None,
        };
        self.objects.insert(def.id, Arc::new(object));
        self.next_id += 1;
        Ok(())
    }

    /// A name must be free and without the character of side tables.
    /// Functions have names of their own.
    fn check_name(&self, name: &ObjectName, is_function: bool) -> Result<(), CatalogError> {
        if name.as_str().contains('$') {
            let reason = "the character $ is kept for v$late and s$errors";
            return Err(CatalogError::BadName {
                name: name.to_string(),
                reason,
            });
        }
        let names = match is_function {
            true => &self.functions,
            false => &self.by_name,
        };
        let Some(taken) = names.get(name.as_str()) else {
            return Ok(());
        };
        let taken = self.objects.get(taken);
        Err(CatalogError::Exists {
            name: name.clone(),
            noun: taken.map_or("object", |object| object.def.kind.noun()),
        })
    }

    fn rename(
        &mut self,
        id: ObjectNumber,
        name: &ObjectName,
        sql: &str,
    ) -> Result<(), CatalogError> {
        self.check_name(name, false)?;
        let object = self.objects.get_mut(&id);
        let object = Arc::make_mut(object.ok_or(CatalogError::Unknown { id })?);
        self.by_name.remove(object.def.name.as_str());
        if let ObjectKind::Sink(sink) = &mut object.def.kind {
            // What it has written is found again under the name that it was written under.
            let record = sink.record.take();
            sink.record = Some(record.unwrap_or_else(|| object.def.name.to_string()));
        }
        object.def.name = name.clone();
        object.def.sql = sql.to_owned();
        self.by_name.insert(name.as_str().to_owned(), id);
        Ok(())
    }

    fn redefine(
        &mut self,
        id: ObjectNumber,
        sql: &str,
        depends_on: &[ObjectNumber],
        kind: &ObjectKind,
    ) -> Result<(), CatalogError> {
        let contradiction = |reason| Err(CatalogError::Contradiction { id, reason });
        if !depends_on.iter().all(|read| *read < id) {
            return contradiction("it reads an object that comes after it");
        }
        if !depends_on.iter().all(|id| self.objects.contains_key(id)) {
            return contradiction("it reads an object that does not exist");
        }
        let object = self.objects.get_mut(&id);
        let object = Arc::make_mut(object.ok_or(CatalogError::Unknown { id })?);
        if object.def.kind.noun() != kind.noun() {
            return contradiction("it becomes an object of another kind");
        }
        object.def.sql = sql.to_owned();
        object.def.depends_on = depends_on.to_vec();
        object.def.kind = kind.clone();
        Ok(())
    }

    fn drop_all(&mut self, ids: &[ObjectNumber]) -> Result<(), CatalogError> {
        let going: BTreeSet<_> = ids.iter().copied().collect();
        for id in &going {
            let object = self
                .objects
                .get(id)
                .ok_or(CatalogError::Unknown { id: *id })?;
            let readers = self.objects.values().filter(|reader| {
                reader.def.depends_on.contains(id) && !going.contains(&reader.def.id)
            });
            let dependents: Vec<String> = readers
                .map(|reader| format!("{} {}", reader.def.kind.noun(), reader.def.name))
                .collect();
            if !dependents.is_empty() {
                let (name, noun) = (object.def.name.clone(), object.def.kind.noun());
                return Err(CatalogError::InUse {
                    name,
                    noun,
                    dependents,
                });
            }
        }
        self.objects.retain(|id, _| !going.contains(id));
        self.by_name.retain(|_, id| !going.contains(id));
        self.functions.retain(|_, id| !going.contains(id));
        Ok(())
    }
}

/// The candidate closest to `name`, if one is close enough to have been meant: about one slip in
/// three letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    let scored = candidates.into_iter().map(|candidate| {
        let distance = strsim::damerau_levenshtein(name, &candidate.to_lowercase());
        (
            distance.min(strsim::damerau_levenshtein(name, candidate)),
            candidate,
        )
    });
    let (distance, candidate) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= allowed).then_some(candidate)
}

#[cfg(test)]
pub(crate) mod tests;
