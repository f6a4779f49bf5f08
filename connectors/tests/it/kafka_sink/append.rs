//! The appending sink: what a message is, and what is refused.

use rtsap_stream::error::ErrorKind;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn each_epoch_is_there_once_with_its_number() {
    let Some(corner) = corner("append") else {
        return;
    };
    let mut sink = corner.sink(&trades("s"), &[("key.fields", "symbol")]);
    let report = sink.fence(generation(1), None).await.unwrap();
    assert_eq!(report.applied, Epoch::ZERO);
    let target = format!(
        "Kafka topic \"{}\" (3 partitions), progress in ",
        corner.topic
    );
    assert!(report.target.starts_with(&target), "{}", report.target);
    let first = changes(&[(1, "AAPL", 1), (1, "MSFT", 2), (1, "AAPL", 3)]);
    sink.apply(epoch(1), epoch(0), &first).await.unwrap();
    sink.apply(epoch(4), epoch(1), &changes(&[(1, "AAPL", 4)]))
        .await
        .unwrap();
    // An epoch that comes again changes nothing.
    sink.apply(epoch(4), epoch(1), &changes(&[(1, "AAPL", 4)]))
        .await
        .unwrap();
    let foreign = sink.apply(epoch(1), epoch(0), &first).await;
    assert_eq!(kind(foreign), ErrorKind::Data);
    let seen = corner.read("read_committed");
    let of = |key: &str| -> Vec<Seen> {
        let all = seen.values().flatten();
        all.filter(|seen| seen.key.as_deref() == Some(key))
            .cloned()
            .collect()
    };
    let apple = of("{\"symbol\":\"AAPL\"}");
    let values: Vec<&str> = apple.iter().filter_map(|s| s.value.as_deref()).collect();
    assert_eq!(
        values,
        [
            "{\"symbol\":\"AAPL\",\"n\":1}",
            "{\"symbol\":\"AAPL\",\"n\":3}",
            "{\"symbol\":\"AAPL\",\"n\":4}"
        ]
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        apple[1].headers,
        [header("rtsap-epoch", "1"), header("rtsap-row", "2")]
    );
    assert_eq!(
        apple[2].headers,
        [header("rtsap-epoch", "4"), header("rtsap-row", "0")]
    );
    assert_eq!(of("{\"symbol\":\"MSFT\"}").len(), 1);
    let partitions = seen.values().filter(|seen| {
        seen.iter()
            .any(|s| s.key.as_deref() == Some("{\"symbol\":\"AAPL\"}"))
    });
    assert_eq!(partitions.count(), 1, "a key lies in one partition");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_epoch_is_one_transaction() {
    let Some(corner) = corner("large") else {
        return;
    };
    let mut sink = corner.sink(&trades("s"), &[("headers", "false")]);
    sink.fence(generation(1), None).await.unwrap();
    let rows: Vec<(i8, &str, i64)> = (0..300_000).map(|n| (1, "AAPL", n)).collect();
    sink.apply(epoch(1), epoch(0), &changes(&rows))
        .await
        .unwrap();
    let seen = corner.read("read_committed");
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 300_000);
    let plain = |seen: &Seen| seen.key.is_none() && seen.headers.is_empty();
    assert!(seen.values().flatten().all(plain));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_or_of_another_kind_is_refused() {
    let Some(corner) = corner("missing") else {
        return;
    };
    let progress = corner.progress_topic();
    let given = [("create", "false"), ("progress.topic", progress.as_str())];
    let mut sink = corner.sink(&trades("s"), &given);
    let error = sink.fence(generation(1), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("does not exist"), "{error}");
    corner.create(&corner.topic, 1, "delete").await;
    corner.create(&progress, 2, "compact").await;
    let error = sink.fence(generation(1), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("it has 2 partitions"), "{error}");
    let deleted = format!("{progress}-deleted");
    corner.create(&deleted, 1, "delete").await;
    let given = [("progress.topic", deleted.as_str())];
    let mut sink = corner.sink(&trades("s"), &given);
    let error = sink.fence(generation(1), None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("deleted with time"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_stops_the_sink_and_leaves_nothing() {
    let Some(corner) = corner("huge") else {
        return;
    };
    let mut sink = corner.sink(&trades("s"), &[]);
    sink.fence(generation(1), None).await.unwrap();
    let huge = "x".repeat(2_000_000);
    let rows = changes(&[(1, "AAPL", 1), (1, &huge, 2)]);
    let error = sink.apply(epoch(1), epoch(0), &rows).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error} {:?}", error.detail);
    assert!(corner.committed().is_empty());
    sink.apply(epoch(1), epoch(0), &changes(&[(1, "AAPL", 1)]))
        .await
        .unwrap();
    assert_eq!(corner.committed().len(), 1);
}

#[test]
fn views_that_do_not_fit_are_refused() {
    let corner = Corner {
        servers: "127.0.0.1:1".to_owned(),
        topic: "t".to_owned(),
    };
    let refusal =
        |input: &SinkInput, extra: &[(&str, &str)]| match sink::sink(input, &corner.options(extra))
        {
            Ok(_) => String::new(),
            Err(error) => error.message,
        };
    let mut input = trades("s");
    assert_eq!(refusal(&input, &[]), "");
    assert!(refusal(&input, &[("connector", "upsert-kafka")]).ends_with("the view has no key"));
    assert!(refusal(&input, &[("key.fields", "symbl")]).contains("a column \"symbl\""));
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    input.schema = Arc::new(Schema::new(vec![Field::new("i", interval, true)]));
    assert!(refusal(&input, &[]).contains("JSON has no form for"));
}
