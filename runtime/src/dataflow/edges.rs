//! Checks of everything that a dataflow's nodes send, for tests: that rows have the schema that the
//! plan promises, that deletes match what came before, that time does not go back.
//!
//! Owns a copy of all rows that are live on edges that change, so it is not for production. A node
//! that breaks its promise stops the dataflow with [`OperatorError::Contract`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use rtsap_plan::graph::{NodeIndex, StreamPlan};
use rtsap_plan::operator::OperatorSpec;
use rtsap_stream::change::{ChangeBatch, ChangelogMode, Op};
use rtsap_stream::time::EventTime;

use crate::operator::OperatorError;
use crate::reader;

/// The edges of a plan, by the node that sends.
pub(super) struct Edges(Vec<Edge>);

/// What a node has sent.
struct Edge {
    name: &'static str,
    schema: SchemaRef,
    mode: ChangelogMode,
    rows: RowConverter,
    /// How many of each row there are on a retract edge.
    live: HashMap<Box<[u8]>, u64>,
    /// Rows that came before a restart are not known.
    forgotten: bool,
    /// The event time, where no row may be late any more.
    time: Option<usize>,
    promised: Option<EventTime>,
}

impl Edges {
    /// The edges of `plan`.
    ///
    /// # Errors
    /// [`OperatorError::Arrow`] if rows of an edge cannot be compared.
    pub fn of(plan: &StreamPlan) -> Result<Self, OperatorError> {
        let finders = plan.late_ports();
        let mut behind = vec![false; plan.nodes.len()];
        let mut edges = Vec::with_capacity(plan.nodes.len());
        for (index, node) in plan.nodes.iter().enumerate() {
            // A row that is old but in time for one of its windows goes on.
            let by_window = matches!(node.spec, OperatorSpec::OpenWindows { .. });
            let finds = !by_window && finders.iter().any(|(finder, _)| *finder == index);
            behind[index] = finds || node.inputs.iter().any(|input| behind[*input]);
            let properties = &node.properties;
            let fields = match properties.mode {
                ChangelogMode::Retract => properties.schema.fields().as_ref(),
                ChangelogMode::Append | ChangelogMode::Upsert => &[],
            };
            let fields = fields.iter();
            let fields = fields.map(|field| SortField::new(field.data_type().clone()));
            let rows = RowConverter::new(fields.collect());
            let append = properties.mode == ChangelogMode::Append;
            edges.push(Edge {
                name: node.spec.name(),
                schema: Arc::clone(&properties.schema),
                mode: properties.mode,
                rows: rows.map_err(|source| OperatorError::Arrow {
                    operator: node.spec.name(),
                    source,
                })?,
                live: HashMap::new(),
                forgotten: false,
                time: properties.event_time.filter(|_| append && behind[index]),
                promised: None,
            });
        }
        Ok(Self(edges))
    }

    /// Rows of before are there that were not seen.
    pub fn forget(&mut self) {
        for edge in &mut self.0 {
            edge.forgotten = true;
        }
    }

    /// Checks what `node` sends.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] with what is wrong.
    pub fn sent(&mut self, node: NodeIndex, changes: &ChangeBatch) -> Result<(), OperatorError> {
        let edge = &mut self.0[node];
        edge.check(changes)
            .map_err(|found| edge.contract(&format!("an output of its own: {found}")))
    }

    /// Checks what `node` promises.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if it has promised more before.
    pub fn promised(&mut self, node: NodeIndex, time: EventTime) -> Result<(), OperatorError> {
        let edge = &mut self.0[node];
        if let Some(before) = edge.promised.filter(|before| *before > time) {
            return Err(edge.contract(&format!("a promise of its own of {time} after {before}")));
        }
        edge.promised = Some(time);
        Ok(())
    }
}

impl Edge {
    fn contract(&self, found: &str) -> OperatorError {
        OperatorError::Contract {
            operator: self.name,
            found: found.to_owned(),
        }
    }

    fn check(&mut self, changes: &ChangeBatch) -> Result<(), String> {
        let rows = changes.rows();
        self.check_schema(rows)?;
        self.check_time(rows)?;
        match self.mode {
            ChangelogMode::Append if changes.ops().is_some() => {
                return Err("a delete on an append-only edge".to_owned());
            }
            // A delete of a key that has no row is allowed there: what a filter keeps back may
            // never have been sent.
            ChangelogMode::Append | ChangelogMode::Upsert => return Ok(()),
            ChangelogMode::Retract if rows.num_columns() == 0 => return Ok(()),
            ChangelogMode::Retract => {}
        }
        let encoded = self.rows.convert_columns(rows.columns());
        let encoded = encoded.map_err(|error| error.to_string())?;
        for row in 0..changes.len() {
            let live = self.live.entry(encoded.row(row).data().into());
            let live = live.or_default();
            match changes.op(row) {
                Op::Insert => *live += 1,
                Op::Delete if *live > 0 => *live -= 1,
                Op::Delete if self.forgotten => {}
                Op::Delete => {
                    let row = rows.slice(row, 1);
                    return Err(format!("a delete of a row that is not there: {row:?}"));
                }
            }
        }
        self.live.retain(|_, count| *count > 0);
        Ok(())
    }

    fn check_schema(&self, rows: &RecordBatch) -> Result<(), String> {
        let found = rows.columns();
        let wanted = self.schema.fields();
        if found.len() != wanted.len() {
            return Err(format!("{} columns for {}", found.len(), wanted.len()));
        }
        for (column, field) in found.iter().zip(wanted) {
            if column.data_type() != field.data_type() {
                let (found, wanted) = (column.data_type(), field.data_type());
                return Err(format!(
                    "{found} for column \"{}\" of {wanted}",
                    field.name()
                ));
            }
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(format!("a null in column \"{}\"", field.name()));
            }
        }
        Ok(())
    }

    fn check_time(&self, rows: &RecordBatch) -> Result<(), String> {
        let (Some(time), Some(promised)) = (self.time, self.promised) else {
            return Ok(());
        };
        let times = reader::nanos(rows.column(time));
        match times.and_then(|times| arrow::compute::min(&times)) {
            Some(least) if least < promised.nanos() => {
                let least = EventTime::from_nanos(least);
                Err(format!("a row of {least} after it promised {promised}"))
            }
            _ => Ok(()),
        }
    }
}
