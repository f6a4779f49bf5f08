//! From the specification of a node to the operator that runs it.

use arrow::datatypes::SchemaRef;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::OperatorSpec;

use super::asof_join::AsofJoin;
use super::fill::Fill;
use super::group_aggregate::GroupAggregation;
use super::horizon::Horizon;
use super::in_time::InTime;
use super::interval_join::IntervalJoin;
use super::latest_by_key::LatestByKey;
use super::over::Over;
use super::partition_over::PartitionOver;
use super::regular_join::RegularJoin;
use super::session::SessionAggregation;
use super::stateless::{Filter, Project, Union};
use super::top_n::TopN;
use super::unnest::Unnest;
use super::values::Values;
use super::window_aggregate::WindowAggregation;
use super::window_assign::WindowAssign;
use super::{Operator, OperatorError};

/// Returns the operator of `node`, whose inputs have `input_schemas` by port. An `Input` has none:
/// the dataflow feeds its rows itself.
///
/// # Errors
/// [`OperatorError::Compute`] if an expression or aggregate cannot be served;
/// [`OperatorError::Contract`] if the node contradicts itself.
pub fn operator(
    node: &Node,
    input_schemas: &[SchemaRef],
) -> Result<Box<dyn Operator>, OperatorError> {
    let name = node.spec.name();
    if let OperatorSpec::Values { rows } = &node.spec {
        return Ok(Box::new(Values::new(rows)));
    }
    let Some(input) = input_schemas.first() else {
        return Err(OperatorError::Contract {
            operator: name,
            found: "no input".to_owned(),
        });
    };
    Ok(match &node.spec {
        OperatorSpec::Input { .. } | OperatorSpec::Values { .. } => {
            let found = "rows of its own to compute".to_owned();
            return Err(OperatorError::Contract {
                operator: name,
                found,
            });
        }
        OperatorSpec::LatestByKey { key } => Box::new(LatestByKey::new(node, input, key)?),
        OperatorSpec::Project { exprs } => Box::new(Project::new(node, exprs)),
        OperatorSpec::Filter { predicate } => Box::new(Filter::new(node, predicate)),
        OperatorSpec::WindowAssign {
            window,
            time,
            open_only,
        } => Box::new(WindowAssign::new(node, input, *window, *time, *open_only)?),
        OperatorSpec::WindowAggregate(spec) => Box::new(WindowAggregation::new(node, input, spec)?),
        OperatorSpec::SessionAggregate(spec) => {
            Box::new(SessionAggregation::new(node, input, spec)?)
        }
        OperatorSpec::GroupAggregate(spec) => Box::new(GroupAggregation::new(node, input, spec)?),
        OperatorSpec::TopN(spec) => Box::new(TopN::new(node, input, spec)?),
        OperatorSpec::PartitionOver(spec) => Box::new(PartitionOver::new(node, input, spec)?),
        OperatorSpec::Over(spec) => Box::new(Over::new(node, input, spec)?),
        OperatorSpec::Union => Box::new(Union),
        OperatorSpec::IntervalJoin(spec) => Box::new(IntervalJoin::new(node, input_schemas, spec)?),
        OperatorSpec::Fill(spec) => Box::new(Fill::new(node, input, spec)?),
        OperatorSpec::Horizon(spec) => Box::new(Horizon::new(node, input, spec)?),
        OperatorSpec::Unnest(spec) => Box::new(Unnest::new(node, input, spec)?),
        OperatorSpec::InTime { time } => Box::new(InTime::new(name, input, None, *time)?),
        OperatorSpec::OpenWindows { window, time } => {
            Box::new(InTime::new(name, input, Some(*window), *time)?)
        }
        OperatorSpec::AsofJoin(spec) => Box::new(AsofJoin::new(node, input_schemas, spec)?),
        OperatorSpec::RegularJoin(spec) => Box::new(RegularJoin::new(node, input_schemas, spec)?),
    })
}
