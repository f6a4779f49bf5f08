//! Our functions against independent implementations in Python, over real market data.
//!
//! Each script prints JSON lines of two kinds: `{"table": name, "columns": {name: [..]}}` makes a
//! table (column `day` of integers, text as text, all else double precision), and `{"sql": ..,
//! "values": [[..], ..], "tolerance": ..}` states what a query must answer: one list per column
//! of its result, a struct counting as its fields, null for null.
//!
//! Needs `RTSAP_TEST_PYTHON` (a Python with what `scripts/requirements.txt` lists) and the market
//! data of `RTSAP_MARKET_DATA` (default `../shared/data` beside the workspace). Says so loudly and
//! passes where either is absent.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stdout, reason = "a test that compares nothing says so")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::prelude::SessionContext;
use rtsap_udfs::FunctionRegistry;
use serde_json::Value;

#[test]
fn indicators_equal_ta_lib() {
    check("talib_functions.py", 400_000);
}

#[test]
fn indicators_equal_talipp() {
    check("talipp_functions.py", 100_000);
}

#[test]
fn options_equal_scipy() {
    check("options.py", 3_000);
}

#[test]
fn aggregates_equal_their_references() {
    check("aggregates.py", 300);
}

#[test]
fn windows_equal_their_references() {
    check("windows.py", 20_000);
}

#[test]
fn calendars_equal_pythons() {
    check("calendars.py", 90_000);
}

/// Runs a script and every query that it prints; at least `least` values must be compared.
fn check(script: &str, least: usize) {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = std::env::var_os("RTSAP_MARKET_DATA")
        .map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    let python = std::env::var_os("RTSAP_TEST_PYTHON").filter(|python| !python.is_empty());
    let Some(python) = python.filter(|_| data.join("equity_daily").is_dir()) else {
        println!(
            "SKIPPED: {script} was NOT compared with: set RTSAP_TEST_PYTHON and \
             RTSAP_MARKET_DATA (looked in {})",
            data.display()
        );
        return;
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let output = Command::new(&python)
        .arg(path.join(script))
        .arg(&data)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (mut compared, mut failures) = (0, Vec::new());
    let trial = Trial::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["table"].is_string() {
            trial.make_table(&line);
            continue;
        }
        match trial.compare(&line) {
            Ok(count) => compared += count,
            Err(failure) => failures.push(failure),
        }
    }
    let count = failures.len();
    assert!(count == 0, "{count} queries:\n{}", failures.join("\n"));
    assert!(compared >= least, "only {compared} values to compare");
    println!("{script}: compared {compared} values");
}

/// A session with our functions and the tables of a script.
struct Trial {
    ctx: SessionContext,
    runtime: tokio::runtime::Runtime,
}

impl Trial {
    fn new() -> Self {
        let ctx = SessionContext::new();
        let registry = FunctionRegistry::with_builtins();
        for function in registry.scalars {
            ctx.register_udf(function.as_ref().clone());
        }
        for function in registry.aggregates {
            ctx.register_udaf(function.as_ref().clone());
        }
        for function in registry.windows {
            ctx.register_udwf(function.as_ref().clone());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self {
            ctx,
            runtime: runtime.unwrap(),
        }
    }

    fn make_table(&self, line: &Value) {
        let columns = line["columns"].as_object().unwrap();
        let columns = columns.iter().map(|(name, values)| {
            let values = values.as_array().unwrap();
            let column: ArrayRef = if name == "day" {
                Arc::new(Int64Array::from_iter(values.iter().map(Value::as_i64)))
            } else if values.iter().any(Value::is_string) {
                Arc::new(StringArray::from_iter(values.iter().map(Value::as_str)))
            } else {
                Arc::new(Float64Array::from_iter(values.iter().map(Value::as_f64)))
            };
            (name, column, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let name = line["table"].as_str().unwrap();
        self.ctx.register_batch(name, batch).unwrap();
    }

    /// Returns how many values are as expected, or the first that is not.
    fn compare(&self, line: &Value) -> Result<usize, String> {
        let sql = line["sql"].as_str().unwrap();
        let tolerance = line["tolerance"].as_f64().unwrap();
        let found = self.run(sql).map_err(|error| format!("{sql}: {error}"))?;
        let expected = line["values"].as_array().unwrap();
        if found.len() != expected.len() {
            return Err(format!("{sql}: {} columns", found.len()));
        }
        let mut count = 0;
        for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
            let expected: Vec<Option<f64>> = expected
                .as_array()
                .unwrap()
                .iter()
                .map(Value::as_f64)
                .collect();
            if found.len() != expected.len() {
                return Err(format!("{sql}: {} rows", found.len()));
            }
            let differs = |(found, expected): (&Option<f64>, &Option<f64>)| match (found, expected)
            {
                (None, None) => false,
                (Some(a), Some(b)) => (a - b).abs() > tolerance * b.abs().max(1e-3),
                _ => true,
            };
            if let Some(row) = found.iter().zip(&expected).position(differs) {
                let (found, expected) = (found[row], expected[row]);
                return Err(format!(
                    "{sql}: column {column}, row {row}: {found:?}, not {expected:?}"
                ));
            }
            count += expected.iter().flatten().count();
        }
        Ok(count)
    }

    fn run(&self, sql: &str) -> datafusion::common::Result<Vec<Vec<Option<f64>>>> {
        let batches = self
            .runtime
            .block_on(async { self.ctx.sql(sql).await?.collect().await })?;
        let batch = concat_batches(&batches[0].schema(), &batches)?;
        let mut columns = Vec::new();
        for column in batch.columns() {
            flatten(column, &mut columns);
        }
        Ok(columns)
    }
}

/// Adds a column as numbers, a struct as its fields.
fn flatten(column: &ArrayRef, into: &mut Vec<Vec<Option<f64>>>) {
    if let Some(parts) = column.as_struct_opt() {
        parts.columns().iter().for_each(|part| flatten(part, into));
        return;
    }
    let numbers = cast(column, &DataType::Float64).unwrap();
    let numbers = numbers.as_primitive::<Float64Type>();
    into.push(
        (0..numbers.len())
            .map(|row| numbers.is_valid(row).then(|| numbers.value(row)))
            .collect(),
    );
}
