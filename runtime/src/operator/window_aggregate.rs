//! Aggregation by window and key.
//!
//! ```text
//! rows ──by time──▶ panes: start → groups with their aggregates ──watermark or publish──▶ window
//! rows
//! ```
//!
//! A *pane* is what rows are added to. It is the window itself, or, where windows overlap and show
//! once when they close, the slice that several windows share; their rows are then the merge of
//! their slices. Windows that overlap and show as they change are panes of their own, so that a
//! row's effect can be read from each.
//!
//! A window is closed once the watermark is past its end by lateness (and the delay of `EMIT ON
//! WINDOW CLOSE`). Rows all of whose windows are closed, and rows without a time, are late. A row
//! of which some windows are closed counts in the open ones: a closed window never shows again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_int64_array;
use rtsap_plan::graph::Node;
use rtsap_plan::grouping::GroupingSet;
use rtsap_plan::operator::{Emit, WindowAggregateSpec, WindowColumn};
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::aggregate::calls::{Calls, Inputs};
use crate::aggregate::choose::Reading;
use crate::aggregate::table::{GroupRows, GroupTable};
use crate::state::{StateError, StateReader, StateWriter};

use super::{Operator, OperatorError, Output, Waiting, append_only};

mod close;
mod replaced;
pub mod shared;
pub mod slices;
pub mod time;

use replaced::{Replaced, about_to_change};
use shared::SharedSlices;
use slices::Slices;
use time::TimeColumn;

/// As `EXPLAIN` shows it.
const NAME: &str = "WindowAggregate";
/// The section that holds the bound of closed windows.
const META: &str = "meta";
/// The sections of slices are named by this and their start.
const SLICES: &str = "slice/";
/// The sections of windows are named by this and their end.
const WINDOWS: &str = "window/";

/// The state machine of a [`WindowAggregateSpec`].
pub struct WindowAggregation {
    calls: Calls,
    sets: Vec<GroupingSet>,
    window: WindowSpec,
    time: TimeColumn,
    output: Vec<WindowColumn>,
    schema: SchemaRef,
    /// Which output column the watermark speaks about.
    event_time: Option<WindowColumn>,
    /// Whether windows show as they change, and not once.
    changing: bool,
    /// Panes are slices that windows share; what has been merged of them.
    shared: Option<SharedSlices>,
    /// How far past its end the watermark must be to close a window.
    wait_nanos: i64,
    /// Windows that end here or earlier are closed.
    closed: EventTime,
    /// Slices by their start, or windows by their end.
    panes: BTreeMap<i64, GroupTable>,
    /// Whether rows that are replaced are deleted before, and which those are.
    replaced: Option<Replaced>,
    /// The groups of a batch, kept for its room.
    groups: Vec<usize>,
}

/// Whether rows of a slice still count.
#[derive(PartialEq, Eq)]
enum Standing {
    /// Some window is open.
    Open,
    /// All windows are closed.
    Late,
    /// There is no window here.
    Gap,
}

impl WindowAggregation {
    /// The aggregation of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if a key or aggregate cannot be served;
    /// [`OperatorError::Contract`] if the node contradicts itself.
    pub fn new(
        node: &Node,
        input: &SchemaRef,
        spec: &WindowAggregateSpec,
    ) -> Result<Self, OperatorError> {
        let (changing, delay_nanos) = match spec.emit {
            Emit::Changes => (true, 0),
            Emit::OnClose { delay_nanos } => (false, delay_nanos),
        };
        let reading = if changing {
            Reading::Changing
        } else {
            Reading::Once
        };
        let calls = Calls::compile(&spec.keys, &spec.aggregates, input, reading)
            .map_err(OperatorError::compute(NAME))?;
        let known = |column: &WindowColumn| match column {
            WindowColumn::Key(index) => *index < calls.key_count(),
            WindowColumn::Aggregate(index) => *index < calls.call_count(),
            _ => true,
        };
        let schema = Arc::clone(&node.properties.schema);
        if !spec.output.iter().all(known) || spec.output.len() != schema.fields().len() {
            return Err(OperatorError::contract(
                NAME,
                format!("output columns {:?}", spec.output),
            ));
        }
        let (size, slide) = (spec.window.size_nanos(), spec.window.slide_nanos());
        if size <= 0 || slide <= 0 {
            return Err(OperatorError::contract(
                NAME,
                format!("window {}", spec.window),
            ));
        }
        let event_time = node.properties.event_time;
        Ok(Self {
            calls,
            sets: spec.sets.clone(),
            window: spec.window,
            time: TimeColumn::of(NAME, input, spec.time)?,
            output: spec.output.clone(),
            schema,
            event_time: event_time.and_then(|index| spec.output.get(index).copied()),
            changing,
            shared: (!changing && size != slide).then(|| SharedSlices::new(&spec.window)),
            wait_nanos: spec.lateness_nanos.saturating_add(delay_nanos),
            closed: EventTime::MIN,
            panes: BTreeMap::new(),
            replaced: (changing && !spec.sets.is_empty()).then(Replaced::default),
            groups: Vec::new(),
        })
    }

