//! Plans of one join over two inputs of one schema.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, binary};
use rtsap_plan::graph::{Node, StreamPlan};
use rtsap_plan::join::{
    AsofJoinSpec, IntervalJoinSpec, JoinColumn, JoinKind, Kept, KeyPair, RegularJoinSpec, Side,
};
use rtsap_plan::operator::{ObjectId, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

const SECOND: i64 = 1_000_000_000;

#[derive(Clone, Debug)]
pub struct IntervalCase {
    pub kind: JoinKind,
    /// Seconds.
    pub lower: i64,
    pub upper: i64,
    pub residual: bool,
    /// Whether watermarks of the result speak about the left time.
    pub by_left: bool,
}

#[derive(Clone, Debug)]
pub struct AsofCase {
    pub outer: bool,
    pub strict: bool,
    /// Seconds.
    pub tolerance: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct RegularCase {
    pub kind: JoinKind,
    pub residual: bool,
    /// Seconds.
    pub kept: Option<i64>,
}

/// `ts, k, v, id`.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, false),
        Field::new("id", DataType::Int64, false),
    ]))
}

fn keys() -> Vec<KeyPair> {
    let key = || Arc::new(Column::new("k", 1)) as Arc<dyn PhysicalExpr>;
    vec![(key(), key())]
}

fn residual(wanted: bool) -> Option<Arc<dyn PhysicalExpr>> {
    let both: Vec<_> = [schema(), schema()]
        .iter()
        .flat_map(|schema| schema.fields().iter().map(Arc::clone).collect::<Vec<_>>())
        .collect();
    let column = |index| Arc::new(Column::new("v", index)) as Arc<dyn PhysicalExpr>;
    let less = binary(column(2), Operator::Lt, column(6), &Schema::new(both)).unwrap();
    wanted.then_some(less)
}

/// The ids of both sides, then their times.
fn output(kind: JoinKind) -> Vec<JoinColumn> {
    let column = |side, index| JoinColumn { side, index };
    if kind.pairs() {
        let (l, r) = (Side::Left, Side::Right);
        vec![column(l, 3), column(r, 3), column(l, 0), column(r, 0)]
    } else {
        vec![column(Side::Left, 3), column(Side::Left, 0)]
    }
}

fn plan(
    spec: OperatorSpec,
    output: &[JoinColumn],
    mode: [ChangelogMode; 2],
    event_time: Option<usize>,
) -> StreamPlan {
    let properties = |schema, mode, event_time| StreamProperties {
        schema,
        mode,
        key: vec![],
        event_time,
        state: StateBound::None,
    };
    let input = |id: u64| Node {
        spec: OperatorSpec::Input {
            object: ObjectId(id),
            name: format!("t{id}"),
            columns: (0..4).collect(),
        },
        inputs: vec![],
        properties: properties(schema(), mode[0], Some(0)),
    };
    let fields = output.iter().enumerate().map(|(place, column)| {
        let field = schema().field(column.index).clone();
        field.with_name(format!("c{place}")).with_nullable(true)
    });
    let result = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let join = Node {
        spec,
        inputs: vec![0, 1],
        properties: properties(result, mode[1], event_time),
    };
    StreamPlan {
        nodes: vec![input(0), input(1), join],
    }
}

impl IntervalCase {
    pub fn plan(&self) -> StreamPlan {
        let output = output(self.kind);
        let event_time = match self.kind {
            JoinKind::Full => None,
            JoinKind::Right => Some(3),
            JoinKind::Inner if !self.by_left => Some(3),
            JoinKind::LeftSemi | JoinKind::LeftAnti => Some(1),
            _ => Some(2),
        };
        let spec = IntervalJoinSpec {
            kind: self.kind,
            keys: keys(),
            times: [0, 0],
            lower_nanos: self.lower * SECOND,
            upper_nanos: self.upper * SECOND,
            residual: residual(self.residual),
            output: output.clone(),
            drops_late: [false; 2],
        };
        let mode = [ChangelogMode::Append; 2];
        plan(OperatorSpec::IntervalJoin(spec), &output, mode, event_time)
    }
}

impl AsofCase {
    pub fn plan(&self) -> StreamPlan {
        let output = output(JoinKind::Left);
        let spec = AsofJoinSpec {
            outer: self.outer,
            keys: keys(),
            times: [0, 0],
            strict: self.strict,
            tolerance_nanos: self.tolerance.map(|seconds| seconds * SECOND),
            versions: false,
            output: output.clone(),
        };
        let mode = [ChangelogMode::Append; 2];
        plan(OperatorSpec::AsofJoin(spec), &output, mode, Some(2))
    }
}

impl RegularCase {
    pub fn plan(&self) -> StreamPlan {
        let output = output(self.kind);
        let kept = self.kept.map(|seconds| Kept {
            time: 0,
            nanos: seconds * SECOND,
        });
        let spec = RegularJoinSpec {
            kind: self.kind,
            keys: keys(),
            residual: residual(self.residual),
            kept: [kept; 2],
            lookup: false,
            output: output.clone(),
        };
        let (mode, event_time) = match kept {
            Some(_) => ([ChangelogMode::Append; 2], Some(2)),
            None => ([ChangelogMode::Retract; 2], None),
        };
        plan(OperatorSpec::RegularJoin(spec), &output, mode, event_time)
    }
}
