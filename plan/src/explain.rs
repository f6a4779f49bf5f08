//! The stable text form of a plan, used by `EXPLAIN`, by goldens and as the fingerprint of state.

use std::fmt::Write;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::graph::{Node, NodeIndex, StreamPlan};
use crate::grouping;
use crate::operator::{
    AggregateSpec, Emit, GroupAggregateSpec, OperatorSpec, WindowAggregateSpec, WindowColumn,
};
use crate::window::Nanos;

use rtsap_stream::change::ChangelogMode;

/// The plan as a tree, the output first, two spaces an input level, one node a line.
pub fn text(plan: &StreamPlan) -> String {
    text_with(plan, &|_| String::new())
}

/// As [`text`], with `remark` of each node behind it.
pub fn text_with(plan: &StreamPlan, remark: &dyn Fn(NodeIndex) -> String) -> String {
    let mut out = String::new();
    if !plan.nodes.is_empty() {
        write_node(plan, plan.nodes.len() - 1, 0, remark, &mut out);
    }
    out
}

/// The changes that a node sends, by the letters that Flink has for them: rows come (`I`), are
/// updated (`UB` before, `UA` after) and go (`D`).
pub const fn changelog(mode: ChangelogMode) -> &'static str {
    match mode {
        ChangelogMode::Append => "[I]",
        ChangelogMode::Upsert => "[I,UA,D]",
        ChangelogMode::Retract => "[I,UB,UA,D]",
    }
}

fn write_node(
    plan: &StreamPlan,
    index: NodeIndex,
    depth: usize,
    remark: &dyn Fn(NodeIndex) -> String,
    out: &mut String,
) {
    let node = &plan.nodes[index];
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{:indent$}{}{}{}",
        "",
        operator(node),
        properties(node),
        remark(index),
        indent = depth * 2
    );
    for input in &node.inputs {
        write_node(plan, *input, depth + 1, remark, out);
    }
}

/// By which key groups close.
fn closing_text(spec: &GroupAggregateSpec) -> String {
    let key = spec.closes.and_then(|key| spec.keys.get(key));
    key.map_or_else(String::new, |key| format!(" until {key}"))
}

/// The operator with its arguments: `Filter: price > 10`.
pub fn operator(node: &Node) -> String {
    let names = column_names(node);
    match &node.spec {
        OperatorSpec::Input { name, .. } => format!("Input: {name} [{names}]"),
        OperatorSpec::Values { rows } => format!("Values: {} [{names}]", rows_text(rows)),
        OperatorSpec::LatestByKey { key } => {
            let fields = node.properties.schema.fields();
            let key = key.iter().map(|index| fields[*index].name().as_str());
            format!("LatestByKey: by [{}]", key.collect::<Vec<_>>().join(", "))
        }
        OperatorSpec::Project { exprs } => {
            let fields = node.properties.schema.fields();
            let columns = exprs.iter().zip(fields).map(|(expr, field)| {
                let text = expr.to_string();
                let bare = text.split('@').next() == Some(field.name().as_str());
                if bare {
                    text
                } else {
                    format!("{text} AS {}", field.name())
                }
            });
            format!("Project: {}", columns.collect::<Vec<_>>().join(", "))
        }
        OperatorSpec::Filter { predicate } => format!("Filter: {predicate}"),
        OperatorSpec::WindowAssign {
            window,
            time,
            open_only,
        } => {
            let open = if *open_only { " while open" } else { "" };
            format!("WindowAssign: {window} on @{time}{open}")
        }
        OperatorSpec::WindowAggregate(spec) => {
            format!("WindowAggregate: {} {}", spec.window, windowed(spec))
        }
        OperatorSpec::SessionAggregate(spec) => {
            let window = spec.aggregate.window;
            let partition = list(&spec.partition);
            let rest = windowed(&spec.aggregate);
            format!("SessionAggregate: {window} partition [{partition}] {rest}")
        }
        OperatorSpec::GroupAggregate(spec) => format!(
            "GroupAggregate: by [{}]{}{} compute [{}]",
            list(&spec.keys),
            grouping::text(&spec.sets),
            closing_text(spec),
            aggregates(&spec.aggregates)
        ),
        OperatorSpec::TopN(spec) => spec.text(),
        OperatorSpec::PartitionOver(spec) => spec.text(),
        OperatorSpec::Over(spec) => spec.text(),
        OperatorSpec::Union => "Union".to_owned(),
        OperatorSpec::IntervalJoin(spec) => format!("IntervalJoin: {spec}"),
        OperatorSpec::AsofJoin(spec) => format!("AsofJoin: {spec}"),
        OperatorSpec::RegularJoin(spec) => format!("RegularJoin: {spec}"),
        OperatorSpec::Fill(spec) => format!("Fill: {spec}"),
        OperatorSpec::Horizon(spec) => format!("Horizon: {spec}"),
        OperatorSpec::Unnest(spec) => format!("Unnest: {spec}"),
        OperatorSpec::InTime { time } => format!("InTime: on @{time}"),
        OperatorSpec::OpenWindows { window, time } => format!("OpenWindows: {window} on @{time}"),
    }
}

