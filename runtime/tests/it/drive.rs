//! Runs a script through an operator and through DataFusion, and compares.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{Emit, WindowColumn};
use rtsap_plan::window::{Window, WindowSpec};
use rtsap_runtime::operator::{Operator, Output, instantiate};
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::time::{EventTime, nanos_per};

use super::generate::Event;
use super::plans::{self, compile, group_node, session, window_node};
use super::rows::{Row, Table, batch, cells, key, table};
use super::saves::Saves;

/// A window aggregation to try.
#[derive(Clone, Debug)]
pub struct WindowCase {
    pub window: WindowSpec,
    pub emit: Emit,
    pub unit: TimeUnit,
    pub keys: &'static [&'static str],
    pub aggregates: &'static [&'static str],
    pub event_time: WindowColumn,
    pub lateness_nanos: i64,
}

/// A group aggregation to try.
#[derive(Clone, Debug)]
pub struct GroupCase<'a> {
    pub keys: &'a [&'a str],
    pub aggregates: &'a [&'a str],
    /// Whether rows are taken back.
    pub retracts: bool,
}

/// Starts the operator of `node` anew from what has been saved of `operator` up to now.
pub fn crash(
    operator: &mut dyn Operator,
    saves: &mut Saves,
    node: &Node,
    input: &SchemaRef,
) -> Box<dyn Operator> {
    saves.save(operator);
    let mut fresh = instantiate::operator(node, &[Arc::clone(input)]).unwrap();
    fresh.restore(&saves.restart().under("7/")).unwrap();
    fresh
}

/// What the definition of windows says about the rows.
#[derive(Default)]
struct Expected {
    /// Rows with the windows they count in.
    counted: Vec<(Window, Row)>,
    late: BTreeSet<i64>,
    in_gaps: u64,
}

/// A window operator with all that came out of it.
struct Run<'a> {
    case: &'a WindowCase,
    key_columns: usize,
    shown: Table,
    late: BTreeSet<i64>,
    filtered: u64,
    promise: EventTime,
    event_time: usize,
}

impl Run<'_> {
    fn take(&mut self, out: Output) {
        for changes in &out.changes {
            let rows = changes.rows();
            let times = cast(rows.column(self.event_time), &DataType::Int64).unwrap();
            for row in 0..changes.len() {
                assert_eq!(changes.op(row), Op::Insert);
                let time = times.as_primitive::<Int64Type>().value(row);
                let time = EventTime::from_unit(time, self.case.unit);
                assert!(
                    time >= self.promise,
                    "{time} was promised not to come: {}",
                    self.promise
                );
                let cells = cells(rows, row);
                let known = self.shown.insert(key(&cells, self.key_columns), cells);
                if self.case.emit != Emit::Changes {
                    assert!(known.is_none(), "shown twice: {known:?}");
                }
            }
        }
        for late in &out.late {
            let ids = late
                .column_by_name("id")
                .unwrap()
                .as_primitive::<Int64Type>();
            self.late.extend(ids.values());
        }
        self.filtered += out.filtered_rows;
    }
}

