//! Our window functions as functions that go on from row to row: the bridge between `udfs`, which
//! has them, and the plan, which does not know it.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, WindowFunctionDefinition, WindowUDF};
use datafusion::physical_expr::PhysicalExpr;
use rtsap_plan::over::{AlongFunction, Course, OverFunction};
use rtsap_udfs::running::{self, Along, Running};

use crate::error::PlanError;
use crate::streaming::Compiler;

impl Compiler<'_> {
    /// A call that goes on from row to row; `None` for functions that are not ours.
    ///
    /// # Errors
    /// What the function refuses of its constants; a function that cannot go on is refused with
    /// the reason.
    pub(super) fn along(
        &self,
        expr: &Expr,
        function: &WindowFunction,
        schema: &DFSchema,
    ) -> std::result::Result<Option<OverFunction>, PlanError> {
        let WindowFunctionDefinition::WindowUDF(udf) = &function.fun else {
            return Ok(None);
        };
        let arguments = function.params.args.iter();
        let arguments = arguments.map(|argument| self.physical(argument, schema));
        let arguments = arguments.collect::<std::result::Result<Vec<_>, _>>()?;
        let Some(along) = running::along(udf, &arguments) else {
            return Ok(None);
        };
        let (series, layout) = match along.map_err(|error| self.ours(&error))? {
            Along::Running { series, layout } => (series, layout),
            Along::Refused(reason, hint) => {
                let what = format!("{} in a streaming view", udf.name());
                let error = PlanError::unsupported(what);
                return Err(error
                    .detail(format!("Its state has no bound: {reason}."))
                    .hint(hint));
            }
        };
        let types = arguments
            .iter()
            .map(|argument| argument.data_type(schema.inner()));
        let call = Call {
            udf: Arc::clone(udf),
            name: match layout {
                1 => expr.schema_name().to_string(),
                // State is only restored into a plan of the same text.
                _ => format!("{} state layout {layout}", expr.schema_name()),
            },
            types: types
                .collect::<Result<_>>()
                .map_err(|error| self.ours(&error))?,
            arguments: arguments.clone(),
        };
        // Begun once, so that what it refuses is refused now.
        call.start().map_err(|error| self.ours(&error))?;
        let arguments = arguments.into_iter().take(series);
        Ok(Some(OverFunction::Along {
            function: Arc::new(call),
            series: arguments.collect(),
        }))
    }
}

/// One call of one of our functions.
#[derive(Debug)]
struct Call {
    udf: Arc<WindowUDF>,
    name: String,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    types: Vec<DataType>,
}

impl AlongFunction for Call {
    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self) -> Result<Box<dyn Course>> {
        let running = running::start(&self.udf, &self.arguments, &self.types)?;
        Ok(Box::new(Begun(running)))
    }
}

#[derive(Debug)]
struct Begun(Box<dyn Running>);

impl Course for Begun {
    fn advance(&mut self, series: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
        self.0.advance(series, row_count)
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.save()
    }

    fn load(&mut self, saved: &[u8]) -> Result<()> {
        self.0.load(saved)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
