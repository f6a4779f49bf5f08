//! Aggregation by session: rows of a partition that follow each other within a gap.
//!
//! A session keeps its rows until it closes, since any row may still join two sessions into one;
//! its groups are computed when they show. A row joins a session if it is at most the gap before
//! its first or after its last row. A session is over once the watermark is past its last row by
//! more than the gap (and the delay of `EMIT ON WINDOW CLOSE`); a row that joins no open session
//! and would be over alone is late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int8Array, Int64Array, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::cast::as_int64_array;
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;
use rtsap_plan::graph::Node;
use rtsap_plan::grouping::GroupingSet;
use rtsap_plan::operator::{Emit, WindowColumn};
use rtsap_plan::session::SessionSpec;
use rtsap_plan::window::Window;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::aggregate::calls::Calls;
use crate::aggregate::choose::Reading;
use crate::aggregate::table::GroupTable;
use crate::state::partitions::SavedPartitions;
use crate::state::{StateError, StateReader, StateWriter};

use super::stateless::changes;
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output, Waiting, append_only};

mod sessions;

use sessions::{Key, Sessions};

/// As `EXPLAIN` shows it.
const NAME: &str = "SessionAggregate";
/// The section that holds how far event time has come.
const META: &str = "meta";
/// The section that holds the rows of open sessions.
const ROWS: &str = "rows";

/// The state machine of a [`SessionSpec`].
pub struct SessionAggregation {
    calls: Calls,
    sets: Vec<GroupingSet>,
    gap_nanos: i64,
    partition: Vec<Arc<dyn PhysicalExpr>>,
    partition_rows: RowConverter,
    time: TimeColumn,
    input: SchemaRef,
    output: Vec<WindowColumn>,
    schema: SchemaRef,
    event_time: Option<WindowColumn>,
    /// Whether sessions show as they change, and not once.
    changing: bool,
    wait_nanos: i64,
    /// Sessions that end before this are closed.
    closed: EventTime,
    sessions: Sessions,
    /// Those that changed since the last publish.
    changed: BTreeSet<(Key, i64)>,
    /// What was sent of sessions and must be deleted.
    gone: Vec<RecordBatch>,
    saved: SavedPartitions<(Key, i64)>,
}

impl SessionAggregation {
    /// The aggregation of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if a key or aggregate cannot be served;
    /// [`OperatorError::Contract`] if the node contradicts itself.
    pub fn new(node: &Node, input: &SchemaRef, spec: &SessionSpec) -> Result<Self, OperatorError> {
        let inner = &spec.aggregate;
        let calls = Calls::compile(&inner.keys, &inner.aggregates, input, Reading::Once);
        let calls = calls.map_err(OperatorError::compute(NAME))?;
        let schema = Arc::clone(&node.properties.schema);
        if inner.output.len() != schema.fields().len() || spec.gap_nanos <= 0 {
            return Err(OperatorError::contract(
                NAME,
                format!("output columns {:?}", inner.output),
            ));
        }
        let fields = spec
            .partition
            .iter()
            .map(|expr| Ok(SortField::new(expr.data_type(input)?)));
        let fields = fields
            .collect::<Result<Vec<_>, _>>()
            .map_err(OperatorError::compute(NAME))?;
        let (changing, delay_nanos) = match inner.emit {
            Emit::Changes => (true, 0),
            Emit::OnClose { delay_nanos } => (false, delay_nanos),
        };
        let event_time = node.properties.event_time;
        Ok(Self {
            calls,
            sets: inner.sets.clone(),
            gap_nanos: spec.gap_nanos,
            partition: spec.partition.clone(),
            partition_rows: RowConverter::new(fields).map_err(OperatorError::arrow(NAME))?,
            time: TimeColumn::of(NAME, input, inner.time)?,
            input: Arc::clone(input),
            output: inner.output.clone(),
            schema,
            event_time: event_time.and_then(|index| inner.output.get(index).copied()),
            changing,
            wait_nanos: inner.lateness_nanos.saturating_add(delay_nanos),
            closed: EventTime::MIN,
            sessions: Sessions::new(spec.gap_nanos),
            changed: BTreeSet::new(),
            gone: Vec::new(),
            saved: SavedPartitions::default(),
        })
    }