/// Runs `script` and compares.
pub async fn run_windows(case: &WindowCase, script: &[Event]) {
    let schema = plans::schema(case.unit);
    let compiled = compile(&schema, case.keys, case.aggregates).await;
    let (emit, lateness) = (case.emit, case.lateness_nanos);
    let node = window_node(
        &compiled,
        case.window,
        emit,
        lateness,
        case.unit,
        case.event_time,
    );
    let wait = lateness
        + if let Emit::OnClose { delay_nanos } = emit {
            delay_nanos
        } else {
            0
        };
    let mut operator = instantiate::operator(&node, &[Arc::clone(&schema)]).unwrap();
    let mut run = Run {
        case,
        key_columns: 2 + case.keys.len(),
        shown: Table::new(),
        late: BTreeSet::new(),
        filtered: 0,
        promise: EventTime::MIN,
        event_time: node.properties.event_time.unwrap(),
    };
    let (mut expected, mut saves) = (Expected::default(), Saves::default());
    let (mut latest, mut watermark) = (i64::MIN, i64::MIN);
    let units = 1_000_000_000 / nanos_per(case.unit);
    for event in script {
        let mut out = Output::default();
        match event {
            Event::Rows(rows) => {
                let mut rows = rows.clone();
                for row in &mut rows {
                    latest = latest.max(row.ts.unwrap_or(i64::MIN));
                    row.ts = row.ts.map(|ts| ts * units);
                    expect(&mut expected, case, row, watermark.saturating_sub(wait));
                }
                let rows = batch(&schema, &rows);
                operator
                    .on_changes(0, &ChangeBatch::inserts(rows), &mut out)
                    .unwrap();
                run.take(out);
            }
            Event::Watermark(behind) if latest != i64::MIN => {
                let time = (latest - behind) * 1_000_000_000;
                if time > watermark {
                    watermark = time;
                    let time = EventTime::from_nanos(time);
                    let promise = operator.on_watermark(time, &mut out).unwrap();
                    run.take(out);
                    assert!(promise >= run.promise);
                    run.promise = promise;
                }
            }
            Event::Publish => {
                operator.on_publish(&mut out).unwrap();
                run.take(out);
                saves.save(operator.as_mut());
            }
            Event::Crash => {
                operator.on_publish(&mut out).unwrap();
                run.take(out);
                operator = crash(operator.as_mut(), &mut saves, &node, &schema);
            }
            Event::Watermark(_) | Event::Retract(_) => {}
        }
    }
    let mut out = Output::default();
    operator.on_publish(&mut out).unwrap();
    assert_eq!(
        operator.on_watermark(EventTime::MAX, &mut out).unwrap(),
        EventTime::MAX
    );
    run.take(out);
    assert_eq!(operator.state_bytes(), 0);
    assert_eq!(run.late, expected.late);
    assert_eq!(run.filtered, expected.in_gaps);
    let answer = window_answer(case, &schema, &expected.counted).await;
    compare(&run.shown, &answer);
}

/// Sorts one row by the definition.
fn expect(expected: &mut Expected, case: &WindowCase, row: &Row, closed: i64) {
    let Some(ts) = row.ts else {
        expected.late.insert(row.id);
        return;
    };
    let nanos = ts * nanos_per(case.unit);
    let (size, slide) = (case.window.size_nanos(), case.window.slide_nanos());
    // Every window that could hold the time, by the definition alone.
    let around = (nanos - case.window.offset_nanos()).div_euclid(slide);
    let starts = (around - size / slide - 2..=around + 1)
        .map(|index| case.window.offset_nanos() + index * slide);
    let starts: Vec<Window> = match case.window {
        WindowSpec::Cumulate { .. } => {
            let offset = case.window.offset_nanos();
            let start = offset + (nanos - offset).div_euclid(size) * size;
            let ends = (1..=size / slide).map(|step| start + step * slide);
            ends.map(|end| Window { start, end }).collect()
        }
        _ => starts
            .map(|start| Window {
                start,
                end: start + size,
            })
            .collect(),
    };
    let windows: Vec<Window> = starts
        .into_iter()
        .filter(|window| window.start <= nanos && nanos < window.end)
        .collect();
    if windows.is_empty() {
        expected.in_gaps += 1;
    } else if windows.iter().all(|window| window.end <= closed) {
        expected.late.insert(row.id);
    }
    let open = windows.into_iter().filter(|window| window.end > closed);
    expected
        .counted
        .extend(open.map(|window| (window, row.clone())));
}

/// DataFusion's answer over each row once for each of its windows.
pub async fn window_answer(
    case: &WindowCase,
    schema: &SchemaRef,
    counted: &[(Window, Row)],
) -> Table {
    let rows: Vec<Row> = counted.iter().map(|(_, row)| row.clone()).collect();
    let rows = batch(schema, &rows);
    let unit = nanos_per(case.unit);
    let time = DataType::Timestamp(case.unit, None);
    let column = |of: &dyn Fn(&Window) -> i64| -> ArrayRef {
        let values = counted.iter().map(|(window, _)| of(window));
        let values: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(values));
        cast(&values, &time).unwrap()
    };
    let mut columns = rows.columns().to_vec();
    columns.push(column(&|window| window.start / unit));
    columns.push(column(&|window| window.end / unit));
    columns.push(column(&|window| window.end / unit - 1));
    let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(["ws", "we", "wt"].map(|name| Field::new(name, time.clone(), false)));
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let keys = [&["ws", "we"], case.keys].concat().join(", ");
    let aggregates = case.aggregates.join(", ");
    let sql = format!("SELECT {keys}, {aggregates}, wt FROM e GROUP BY {keys}, wt");
    answer(&sql, "e", &schema, rows, 2 + case.keys.len()).await
}

async fn answer(
    sql: &str,
    name: &str,
    schema: &SchemaRef,
    rows: RecordBatch,
    key_columns: usize,
) -> Table {
    let ctx = session(name, schema, vec![rows]);
    let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    table(&batches, key_columns)
}

