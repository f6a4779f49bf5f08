//! COPY in both directions, without any wire format: the protocol parses and writes bytes, this
//! takes and gives batches.

use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use rtsap_catalog::object::ObjectNumber;
use rtsap_planner::statement::{CopyFormat as WrittenFormat, CopyStatement, Name};
use rtsap_stream::change::ChangeBatch;

use crate::error::EngineError;
use crate::response::CommandTag;
use crate::session::Session;
use crate::session::block::{PendingRows, too_many_bytes};
use crate::session::computed::{Computed, is_computed};
use crate::session::{defaults, prepared, writes};

/// How COPY data are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Which format.
    pub format: CopyFormat,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What separates columns: by default a tab in text, a comma in CSV.
    pub delimiter: char,
    /// What stands for null: by default `\N` in text, nothing in CSV.
    pub null: String,
}

/// A COPY format of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// The text format.
    Text,
    /// CSV.
    Csv,
    /// The binary format.
    Binary,
}

/// A COPY … FROM STDIN that is under way. Nothing is written before [`CopyIn::finish`]; dropping it
/// writes nothing.
#[derive(Debug)]
pub struct CopyIn {
    table: ObjectNumber,
    name: String,
    /// The table's columns.
    target: SchemaRef,
    /// The columns that are sent, and for each column of the table which of them it is.
    schema: SchemaRef,
    sources: Vec<Option<usize>>,
    computed: Option<Computed>,
    options: CopyOptions,
    rows: Vec<RecordBatch>,
    bytes: usize,
    bytes_max: usize,
}

impl CopyIn {
    /// A COPY into `columns` of `table`, or into all if there are none.
    pub(crate) fn new(
        session: &Session,
        table: &Name,
        columns: &[String],
        options: CopyOptions,
    ) -> Result<Self, EngineError> {
        let catalog = session.instance.snapshot();
        let id = prepared::writable(&catalog, table)?;
        let target = writes::table_schema(&session.instance, id, &table.name)?;
        let position_of = |name: &String| {
            target.index_of(name).map_err(|_| {
                let message = format!(
                    "column \"{name}\" of relation \"{}\" does not exist",
                    table.name
                );
                EngineError::invalid("RT0202", message).sqlstate("42703")
            })
        };
        let all = defaults::columns(&catalog, id);
        let is_given = |at: &usize| all.get(*at).is_none_or(|column| !is_computed(column));
        let sent: Vec<usize> = if columns.is_empty() {
            (0..target.fields().len()).filter(is_given).collect()
        } else {
            columns.iter().map(position_of).collect::<Result<_, _>>()?
        };
        if let Some(at) = sent.iter().find(|at| !is_given(at)) {
            let name = target.field(*at).name();
            let message = format!("column \"{name}\" is a generated column");
            return Err(EngineError::invalid("RT0206", message)
                .sqlstate("42P10")
                .detail("Generated columns cannot be used in COPY."));
        }
        let left_out = all.iter().enumerate();
        let mut left_out = left_out.filter(|(at, _)| !sent.contains(at));
        if let Some((_, column)) = left_out.find(|(_, column)| column.default.is_some()) {
            let what = format!(
                "COPY without column \"{}\", which has a DEFAULT",
                column.name
            );
            return Err(EngineError::unsupported(&what).hint("Send the column, or INSERT."));
        }
        let sources = (0..target.fields().len())
            .map(|i| sent.iter().position(|s| *s == i))
            .collect();
        let fields: Vec<_> = sent
            .iter()
            .map(|index| Arc::clone(&target.fields()[*index]))
            .collect();
        Ok(Self {
            table: id,
            name: table.name.clone(),
            target,
            schema: Arc::new(Schema::new(fields)),
            sources,
            computed: Computed::of(&session.instance, id)?,
            options,
            rows: Vec::new(),
            bytes: 0,
            bytes_max: session.instance.config.uncommitted_bytes_max,
        })
    }

    /// The columns that the client sends, in order, with the types they will have.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How the client writes them.
    pub fn options(&self) -> &CopyOptions {
        &self.options
    }

    /// Takes rows: each column either of the type in [`CopyIn::schema`] or Utf8, which is cast like
    /// a literal.
    ///
    /// # Errors
    /// `Invalid` for a value that cannot be cast, a wrong number of columns, or a null in a NOT
    /// NULL column; `Exhausted` beyond the limit of bytes.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<(), EngineError> {
        if rows.num_columns() != self.schema.fields().len() {
            let message = format!(
                "COPY into \"{}\" has {} columns, not {}",
                self.name,
                self.schema.fields().len(),
                rows.num_columns()
            );
            return Err(EngineError::invalid("RT0536", message).sqlstate("22P04"));
        }
        let columns: Vec<_> = self
            .sources
            .iter()
            .zip(self.target.fields())
            .map(|(source, field)| match source {
                Some(index) => Arc::clone(rows.column(*index)),
                None => new_null_array(field.data_type(), rows.num_rows()),
            })
            .collect();
        let batch = writes::fitted(&columns, &self.target, &self.name)?;
        let batch = match &self.computed {
            Some(computed) => computed.fill(&batch)?,
            None => batch,
        };
        self.bytes += batch.get_array_memory_size();
        if self.bytes > self.bytes_max {
            return Err(too_many_bytes(self.bytes_max));
        }
        if batch.num_rows() > 0 {
            self.rows.push(batch);
        }
        Ok(())
    }

    /// Writes all rows at once, or at `COMMIT` of an open block, and returns the tag once they are
    /// durable.
    ///
    /// # Errors
    /// As [`Session::execute`] for an INSERT.
    pub async fn finish(self, session: &mut Session) -> Result<CommandTag, EngineError> {
        let rows = PendingRows {
            table: self.table,
            name: self.name,
            changes: self.rows.into_iter().map(ChangeBatch::inserts).collect(),
        };
        match writes::accept(session, rows).await {
            Ok(count) => Ok(CommandTag::Affected("COPY", count)),
            Err(error) => {
                session.set_failed();
                Err(error)
            }
        }
    }
}

/// The options of a statement with PostgreSQL's defaults filled in.
pub(crate) fn options(statement: &CopyStatement) -> CopyOptions {
    let (format, delimiter, null) = match statement.format {
        WrittenFormat::Text => (CopyFormat::Text, '\t', "\\N"),
        WrittenFormat::Csv => (CopyFormat::Csv, ',', ""),
        WrittenFormat::Binary => (CopyFormat::Binary, '\t', "\\N"),
    };
    CopyOptions {
        format,
        header: statement.header,
        delimiter: statement.delimiter.unwrap_or(delimiter),
        null: statement.null.clone().unwrap_or_else(|| null.to_owned()),
    }
}
