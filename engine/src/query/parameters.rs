//! `$1`, `$2`, …: which types they have, and their values put in.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::scalar::ScalarValue;

use crate::error::EngineError;

/// Parameters a statement may have: PostgreSQL's own limit.
const PARAMETERS_MAX: usize = 65_535;

/// Finds the type of every parameter of `plan` and writes it into the plan.
///
/// What the client declared wins; then what DataFusion inferred from the surroundings; the rest is
/// text, as in PostgreSQL.
pub(crate) fn typed(
    plan: LogicalPlan,
    declared: &[Option<DataType>],
) -> Result<(LogicalPlan, Vec<DataType>)> {
    let inferred = plan.get_parameter_types()?;
    let counts = in_limits(&plan)?;
    let arrays = as_arrays(&plan)?;
    let highest = inferred
        .keys()
        .filter_map(|name| number(name))
        .max()
        .unwrap_or(0);
    let count = highest.max(declared.len()).min(PARAMETERS_MAX);
    if count == 0 {
        return Ok((plan, Vec::new()));
    }
    let type_of = |index: usize| {
        let name = format!("${}", index + 1);
        let of_context = inferred.get(&name).cloned().flatten();
        let of_limit = counts.contains(&name).then_some(DataType::Int64);
        let declared = declared.get(index).cloned().flatten();
        declared
            .or(of_limit)
            .or_else(|| arrays.get(&name).cloned())
            .or(of_context)
            .filter(|t| *t != DataType::Null)
            .unwrap_or(DataType::Utf8)
    };
    let types: Vec<DataType> = (0..count).map(type_of).collect();
    let by_name: HashMap<String, DataType> = types
        .iter()
        .enumerate()
        .map(|(i, t)| (format!("${}", i + 1), t.clone()))
        .collect();
    let plan = plan.transform_up_with_subqueries(|node| {
        let node =
            node.map_expressions(|expr| expr.transform_up(|expr| Ok(fill(expr, &by_name))))?;
        if node.transformed {
            node.map_data(LogicalPlan::recompute_schema)
        } else {
            Ok(node)
        }
    })?;
    Ok((plan.data, types))
}

/// `plan` with `values` in the places of its parameters, each cast to the type it was announced
/// with.
///
/// # Errors
/// `RT0513` if there are too few or too many values, or one cannot be cast.
pub(crate) fn filled(
    plan: &LogicalPlan,
    types: &[DataType],
    values: &[ScalarValue],
) -> std::result::Result<LogicalPlan, EngineError> {
    if values.len() != types.len() {
        let message = format!(
            "{} parameters given, but the statement has {}",
            values.len(),
            types.len()
        );
        return Err(EngineError::invalid("RT0513", message).sqlstate("08P01"));
    }
    if types.is_empty() {
        return Ok(plan.clone());
    }
    let cast = values
        .iter()
        .zip(types)
        .enumerate()
        .map(|(index, (value, wanted))| {
            value.cast_to(wanted).map_err(|error| {
                let message = format!("cannot read parameter ${} as {wanted}", index + 1);
                EngineError::invalid("RT0513", message)
                    .sqlstate("22P02")
                    .detail(format!("{error}."))
            })
        });
    let cast = cast.collect::<std::result::Result<Vec<_>, _>>()?;
    let filled = plan.clone().with_param_values(ParamValues::from(cast));
    filled.map_err(|error| {
        EngineError::invalid("RT0513", format!("cannot use these parameters: {error}"))
            .sqlstate("08P01")
    })
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix('$')?.parse().ok()
}

/// Parameters that stand in `LIMIT` or `OFFSET`, which DataFusion does not infer.
fn in_limits(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut names = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expr in limit.skip.iter().chain(&limit.fetch) {
                expr.apply(|expr| {
                    if let Expr::Placeholder(placeholder) = expr {
                        names.push(placeholder.id.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(names)
}

/// Parameters that are searched as arrays: `x = ANY($1)`.
fn as_arrays(plan: &LogicalPlan) -> Result<HashMap<String, DataType>> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let schemas: Vec<_> = node.inputs().into_iter().map(LogicalPlan::schema).collect();
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && call.name() == "array_has"
                    && let [Expr::Placeholder(placeholder), element] = call.args.as_slice()
                    && let Some(element) = schemas.iter().find_map(|s| element.get_type(s).ok())
                {
                    let list = DataType::new_list(element, true);
                    found.insert(placeholder.id.clone(), list);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn fill(expr: Expr, types: &HashMap<String, DataType>) -> Transformed<Expr> {
    match expr {
        Expr::Placeholder(Placeholder { id, field }) => {
            let wanted = types.get(&id);
            let same = field.as_ref().map(|field| field.data_type()) == wanted;
            let field = match wanted {
                Some(data_type) if !same => {
                    Some(Arc::new(Field::new(&id, data_type.clone(), true)))
                }
                _ => field,
            };
            Transformed::new_transformed(Expr::Placeholder(Placeholder { id, field }), !same)
        }
        other => Transformed::no(other),
    }
}