pub fn compare(found: &Table, expected: &Table) {
    for (key, cells) in expected {
        assert_eq!(found.get(key), Some(cells), "at {key}");
    }
    let surplus: Vec<_> = found
        .keys()
        .filter(|key| !expected.contains_key(*key))
        .collect();
    assert!(surplus.is_empty(), "not expected: {surplus:?}");
}

/// A group operator with what it has shown.
struct Shown {
    key_columns: usize,
    rows: Table,
    /// Whether a delete must carry the row as it was shown.
    exact_deletes: bool,
}

impl Shown {
    fn take(&mut self, out: Output) {
        for changes in &out.changes {
            for row in 0..changes.len() {
                let cells = cells(changes.rows(), row);
                let key = key(&cells, self.key_columns);
                match changes.op(row) {
                    Op::Insert => {
                        self.rows.insert(key, cells);
                    }
                    Op::Delete => {
                        let known = self.rows.remove(&key);
                        assert!(known.is_some(), "deleted what was not shown: {key}");
                        if self.exact_deletes {
                            assert_eq!(known, Some(cells));
                        }
                    }
                }
            }
        }
        assert!(out.late.is_empty());
    }
}

/// Runs `script` and compares at every publish.
pub async fn run_group(case: &GroupCase<'_>, script: &[Event]) {
    let schema = plans::schema(TimeUnit::Millisecond);
    let mut compiled = compile(&schema, case.keys, case.aggregates).await;
    for (call, text) in compiled.aggregates.iter_mut().zip(case.aggregates) {
        let subtracts = ["count(", "sum(", "avg("]
            .iter()
            .any(|name| text.starts_with(name));
        call.keeps_rows = case.retracts && (!subtracts || text.contains("DISTINCT"));
    }
    let node = group_node(&compiled);
    let mut operator = instantiate::operator(&node, &[Arc::clone(&schema)]).unwrap();
    let mut shown = Shown {
        key_columns: case.keys.len(),
        rows: Table::new(),
        exact_deletes: false,
    };
    let (mut live, mut saves) = (Vec::<Row>::new(), Saves::default());
    let mut retracting = false;
    for event in script.iter().chain([&Event::Publish]) {
        let mut out = Output::default();
        match event {
            Event::Rows(rows) => {
                live.extend(rows.iter().cloned());
                let changes = ChangeBatch::inserts(batch(&schema, rows));
                operator.on_changes(0, &changes, &mut out).unwrap();
            }
            Event::Retract(every) if case.retracts => {
                let changes = retract(&schema, &mut live, *every);
                retracting |= changes.ops().is_some();
                operator.on_changes(0, &changes, &mut out).unwrap();
            }
            Event::Watermark(_) | Event::Retract(_) => continue,
            Event::Publish | Event::Crash => {
                operator.on_publish(&mut out).unwrap();
                shown.take(std::mem::take(&mut out));
                shown.exact_deletes = retracting;
                match event {
                    Event::Crash => {
                        operator = crash(operator.as_mut(), &mut saves, &node, &schema);
                    }
                    _ => saves.save(operator.as_mut()),
                }
                let select = [case.keys, case.aggregates].concat().join(", ");
                let group = match case.keys {
                    [] => String::new(),
                    keys => format!(" GROUP BY {}", keys.join(", ")),
                };
                let sql = format!("SELECT {select} FROM t{group}");
                let rows = batch(&schema, &live);
                let expected = answer(&sql, "t", &schema, rows, case.keys.len()).await;
                compare(&shown.rows, &expected);
            }
        }
        assert!(out.changes.is_empty(), "sent before the publish");
    }
}

/// Takes every `every`-th live row back; every second of them comes again at once with another
/// quantity.
pub fn retract(schema: &SchemaRef, live: &mut Vec<Row>, every: usize) -> ChangeBatch {
    let (mut rows, mut ops) = (Vec::new(), Vec::new());
    let mut kept = Vec::new();
    for (index, row) in std::mem::take(live).into_iter().enumerate() {
        if index % every != 0 {
            kept.push(row);
            continue;
        }
        rows.push(row.clone());
        ops.push(-1);
        if index % (2 * every) == 0 {
            let again = Row {
                qty: Some(1_000),
                ..row
            };
            rows.push(again.clone());
            ops.push(1);
            kept.push(again);
        }
    }
    *live = kept;
    let batches = [batch(schema, &rows)];
    let rows = concat_batches(schema, &batches).unwrap();
    ChangeBatch::try_new(rows, Int8Array::from(ops)).unwrap()
}
