//! Window functions give a row the same value however many rows come after it: a streaming view
//! asks them before the later rows are there.

use std::sync::Arc;

use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::FunctionRegistry as _;
use datafusion::prelude::SessionContext;
use rtsap_udfs::{FunctionKind, FunctionRegistry};

async fn session(registry: &FunctionRegistry, rows: usize) -> SessionContext {
    let ctx = SessionContext::new();
    for function in &registry.scalars {
        ctx.register_udf(function.as_ref().clone());
    }
    for function in &registry.windows {
        ctx.register_udwf(function.as_ref().clone());
    }
    for planner in &registry.expr_planners {
        let state = ctx.state_ref();
        state
            .write()
            .register_expr_planner(Arc::clone(planner))
            .unwrap();
    }
    let sql = format!(
        "CREATE TABLE trades AS SELECT 'A' AS symbol, to_timestamp(i * 60) AS ts, \
         100.0 + 9.0 * sin(i * 0.7) + i % 7 AS price, 1.0 + i % 5 AS size \
         FROM (SELECT value AS i FROM generate_series(1, {rows}))"
    );
    ctx.sql(&sql).await.unwrap().collect().await.unwrap();
    ctx
}

async fn answer(ctx: &SessionContext, sql: &str) -> Option<Vec<String>> {
    let batches = ctx.sql(sql).await.ok()?.collect().await.ok()?;
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .map(|column| array_value_to_string(column, row));
            rows.push(cells.collect::<Result<Vec<_>, _>>().ok()?.join(" "));
        }
    }
    Some(rows)
}

#[test]
fn window_functions_do_not_look_ahead() {
    let registry = FunctionRegistry::with_builtins();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (mut asked, mut wrong) = (0, Vec::new());
    runtime.block_on(async {
        let (short, long) = (session(&registry, 70).await, session(&registry, 120).await);
        let docs = registry
            .docs
            .iter()
            .filter(|doc| doc.kind == FunctionKind::Window);
        for doc in docs {
            let (before, after) = (
                answer(&short, doc.example).await,
                answer(&long, doc.example).await,
            );
            let (Some(before), Some(after)) = (before, after) else {
                continue;
            };
            asked += 1;
            if after.get(..before.len()) != Some(before.as_slice()) {
                wrong.push(doc.name);
            }
        }
    });
    assert!(asked > 150, "only {asked} examples ran");
    // `interpolate` is there to look ahead; streaming views refuse it.
    wrong.retain(|name| *name != "interpolate");
    assert!(wrong.is_empty(), "{wrong:?}");
}
