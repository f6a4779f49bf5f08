//! Where rows of the inputs leave the stream of input rows, for the ledger.

use rtsap_plan::operator::OperatorSpec;

/// Whether rows that come to such a node go no further as rows of the inputs.
pub(super) fn absorbs(spec: &OperatorSpec) -> bool {
    matches!(
        spec,
        OperatorSpec::WindowAggregate(_)
            | OperatorSpec::SessionAggregate(_)
            | OperatorSpec::GroupAggregate(_)
            | OperatorSpec::TopN(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::WindowAssign { .. }
            | OperatorSpec::IntervalJoin(_)
            | OperatorSpec::AsofJoin(_)
            | OperatorSpec::RegularJoin(_)
    )
}
