//! Makes a failing case small: fewer actions, fewer rows, a simpler view, as long as it fails.

use crate::case::{Action, Case, STREAMS, bases};
use crate::rel::{Emit, Rel};
use crate::run::{Outcome, run};
use crate::value::Type;

/// Runs at most: each takes some tens of milliseconds.
const RUNS_MAX: usize = 400;

/// The search for a smaller case.
struct Search {
    best: Case,
    said: String,
    runs: usize,
}

/// The smallest case found that still fails with its last view, and what is wrong with it.
///
/// `case` fails with view `view`, saying `said`.
pub async fn smallest(case: &Case, view: usize, said: String) -> (Case, String) {
    let mut alone = case.clone();
    alone.views = vec![case.views[view].clone()];
    let mut search = Search {
        best: case.clone(),
        said,
        runs: 0,
    };
    if !search.fails(alone).await {
        // Together with the others only: a smaller case would be another one.
        return (search.best, search.said);
    }
    while search.runs < RUNS_MAX {
        let before = search.runs;
        let mut smaller = search.fewer_actions().await;
        smaller |= search.simpler_view().await;
        smaller |= search.fewer_rows().await;
        if !smaller || search.runs == before {
            break;
        }
    }
    (search.best, search.said)
}

impl Search {
    /// Takes `case` if it still fails.
    async fn fails(&mut self, case: Case) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let said = match run(&case).await {
            Ok(outcomes) => match outcomes.into_iter().next() {
                Some(Outcome::Wrong(said)) => said,
                _ => return false,
            },
            Err(_) => return false,
        };
        self.best = case;
        self.said = said;
        true
    }

    async fn fewer_actions(&mut self) -> bool {
        let mut found = false;
        let mut size = self.best.actions.len().div_ceil(2);
        // What is late is final only by the last writes.
        let last = if self.best.late { STREAMS } else { 0 };
        while size > 0 {
            let mut start = 0;
            while start + last < self.best.actions.len() {
                let mut case = self.best.clone();
                let end = (start + size).min(case.actions.len() - last);
                case.actions.drain(start..end);
                let at = case.views[0].at;
                case.views[0].at = if at >= end {
                    at - (end - start)
                } else {
                    at.min(start)
                };
                if self.fails(case).await {
                    found = true;
                } else {
                    start += size;
                }
            }
            size /= 2;
        }
        found
    }

    async fn fewer_rows(&mut self) -> bool {
        let mut found = false;
        let mut index = 0;
        while index < self.best.actions.len() {
            let count = match &self.best.actions[index] {
                Action::Arrive(_, _, rows) | Action::Insert(_, rows) => rows.len(),
                _ => 0,
            };
            for row in (0..count).rev().filter(|_| count > 1) {
                let mut case = self.best.clone();
                if let Action::Arrive(_, _, rows) | Action::Insert(_, rows) =
                    &mut case.actions[index]
                    && rows.len() > 1
                {
                    rows.remove(row);
                    found |= self.fails(case).await;
                }
            }
            index += 1;
        }
        found
    }

    async fn simpler_view(&mut self) -> bool {
        let mut found = false;
        loop {
            let mut candidates = Vec::new();
            let view = &self.best.views[0];
            for rel in simpler(&view.rel) {
                let mut case = self.best.clone();
                case.views[0].rel = rel;
                candidates.push(case);
            }
            if view.emit != Emit::Default {
                let mut case = self.best.clone();
                case.views[0].emit = Emit::Default;
                candidates.push(case);
            }
            if view.at > 0 {
                let mut case = self.best.clone();
                case.views[0].at = 0;
                candidates.push(case);
            }
            candidates.extend(plainer(&self.best));
            let mut smaller = false;
            for case in candidates {
                if self.fails(case).await {
                    smaller = true;
                    break;
                }
            }
            if !smaller {
                return found;
            }
            found = true;
        }
    }
}

/// The case with fewer splits, and without zones.
fn plainer(case: &Case) -> Vec<Case> {
    let mut out = Vec::new();
    for stream in 0..case.splits.len() {
        if case.splits[stream] > 1 {
            let mut one = case.clone();
            one.splits[stream] = 1;
            // Rows of several splits in one are out of order.
            one.delays[stream] = 60_000_000;
            for action in &mut one.actions {
                if let Action::Arrive(base, split, _) = action
                    && *base == stream
                {
                    *split = 0;
                }
            }
            out.push(one);
        }
    }
    if case.zoned {
        out.push(Case {
            zoned: false,
            ..case.clone()
        });
    }
    out
}

