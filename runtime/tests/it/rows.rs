//! Rows of the tests' table `t`, and results as sorted texts that can be compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow::datatypes::{DataType, Float64Type, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// One row of `t`.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// In the unit of the column.
    pub ts: Option<i64>,
    pub k: Option<String>,
    pub side: Option<i32>,
    pub price: Option<f64>,
    pub amount: Option<i128>,
    pub qty: Option<i64>,
    pub name: Option<String>,
    pub id: i64,
}

/// Rows as a batch of `schema`.
pub fn batch(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let times = rows.iter().map(|row| row.ts);
    let ts: ArrayRef = match schema.field(0).data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            Arc::new(times.collect::<TimestampSecondArray>())
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Arc::new(times.collect::<TimestampMillisecondArray>())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Arc::new(times.collect::<TimestampMicrosecondArray>())
        }
        _ => Arc::new(times.collect::<TimestampNanosecondArray>()),
    };
    let amounts = rows
        .iter()
        .map(|row| row.amount)
        .collect::<Decimal128Array>();
    let columns: Vec<ArrayRef> = vec![
        ts,
        Arc::new(
            rows.iter()
                .map(|row| row.k.as_deref())
                .collect::<StringArray>(),
        ),
        Arc::new(rows.iter().map(|row| row.side).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| row.price).collect::<Float64Array>()),
        Arc::new(amounts.with_precision_and_scale(18, 4).unwrap()),
        Arc::new(rows.iter().map(|row| row.qty).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|row| row.name.as_deref())
                .collect::<StringArray>(),
        ),
        Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

/// The value of one cell: floats apart, because they are compared with a tolerance.
#[derive(Clone, Debug)]
pub enum Cell {
    Float(f64),
    Text(String),
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => {
                a == b
                    || (a.is_nan() && b.is_nan())
                    || (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
            }
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        }
    }
}

/// Rows by key text: the first `key` columns are the key.
pub type Table = BTreeMap<String, Vec<Cell>>;

/// The cells of row `row` of `batch`.
pub fn cells(batch: &RecordBatch, row: usize) -> Vec<Cell> {
    let options = FormatOptions::default().with_null("NULL");
    let cell = |column: &ArrayRef| {
        if column.data_type() == &DataType::Float64 && column.is_valid(row) {
            return Cell::Float(column.as_primitive::<Float64Type>().value(row));
        }
        Cell::Text(
            ArrayFormatter::try_new(column, &options)
                .unwrap()
                .value(row)
                .to_string(),
        )
    };
    batch.columns().iter().map(cell).collect()
}

/// The key of a row of cells.
pub fn key(cells: &[Cell], columns: usize) -> String {
    format!("{:?}", &cells[..columns])
}

/// All rows of `batches` by key; a key must not come twice.
pub fn table(batches: &[RecordBatch], key_columns: usize) -> Table {
    let mut out = Table::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = cells(batch, row);
            let known = out.insert(key(&cells, key_columns), cells);
            assert!(known.is_none(), "twice: {known:?}");
        }
    }
    out
}
