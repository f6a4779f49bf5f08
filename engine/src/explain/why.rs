//! `EXPLAIN WHY v`: what a view waits for. Which input, and which split of it, holds event time
//! back; what is let go of next, and when.

use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_plan::graph::StreamPlan;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::window::Nanos;
use rtsap_planner::statement::Name;
use rtsap_runtime::status::{OperatorStatus, RuntimeStatus, ViewStatus};
use rtsap_stream::time::EventTime;

use crate::error::EngineError;
use crate::sequence::plan_of;
use crate::session::Session;

use super::planned;

/// How deep views over views are looked through.
const DEPTH_MAX: usize = 16;

/// The lines of the answer.
///
/// # Errors
/// `RT0201` for an unknown name, `RT0541` for what is no streaming view.
pub(super) fn why(session: &Session, name: &Name) -> Result<Vec<String>, EngineError> {
    let catalog = session.instance.snapshot();
    let hint = "EXPLAIN WHY is about streaming views.";
    let (object, plan) = planned(session, &catalog, name, Some(hint))?;
    let status = session.instance.runtime.status();
    let Some(view) = status.views.iter().find(|view| view.id.0 == object.def.id) else {
        return Ok(vec!["No figures yet.".to_owned()]);
    };
    let mut lines = vec![format!(
        "streaming view \"{}\" is {}",
        object.def.name,
        view.health.name()
    )];
    if let Some(reason) = view.health.reason() {
        lines.push(format!("  because {reason}"));
    }
    lines.push(match view.watermark {
        Some(time) if time > EventTime::MIN => {
            format!("event time of the result is {}", instant(time))
        }
        _ => "event time of the result is not known".to_owned(),
    });
    let inquiry = Inquiry {
        session,
        catalog: &catalog,
        status: &status,
    };
    inquiry.inputs(&plan, view, 1, &mut lines);
    let waiting = plan.nodes.iter().zip(&view.operators);
    let before = lines.len();
    for (node, operator) in waiting {
        lines.extend(held(node.spec.name(), operator));
    }
    if lines.len() == before {
        lines.push("nothing waits for event time".to_owned());
    }
    if view.ledger.late > 0 {
        let late = view.ledger.late;
        lines.push(format!(
            "{late} rows came too late: see \"{}$late\"",
            object.def.name
        ));
    }
    Ok(lines)
}

struct Inquiry<'a> {
    session: &'a Session,
    catalog: &'a CatalogSnapshot,
    status: &'a RuntimeStatus,
}

impl Inquiry<'_> {
    /// A line for each input, the one that holds event time back marked, and what it waits for
    /// itself.
    fn inputs(&self, plan: &StreamPlan, view: &ViewStatus, depth: usize, lines: &mut Vec<String>) {
        let pad = "  ".repeat(depth);
        let leaves = plan.nodes.iter().zip(&view.operators);
        let mut leaves: Vec<_> = leaves
            .filter_map(|(node, operator)| match &node.spec {
                OperatorSpec::Input { object, name, .. } => Some((object.0, name, operator)),
                _ => None,
            })
            .collect();
        leaves.sort_by_key(|(id, ..)| *id);
        leaves.dedup_by_key(|(id, ..)| *id);
        let awake = leaves.iter().filter(|(.., operator)| !operator.idle);
        let least = awake
            .map(|(.., operator)| operator.watermark)
            .min()
            .flatten();
        let several = leaves.len() > 1;
        for (id, name, operator) in &leaves {
            let known = match operator.watermark {
                None => "has no event time yet: it holds everything back".to_owned(),
                Some(_) if operator.idle => "is idle and left out".to_owned(),
                Some(time) => {
                    let holds = several && operator.watermark == least;
                    let mark = if holds {
                        ", the least: it holds the others back"
                    } else {
                        ""
                    };
                    format!("is at {}{mark}", instant(time))
                }
            };
            let noun = self
                .catalog
                .by_id(*id)
                .map_or("input", |found| found.def.kind.noun());
            lines.push(format!("{pad}{noun} \"{name}\" {known}"));
            self.splits(*id, depth + 1, lines);
            let below = self.status.views.iter().find(|view| view.id.0 == *id);
            let plan = plan_of(&self.session.instance, *id);
            if let (Some(below), Some(plan)) = (below, plan)
                && depth < DEPTH_MAX
            {
                self.inputs(&plan, below, depth + 1, lines);
            }
        }
    }

    /// A line for each split of a source, the slowest marked.
    fn splits(&self, source: u64, depth: usize, lines: &mut Vec<String>) {
        let Some(source) = self
            .status
            .sources
            .iter()
            .find(|found| found.id.0 == source)
        else {
            return;
        };
        let pad = "  ".repeat(depth);
        if source.waits_for_group {
            let group = "scan.watermark.alignment.group";
            lines.push(format!(
                "{pad}it is not read: it is ahead of its {group} by more than the max-drift"
            ));
        }
        let count = source
            .splits
            .iter()
            .filter(|split| !split.idle && !split.ended);
        let least = count.clone().map(|split| split.watermark).min().flatten();
        let several = count.count() > 1;
        for split in &source.splits {
            let known = match split.watermark {
                _ if split.ended => "has ended".to_owned(),
                _ if split.idle => "is idle and left out".to_owned(),
                None => "has had no row: it holds everything back".to_owned(),
                Some(time) => {
                    let holds = several && split.watermark == least;
                    let mark = if holds {
                        ", the least: it holds the source back"
                    } else {
                        ""
                    };
                    format!("is at {}{mark}", instant(time))
                }
            };
            lines.push(format!("{pad}split {} {known}", split.id));
        }
    }
}

/// What an operator holds, and what lets go of it.
fn held(name: &str, operator: &OperatorStatus) -> Vec<String> {
    let Some(waiting) = operator.waiting else {
        return Vec::new();
    };
    let mut line = format!(
        "{name} holds {} {}; the next is let go of when event time is at {}",
        waiting.count,
        waiting.what,
        instant(waiting.next)
    );
    if let Some(time) = operator.watermark {
        let left = waiting.next.nanos().saturating_sub(time.nanos());
        if left > 0 && left < i64::MAX / 2 {
            line.push_str(&format!(", {} from now", Nanos(left)));
        }
    }
    vec![line]
}

/// An event time for people.
pub(super) fn instant(time: EventTime) -> String {
    if time == EventTime::MAX {
        return "the end".to_owned();
    }
    let time = chrono::DateTime::from_timestamp_nanos(time.nanos());
    time.format("%Y-%m-%d %H:%M:%S%.f+00").to_string()
}
