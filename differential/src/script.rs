//! The connector `script`: splits whose rows become readable when the case says so, and whose
//! batches are cut at random.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{Field, SchemaRef};
use async_trait::async_trait;
use parking_lot::Mutex;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::decode::{DecodeSchema, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};
use rtsap_stream::sink::{Sink, SinkInput};
use rtsap_stream::source::{
    Offset, Payloads, Positions, Source, SourceReader, SplitBatch, SplitId,
};

use crate::random::Random;
use crate::value::{Row, Type, Value};

/// How long a reader sleeps when nothing can be read.
const PAUSE: Duration = Duration::from_micros(200);

/// What can be read of one source; cloning shares it.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<Contents>>);

/// The rows of one source.
#[derive(Default)]
struct Contents {
    columns: Vec<(&'static str, Type)>,
    splits: Vec<Vec<Row>>,
    finished: bool,
    cuts: u64,
}

impl Script {
    /// A source of `splits` splits without rows, its batches cut by `seed`.
    pub fn new(columns: Vec<(&'static str, Type)>, splits: usize, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            columns,
            splits: vec![Vec::new(); splits],
            finished: false,
            cuts: seed,
        })))
    }

    /// Lets rows be read after those that were.
    pub fn arrive(&self, split: usize, rows: &[Row]) {
        self.0.lock().splits[split].extend(rows.iter().cloned());
    }

    /// No more rows will come.
    pub fn finish(&self) {
        self.0.lock().finished = true;
    }
}

/// The registry of scripts by the names of their sources.
pub struct Scripts(pub Vec<(&'static str, Script)>);

impl Scripts {
    fn find(&self, name: &str) -> Result<Script, ConnectorError> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, script)| script.clone())
            .ok_or_else(|| ConnectorError::invalid(format!("no script for source \"{name}\"")))
    }
}

impl ConnectorRegistry for Scripts {
    fn source_names(&self) -> Vec<&'static str> {
        vec!["script"]
    }

    fn sink_names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn check_source(&self, request: &SourceRequest) -> Result<(), ConnectorError> {
        self.find(&request.name).map(drop)
    }

    fn source(&self, request: &SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        Ok(Arc::new(self.find(&request.name)?))
    }

    fn decoder(
        &self,
        _request: &SourceRequest,
        _columns: &DecodeSchema,
    ) -> Result<Box<dyn Decoder>, ConnectorError> {
        Err(ConnectorError::invalid("scripts make rows themselves"))
    }

    fn check_sink(&self, _options: &Options) -> Result<ChangelogMode, ConnectorError> {
        Err(ConnectorError::invalid("scripts have no sinks"))
    }

    fn sink(&self, _: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
        self.check_sink(options)
            .and(Err(ConnectorError::invalid("scripts have no sinks")))
    }
}

#[async_trait]
impl Source for Script {
    async fn start_positions(&self) -> Result<Positions, ConnectorError> {
        let splits = self.0.lock().splits.len();
        let start = |split: usize| (SplitId::new(split.to_string()), Offset(0));
        Ok((0..splits).map(start).collect())
    }

    async fn end_positions(&self) -> Result<Positions, ConnectorError> {
        let contents = self.0.lock();
        let ends = contents.splits.iter().enumerate();
        let ends = ends.map(|(split, rows)| {
            let end = Offset(rows.len() as u64);
            (SplitId::new(split.to_string()), end)
        });
        Ok(ends.collect())
    }

    fn is_bounded(&self) -> bool {
        true
    }

    async fn open(
        &self,
        positions: &Positions,
        projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let lanes = positions.iter().map(|(split, offset)| {
            let index = split.as_str().parse().map_err(|_| {
                ConnectorError::data(format!("cannot read split \"{split}\" of a script"))
            })?;
            Ok(Lane {
                index,
                next: offset.0 as usize,
                ended: false,
            })
        });
        let mut contents = self.0.lock();
        contents.cuts = contents.cuts.wrapping_add(1);
        Ok(Box::new(Reader {
            script: self.clone(),
            lanes: lanes.collect::<Result<_, ConnectorError>>()?,
            schema: Arc::clone(projection),
            cuts: Random::new(contents.cuts),
        }))
    }
}

