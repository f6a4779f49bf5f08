//! Where rows of the inputs leave the stream of input rows, for the ledger.

use rtsap_plan::operator::OperatorSpec;

/// Whether rows that come to such a node go no further as rows of the inputs.
pub(super) fn absorbs(spec: &OperatorSpec) -> bool {
    matches!(
        spec,
        OperatorSpec::LatestByKey { .. }
            | OperatorSpec::WindowAggregate(_)
            | OperatorSpec::SessionAggregate(_)
            | OperatorSpec::GroupAggregate(_)
            | OperatorSpec::TopN(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::WindowAssign { .. }
            | OperatorSpec::Horizon(_)
            | OperatorSpec::Unnest(_)
            | OperatorSpec::IntervalJoin(_)
            | OperatorSpec::AsofJoin(_)
            | OperatorSpec::RegularJoin(_)
    )
}

/// Whether one row that comes to such a node may leave it as several that can be late one by one.
pub(super) fn multiplies(spec: &OperatorSpec) -> bool {
    matches!(spec, OperatorSpec::Unnest(_) | OperatorSpec::Horizon(_))
}