/// Simpler queries, the simplest first. Those below the root have the columns of what they replace.
fn simpler(rel: &Rel) -> Vec<Rel> {
    let mut out: Vec<Rel> = rel.inputs().into_iter().cloned().collect();
    out.extend(fewer_calls(rel));
    out.extend(same_columns(rel));
    out
}

fn types(rel: &Rel) -> Vec<Type> {
    rel.shape(&bases()).types
}

/// Simpler queries with the same columns.
fn same_columns(rel: &Rel) -> Vec<Rel> {
    let wanted = types(rel);
    let mut out: Vec<Rel> = rel.inputs().into_iter().cloned().collect();
    out.extend((0..bases().len()).map(Rel::Base));
    out.retain(|other| types(other) == wanted && other.size() < rel.size());
    out.extend(fewer_conditions(rel));
    for (index, input) in rel.inputs().into_iter().enumerate() {
        for simpler in same_columns(input) {
            let mut inputs: Vec<Rel> = rel.inputs().into_iter().cloned().collect();
            inputs[index] = simpler;
            out.push(with_inputs(rel, inputs));
        }
    }
    out
}

fn fewer_conditions(rel: &Rel) -> Option<Rel> {
    let mut out = rel.clone();
    match &mut out {
        Rel::Select(select) => select.filter = None,
        Rel::Group(group) => group.having = None,
        Rel::Window(window) => window.having = None,
        Rel::Join(join) => join.residual = None,
        _ => return None,
    }
    let had = match rel {
        Rel::Select(select) => select.filter.is_some(),
        Rel::Group(group) => group.having.is_some(),
        Rel::Window(window) => window.having.is_some(),
        Rel::Join(join) => join.residual.is_some(),
        _ => false,
    };
    had.then_some(out)
}

/// The root with one call or column less.
fn fewer_calls(rel: &Rel) -> Vec<Rel> {
    let count = match rel {
        Rel::Group(group) if group.having.is_none() => group.calls.len(),
        Rel::Window(window) if window.having.is_none() => window.calls.len(),
        Rel::Over(over) => over.calls.len(),
        Rel::Select(select) => select.columns.len(),
        _ => 0,
    };
    let less = (0..count).filter(|_| count > 1).map(|index| {
        let mut out = rel.clone();
        match &mut out {
            Rel::Group(group) => drop(group.calls.remove(index)),
            Rel::Window(window) => drop(window.calls.remove(index)),
            Rel::Over(over) => drop(over.calls.remove(index)),
            Rel::Select(select) => drop(select.columns.remove(index)),
            _ => {}
        }
        out
    });
    less.collect()
}

/// `rel` over other inputs.
fn with_inputs(rel: &Rel, inputs: Vec<Rel>) -> Rel {
    let mut out = rel.clone();
    let mut inputs = inputs.into_iter();
    let mut next = |place: &mut Box<Rel>| {
        if let Some(input) = inputs.next() {
            **place = input;
        }
    };
    match &mut out {
        Rel::Base(_) => {}
        Rel::Stored(from, _) | Rel::Assigned(from, ..) => next(from),
        Rel::Select(select) => next(&mut select.from),
        Rel::Group(group) => next(&mut group.from),
        Rel::Window(window) => next(&mut window.from),
        Rel::Top(top) => next(&mut top.from),
        Rel::Over(over) => next(&mut over.from),
        Rel::Join(join) => {
            next(&mut join.left);
            next(&mut join.right);
        }
        Rel::Asof(asof) => {
            next(&mut asof.left);
            next(&mut asof.right);
        }
        Rel::Sets(sets) => {
            next(&mut sets.left);
            next(&mut sets.right);
        }
        Rel::Subquery(subquery) => {
            next(&mut subquery.from);
            next(&mut subquery.inner);
        }
        Rel::Unnest(unnest) => next(&mut unnest.from),
        Rel::Union(all, _) => *all = inputs.collect(),
    }
    out
}