    /// Adds `rows`; with `all`, none of them is late.
    fn add(
        &mut self,
        rows: &RecordBatch,
        all: bool,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let times = self.time.read(NAME, rows)?;
        let keys = self.keys(rows)?;
        let mut late = Vec::new();
        let mut fresh: HashMap<(Key, i64), Vec<u32>, ahash::RandomState> =
            HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        for (row, key) in keys.iter().enumerate() {
            let valid = times.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let nanos = times.values[row].checked_mul(times.unit_nanos);
            // Room for a session's end before time itself ends.
            let nanos = nanos.filter(|nanos| {
                valid && nanos.unsigned_abs() < (i64::MAX - 2 * self.gap_nanos).unsigned_abs()
            });
            let Some(nanos) = nanos else {
                late.push(row as u32);
                continue;
            };
            let alone = nanos.saturating_add(self.gap_nanos);
            let over = !all && alone < self.closed.nanos();
            let Some(joined) = self.sessions.join(key, nanos, over) else {
                late.push(row as u32);
                continue;
            };
            let mut indices = Vec::new();
            for before in joined.merged {
                let before = (Arc::clone(key), before);
                self.changed.remove(&before);
                indices.extend(fresh.remove(&before).unwrap_or_default());
                self.saved.touch(&before);
            }
            self.gone.extend(joined.sent);
            indices.push(row as u32);
            let session = (Arc::clone(key), joined.start);
            self.saved.touch(&session);
            self.changed.insert(session.clone());
            fresh.insert(session, indices);
        }
        for ((key, start), mut indices) in fresh {
            indices.sort_unstable();
            let rows = take_record_batch(rows, &UInt32Array::from(indices))
                .map_err(OperatorError::arrow(NAME))?;
            self.sessions.keep(&key, start, rows);
        }
        if !late.is_empty() {
            out.late.push(
                take_record_batch(rows, &UInt32Array::from(late))
                    .map_err(OperatorError::arrow(NAME))?,
            );
        }
        Ok(())
    }

    fn keys(&self, rows: &RecordBatch) -> Result<Vec<Key>, OperatorError> {
        if self.partition.is_empty() {
            let key: Key = Arc::from(&[][..]);
            return Ok(vec![key; rows.num_rows()]);
        }
        let columns = self.partition.iter();
        let columns = columns.map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
        let columns: Vec<ArrayRef> = columns
            .collect::<Result<_, _>>()
            .map_err(OperatorError::compute(NAME))?;
        let keys = self
            .partition_rows
            .convert_columns(&columns)
            .map_err(OperatorError::arrow(NAME))?;
        Ok(keys.iter().map(|key| key.data().into()).collect())
    }

    /// The groups of a session as rows of the output.
    fn groups(&self, window: Window, rows: &[RecordBatch]) -> Result<RecordBatch, OperatorError> {
        let rows = concat_batches(&self.input, rows).map_err(OperatorError::arrow(NAME))?;
        let mut table =
            GroupTable::new(&self.calls, false).map_err(OperatorError::compute(NAME))?;
        let inputs = self
            .calls
            .evaluate(&rows, None)
            .map_err(OperatorError::compute(NAME))?;
        let mut groups = Vec::new();
        if self.sets.is_empty() {
            table
                .intern(&self.calls, &inputs, &mut groups)
                .map_err(OperatorError::compute(NAME))?;
            table
                .update(&self.calls, &inputs, &groups)
                .map_err(OperatorError::compute(NAME))?;
        }
        for set in &self.sets {
            let inputs = inputs
                .grouped(self.calls.key_count(), set)
                .map_err(OperatorError::compute(NAME))?;
            table
                .intern(&self.calls, &inputs, &mut groups)
                .map_err(OperatorError::compute(NAME))?;
            table
                .update(&self.calls, &inputs, &groups)
                .map_err(OperatorError::compute(NAME))?;
        }
        let groups = table.finish().map_err(OperatorError::compute(NAME))?;
        let columns = self.output.iter().map(|column| match column {
            WindowColumn::Key(index) => Arc::clone(&groups.keys[*index]),
            WindowColumn::Aggregate(index) => Arc::clone(&groups.results[*index]),
            bound => {
                let value = self.time.value(window, *bound);
                self.time
                    .array(std::iter::repeat_n(value, groups.row_count))
            }
        });
        let columns = columns.collect::<Vec<ArrayRef>>();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(OperatorError::arrow(NAME))
    }

