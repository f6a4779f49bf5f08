//! A view of a source that has gone quiet does not hold back those that read it.
#![expect(clippy::unwrap_used, reason = "a failed step fails its test")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use object_store::memory::InMemory;
use rtsap_differential::case::bases;
use rtsap_differential::script::{Script, Scripts};
use rtsap_differential::value::{START_US, Value};
use rtsap_engine::Engine;
use rtsap_engine::config::EngineConfig;
use rtsap_engine::response::Response;
use rtsap_engine::session::{Session, SessionSettings};

async fn count(session: &mut Session, sql: &str) -> usize {
    let mut rows = 0;
    for statement in session.parse(sql).unwrap() {
        let prepared = session.prepare(&statement, &[]).await.unwrap();
        let response = session.execute(&prepared, &[]).await.unwrap();
        if let Response::Rows { mut batches, .. } = response {
            while let Some(batch) = batches.next().await {
                rows += batch.unwrap().num_rows();
            }
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_source_is_left_out_through_views_as_well() {
    let at = |second: i64| Value::Time(START_US + second * 1_000_000);
    let key = || Value::Text("a".to_owned());
    let scripts: Vec<(&'static str, Script)> = bases()[..2]
        .iter()
        .map(|base| (base.name, Script::new(base.columns.clone(), 1, 1)))
        .collect();
    let quiet = vec![Value::Int(1), key(), Value::Int(1), Value::Null, at(0)];
    scripts[0].1.arrive(0, &[quiet]);
    let busy = |second: i64| {
        let id = Value::Int(second);
        vec![
            id,
            key(),
            Value::Int(1),
            Value::Null,
            Value::Null,
            at(second),
        ]
    };
    scripts[1].1.arrive(0, &[busy(10), busy(60)]);
    let config = EngineConfig::new(Arc::new(InMemory::new()), "idle");
    let engine = Engine::start(config, Arc::new(Scripts(scripts)))
        .await
        .unwrap();
    let mut session = engine.session(SessionSettings::default()).unwrap();
    for (name, columns) in [
        ("a", "id BIGINT, k TEXT, ts TIMESTAMP(6)"),
        ("b", "id BIGINT, k TEXT, ts TIMESTAMP(6)"),
    ] {
        let source = format!(
            "CREATE SOURCE {name} ({columns}, WATERMARK FOR ts AS ts) WITH ('connector' = 'script', \
             'scan.watermark.idle-timeout' = '200 ms')"
        );
        count(&mut session, &source).await;
        let view = format!("CREATE STREAMING VIEW of_{name} AS SELECT * FROM {name}");
        count(&mut session, &view).await;
    }
    let join = "CREATE STREAMING VIEW alone AS SELECT b.id FROM of_b AS b LEFT JOIN of_a AS a \
                ON a.k = b.k AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' SECOND";
    count(&mut session, join).await;
    // The row of second 10 is alone for good once `a`, which is at second 0, is left out.
    for _ in 0..200 {
        if count(&mut session, "SELECT * FROM alone").await == 1 {
            engine.stop().await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.stop().await.unwrap();
    unreachable!("the quiet source holds the join back");
}
