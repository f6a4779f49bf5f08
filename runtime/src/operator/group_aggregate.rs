//! Aggregation by key without a window: one row a key for as long as the key has rows, or until
//! event time has passed the key.
//!
//! Sends nothing until a publish, then the current row of every group that changed. A group whose
//! rows have all been taken back is deleted; its delete carries the values that were last sent, as
//! long as deletes came before the group's last change, and else its key beside empty aggregates.
//! Without keys, and before an operator that adds up its rows, the row last sent is deleted before
//! its successor comes, since there no key says which row is replaced.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int8Array, Int64Array, UInt64Array, new_null_array,
};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::{as_boolean_array, as_int64_array};
use hashbrown::HashMap;
use rtsap_plan::graph::Node;
use rtsap_plan::grouping::GroupingSet;
use rtsap_plan::operator::GroupAggregateSpec;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::aggregate::calls::{Calls, Inputs};
use crate::aggregate::choose::Reading;
use crate::aggregate::table::{GroupRows, GroupTable, saved_keys};
use crate::state::{StateError, StateReader, StateWriter};

use super::stateless::changes;
use super::{Operator, OperatorError, Output};

mod closing;

use closing::Closing;

/// As `EXPLAIN` shows it.
const NAME: &str = "GroupAggregate";
/// The section that holds what is not of one group.
const META: &str = "meta";
/// The section that holds the groups.
const GROUPS: &str = "groups";
/// So many groups without rows are kept, and as many as there are groups with rows.
const DEAD_MIN: usize = 64;

/// The state machine of a [`GroupAggregateSpec`].
pub struct GroupAggregation {
    calls: Calls,
    sets: Vec<GroupingSet>,
    schema: SchemaRef,
    table: GroupTable,
    /// The first groups, so many, exist without rows: the one without keys, and that of each
    /// grouping set without keys.
    lasting: usize,
    /// By which key groups close, if they do.
    closing: Option<Closing>,
    /// Rows of each group.
    row_counts: Vec<i64>,
    /// Whether the group's row has been sent and not deleted.
    shown: Vec<bool>,
    /// How many groups are shown.
    shown_count: usize,
    /// Whether groups have got other numbers since they were last saved.
    renumbered: bool,
    /// Whether a delete has ever come.
    retracting: bool,
    /// Whether rows that are replaced are deleted before.
    replaced: bool,
    /// The rows last sent of groups that changed since, kept once deletes have come or are sent.
    sent: Vec<RecordBatch>,
    /// Where in `sent` a group's row is: batch and row.
    sent_rows: HashMap<usize, (usize, usize), ahash::RandomState>,
    /// The groups of a batch, kept for its room.
    groups: Vec<usize>,
}

/// The keys of the groups of grouping sets without keys, and how many they are.
fn lasting_keys(
    sets: &[GroupingSet],
    schema: &SchemaRef,
    key_count: usize,
) -> Result<Option<(Vec<ArrayRef>, usize)>, ArrowError> {
    let without = sets
        .iter()
        .filter(|set| !set.present.iter().any(|present| *present));
    let ids: UInt64Array = without.map(|set| Some(set.id)).collect();
    let Some(last) = key_count.checked_sub(1).filter(|_| !ids.is_empty()) else {
        return Ok(None);
    };
    let of = |index: usize| schema.field(index).data_type();
    let mut keys: Vec<ArrayRef> = (0..last)
        .map(|index| new_null_array(of(index), ids.len()))
        .collect();
    keys.push(cast(&ids, of(last))?);
    Ok(Some((keys, ids.len())))
}

impl GroupAggregation {
    /// The aggregation of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if a key or aggregate cannot be served.
    pub fn new(
        node: &Node,
        input: &SchemaRef,
        spec: &GroupAggregateSpec,
    ) -> Result<Self, OperatorError> {
        let calls = Calls::compile(&spec.keys, &spec.aggregates, input, Reading::Forever)
            .map_err(OperatorError::compute(NAME))?;
        let schema = Arc::clone(&node.properties.schema);
        if schema.fields().len() != calls.key_count() + calls.call_count() {
            return Err(OperatorError::contract(
                NAME,
                format!("a schema of {} columns", schema.fields().len()),
            ));
        }
        let table = GroupTable::new(&calls, true).map_err(OperatorError::compute(NAME))?;
        let mut table = table.saved();
        let global = spec.keys.is_empty();
        let lasting = match global {
            true => Some((Vec::new(), 1)),
            false => lasting_keys(&spec.sets, &schema, calls.key_count())
                .map_err(OperatorError::arrow(NAME))?,
        };
        if let Some((keys, count)) = &lasting {
            table
                .add_groups(keys, *count)
                .map_err(OperatorError::compute(NAME))?;
        }
        let groups = table.len();
        Ok(Self {
            calls,
            sets: spec.sets.clone(),
            schema,
            table,
            lasting: groups,
            closing: spec.closes.map(Closing::by),
            row_counts: vec![0; groups],
            shown: vec![false; groups],
            shown_count: 0,
            renumbered: false,
            retracting: false,
            replaced: global || !spec.sets.is_empty(),
            sent: Vec::new(),
            sent_rows: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            groups: Vec::new(),
        })
    }