    /// What the names of panes begin with in a snapshot.
    const fn sections(&self) -> &'static str {
        match self.shared {
            Some(_) => SLICES,
            None => WINDOWS,
        }
    }

    fn standing(&self, slice_start: i64) -> Standing {
        match self.window.windows_of(slice_start).last() {
            None => Standing::Gap,
            Some(last) if last.end <= self.closed.nanos() => Standing::Late,
            Some(_) => Standing::Open,
        }
    }

    /// The panes that rows of the slice are added to.
    fn panes_of(&self, slice_start: i64) -> Vec<i64> {
        if self.shared.is_some() {
            return vec![slice_start];
        }
        let windows = self.window.windows_of(slice_start);
        let open = windows.filter(|window| window.end > self.closed.nanos());
        open.map(|window| window.end).collect()
    }

    /// Adds rows to a pane, in each way to group them.
    fn add(&mut self, pane: i64, inputs: &Inputs) -> Result<(), OperatorError> {
        if self.sets.is_empty() {
            return self.add_grouped(pane, inputs);
        }
        for index in 0..self.sets.len() {
            let count = self.calls.key_count();
            let grouped = inputs
                .grouped(count, &self.sets[index])
                .map_err(OperatorError::compute(NAME))?;
            self.add_grouped(pane, &grouped)?;
        }
        Ok(())
    }

    fn add_grouped(&mut self, pane: i64, inputs: &Inputs) -> Result<(), OperatorError> {
        if let Some(shared) = &mut self.shared {
            shared.touch(pane);
        }
        if !self.panes.contains_key(&pane) {
            let table = GroupTable::new(&self.calls, self.changing)
                .map_err(OperatorError::compute(NAME))?;
            self.panes.insert(pane, table.saved());
        }
        let Some(table) = self.panes.get_mut(&pane) else {
            return Ok(());
        };
        let known = table.len();
        table
            .intern(&self.calls, inputs, &mut self.groups)
            .map_err(OperatorError::compute(NAME))?;
        if self.replaced.is_some() {
            self.keep_sent(pane, known)?;
        }
        let Some(table) = self.panes.get_mut(&pane) else {
            return Ok(());
        };
        table
            .update(&self.calls, inputs, &self.groups)
            .map_err(OperatorError::compute(NAME))
    }

    /// Keeps the rows last sent of the groups of `pane` that are about to change.
    fn keep_sent(&mut self, pane: i64, known: usize) -> Result<(), OperatorError> {
        let Some(table) = self.panes.get_mut(&pane) else {
            return Ok(());
        };
        let sent = about_to_change(table, &self.groups, known);
        if sent.is_empty() {
            return Ok(());
        }
        let rows = table.read(&sent).map_err(OperatorError::compute(NAME))?;
        let rows = self.window_rows(pane, &rows)?;
        if let Some(replaced) = &mut self.replaced {
            replaced.keep(pane, rows);
        }
        Ok(())
    }

    /// Takes a batch whose rows are in several slices, or have no time.
    fn add_slices(
        &mut self,
        rows: &RecordBatch,
        slices: Vec<slices::SliceRows>,
        timeless: Vec<u32>,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let mut late = timeless;
        let mut panes: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for slice in slices {
            match self.standing(slice.start) {
                Standing::Gap => out.filtered_rows += slice.rows.len() as u64,
                Standing::Late => late.extend(slice.rows),
                Standing::Open => {
                    let starts = self.panes_of(slice.start);
                    for start in starts {
                        panes.entry(start).or_default().extend(&slice.rows);
                    }
                }
            }
        }
        if !panes.is_empty() {
            let inputs = self
                .calls
                .evaluate(rows, None)
                .map_err(OperatorError::compute(NAME))?;
            for (start, mut indices) in panes {
                // A window of several slices takes its rows in order of arrival.
                indices.sort_unstable();
                let inputs = inputs
                    .select(&indices)
                    .map_err(OperatorError::compute(NAME))?;
                self.add(start, &inputs)?;
            }
        }
        if !late.is_empty() {
            late.sort_unstable();
            let late = take_record_batch(rows, &UInt32Array::from(late))
                .map_err(OperatorError::arrow(NAME))?;
            out.late.push(late);
        }
        Ok(())
    }

    /// The rows of `groups` in the window that ends at `end`, in the output's schema.
    fn window_rows(&self, end: i64, groups: &GroupRows) -> Result<RecordBatch, OperatorError> {
        let window = self.window.ending_at(end);
        let columns = self.output.iter().map(|column| match column {
            WindowColumn::Key(index) => Arc::clone(&groups.keys[*index]),
            WindowColumn::Aggregate(index) => Arc::clone(&groups.results[*index]),
            bound => {
                let value = self.time.value(window, *bound);
                self.time
                    .array(std::iter::repeat_n(value, groups.row_count))
            }
        });
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Vec<ArrayRef>>())
            .map_err(OperatorError::arrow(NAME))
    }

    /// The groups of a pane that changed since the last time, as rows of its window.
    fn changed_rows(&mut self, start: i64) -> Result<Option<RecordBatch>, OperatorError> {
        let Some(table) = self
            .panes
            .get_mut(&start)
            .filter(|table| table.has_changes())
        else {
            return Ok(None);
        };
        let groups = table.take_changes();
        if let Some(replaced) = &mut self.replaced {
            replaced.release(start);
        }
        let rows = table.read(&groups).map_err(OperatorError::compute(NAME))?;
        self.window_rows(start, &rows).map(Some)
    }

    fn send(&mut self, batches: Vec<RecordBatch>, out: &mut Output) -> Result<(), OperatorError> {
        if let Some(replaced) = &mut self.replaced {
            replaced.send(&self.schema, out)?;
        }
        let rows = match batches.len() {
            0 => return Ok(()),
            1 => batches.into_iter().next(),
            _ => Some(concat_batches(&self.schema, &batches).map_err(OperatorError::arrow(NAME))?),
        };
        out.changes.extend(rows.map(ChangeBatch::inserts));
        Ok(())
    }
}

