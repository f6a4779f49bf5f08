//! What names mean while a query is planned: relations of the catalog (schema only) and functions.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::TableReference;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use rtsap_catalog::object::{ObjectKind, ObjectNumber, Relation};
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_udfs::postgres::PostgresTypes;

use crate::bind::function::function_of;
use crate::error::{Cause, PlanError, nearest};
use crate::functions::Functions;
use crate::logical::{cast_names, join_marker};

/// A relation of the catalog while a view is planned: it can be named, not read.
#[derive(Clone)]
pub struct StreamTable {
    /// Its identity.
    pub id: ObjectNumber,
    /// Its name.
    pub name: String,
    /// What can be read from it.
    pub relation: Relation,
}

impl fmt::Debug for StreamTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamTable({})", self.name)
    }
}

impl TableSource for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.relation.schema)
    }
}

/// The names of one planning.
pub struct Scope<'a> {
    catalog: &'a CatalogSnapshot,
    functions: &'a Functions,
    options: ConfigOptions,
    /// The functions of users that were asked for.
    called: RefCell<BTreeSet<ObjectNumber>>,
}

impl<'a> Scope<'a> {
    /// The names of this catalog and these functions.
    pub fn new(catalog: &'a CatalogSnapshot, functions: &'a Functions) -> Self {
        Self {
            catalog,
            functions,
            options: options(),
            called: RefCell::default(),
        }
    }

    /// The functions of users that were asked for so far, ascending.
    pub fn called(&self) -> Vec<ObjectNumber> {
        self.called.borrow().iter().copied().collect()
    }

    /// The function that a user made under `name`.
    fn user_function(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let object = self.catalog.function(name)?;
        let function = function_of(object, self.catalog, self.functions).ok()??;
        self.called.borrow_mut().insert(object.def.id);
        Some(function)
    }
}

/// The options under which every statement is planned; sessions that read must use the same.
pub fn options() -> ConfigOptions {
    let mut options = ConfigOptions::default();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    options.sql_parser.enable_subquery_sort_elimination = false;
    options
}

/// The relation called `name`, to be read.
///
/// # Errors
/// [`Cause::UnknownRelation`] with the nearest name, [`Cause::WrongKind`] for a sink, and for a
/// view whose query has not been put in its place.
pub fn relation(catalog: &CatalogSnapshot, name: &str) -> Result<StreamTable, PlanError> {
    let Some(object) = catalog.resolve(name) else {
        let hint = nearest(name, catalog.names());
        let error = PlanError::new(Cause::UnknownRelation {
            name: name.to_owned(),
        });
        return Err(error.maybe_hint(hint));
    };
    let readable = !matches!(object.def.kind, ObjectKind::PlainView(_));
    let Some(relation) = object.relation.as_ref().filter(|_| readable) else {
        let message = format!(
            "\"{name}\" is a {}, which cannot be read",
            object.def.kind.noun()
        );
        return Err(PlanError::new(Cause::WrongKind { message }));
    };
    Ok(StreamTable {
        id: object.def.id,
        name: name.to_owned(),
        relation: relation.clone(),
    })
}

impl ContextProvider for Scope<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let schema = name.schema().unwrap_or(rtsap_catalog::name::SCHEMA);
        if schema != rtsap_catalog::name::SCHEMA {
            let name = format!("{schema}.{}", name.table());
            let error = PlanError::new(Cause::UnknownRelation { name });
            return Err(error
                .hint("Sources, tables and views are in schema public.")
                .into());
        }
        if let Some(stem) = name
            .table()
            .strip_suffix("$late")
            .or(name.table().strip_suffix("$errors"))
        {
            let message = format!("\"{}\" cannot be read by a streaming view", name.table());
            let error = PlanError::new(Cause::WrongKind { message });
            let hint = format!("It shows rows that \"{stem}\" left out; read it with SELECT.");
            return Err(error.hint(hint).into());
        }
        Ok(Arc::new(relation(self.catalog, name.table())?))
    }

    fn get_table_function_source(
        &self,
        name: &str,
        _args: Vec<datafusion::logical_expr::Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        let known = ["tumble", "hop"];
        let error =
            PlanError::unsupported(format!("table function \"{name}\" in a streaming view"));
        Err(error.maybe_hint(nearest(name, known)).into())
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.functions.expr_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PostgresTypes))
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.functions.relation_planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let known = self.functions.scalar.get(name).map(Arc::clone);
        known
            .or_else(|| join_marker::function(name))
            .or_else(|| (name == cast_names::NAME).then(|| Arc::new(cast_names::function())))
            .or_else(|| self.user_function(name))
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.functions.higher_order.get(name).map(Arc::clone)
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate.get(name).map(Arc::clone)
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.functions.window.get(name).map(Arc::clone)
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        let users = self.catalog.function_names().map(str::to_owned);
        self.functions.scalar.keys().cloned().chain(users).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.functions.higher_order.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions.aggregate.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.functions.window.keys().cloned().collect()
    }
}
