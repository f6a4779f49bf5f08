//! The functions that statements may call: DataFusion's and our own, by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::{ExprPlanner, RelationPlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use rtsap_udfs::{FunctionRegistry, postgres};

use crate::logical::fill_node::FillPlanner;
use crate::logical::horizon_node::HorizonPlanner;
use crate::logical::window_tvf::WindowPlanner;

/// Functions by name (aliases included), and the planners that know their special syntax.
#[derive(Clone)]
pub struct Functions {
    pub(crate) scalar: HashMap<String, Arc<ScalarUDF>>,
    pub(crate) higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    pub(crate) aggregate: HashMap<String, Arc<AggregateUDF>>,
    pub(crate) window: HashMap<String, Arc<WindowUDF>>,
    pub(crate) expr_planners: Vec<Arc<dyn ExprPlanner>>,
    pub(crate) relation_planners: Vec<Arc<dyn RelationPlanner>>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("scalar", &self.scalar.len())
            .field("aggregate", &self.aggregate.len())
            .field("window", &self.window.len())
            .finish_non_exhaustive()
    }
}

impl Functions {
    /// DataFusion's functions and those of `registry`, which win where names are equal.
    pub fn new(registry: &FunctionRegistry) -> Self {
        let mut functions = Self {
            scalar: HashMap::new(),
            higher_order: HashMap::new(),
            aggregate: HashMap::new(),
            window: HashMap::new(),
            expr_planners: registry.expr_planners.clone(),
            relation_planners: vec![
                Arc::new(WindowPlanner),
                Arc::new(HorizonPlanner),
                Arc::new(FillPlanner),
            ],
        };
        functions
            .expr_planners
            .extend(SessionStateDefaults::default_expr_planners());
        let scalars = SessionStateDefaults::default_scalar_functions();
        for function in scalars.iter().chain(&registry.scalars) {
            insert(
                &mut functions.scalar,
                function.name(),
                function.aliases(),
                function,
            );
        }
        for function in &SessionStateDefaults::default_higher_order_functions() {
            insert(
                &mut functions.higher_order,
                function.name(),
                function.aliases(),
                function,
            );
        }
        let mut aggregates = SessionStateDefaults::default_aggregate_functions();
        aggregates.push(postgres::avg());
        for function in aggregates.iter().chain(&registry.aggregates) {
            insert(
                &mut functions.aggregate,
                function.name(),
                function.aliases(),
                function,
            );
        }
        let windows = SessionStateDefaults::default_window_functions();
        for function in windows.iter().chain(&registry.windows) {
            insert(
                &mut functions.window,
                function.name(),
                function.aliases(),
                function,
            );
        }
        functions
    }

    /// Whether there is a function of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Every name, for hints.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let scalar = self.scalar.keys().chain(self.higher_order.keys());
        scalar
            .chain(self.aggregate.keys())
            .chain(self.window.keys())
            .map(String::as_str)
    }
}

impl Default for Functions {
    fn default() -> Self {
        Self::new(&FunctionRegistry::with_builtins())
    }
}

fn insert<T>(map: &mut HashMap<String, Arc<T>>, name: &str, aliases: &[String], function: &Arc<T>) {
    map.insert(name.to_owned(), Arc::clone(function));
    for alias in aliases {
        map.insert(alias.clone(), Arc::clone(function));
    }
}
