//! `ema` and `rsi` against TA-Lib's C library, through its Python wheel, on real daily bars.
//!
//! Needs `RTSAP_TEST_PYTHON` (a Python with `ta-lib` and `numpy`) and the market data of
//! `RTSAP_MARKET_DATA` (default `../shared/data` beside the workspace). Says so loudly and passes
//! where either is absent.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::prelude::SessionContext;
use rtsap_udfs::FunctionRegistry;
use serde_json::Value;

/// Relative difference allowed between two implementations of the same recurrence.
const TOLERANCE: f64 = 1e-9;

#[test]
fn indicators_equal_ta_lib_on_real_bars() {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = std::env::var_os("RTSAP_MARKET_DATA")
        .map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    let python = std::env::var_os("RTSAP_TEST_PYTHON").filter(|python| !python.is_empty());
    let Some(python) = python.filter(|_| data.join("equity_daily").is_dir()) else {
        println!(
            "SKIPPED: ema and rsi were NOT compared with TA-Lib: set RTSAP_TEST_PYTHON and \
             RTSAP_MARKET_DATA (looked in {})",
            data.display()
        );
        return;
    };

    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/talib_oracle.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(&data)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut compared = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        compared += compare(&serde_json::from_str(line).unwrap());
    }
    assert!(compared > 100_000, "only {compared} values to compare");
    println!("compared {compared} values with TA-Lib");
}

/// Compares one series and returns how many values were equal.
fn compare(oracle: &Value) -> usize {
    let numbers = |key: &str| -> Vec<Option<f64>> {
        oracle[key]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::as_f64)
            .collect()
    };
    let (closes, expected) = (numbers("closes"), numbers("values"));
    let (indicator, period) = (oracle["indicator"].as_str().unwrap(), &oracle["period"]);
    let found = evaluate(&format!("{indicator}(close, {period})"), closes.clone());
    assert_eq!(found.len(), expected.len());
    for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let equal = match (found, expected) {
            (None, None) => true,
            // TA-Lib 0.8.3 answers 50 for a price that never moved, 0.8.1 answered 0.
            (Some(50.0), Some(0.0)) => indicator == "rsi" && never_moved(&closes[..=row]),
            (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * b.abs().max(f64::MIN_POSITIVE),
            _ => false,
        };
        let series = &oracle["series"];
        assert!(
            equal,
            "{indicator}({period}) of {series}, row {row}: {found:?}, not {expected:?}"
        );
    }
    expected.iter().flatten().count()
}

fn never_moved(closes: &[Option<f64>]) -> bool {
    let mut known = closes.iter().flatten();
    let first = known.next();
    known.all(|close| Some(close) == first)
}

fn evaluate(call: &str, closes: Vec<Option<f64>>) -> Vec<Option<f64>> {
    let days: ArrayRef = Arc::new((0..closes.len() as i64).map(Some).collect::<Int64Array>());
    let closes: ArrayRef = Arc::new(Float64Array::from(closes));
    let bars =
        RecordBatch::try_from_iter_with_nullable([("day", days, false), ("close", closes, true)]);
    let ctx = SessionContext::new();
    for function in FunctionRegistry::with_builtins().windows {
        ctx.register_udwf(function.as_ref().clone());
    }
    ctx.register_batch("bars", bars.unwrap()).unwrap();
    let sql = format!("SELECT {call} OVER (ORDER BY day) AS x FROM bars ORDER BY day");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let batches = runtime.block_on(async { ctx.sql(&sql).await.unwrap().collect().await.unwrap() });
    let values = |batch: &RecordBatch| -> Vec<Option<f64>> {
        batch
            .column(0)
            .as_primitive::<Float64Type>()
            .iter()
            .collect()
    };
    batches.iter().flat_map(values).collect()
}
