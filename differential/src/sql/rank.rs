//! Top-N queries and calls over the rows around each row, as SQL.

use super::{Writer, column, interval, names};
use crate::expr::{Expr, literal};
use crate::rel::{Call, Frame, Function, Over, OverCall, Ranking, Top};

impl Writer<'_> {
    pub(super) fn top(&mut self, top: &Top) -> String {
        let width = self.width(&top.from);
        let from = self.name(&top.from);
        let function = match top.ranking {
            Ranking::RowNumber => "ROW_NUMBER",
            Ranking::Rank => "RANK",
            Ranking::DenseRank => "DENSE_RANK",
        };
        let partition = partition(&top.partition);
        let mut order: Vec<String> = top
            .order
            .iter()
            .map(|(index, down)| format!("c{index}{}", if *down { " DESC" } else { "" }))
            .collect();
        if top.ranking == Ranking::RowNumber {
            let rest = (0..width).filter(|index| top.order.iter().all(|(c, _)| c != index));
            order.extend(rest.map(column));
        }
        let columns = match top.numbered {
            true => format!("{}, rn AS c{width}", names("", width).join(", ")),
            false => names("", width).join(", "),
        };
        let sign = if top.only { "=" } else { "<=" };
        let (order, last) = (order.join(", "), top.last);
        let number = format!("{function}() OVER ({partition}ORDER BY {order})");
        if top.qualify {
            let columns = match top.numbered {
                true => format!("{}, {number} AS c{width}", names("", width).join(", ")),
                false => columns,
            };
            return format!("SELECT {columns} FROM {from} QUALIFY {number} {sign} {last}");
        }
        format!(
            "SELECT {columns} FROM (SELECT *, {number} AS rn FROM {from}) WHERE rn {sign} {last}"
        )
    }

    pub(super) fn over(&mut self, over: &Over) -> String {
        let width = self.width(&over.from);
        let from = self.name(&over.from);
        let partition = partition(&over.partition);
        let by_time = format!("{partition}ORDER BY c{}", over.time);
        let rest = (0..width).filter(|index| *index != over.time);
        let by_all: Vec<String> = std::iter::once(over.time).chain(rest).map(column).collect();
        let by_all = format!("{partition}ORDER BY {}", by_all.join(", "));
        let mut columns = names("", width);
        for (index, call) in over.calls.iter().enumerate() {
            let text = match call {
                OverCall::Number(Ranking::RowNumber) => format!("row_number() OVER ({by_all})"),
                OverCall::Number(Ranking::Rank) => format!("rank() OVER ({by_time})"),
                OverCall::Number(Ranking::DenseRank) => format!("dense_rank() OVER ({by_time})"),
                OverCall::Shift(of, kind, by, default) => {
                    let name = if *by > 0 { "lag" } else { "lead" };
                    let default = match default {
                        Some(value) => format!(", {}", literal(value, *kind, self.zoned)),
                        None => String::new(),
                    };
                    format!("{name}(c{of}, {}{default}) OVER ({by_all})", by.abs())
                }
                OverCall::Aggregate(function, argument, frame) => {
                    let call = Call {
                        function: *function,
                        argument: argument.map(|(index, of)| (Expr::Column(index), of)),
                        distinct: false,
                        filter: None,
                    };
                    let call = match function {
                        Function::First => format!("first_value({})", self.argument(&call)),
                        Function::Last => format!("last_value({})", self.argument(&call)),
                        _ => self.call(&call, width),
                    };
                    format!("{call} OVER ({})", framed(*frame, &by_time, &by_all))
                }
            };
            columns.push(format!("{text} AS c{}", width + index));
        }
        format!("SELECT {} FROM {from}", columns.join(", "))
    }
}

fn framed(frame: Frame, by_time: &str, by_all: &str) -> String {
    let bound = |before: Option<String>| match before {
        None => "UNBOUNDED PRECEDING".to_owned(),
        Some(text) => format!("{text} PRECEDING"),
    };
    match frame {
        Frame::Default => by_time.to_owned(),
        Frame::Rows(before, after) => {
            let end = match after {
                0 => "CURRENT ROW".to_owned(),
                rows => format!("{rows} FOLLOWING"),
            };
            let start = bound(before.map(|rows| rows.to_string()));
            format!("{by_all} ROWS BETWEEN {start} AND {end}")
        }
        Frame::Range(before, after) => {
            let end = match after {
                0 => "CURRENT ROW".to_owned(),
                us => format!("{} FOLLOWING", interval(us)),
            };
            let start = bound(before.map(interval));
            format!("{by_time} RANGE BETWEEN {start} AND {end}")
        }
    }
}

fn partition(columns: &[usize]) -> String {
    match columns {
        [] => String::new(),
        columns => {
            let columns: Vec<String> = columns.iter().map(|index| column(*index)).collect();
            format!("PARTITION BY {} ", columns.join(", "))
        }
    }
}