impl Operator for WindowAggregation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn send_replaced(&mut self) {
        self.replaced = self.changing.then(Replaced::default);
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        append_only(NAME, changes)?;
        let rows = changes.rows();
        if changes.is_empty() {
            return Ok(());
        }
        let times = self.time.read(NAME, rows)?;
        let start = match slices::split(&times, &self.window) {
            Slices::One(start) => start,
            Slices::Many { slices, timeless } => {
                return self.add_slices(rows, slices, timeless, out);
            }
        };
        match self.standing(start) {
            Standing::Gap => out.filtered_rows += rows.num_rows() as u64,
            Standing::Late => out.late.push(rows.clone()),
            Standing::Open => {
                let inputs = self
                    .calls
                    .evaluate(rows, None)
                    .map_err(OperatorError::compute(NAME))?;
                for pane in self.panes_of(start) {
                    self.add(pane, &inputs)?;
                }
            }
        }
        Ok(())
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
        if closed > self.closed {
            let before = std::mem::replace(&mut self.closed, closed);
            let mut batches = Vec::new();
            if let Some(mut shared) = self.shared.take() {
                let done = self.close_shared(&mut shared, before, &mut batches);
                self.shared = Some(shared);
                done?;
            } else {
                self.close_windows(&mut batches)?;
            }
            self.send(batches, out)?;
        }
        Ok(match self.event_time {
            None | Some(WindowColumn::Key(_) | WindowColumn::Aggregate(_)) => EventTime::MIN,
            Some(column) => self.time.promise(&self.window, self.closed, column),
        })
    }

    fn on_publish(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        if !self.changing {
            return Ok(());
        }
        let changed = self.panes.iter().filter(|(_, table)| table.has_changes());
        let starts: Vec<i64> = changed.map(|(start, _)| *start).collect();
        let mut batches = Vec::with_capacity(starts.len());
        for start in starts {
            batches.extend(self.changed_rows(start)?);
        }
        self.send(batches, out)
    }

    fn waiting(&self) -> Option<Waiting> {
        self.open_windows()
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let closed: ArrayRef = Arc::new(Int64Array::from(vec![self.closed.nanos()]));
        let field = Field::new("closed", DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![field]));
        out.put(META, RecordBatch::try_new(schema, vec![closed])?);
        let prefix = self.sections();
        for (pane, table) in &mut self.panes {
            let section = format!("{prefix}{pane}");
            if out.is_delta() && table.is_saved() {
                out.keep(&section);
                continue;
            }
            let groups = table.take_unsaved(out.is_delta());
            table.save(&groups, Vec::new(), &section, out)?;
        }
        Ok(())
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
        self.panes.clear();
        if let Some(shared) = &mut self.shared {
            shared.clear();
        }
        let panes = from.under(self.sections());
        for name in panes.names() {
            let start = name
                .parse()
                .map_err(|_| StateError::section(name, "is no window"))?;
            let mut table = GroupTable::new(&self.calls, self.changing)?.saved();
            for batch in panes.get(name) {
                table.load(&self.calls, batch)?;
            }
            self.panes.insert(start, table);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let panes: usize = self.panes.values().map(GroupTable::size).sum();
        panes + self.shared.as_ref().map_or(0, SharedSlices::size)
    }
}
