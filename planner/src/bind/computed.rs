//! Computed columns: `name AS expression`, as expressions over the physical columns alone.
//!
//! An expression may name any physical column and the computed columns before it; those are put in
//! its place.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility, cast};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_udfs::postgres::{Arithmetic, MixedOperands, PostgresSemantics};

use crate::data_type::SqlType;
use crate::error::{Cause, PlanError};
use crate::functions::Functions;
use crate::logical::scope::Scope;
use crate::logical::translate::translate;
use crate::logical::{function_spelling, literal};
use crate::parse::dialect::Grammar;
use crate::parse::query::syntax;
use crate::statement::ColumnClause;
use crate::streaming::checked::checked_arithmetic;

/// The computed columns of one relation, in order.
pub struct ComputedColumns<'a> {
    functions: &'a Functions,
    catalog: CatalogSnapshot,
    /// Physical columns.
    physical: DFSchemaRef,
    /// Physical columns and the computed ones so far.
    visible: DFSchemaRef,
    /// Earlier computed columns over physical ones.
    expressions: HashMap<String, Expr>,
    compiled: Vec<(String, Arc<dyn PhysicalExpr>)>,
}

/// A computed column, bound.
pub struct ComputedColumn {
    /// Its index among the computed columns.
    pub index: usize,
    /// Its derived type.
    pub sql_type: SqlType,
    /// Name, Arrow type, nullability.
    pub field: FieldRef,
}

impl<'a> ComputedColumns<'a> {
    /// None yet, over these physical columns.
    ///
    /// # Errors
    /// [`Cause::DuplicateColumn`] if two physical columns have one name.
    pub fn new(physical: SchemaRef, functions: &'a Functions) -> Result<Self, PlanError> {
        let schema = DFSchema::try_from(physical);
        let physical = schema.map_err(|error| PlanError::internal(error.to_string()))?;
        let physical = Arc::new(physical);
        Ok(Self {
            functions,
            catalog: CatalogSnapshot::default(),
            visible: Arc::clone(&physical),
            physical,
            expressions: HashMap::new(),
            compiled: Vec::new(),
        })
    }

    /// Binds the next one.
    ///
    /// # Errors
    /// Unknown columns and functions, types that do not fit, aggregates, volatile functions.
    pub fn add(&mut self, column: &ColumnClause, text: &str) -> Result<ComputedColumn, PlanError> {
        let offset = column.expression_offset;
        let (expr, sql_type) = self.logical(text).map_err(|error| error.shifted(offset))?;
        let inner =
            |error: DataFusionError| translate(&error, text, self.functions).shifted(offset);
        let nullable = expr.nullable(self.physical.as_ref()).map_err(inner)?;
        let field = Arc::new(Field::new(&column.name, sql_type.arrow(), nullable));
        let props = ExecutionProps::new();
        let planning = PhysicalPlanningContext::default();
        let physical =
            create_physical_expr(&expr, &self.physical, &props, &planning).map_err(inner)?;
        let physical = checked_arithmetic(physical).map_err(inner)?;
        self.expressions.insert(column.name.clone(), expr);
        let extra = DFSchema::try_from(Schema::new(vec![Arc::clone(&field)]));
        let visible = extra
            .and_then(|extra| self.visible.join(&extra))
            .map_err(inner)?;
        self.visible = Arc::new(visible);
        self.compiled.push((column.name.clone(), physical));
        Ok(ComputedColumn {
            index: self.compiled.len() - 1,
            sql_type,
            field,
        })
    }

    /// Names and expressions, in order.
    pub fn finish(self) -> Vec<(String, Arc<dyn PhysicalExpr>)> {
        self.compiled
    }

    /// The expression over physical columns, coerced and simplified, and its type.
    fn logical(&self, text: &str) -> Result<(Expr, SqlType), PlanError> {
        let translated = |error: DataFusionError| translate(&error, text, self.functions);
        let mut parsed = parse_expression(text)?;
        function_spelling::rewrite(&mut parsed);
        literal::exact(&mut parsed);
        let scope = Scope::new(&self.catalog, self.functions);
        let options = ParserOptions::new()
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true);
        let planner = SqlToRel::new_with_options(&scope, options);
        let expr = planner
            .sql_to_expr(parsed, &self.visible, &mut PlannerContext::new())
            .map_err(translated)?;
        check(&expr, text)?;
        let context = SimplifyContext::builder()
            .with_schema(Arc::clone(&self.visible))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let expr = MixedOperands.rewrite(expr, &self.visible);
        let expr = expr.map_err(translated)?.data;
        let expr = simplifier.coerce(expr, &self.visible).map_err(translated)?;
        let semantics = PostgresSemantics::new(Arithmetic::Constants);
        let expr = semantics.rewrite(expr, &self.visible).map_err(translated)?;
        let expr = expr.data;
        let expr = simplifier.simplify(expr).map_err(translated)?;
        let expr = self.inline(expr).map_err(translated)?;
        let found = expr.get_type(self.physical.as_ref()).map_err(translated)?;
        let Some(sql_type) = SqlType::of_arrow(&found) else {
            let message = format!("a column cannot be of type {found}");
            let error = PlanError::new(Cause::Type { message }).at(1);
            return Err(error.hint("Put CAST(… AS …) around the expression."));
        };
        // Also brings an instant written in another way (`+00:00`) to `UTC`.
        let wanted = sql_type.arrow();
        let expr = if wanted == found {
            expr
        } else {
            cast(expr, wanted)
        };
        Ok((expr, sql_type))
    }

    /// Puts earlier computed columns in the place of their names.
    fn inline(&self, expr: Expr) -> datafusion::error::Result<Expr> {
        let inlined = expr.transform(|expr| match &expr {
            Expr::Column(column) => match self.expressions.get(column.name()) {
                Some(earlier) => Ok(Transformed::yes(earlier.clone())),
                None => Ok(Transformed::no(expr)),
            },
            _ => Ok(Transformed::no(expr)),
        });
        inlined.map(|inlined| inlined.data)
    }
}

fn parse_expression(text: &str) -> Result<SqlExpr, PlanError> {
    let dialect = Grammar;
    let parsed = Parser::new(&dialect)
        .try_with_sql(text)
        .and_then(|mut parser| {
            let expr = parser.parse_expr()?;
            parser.expect_token(&Token::EOF)?;
            Ok(expr)
        });
    parsed.map_err(|error| syntax(text, &error))
}

/// Refuses what has no value for one row, or another value each time.
fn check(expr: &Expr, text: &str) -> Result<(), PlanError> {
    let mut found: Option<PlanError> = None;
    let visited = expr.apply(|expr| {
        let error = match expr {
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => {
                PlanError::expression("a computed column cannot aggregate")
                    .hint("Aggregate in a streaming view.")
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                PlanError::unsupported("a subquery in a computed column")
            }
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable =>
            {
                let name = call.name().to_owned();
                PlanError::new(Cause::Volatile { name })
                    .hint("Use the metadata column 'timestamp' for the time a payload was written.")
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        found = Some(error.at(1));
        Ok(TreeNodeRecursion::Stop)
    });
    visited.map_err(|error| PlanError::internal(format!("{text}: {error}")))?;
    found.map_or(Ok(()), Err)
}
