//! Queries inside queries, and rows for each of some values, as SQL.

use super::{Writer, aliased, names};
use crate::rel::{As, Purpose, SetOperation, Subquery, Test, Unnest};

impl Writer<'_> {
    pub(super) fn sets(&mut self, sets: &SetOperation) -> String {
        let word = if sets.common { "INTERSECT" } else { "EXCEPT" };
        let all = if sets.all { " ALL" } else { "" };
        let (left, right) = (self.name(&sets.left), self.name(&sets.right));
        format!("SELECT * FROM {left} {word}{all} SELECT * FROM {right}")
    }

    pub(super) fn unnest(&mut self, unnest: &Unnest) -> String {
        let mut columns = names("l.", self.width(&unnest.from));
        let from = self.name(&unnest.from);
        let of_left = |index: usize| format!("l.c{index}");
        let items = unnest.items.iter();
        let items: Vec<String> = items.map(|item| item.sql(&of_left, self.zoned)).collect();
        columns.push("x.e".to_owned());
        let with = match unnest.numbered {
            true => " WITH ORDINALITY AS x(e, o)",
            false => " AS x(e)",
        };
        if unnest.numbered {
            columns.push("x.o".to_owned());
        }
        format!(
            "SELECT {} FROM {from} AS l CROSS JOIN UNNEST(ARRAY[{}]){with}",
            aliased(&columns),
            items.join(", ")
        )
    }

    pub(super) fn subquery(&mut self, subquery: &Subquery) -> String {
        let columns = names("l.", self.width(&subquery.from));
        let width = self.width(&subquery.inner);
        let (from, inner) = (self.name(&subquery.from), self.name(&subquery.inner));
        let only = match subquery.equal {
            Some((own, theirs)) => format!(" WHERE r.c{theirs} = l.c{own}"),
            None => String::new(),
        };
        let with = |more: String| aliased(&[columns.clone(), vec![more]].concat());
        match &subquery.purpose {
            Purpose::Test(test, place) => {
                let test = match test {
                    Test::In(value, column, inside) => {
                        let not = if *inside { "" } else { "NOT " };
                        format!("l.c{value} {not}IN (SELECT r.c{column} FROM {inner} AS r{only})")
                    }
                    Test::Exists(exists) => {
                        let not = if *exists { "" } else { "NOT " };
                        format!("{not}EXISTS (SELECT 1 FROM {inner} AS r{only})")
                    }
                };
                match place {
                    As::Column => format!("SELECT {} FROM {from} AS l", with(format!("({test})"))),
                    As::Condition => {
                        format!("SELECT {} FROM {from} AS l WHERE {test}", aliased(&columns))
                    }
                    As::Or(other) => format!(
                        "SELECT {} FROM {from} AS l WHERE {test} OR {}",
                        aliased(&columns),
                        other.sql(&|index| format!("l.c{index}"), self.zoned)
                    ),
                }
            }
            // Columns of the call are named alone: those of the inner query are nearer.
            Purpose::Value(call) => {
                let call = self.call(call, width);
                let value = format!("(SELECT {call} FROM {inner} AS r{only})");
                format!("SELECT {} FROM {from} AS l", with(value))
            }
            Purpose::First(count, outer) => {
                let (word, on) = match outer {
                    true => ("LEFT JOIN", " ON TRUE"),
                    false => ("CROSS JOIN", ""),
                };
                let both = [columns.clone(), names("x.", width)].concat();
                format!(
                    "SELECT {} FROM {from} AS l {word} LATERAL (SELECT * FROM {inner} AS r{only} \
                     ORDER BY {} LIMIT {count}) AS x{on}",
                    aliased(&both),
                    names("", width).join(", ")
                )
            }
        }
    }
}