    /// Sends the present groups of the sessions `changed` in the place of those sent before.
    fn send(
        &mut self,
        changed: impl Iterator<Item = (Key, i64)>,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let mut come = Vec::new();
        for (key, start) in changed {
            let Some((window, rows)) = self.sessions.rows(&key, start) else {
                continue;
            };
            let groups = self.groups(window, rows)?;
            if self.changing {
                self.gone
                    .extend(self.sessions.replace_sent(&key, start, groups.clone()));
            }
            come.push(groups);
        }
        if come.is_empty() && self.gone.is_empty() {
            return Ok(());
        }
        let gone = std::mem::take(&mut self.gone);
        let gone_count: usize = gone.iter().map(RecordBatch::num_rows).sum();
        let come_count: usize = come.iter().map(RecordBatch::num_rows).sum();
        let rows = concat_batches(&self.schema, gone.iter().chain(&come))
            .map_err(OperatorError::arrow(NAME))?;
        let ops = (gone_count > 0).then(|| {
            let ops = std::iter::repeat_n(-1, gone_count).chain(std::iter::repeat_n(1, come_count));
            Int8Array::from(ops.collect::<Vec<i8>>())
        });
        out.changes.push(changes(NAME, rows, ops)?);
        Ok(())
    }

    fn promise(&self) -> EventTime {
        if self.closed == EventTime::MIN || self.closed == EventTime::MAX {
            return self.closed;
        }
        match self.event_time {
            Some(WindowColumn::End) => self.time.floor(self.closed),
            Some(WindowColumn::Time) => self.time.before(self.closed),
            // A row in time may still join an open session at its start, and then another one.
            _ => EventTime::MIN,
        }
    }
}

impl Operator for SessionAggregation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        append_only(NAME, changes)?;
        self.add(changes.rows(), false, out)
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        let closed = match time {
            EventTime::MAX => EventTime::MAX,
            time => time.minus_nanos(self.wait_nanos),
        };
        self.closed = self.closed.max(closed);
        let over = self.sessions.over(self.closed.nanos());
        let unsent = over
            .iter()
            .filter(|session| !self.changing || self.changed.contains(*session));
        let unsent: Vec<_> = unsent.cloned().collect();
        if !unsent.is_empty() {
            self.send(unsent.into_iter(), out)?;
        }
        for session in over {
            self.sessions.forget(&session.0, session.1);
            self.changed.remove(&session);
            self.saved.touch(&session);
        }
        Ok(self.promise())
    }

    fn on_publish(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        let changed = std::mem::take(&mut self.changed);
        if !self.changing {
            return Ok(());
        }
        self.send(changed.into_iter(), out)
    }

    fn waiting(&self) -> Option<Waiting> {
        let (first, last, count) = self.sessions.lasts()?;
        let after = |last: i64| {
            let end = last.saturating_add(self.gap_nanos);
            EventTime::from_nanos(end.saturating_add(self.wait_nanos))
        };
        Some(Waiting {
            what: "sessions",
            count: count as u64,
            next: after(first),
            last: after(last),
        })
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let closed: ArrayRef = Arc::new(Int64Array::from(vec![self.closed.nanos()]));
        let schema = Schema::new(vec![Field::new("closed", DataType::Int64, false)]);
        out.put(META, RecordBatch::try_new(Arc::new(schema), vec![closed])?);
        let open = self.saved.begin(ROWS, out)?;
        let open = open.unwrap_or_else(|| self.sessions.open());
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for session in &open {
            let Some((_, of_session)) = self.sessions.rows(&session.0, session.1) else {
                continue;
            };
            rows.extend(of_session);
            let count = of_session.iter().map(RecordBatch::num_rows).sum();
            numbers.extend(self.saved.number(session, count));
        }
        out.put_rows(ROWS, &concat_batches(&self.input, rows)?, numbers)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        let [meta] = from.get(META) else {
            return Err(StateError::section(META, "is not there"));
        };
        let closed = meta
            .column_by_name("closed")
            .filter(|column| column.len() == 1);
        let closed =
            as_int64_array(closed.ok_or_else(|| StateError::section(META, "has another form"))?)?;
        self.closed = EventTime::from_nanos(closed.value(0));
        self.sessions = Sessions::new(self.gap_nanos);
        let again = |error: OperatorError| StateError::section(ROWS, error.to_string());
        for rows in from.get(ROWS) {
            self.add(rows, true, &mut Output::default())
                .map_err(again)?;
        }
        // What was saved right after a publish has been sent.
        let changed = std::mem::take(&mut self.changed);
        self.send(changed.into_iter(), &mut Output::default())
            .map_err(again)
    }

    fn state_bytes(&self) -> usize {
        self.sessions.size()
    }
}

/// Sessions of one partition by the time of their first row.
type ByStart<T> = BTreeMap<i64, T>;
