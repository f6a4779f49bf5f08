//! Functions in SQL: checked once when they are created, and put in the place of their calls when
//! a statement is planned.
//!
//! A body is one expression over the parameters. It may call other functions, never itself: a
//! function only sees those that were there before it.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::can_cast_types;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result as DataFusionResult, plan_err};
use datafusion::error::DataFusionError;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::create_physical_expr;
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use rtsap_catalog::object::{FunctionDef, ObjectKind, ObjectNumber, ParameterDef};
use rtsap_catalog::snapshot::{CatalogObject, CatalogSnapshot};
use rtsap_udfs::postgres::{Arithmetic, MixedOperands, PostgresSemantics};

use crate::data_type::SqlType;
use crate::error::{Cause, PlanError};
use crate::functions::Functions;
use crate::logical::scope::Scope;
use crate::logical::translate::translate;
use crate::logical::{function_spelling, literal};
use crate::parse::dialect::Grammar;
use crate::parse::query::syntax;
use crate::statement::CreateFunction;

/// A function that can be created.
#[derive(Clone, Debug)]
pub struct BoundFunction {
    /// What to persist.
    pub def: FunctionDef,
    /// The functions it calls.
    pub depends_on: Vec<ObjectNumber>,
}

/// Binds a statement.
///
/// # Errors
/// Names given twice; bodies that are no expression over the parameters; types that do not fit.
/// Positions are those of the whole text.
pub fn bind_function(
    create: &CreateFunction,
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<BoundFunction, PlanError> {
    let mut seen = BTreeSet::new();
    let mut parameters = Vec::with_capacity(create.parameters.len());
    for (index, (name, sql_type, position)) in create.parameters.iter().enumerate() {
        let name = name.clone().unwrap_or_else(|| format!("${}", index + 1));
        if !seen.insert(name.clone()) {
            let message = format!("parameter name \"{name}\" used more than once");
            return Err(PlanError::new(Cause::Declaration { message }).at(*position));
        }
        let sql_type = sql_type.clone();
        parameters.push(ParameterDef { name, sql_type });
    }
    let def = FunctionDef {
        parameters,
        returns: create.returns.clone(),
        body: create.body.clone(),
    };
    let compiled = compile(&create.name.name, &def, catalog, functions)
        .map_err(|error| error.shifted(create.body_offset))?;
    Ok(BoundFunction {
        def,
        depends_on: compiled.1,
    })
}

/// The function of a catalog object.
///
/// # Errors
/// As [`bind_function`]; only if the definition was made by another version.
pub fn function_of(
    object: &CatalogObject,
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<Option<Arc<ScalarUDF>>, PlanError> {
    let ObjectKind::Function(def) = &object.def.kind else {
        return Ok(None);
    };
    let (function, _) = compile(object.def.name.as_str(), def, catalog, functions)?;
    Ok(Some(Arc::new(ScalarUDF::from(function))))
}

/// All functions that users made.
///
/// # Errors
/// As [`function_of`].
pub fn user_functions(
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<Vec<Arc<ScalarUDF>>, PlanError> {
    let made = catalog
        .objects()
        .filter_map(|object| function_of(object, catalog, functions).transpose());
    made.collect()
}

/// Compiles a definition and says which functions of users it calls.
fn compile(
    name: &str,
    def: &FunctionDef,
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<(SqlFunction, Vec<ObjectNumber>), PlanError> {
    let read = |text: &str| SqlType::read(text).map(|sql_type| sql_type.arrow());
    let mut fields = Vec::with_capacity(def.parameters.len());
    for parameter in &def.parameters {
        fields.push(Field::new(
            &parameter.name,
            read(&parameter.sql_type)?,
            true,
        ));
    }
    let returns = read(&def.returns)?;
    let types: Vec<DataType> = fields
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let schema = DFSchema::try_from(Schema::new(fields));
    let schema = Arc::new(schema.map_err(|error| PlanError::internal(error.to_string()))?);
    let scope = Scope::new(catalog, functions);
    let body = logical(&def.body, &schema, &returns, &scope, functions)?;
    let volatility = volatility(&body)?;
    let function = SqlFunction {
        name: name.to_owned(),
        signature: Signature::user_defined(volatility),
        types,
        returns,
        schema,
        body,
    };
    Ok((function, scope.called()))
}

/// The body over the parameters, coerced, and cast to the type that is returned.
fn logical(
    text: &str,
    schema: &DFSchemaRef,
    returns: &DataType,
    scope: &Scope<'_>,
    functions: &Functions,
) -> Result<Expr, PlanError> {
    let translated = |error: DataFusionError| translate(&error, text, functions);
    let mut parsed = parse_body(text)?;
    function_spelling::rewrite(&mut parsed);
    literal::exact(&mut parsed);
    let options = ParserOptions::new()
        .with_map_string_types_to_utf8view(false)
        .with_collect_spans(true);
    let planner = SqlToRel::new_with_options(scope, options);
    let expr = planner
        .sql_to_expr(parsed, schema, &mut PlannerContext::new())
        .and_then(|expr| named(expr, schema))
        .map_err(translated)?;
    check(&expr)?;
    let context = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .build();
    let expr = MixedOperands.rewrite(expr, schema);
    let expr = expr.map_err(translated)?.data;
    let expr = ExprSimplifier::new(context)
        .coerce(expr, schema)
        .map_err(translated)?;
    let found = expr.get_type(schema.as_ref()).map_err(translated)?;
    if !can_cast_types(&found, returns) {
        let message = format!("the body is {found}, which cannot become {returns}");
        return Err(PlanError::new(Cause::Type { message }).at(1));
    }
    let expr = if found == *returns {
        expr
    } else {
        cast(expr, returns.clone())
    };
    // Bodies are put in the place of calls after the rules for whole statements have run.
    let semantics = PostgresSemantics::new(Arithmetic::Everywhere);
    let expr = semantics.rewrite(expr, schema).map_err(translated)?;
    Ok(expr.data)
}

/// Puts parameters in the place of `$1`, `$2`, …
fn named(expr: Expr, schema: &DFSchemaRef) -> DataFusionResult<Expr> {
    let replaced = expr.transform(|expr| {
        let Expr::Placeholder(placeholder) = &expr else {
            return Ok(Transformed::no(expr));
        };
        let number = placeholder.id.trim_start_matches('$').parse::<usize>().ok();
        let index = number.and_then(|number| number.checked_sub(1));
        match index.and_then(|index| schema.fields().get(index)) {
            Some(field) => Ok(Transformed::yes(Expr::Column(Column::from_name(
                field.name(),
            )))),
            None => plan_err!("there is no parameter {}", placeholder.id),
        }
    });
    replaced.map(|replaced| replaced.data)
}

/// `SELECT expression` or `expression`, as PostgreSQL writes bodies and as it returns them.
fn parse_body(text: &str) -> Result<SqlExpr, PlanError> {
    let dialect = Grammar;
    let trimmed = text.trim_end().trim_end_matches(';');
    let is_select = trimmed
        .trim_start()
        .get(..6)
        .is_some_and(|word| word.eq_ignore_ascii_case("select"));
    let parser = || Parser::new(&dialect).try_with_sql(trimmed);
    if !is_select {
        let parsed = parser().and_then(|mut parser| {
            let expr = parser.parse_expr()?;
            parser.expect_token(&Token::EOF)?;
            Ok(expr)
        });
        return parsed.map_err(|error| syntax(text, &error));
    }
    let statement = parser().and_then(|mut parser| {
        let statement = parser.parse_statement()?;
        parser.expect_token(&Token::EOF)?;
        Ok(statement)
    });
    let statement = statement.map_err(|error| syntax(text, &error))?;
    let only = || -> Option<SqlExpr> {
        let Statement::Query(query) = &statement else {
            return None;
        };
        let plain =
            query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
        let SetExpr::Select(select) = query.body.as_ref() else {
            return None;
        };
        let plain = plain && select.from.is_empty() && select.selection.is_none();
        match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] if plain => {
                Some(expr.clone())
            }
            _ => None,
        }
    };
    only().ok_or_else(|| {
        PlanError::unsupported("a function whose body is more than one expression")
            .at(1)
            .hint("Write SELECT and one expression over the parameters, without FROM.")
    })
}

/// Refuses what has no value for one row.
fn check(expr: &Expr) -> Result<(), PlanError> {
    let mut found = None;
    let visited = expr.apply(|expr| {
        let error = match expr {
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => {
                PlanError::unsupported("a function in SQL that aggregates").hint(
                    "Aggregate in the query, and give the function the result: \
                     f(sum(x), count(x)).",
                )
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                PlanError::unsupported("a subquery in a function").hint("Join in the query.")
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        found = Some(error.at(1));
        Ok(TreeNodeRecursion::Stop)
    });
    visited.map_err(|error| PlanError::internal(error.to_string()))?;
    found.map_or(Ok(()), Err)
}

/// The least certain of the functions that are called.
fn volatility(expr: &Expr) -> Result<Volatility, PlanError> {
    let mut least = Volatility::Immutable;
    let visited = expr.apply(|expr| {
        if let Expr::ScalarFunction(call) = expr {
            least = match (least, call.func.signature().volatility) {
                (Volatility::Volatile, _) | (_, Volatility::Volatile) => Volatility::Volatile,
                (Volatility::Stable, _) | (_, Volatility::Stable) => Volatility::Stable,
                _ => Volatility::Immutable,
            };
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(|error| PlanError::internal(error.to_string()))?;
    Ok(least)
}

/// A function in SQL as DataFusion calls it.
#[derive(Debug)]
struct SqlFunction {
    name: String,
    signature: Signature,
    types: Vec<DataType>,
    returns: DataType,
    /// The parameters as columns.
    schema: DFSchemaRef,
    body: Expr,
}

impl PartialEq for SqlFunction {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.types, &self.body) == (&other.name, &other.types, &other.body)
    }
}

impl Eq for SqlFunction {}

impl Hash for SqlFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.types).hash(state);
    }
}

impl SqlFunction {
    /// How often the body reads each parameter.
    fn uses(&self, index: usize) -> usize {
        let name = self.schema.field(index).name();
        let mut uses = 0;
        // The visit never fails.
        let _visited = self.body.apply(|expr| {
            uses += usize::from(matches!(expr, Expr::Column(column) if column.name() == name));
            Ok(TreeNodeRecursion::Continue)
        });
        uses
    }
}

impl ScalarUDFImpl for SqlFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        if found.len() != self.types.len() {
            let (wanted, given) = (self.types.len(), found.len());
            return plan_err!(
                "function {} takes {wanted} arguments, not {given}",
                self.name
            );
        }
        for (found, wanted) in found.iter().zip(&self.types) {
            if !can_cast_types(found, wanted) {
                return plan_err!("function {} takes {wanted}, not {found}", self.name);
            }
        }
        Ok(self.types.clone())
    }

    fn return_type(&self, _types: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.returns.clone())
    }

    fn simplify(
        &self,
        args: Vec<Expr>,
        _info: &SimplifyContext,
    ) -> DataFusionResult<ExprSimplifyResult> {
        // An argument that gives another value at each call must be asked once only.
        let twice = |(index, arg): (usize, &Expr)| arg.is_volatile() && self.uses(index) > 1;
        if args.len() != self.types.len() || args.iter().enumerate().any(twice) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let place = |expr: Expr| {
            let Expr::Column(column) = &expr else {
                return Ok(Transformed::no(expr));
            };
            let index = self.schema.fields().iter();
            let index = index
                .map(|field| field.name())
                .position(|name| *name == column.name);
            match index.and_then(|index| Some((args.get(index)?, self.types.get(index)?))) {
                // What is put in must not be looked through again: it may name columns alike.
                Some((arg, wanted)) => Ok(Transformed::new(
                    cast(arg.clone(), wanted.clone()),
                    true,
                    TreeNodeRecursion::Jump,
                )),
                None => Ok(Transformed::no(expr)),
            }
        };
        let inlined = self.body.clone().transform_down(place)?.data;
        Ok(ExprSimplifyResult::Simplified(inlined))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
        let body = create_physical_expr(&self.body, &self.schema, &props, &planning)?;
        let columns = args.args.iter().map(|arg| arg.to_array(args.number_rows));
        let columns = columns.collect::<DataFusionResult<Vec<_>>>()?;
        let schema = Arc::clone(self.schema.inner());
        let options = datafusion::arrow::array::RecordBatchOptions::new()
            .with_row_count(Some(args.number_rows));
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)?;
        body.evaluate(&rows)
    }
}

#[cfg(test)]
mod tests;