    fn rows(&self, groups: GroupRows) -> Result<RecordBatch, OperatorError> {
        let columns: Vec<ArrayRef> = groups.keys.into_iter().chain(groups.results).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|source| {
            OperatorError::Arrow {
                operator: NAME,
                source,
            }
        })
    }

    /// Keeps the rows last sent of the groups that are about to change for the first time since.
    fn keep_sent(&mut self) -> Result<(), OperatorError> {
        let mut kept = Vec::new();
        for group in &self.groups {
            let shown = self.shown.get(*group).is_some_and(|shown| *shown);
            if shown && !self.table.changed(*group) && !self.sent_rows.contains_key(group) {
                self.sent_rows.insert(*group, (self.sent.len(), kept.len()));
                kept.push(*group);
            }
        }
        if !kept.is_empty() {
            let rows = self
                .table
                .read(&kept)
                .map_err(OperatorError::compute(NAME))?;
            self.sent.push(self.rows(rows)?);
        }
        Ok(())
    }

    fn add(&mut self, inputs: &Inputs) -> Result<(), OperatorError> {
        self.table
            .intern(&self.calls, inputs, &mut self.groups)
            .map_err(OperatorError::compute(NAME))?;
        if let Some(closing) = &mut self.closing {
            closing
                .learn(inputs.keys(self.calls.key_count()), &self.groups)
                .map_err(OperatorError::arrow(NAME))?;
        }
        if self.retracting || self.replaced {
            self.keep_sent()?;
        }
        self.count_rows(inputs)?;
        self.table
            .update(&self.calls, inputs, &self.groups)
            .map_err(OperatorError::compute(NAME))
    }

    fn count_rows(&mut self, inputs: &Inputs) -> Result<(), OperatorError> {
        self.row_counts.resize(self.table.len(), 0);
        self.shown.resize(self.table.len(), false);
        match inputs.ops() {
            None => self
                .groups
                .iter()
                .for_each(|group| self.row_counts[*group] += 1),
            Some(ops) => {
                for (group, op) in self.groups.iter().zip(ops.values()) {
                    self.row_counts[*group] += i64::from(*op);
                    if self.row_counts[*group] < 0 {
                        return Err(OperatorError::contract(
                            NAME,
                            "a delete of a row that was not there".to_owned(),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Forgets the groups without rows, of which nobody has heard since their delete, once they are
    /// more than the others. Called when no change waits.
    fn free_dead(&mut self) -> Result<(), OperatorError> {
        let dead = self.table.len() - self.shown_count;
        if dead <= self.shown_count.max(DEAD_MIN) {
            return Ok(());
        }
        let groups = 0..self.table.len();
        let alive: Vec<usize> = groups.filter(|group| self.shown[*group]).collect();
        self.retain(&alive)
    }

    /// Forgets the groups that have closed. Called when no change waits.
    fn free_closed(&mut self) -> Result<(), OperatorError> {
        match self.closing.as_ref().and_then(Closing::open) {
            Some(open) => self.retain(&open),
            None => Ok(()),
        }
    }

    /// Keeps these groups alone, which get the numbers from 0.
    fn retain(&mut self, groups: &[usize]) -> Result<(), OperatorError> {
        self.table
            .retain(&self.calls, groups)
            .map_err(OperatorError::compute(NAME))?;
        self.row_counts = groups.iter().map(|group| self.row_counts[*group]).collect();
        self.shown = groups.iter().map(|group| self.shown[*group]).collect();
        self.shown_count = self.shown.iter().filter(|shown| **shown).count();
        if let Some(closing) = &mut self.closing {
            closing.retain(groups);
        }
        self.renumbered = true;
        Ok(())
    }

    /// The rows to delete: as last sent where that is kept, else with empty aggregates.
    fn deleted_rows(&mut self, groups: &[usize]) -> Result<RecordBatch, OperatorError> {
        let rows = self
            .table
            .read(groups)
            .map_err(OperatorError::compute(NAME))?;
        let current = self.rows(rows)?;
        let mut batches: Vec<&RecordBatch> = self.sent.iter().collect();
        batches.push(&current);
        let last = batches.len() - 1;
        let place = |(row, group): (usize, &usize)| {
            self.sent_rows.get(group).copied().unwrap_or((last, row))
        };
        let places: Vec<(usize, usize)> = groups.iter().enumerate().map(place).collect();
        let columns = (0..self.schema.fields().len()).map(|index| {
            let arrays = batches.iter().map(|batch| batch.column(index).as_ref());
            interleave(&arrays.collect::<Vec<&dyn Array>>(), &places)
        });
        let columns = columns.collect::<Result<Vec<_>, _>>();
        columns
            .and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns))
            .map_err(|source| OperatorError::Arrow {
                operator: NAME,
                source,
            })
    }
}

impl Operator for GroupAggregation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn send_replaced(&mut self) {
        self.replaced = true;
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.retracting |= changes.ops().is_some();
        let inputs = self
            .calls
            .evaluate(changes.rows(), changes.ops())
            .map_err(OperatorError::compute(NAME))?;
        if self.sets.is_empty() {
            return self.add(&inputs);
        }
        for index in 0..self.sets.len() {
            let count = self.calls.key_count();
            let grouped = inputs
                .grouped(count, &self.sets[index])
                .map_err(OperatorError::compute(NAME))?;
            self.add(&grouped)?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        if let Some(closing) = &mut self.closing {
            closing.advance(time);
        }
        // What is sent at the next publish may be of any time.
        Ok(EventTime::MIN)
    }

    fn on_publish(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        let mut live = Vec::new();
        let mut gone = Vec::new();
        for group in self.table.take_changes() {
            if group < self.lasting || self.row_counts[group] > 0 {
                if self.shown[group] && self.calls.call_count() == 0 {
                    // Nothing but the key, which stays as it is.
                    continue;
                }
                live.push(group);
                if !std::mem::replace(&mut self.shown[group], true) {
                    self.shown_count += 1;
                } else if self.replaced {
                    gone.push(group);
                }
            } else if std::mem::take(&mut self.shown[group]) {
                self.shown_count -= 1;
                gone.push(group);
            }
        }
        if !gone.is_empty() {
            let rows = self.deleted_rows(&gone)?;
            let ops = Int8Array::from(vec![-1; gone.len()]);
            out.changes.push(changes(NAME, rows, Some(ops))?);
        }
        if !live.is_empty() {
            let rows = self
                .table
                .read(&live)
                .map_err(OperatorError::compute(NAME))?;
            out.changes.push(ChangeBatch::inserts(self.rows(rows)?));
        }
        self.sent.clear();
        self.sent_rows.clear();
        self.free_closed()?;
        self.free_dead()
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let retracting: ArrayRef = Arc::new(BooleanArray::from(vec![self.retracting]));
        let field = Field::new("retracting", DataType::Boolean, false);
        let schema = Arc::new(Schema::new(vec![field]));
        out.put(META, RecordBatch::try_new(schema, vec![retracting])?);
        let renumbered = std::mem::take(&mut self.renumbered);
        let before = out.set_anew(!out.is_delta() || renumbered);
        let groups = self.table.take_unsaved(out.is_delta());
        // Groups without rows are forgotten here: nobody has heard of them since their delete.
        let (alive, gone): (Vec<usize>, Vec<usize>) = groups.into_iter().partition(|group| {
            *group < self.lasting
                || self.row_counts[*group] > 0
                || self.shown[*group]
                || self.table.changed(*group)
        });
        let row_counts = alive.iter().map(|group| self.row_counts[*group]);
        let row_counts: ArrayRef = Arc::new(Int64Array::from_iter_values(row_counts));
        let shown = alive.iter().map(|group| Some(self.shown[*group]));
        let shown: ArrayRef = Arc::new(shown.collect::<BooleanArray>());
        let extra = vec![("row_count", row_counts), ("shown", shown)];
        self.table.save(&alive, extra, GROUPS, out)?;
        out.drop_rows(GROUPS, gone.iter().map(|group| *group as u64).collect())?;
        out.set_anew(before);
        Ok(())
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        let [meta] = from.get(META) else {
            return Err(StateError::section(META, "is not there"));
        };
        let retracting = meta
            .column_by_name("retracting")
            .filter(|column| column.len() == 1);
        let retracting = retracting.ok_or_else(|| StateError::section(META, "has another form"))?;
        self.retracting = as_boolean_array(retracting)?.value(0);
        self.table = GroupTable::new(&self.calls, true)?.saved();
        self.row_counts.clear();
        self.shown.clear();
        for batch in from.get(GROUPS) {
            let known = self.table.len();
            self.table.load(&self.calls, batch)?;
            if let Some(closing) = &mut self.closing {
                let groups: Vec<usize> = (known..self.table.len()).collect();
                closing.learn(&saved_keys(batch), &groups)?;
            }
            let column = |name: &str| {
                let column = batch.column_by_name(name);
                column.ok_or_else(|| StateError::section(GROUPS, "lacks a column"))
            };
            self.row_counts
                .extend(as_int64_array(column("row_count")?)?.values());
            self.shown
                .extend(as_boolean_array(column("shown")?)?.values().iter());
        }
        self.shown_count = self.shown.iter().filter(|shown| **shown).count();
        if self.table.len() < self.lasting {
            return Err(StateError::section(GROUPS, "lacks groups without keys"));
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.table.size()
            + self.row_counts.capacity() * size_of::<i64>()
            + self.shown.capacity()
            + self.closing.as_ref().map_or(0, Closing::size)
            + self
                .sent
                .iter()
                .map(RecordBatch::get_array_memory_size)
                .sum::<usize>()
    }
}
