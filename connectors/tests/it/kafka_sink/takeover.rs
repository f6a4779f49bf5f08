//! Takeovers, zombies, lost records: no epoch twice, none left out.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rtsap_stream::error::ErrorKind;

use super::*;

fn row(number: i64) -> Vec<ChangeBatch> {
    changes(&[(1, "AAPL", number)])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_generation_is_fenced_and_does_not_harm_the_newer() {
    let Some(corner) = corner("fence") else {
        return;
    };
    let mut old = corner.sink(&trades("s"), &[]);
    old.fence(generation(4), None).await.unwrap();
    old.apply(epoch(1), epoch(0), &row(1)).await.unwrap();
    let mut new = corner.sink(&trades("s"), &[]);
    let report = new.fence(generation(5), Some(epoch(1))).await.unwrap();
    assert_eq!(report.applied, epoch(1));
    // The zombie's producer is fenced; with a new one it takes the transactional id back, and then
    // reads that it is late.
    let first = kind(old.apply(epoch(2), epoch(1), &row(2)).await);
    assert_eq!(first, ErrorKind::Unavailable);
    let then = kind(old.apply(epoch(2), epoch(1), &row(2)).await);
    assert_eq!(then, ErrorKind::Fenced);
    assert_eq!(
        kind(old.fence(generation(4), None).await),
        ErrorKind::Fenced
    );
    // The newer one has lost its producer by that, and gets another.
    let mut tries = 0;
    while let Err(error) = new.apply(epoch(2), epoch(1), &row(22)).await {
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        tries += 1;
        assert!(tries < 5);
    }
    let wanted = [
        "{\"symbol\":\"AAPL\",\"n\":1}",
        "{\"symbol\":\"AAPL\",\"n\":22}",
    ];
    assert_eq!(corner.committed(), wanted);
    // A fence whose answer was lost is taken again.
    let again = new.fence(generation(5), Some(epoch(2))).await.unwrap();
    assert_eq!(again.applied, epoch(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_a_lost_record_and_a_vanished_topic_stop_the_sink() {
    let Some(corner) = corner("gap") else {
        return;
    };
    let progress = corner.progress_topic();
    let given = [("progress.topic", progress.as_str())];
    let mut sink = corner.sink(&trades("s"), &given);
    sink.fence(generation(1), None).await.unwrap();
    let gap = sink.apply(epoch(9), epoch(8), &row(9)).await.unwrap_err();
    assert_eq!(gap.kind, ErrorKind::Data);
    assert!(gap.message.contains("gap"), "{gap}");
    sink.apply(epoch(1), epoch(0), &row(1)).await.unwrap();
    // The checkpoint knows more than the record: an older state was restored.
    let mut rewound = corner.sink(&trades("s"), &given);
    let error = rewound.fence(generation(2), Some(epoch(3))).await;
    assert_eq!(kind(error), ErrorKind::Data);
    // A sink of another name cannot take the record for its own.
    let mut other = corner.sink(&trades("other"), &given);
    assert_eq!(
        kind(other.fence(generation(3), None).await),
        ErrorKind::Data
    );
    drop((sink, rewound, other));
    corner.delete(&progress).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut sink = corner.sink(&trades("s"), &given);
    let error = sink.fence(generation(3), Some(epoch(1))).await;
    assert_eq!(kind(error), ErrorKind::Data);
    assert_eq!(corner.committed().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_aborted_transactions_do_not_hide_the_record() {
    let Some(corner) = corner("aborted") else {
        return;
    };
    let progress = corner.progress_topic();
    let given = [("progress.topic", progress.as_str())];
    let mut sink = corner.sink(&trades("s"), &given);
    sink.fence(generation(1), None).await.unwrap();
    sink.apply(epoch(1), epoch(0), &row(1)).await.unwrap();
    drop(sink);
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let wait = Duration::from_secs(20);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &corner.servers)
        .set("transactional.id", &progress)
        .create()
        .unwrap();
    producer.init_transactions(wait).unwrap();
    for _ in 0..50 {
        producer.begin_transaction().unwrap();
        let record: BaseRecord<'_, str, str> = BaseRecord::to(&progress).payload("never seen");
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(wait).unwrap();
        producer.abort_transaction(wait).unwrap();
    }
    let mut sink = corner.sink(&trades("s"), &given);
    let report = sink.fence(generation(2), Some(epoch(1))).await.unwrap();
    assert_eq!(report.applied, epoch(1));
}

/// One life after the other, each dropped in the midst of its work and left to go on as a zombie,
/// while the next takes over. What each epoch holds is given; whoever writes it, it must be there
/// once, and a reader of committed messages must never see part of one.
#[tokio::test(flavor = "multi_thread")]
async fn lives_that_end_anywhere_write_each_epoch_once() {
    const LIVES: u64 = 25;
    let Some(corner) = corner("lives") else {
        return;
    };
    let seed = std::process::id();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(u64::from(seed));
    let sizes: Vec<i64> = (0..400).map(|_| random.random_range(1..400)).collect();
    let content = |number: u64| {
        let size = sizes[usize::try_from(number).unwrap()];
        let base = i64::try_from(number).unwrap() * 1_000;
        let rows: Vec<_> = (0..size).map(|row| (1, "AAPL", base + row)).collect();
        changes(&rows)
    };
    let (mut applied, mut confirmed) = (0, 0);
    for life in 1..=LIVES {
        let mut sink = corner.sink(&trades("s"), &[]);
        let expected = (confirmed > 0).then(|| epoch(confirmed));
        applied = loop {
            match sink.fence(generation(life), expected).await {
                Ok(report) => break report.applied.number(),
                Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
            }
        };
        assert!(applied >= confirmed);
        let lifetime = Duration::from_millis(random.random_range(1..400));
        let life = async {
            loop {
                let next = applied + 1;
                match sink
                    .apply(epoch(next), epoch(applied), &content(next))
                    .await
                {
                    Ok(()) => (applied, confirmed) = (next, next),
                    Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
                }
            }
        };
        // The thread of the sink does what it was about to do, and only then finds itself alone.
        let _ = tokio::time::timeout(lifetime, life).await;
    }
    let mut sink = corner.sink(&trades("s"), &[]);
    let report = sink.fence(generation(LIVES + 1), Some(epoch(confirmed)));
    let last = report.await.unwrap().applied.number();
    assert!(last >= applied && last > LIVES / 2, "{last} epochs");
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for message in corner.read("read_committed").into_values().flatten() {
        let number: u64 = message.headers[0].1.parse().unwrap();
        *seen.entry(number).or_default() += 1;
    }
    let size = |number| u64::try_from(sizes[usize::try_from(number).unwrap()]).unwrap();
    let wanted: BTreeMap<u64, u64> = (1..=last).map(|number| (number, size(number))).collect();
    assert_eq!(seen, wanted);
    let all = corner.read("read_uncommitted");
    let attempts = all.values().map(Vec::len).sum::<usize>() as u64;
    println!(
        "{LIVES} lives, {last} epochs, {} messages, {attempts} with the aborted",
        wanted.values().sum::<u64>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_progress_topic_of_another_sink_of_that_name_is_never_taken_over() {
    let Some(corner) = corner("owner") else {
        return;
    };
    let mut sink = corner.sink(&trades("s"), &[]);
    sink.fence(generation(1), None).await.unwrap();
    sink.apply(epoch(5), epoch(0), &row(1)).await.unwrap();
    let input = SinkInput {
        owner: rtsap_stream::progress::Owner {
            directory: 7,
            sink: 3,
        },
        ..trades("s")
    };
    let mut other = corner.sink(&input, &[]);
    for expected in [None, Some(epoch(5))] {
        let refused = other.fence(generation(9), expected).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Data);
        assert!(
            refused.message.contains("belongs to another sink"),
            "{refused}"
        );
    }
    // The attempt has cost the owner its producer, and nothing else.
    let mut restarted = corner.sink(&trades("s"), &[]);
    let report = restarted
        .fence(generation(2), Some(epoch(5)))
        .await
        .unwrap();
    assert_eq!(report.applied, epoch(5));
    restarted.apply(epoch(6), epoch(5), &row(2)).await.unwrap();
    assert_eq!(corner.committed().len(), 2);
}
