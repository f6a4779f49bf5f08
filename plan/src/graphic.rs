//! A plan for programs: as JSON, in the manner of PostgreSQL's, and as a graph for Graphviz.

use std::fmt::Write;

use crate::explain::{changelog, operator};
use crate::graph::{Node, NodeIndex, StreamPlan};

/// The plan as JSON: a list of one object, whose `Plan` is the output's node, each with its inputs
/// under `Plans`.
pub fn json(plan: &StreamPlan) -> String {
    let mut out = String::from("[\n  {\n    \"Plan\": ");
    match plan.nodes.len().checked_sub(1) {
        Some(last) => json_node(plan, last, 2, &mut out),
        None => out.push_str("null"),
    }
    out.push_str("\n  }\n]\n");
    out
}

fn json_node(plan: &StreamPlan, index: NodeIndex, depth: usize, out: &mut String) {
    let node = &plan.nodes[index];
    let properties = &node.properties;
    let pad = "  ".repeat(depth + 1);
    let name = |column: &usize| quoted(properties.schema.field(*column).name());
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let columns = properties
        .schema
        .fields()
        .iter()
        .map(|field| quoted(field.name()));
    let entries = [
        ("Node Type", quoted(node.spec.name())),
        ("Details", quoted(&details(node))),
        ("Columns", list(columns.collect())),
        ("Mode", quoted(properties.mode.name())),
        ("Changelog Mode", quoted(changelog(properties.mode))),
        ("Key", list(properties.key.iter().map(name).collect())),
        (
            "Event Time",
            properties
                .event_time
                .as_ref()
                .map_or("null".to_owned(), name),
        ),
        ("State", quoted(&properties.state.to_string())),
    ];
    out.push_str("{\n");
    for (index, (key, value)) in entries.iter().enumerate() {
        let comma = if index == 0 { "" } else { ",\n" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}{pad}  \"{key}\": {value}");
    }
    if !node.inputs.is_empty() {
        let _ = write!(out, ",\n{pad}  \"Plans\": [\n");
        for (port, input) in node.inputs.iter().enumerate() {
            let comma = if port == 0 { "" } else { ",\n" };
            let _ = write!(out, "{comma}{pad}    ");
            json_node(plan, *input, depth + 2, out);
        }
        let _ = write!(out, "\n{pad}  ]");
    }
    let _ = write!(out, "\n{pad}}}");
}

/// The plan as a graph of the DOT language: rows flow along the arrows.
pub fn dot(plan: &StreamPlan) -> String {
    let mut out = String::from("digraph plan {\n  rankdir = BT;\n  node [shape = box];\n");
    for (index, node) in plan.nodes.iter().enumerate() {
        let label = format!("{}\n{}", node.spec.name(), details(node));
        let _ = writeln!(out, "  n{index} [label = {}];", quoted(label.trim_end()));
    }
    for (index, node) in plan.nodes.iter().enumerate() {
        for input in &node.inputs {
            let label = quoted(plan.nodes[*input].properties.mode.name());
            let _ = writeln!(out, "  n{input} -> n{index} [label = {label}];");
        }
    }
    out.push_str("}\n");
    out
}

/// What the text form says behind the operator's name.
fn details(node: &Node) -> String {
    let text = operator(node);
    let details = text.split_once(": ").map_or("", |(_, details)| details);
    details.to_owned()
}

/// A string of JSON, which is one of DOT as well.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other if (other as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", other as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
