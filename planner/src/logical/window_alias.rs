//! Windows as Arroyo has them: `SELECT tumble(INTERVAL '1' MINUTE) AS w, … GROUP BY w`, then
//! `w.start` and `w.end`, here and in the queries around.
//!
//! The item becomes `window_start, window_end`, the group the call itself, which
//! [`super::spelling`] brings into FROM.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Select, SelectItem, Spanned, Value, VisitMut,
    VisitorMut, WindowType,
};

use super::spelling::{WINDOW_END, WINDOW_START, column, window_call};

/// The name of a window that has none.
const UNNAMED: &str = "window";

/// The names of windows that the SELECTs seen so far give out.
#[derive(Default)]
pub(super) struct WindowAliases {
    names: Vec<String>,
}

impl WindowAliases {
    /// Brings a SELECT, whose inner ones have been seen, into the canonical form.
    pub(super) fn expand(&mut self, select: &mut Select) {
        let grouped = match &mut select.group_by {
            GroupByExpr::Expressions(groups, _) => self.name(groups, &mut select.projection),
            GroupByExpr::All(_) => false,
        };
        let mut names = self.names.clone();
        if grouped && !names.iter().any(|name| name == UNNAMED) {
            names.push(UNNAMED.to_owned());
        }
        if names.is_empty() {
            return;
        }
        // A bare name means the window only where an inner SELECT has given it out.
        let references = References {
            names: &names,
            whole: &self.names,
        };
        references.in_items(&mut select.projection);
        if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
            references.in_list(groups);
        }
        let mut visitor = references;
        let _ = VisitMut::visit(select, &mut visitor);
    }

    /// Puts calls in place of the names and numbers by which rows are grouped; says whether there
    /// is a window among the groups.
    fn name(&mut self, groups: &mut [Expr], items: &mut Vec<SelectItem>) -> bool {
        let found = items.iter().enumerate().find_map(|(at, item)| match item {
            SelectItem::ExprWithAlias { expr, alias } if window_call(expr).is_some() => {
                Some((at, alias.value.clone(), expr.clone()))
            }
            SelectItem::UnnamedExpr(expr) if window_call(expr).is_some() => {
                Some((at, UNNAMED.to_owned(), expr.clone()))
            }
            _ => None,
        });
        let Some((at, name, call)) = found else {
            return groups.iter().any(|group| window_call(group).is_some());
        };
        let number = |group: &Expr| match group {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => number.parse::<usize>().ok(),
                _ => None,
            },
            _ => None,
        };
        let meant = |group: &Expr| {
            let by_name = matches!(group, Expr::Identifier(found)
                if found.value.eq_ignore_ascii_case(&name));
            by_name || number(group) == Some(at + 1) || *group == call
        };
        if !groups.iter().any(meant) {
            return groups.iter().any(|group| window_call(group).is_some());
        }
        for group in groups {
            if meant(group) {
                *group = call.clone();
            } else if let Some(later) = number(group).filter(|number| *number > at + 1) {
                // One item has become two.
                *group = Expr::Value(Value::Number((later + 1).to_string(), false).into());
            }
        }
        let span = call.span();
        let bounds = [WINDOW_START, WINDOW_END].map(|bound| column(bound, span));
        items.splice(at..=at, bounds.map(SelectItem::UnnamedExpr));
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        true
    }
}

/// Names of windows where they are used.
struct References<'a> {
    names: &'a [String],
    whole: &'a [String],
}

fn is_one_of(names: &[String], part: &Ident) -> bool {
    names
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&part.value))
}

impl References<'_> {
    /// `w.start`, `t.w.end`.
    fn bound(&self, expr: &Expr) -> Option<Expr> {
        let Expr::CompoundIdentifier(parts) = expr else {
            return None;
        };
        let [before @ .., window, bound] = parts.as_slice() else {
            return None;
        };
        let target = match bound.value.to_lowercase().as_str() {
            "start" => WINDOW_START,
            "end" => WINDOW_END,
            _ => return None,
        };
        is_one_of(self.names, window).then(|| qualified(before, target, expr))
    }

    /// `w`, `t.w`: both bounds.
    fn bounds(&self, expr: &Expr) -> Option<[Expr; 2]> {
        let (before, window) = match expr {
            Expr::Identifier(window) => (&[][..], window),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [before @ .., window] => (before, window),
                [] => return None,
            },
            _ => return None,
        };
        let bounds = [WINDOW_START, WINDOW_END];
        is_one_of(self.whole, window).then(|| bounds.map(|bound| qualified(before, bound, expr)))
    }

    fn in_items(&self, items: &mut Vec<SelectItem>) {
        let mut at = 0;
        while at < items.len() {
            let bounds = match &items[at] {
                SelectItem::UnnamedExpr(expr) => self.bounds(expr),
                SelectItem::ExprWithAlias { expr, alias } if is_one_of(self.whole, alias) => {
                    self.bounds(expr)
                }
                _ => None,
            };
            if let Some(bounds) = bounds {
                items.splice(at..=at, bounds.map(SelectItem::UnnamedExpr));
                at += 1;
            }
            at += 1;
        }
    }

    fn in_list(&self, list: &mut Vec<Expr>) {
        let mut at = 0;
        while at < list.len() {
            if let Some(bounds) = self.bounds(&list[at]) {
                list.splice(at..=at, bounds);
                at += 1;
            }
            at += 1;
        }
    }
}

fn qualified(before: &[Ident], name: &str, at: &Expr) -> Expr {
    let name = match column(name, at.span()) {
        Expr::Identifier(name) => name,
        other => return other,
    };
    match before {
        [] => Expr::Identifier(name),
        before => Expr::CompoundIdentifier(before.iter().cloned().chain([name]).collect()),
    }
}

impl VisitorMut for References<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(bound) = self.bound(expr) {
            *expr = bound;
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => {
                if let (Some(left), Some(right)) = (self.bounds(left), self.bounds(right)) {
                    let equal = left
                        .into_iter()
                        .zip(right)
                        .map(|(left, right)| Expr::BinaryOp {
                            left: Box::new(left),
                            op: BinaryOperator::Eq,
                            right: Box::new(right),
                        });
                    let both = equal.reduce(|left, right| Expr::BinaryOp {
                        left: Box::new(left),
                        op: BinaryOperator::And,
                        right: Box::new(right),
                    });
                    if let Some(both) = both {
                        *expr = both;
                    }
                }
            }
            Expr::Function(function) => {
                if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
                    self.in_list(&mut spec.partition_by);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
