//! The first rows of each partition by an order: top-N and deduplication.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use crate::operator::Emit;

/// How rows are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// 1, 2, 3, …; rows that are equal in order are numbered by their other columns.
    RowNumber,
    /// Rows equal in order share the number of the first of them.
    Rank,
    /// Rows equal in order share a number, and the next one is one higher.
    DenseRank,
}

impl Numbering {
    /// As SQL spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RowNumber => "row_number",
            Self::Rank => "rank",
            Self::DenseRank => "dense_rank",
        }
    }
}

/// When event time has passed a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// A timestamp column of the input with one value a partition.
    pub column: usize,
    /// A partition is closed when the watermark is past the column's value by more than this.
    pub after_nanos: i64,
}

/// The rows of each partition that are numbered `first` to `last`.
///
/// Output columns: the input's, with the number at `number_at` if that is given.
#[derive(Clone, Debug)]
pub struct TopNSpec {
    /// Expressions over the input's columns; none: one partition.
    pub partition: Vec<Arc<dyn PhysicalExpr>>,
    /// The order within a partition.
    pub order: Vec<PhysicalSortExpr>,
    /// How rows are numbered.
    pub numbering: Numbering,
    /// The least number that shows, from 1.
    pub first: u64,
    /// The greatest number that shows.
    pub last: u64,
    /// Where the number stands among the output's columns.
    pub number_at: Option<usize>,
    /// When a partition is final and forgotten, if ever.
    pub closing: Option<Closing>,
    /// Whether rows show as they change, or once when their partition closes.
    pub emit: Emit,
    /// Whether input rows may be taken back: then all of them are kept.
    pub keeps_rows: bool,
}

impl TopNSpec {
    /// As `EXPLAIN` shows it.
    pub fn text(&self) -> String {
        let list = |texts: Vec<String>| texts.join(", ");
        let mut out = format!("TopN: {} {}", self.numbering.name(), self.first);
        if self.last != self.first {
            let _ = write!(out, " to {}", self.last);
        }
        let partition = self.partition.iter().map(ToString::to_string);
        let order = self.order.iter().map(ToString::to_string);
        let _ = write!(
            out,
            " by [{}] order [{}]",
            list(partition.collect()),
            list(order.collect())
        );
        if let Some(at) = self.number_at {
            let _ = write!(out, " number @{at}");
        }
        if let Some(closing) = self.closing {
            let _ = write!(out, " closing @{}", closing.column);
        }
        let _ = match self.emit {
            Emit::Changes => write!(out, " emit changes"),
            Emit::OnClose { .. } => write!(out, " emit on close"),
        };
        if self.keeps_rows {
            out.push_str(" keeping rows");
        }
        out
    }
}