/// `(1, a), (2, b)`.
fn rows_text(rows: &RecordBatch) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let cell = |column: &ArrayRef, row: usize| {
        let formatter = ArrayFormatter::try_new(column, &options);
        formatter.map_or_else(|error| error.to_string(), |all| all.value(row).to_string())
    };
    let row = |row: usize| {
        let cells = rows.columns().iter().map(|column| cell(column, row));
        format!("({})", cells.collect::<Vec<_>>().join(", "))
    };
    let all: Vec<String> = (0..rows.num_rows()).map(row).collect();
    all.join(", ")
}

fn windowed(spec: &WindowAggregateSpec) -> String {
    let emit = match spec.emit {
        Emit::Changes => "changes".to_owned(),
        Emit::OnClose { delay_nanos: 0 } => "on close".to_owned(),
        Emit::OnClose { delay_nanos } => format!("on close + {}", Nanos(delay_nanos)),
    };
    let lateness = match spec.lateness_nanos {
        0 => String::new(),
        nanos => format!(", lateness {}", Nanos(nanos)),
    };
    let output = spec.output.iter().map(|column| match column {
        WindowColumn::Start => "start".to_owned(),
        WindowColumn::End => "end".to_owned(),
        WindowColumn::Time => "time".to_owned(),
        WindowColumn::Key(index) => format!("key {index}"),
        WindowColumn::Aggregate(index) => format!("aggregate {index}"),
    });
    format!(
        "on @{} by [{}]{} compute [{}] give [{}] emit {emit}{lateness}",
        spec.time,
        list(&spec.keys),
        grouping::text(&spec.sets),
        aggregates(&spec.aggregates),
        output.collect::<Vec<_>>().join(", "),
    )
}

/// What holds for the node's output: ` | mode=upsert(0, 1) time=ts state=per key`.
pub fn properties(node: &Node) -> String {
    let properties = &node.properties;
    let mut out = format!(" | mode={}", properties.mode.name());
    if !properties.key.is_empty() {
        let key = properties
            .key
            .iter()
            .map(|index| properties.schema.field(*index).name().as_str());
        let _ = write!(out, "({})", key.collect::<Vec<_>>().join(", "));
    }
    if let Some(index) = properties.event_time {
        let _ = write!(out, " time={}", properties.schema.field(index).name());
    }
    let _ = write!(out, " state={}", properties.state);
    out
}

fn column_names(node: &Node) -> String {
    let fields = node.properties.schema.fields();
    fields
        .iter()
        .map(|field| field.name().as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn list<T: std::fmt::Display + ?Sized>(items: &[std::sync::Arc<T>]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn aggregates(specs: &[AggregateSpec]) -> String {
    let texts = specs.iter().map(|spec| {
        let keeping = if spec.keeps_rows { " keeping rows" } else { "" };
        match &spec.filter {
            None => format!("{}{keeping}", spec.function.name()),
            Some(filter) => format!("{} where {filter}{keeping}", spec.function.name()),
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}
