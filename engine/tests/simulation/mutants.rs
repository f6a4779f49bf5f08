//! Worlds that are broken on purpose: each must be noticed, else the check checks nothing.
//!
//! Bugs of the system itself are planted as patches, which lie in `mutants/`: `scripts/mutants.sh`.

use super::world::{Flaws, run};

/// Seeds after which a flaw counts as not noticed.
const SEEDS_MAX: u64 = 40;

#[test]
fn every_flaw_is_noticed() {
    type Break = fn(&mut Flaws);
    let flaws: [(&str, Break); 21] = [
        ("target_rows_before_record", |f| {
            f.target_rows_before_record = true
        }),
        ("target_keeps_no_record", |f| {
            f.target_keeps_no_record = true
        }),
        ("target_forgets_half", |f| f.target_forgets_half = true),
        ("target_starts_over", |f| f.target_starts_over = true),
        ("target_keeps_old_rows", |f| f.target_keeps_old_rows = true),
        ("target_swaps_epochs", |f| f.target_swaps_epochs = true),
        ("target_answers_early", |f| f.target_answers_early = true),
        ("store_loses_unsynced", |f| f.store_loses_unsynced = true),
        ("store_overwrites", |f| f.store_overwrites = true),
        ("store_reads_old", |f| f.store_reads_old = true),
        ("store_lists_late", |f| f.store_lists_late = true),
        ("store_deletes_too_much", |f| {
            f.store_deletes_too_much = true
        }),
        ("store_mixes_objects", |f| f.store_mixes_objects = true),
        ("source_skips_on_open", |f| f.source_skips_on_open = true),
        ("source_repeats_on_open", |f| {
            f.source_repeats_on_open = true
        }),
        ("source_loses_on_outage", |f| {
            f.source_loses_on_outage = true
        }),
        ("source_skips_new_splits", |f| {
            f.source_skips_new_splits = true
        }),
        ("source_hides_new_splits", |f| {
            f.source_hides_new_splits = true
        }),
        ("source_swaps_splits", |f| f.source_swaps_splits = true),
        ("source_wrong_resume", |f| f.source_wrong_resume = true),
        ("source_reorders_on_open", |f| {
            f.source_reorders_on_open = true
        }),
    ];
    let mut missed = Vec::new();
    for (name, change) in flaws {
        let mut flaws = Flaws::default();
        change(&mut flaws);
        let found = (1..=SEEDS_MAX).find_map(|seed| {
            let wrong = run(seed, flaws).wrong;
            wrong.into_iter().next().map(|wrong| (seed, wrong))
        });
        match found {
            Some((seed, wrong)) => println!("{name}: seed {seed}: {wrong}"),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
