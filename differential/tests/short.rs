//! A short campaign, so that the tests see what `make differential` would.

use std::time::Duration;

use rtsap_differential::campaign::{Campaign, run_all};

#[tokio::test(flavor = "multi_thread")]
async fn random_views_answer_what_their_definition_says() {
    let campaign = Campaign {
        seed: 1,
        views_max: 400,
        time_max: Duration::from_secs(120),
        views_each: 12,
        changes: false,
        at_once: 2,
        shrunk_max: 3,
    };
    let summary = run_all(campaign, &|text| println!("---- failure\n{text}")).await;
    assert!(
        summary.failures.is_empty(),
        "{} views",
        summary.failures.len()
    );
    assert!(summary.with_rows >= 100, "{summary:?}");
}
