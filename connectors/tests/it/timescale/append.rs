//! Views without a key: plain appends, and retractions that take away as many equal rows as they
//! say.

use rtsap_stream::change::ChangelogMode;
use rtsap_stream::error::ErrorKind;
use rtsap_stream::sink::SinkInput;

use super::{Corner, candles, changes, epoch, generation, postgres_corner, timescale_corner};

async fn corners() -> Vec<Corner> {
    timescale_corner()
        .await
        .into_iter()
        .chain(postgres_corner().await)
        .collect()
}

#[tokio::test]
async fn rows_are_appended_and_an_append_only_view_may_not_retract() {
    for corner in corners().await {
        let input = SinkInput {
            key: Vec::new(),
            mode: ChangelogMode::Append,
            ..candles()
        };
        let mut sink = corner.sink(&input, "trades");
        sink.fence(generation(1), None).await.unwrap();
        let many: Vec<(i8, &str, i64, i64)> = (0..5_000).map(|n| (1, "AAPL", n % 100, n)).collect();
        sink.apply(epoch(1), epoch(0), &changes(&many))
            .await
            .unwrap();
        assert_eq!(corner.rows("trades").await.len(), 5_000);
        let error = sink
            .apply(epoch(2), epoch(1), &changes(&[(-1, "AAPL", 1, 1)]))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
        corner.clear().await;
    }
}

#[tokio::test]
async fn retractions_without_a_key_take_away_exactly_as_many_rows() {
    for corner in corners().await {
        let input = SinkInput {
            key: Vec::new(),
            ..candles()
        };
        let mut sink = corner.sink(&input, "trades");
        sink.fence(generation(1), None).await.unwrap();
        let four = changes(&[
            (1, "A", 1, 1),
            (1, "A", 1, 1),
            (1, "A", 1, 1),
            (1, "B", 9_000, 1),
        ]);
        sink.apply(epoch(1), epoch(0), &four).await.unwrap();
        let net = changes(&[
            (-1, "A", 1, 1),
            (-1, "A", 1, 1),
            (1, "A", 2, 2),
            (1, "A", 2, 2),
            (-1, "B", 9_000, 1),
        ]);
        sink.apply(epoch(2), epoch(1), &net).await.unwrap();
        assert_eq!(corner.rows("trades").await.len(), 3);
        // Two are asked for, one is there: nothing of the epoch is kept.
        let too_many = changes(&[(-1, "A", 1, 1), (-1, "A", 1, 1)]);
        let error = sink.apply(epoch(3), epoch(2), &too_many).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data);
        assert_eq!(corner.rows("trades").await.len(), 3);
        corner.clear().await;
    }
}