struct Lane {
    index: usize,
    next: usize,
    ended: bool,
}

struct Reader {
    script: Script,
    lanes: Vec<Lane>,
    schema: SchemaRef,
    cuts: Random,
}

impl Reader {
    fn read(&mut self, lane: usize) -> Result<Option<SplitBatch>, ConnectorError> {
        let contents = self.script.0.lock();
        let lane = &mut self.lanes[lane];
        let rows = &contents.splits[lane.index];
        let split = SplitId::new(lane.index.to_string());
        let waiting = rows.len().saturating_sub(lane.next);
        if waiting == 0 {
            if !contents.finished || lane.ended {
                return Ok(None);
            }
            lane.ended = true;
            let payloads = Payloads::Ended;
            return Ok(Some(SplitBatch { split, payloads }));
        }
        let count = match self.cuts.below(3) {
            0 => 1,
            1 => waiting,
            _ => 1 + self.cuts.below(waiting),
        };
        let rows = &rows[lane.next..lane.next + count];
        let columns = self.schema.fields().iter();
        let columns = columns.map(|field| column(field, &contents.columns, rows));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let schema = Arc::clone(&self.schema);
        let rows = RecordBatch::try_new_with_options(schema, columns, &options);
        let rows = rows.map_err(|error| ConnectorError::data(error.to_string()))?;
        let first = Offset(lane.next as u64);
        lane.next += count;
        let payloads = Payloads::Rows {
            rows,
            first,
            resume_at: Offset(lane.next as u64),
        };
        Ok(Some(SplitBatch { split, payloads }))
    }
}

impl SourceReader for Reader {
    fn poll(
        &mut self,
        _rows_max: usize,
        wait: Duration,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let deadline = Instant::now() + wait;
        loop {
            let first = self.cuts.below(self.lanes.len());
            for step in 0..self.lanes.len() {
                let lane = (first + step) % self.lanes.len();
                if let Some(batch) = self.read(lane)? {
                    return Ok(Some(batch));
                }
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// A column of rows in the type that is asked for.
fn column(
    field: &Field,
    columns: &[(&'static str, Type)],
    rows: &[Row],
) -> Result<ArrayRef, ConnectorError> {
    let missing = || ConnectorError::data(format!("a script has no column \"{}\"", field.name()));
    let place = columns.iter().position(|(name, _)| name == field.name());
    let place = place.ok_or_else(missing)?;
    let values = rows.iter().map(|row| &row[place]);
    let array: ArrayRef = match columns[place].1 {
        Type::Bool => Arc::new(BooleanArray::from_iter(values.map(|value| match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }))),
        Type::Int => Arc::new(Int64Array::from_iter(values.map(|value| match value {
            Value::Int(value) => Some(*value),
            _ => None,
        }))),
        Type::Real => Arc::new(Float64Array::from_iter(values.map(|value| match value {
            Value::Real(value) => Some(*value),
            _ => None,
        }))),
        Type::Decimal => {
            let values = values.map(|value| match value {
                Value::Decimal(value) => Some(*value),
                _ => None,
            });
            let array = Decimal128Array::from_iter(values).with_precision_and_scale(10, 2);
            Arc::new(array.map_err(|error| ConnectorError::data(error.to_string()))?)
        }
        Type::Text | Type::List => {
            Arc::new(StringArray::from_iter(values.map(|value| match value {
                Value::Text(value) => Some(value.as_str()),
                _ => None,
            })))
        }
        Type::Time => {
            let zone = match field.data_type() {
                arrow::datatypes::DataType::Timestamp(_, zone) => zone.clone(),
                _ => None,
            };
            let values = values.map(|value| match value {
                Value::Time(value) => Some(*value),
                _ => None,
            });
            Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone_opt(zone))
        }
    };
    cast(&array, field.data_type()).map_err(|error| ConnectorError::data(error.to_string()))
}
