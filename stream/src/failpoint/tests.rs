//! What is armed acts when it is due, and what cannot be read is refused.

use super::{ArmError, NAMES, arm, fails, pass};

/// One test: the points belong to the process.
#[test]
fn points_act_when_they_are_due() {
    assert!(!fails("chain.put_lost"));
    assert_eq!(arm(""), Ok(()));
    let spec = " chain.put_lost = fail@2 ; kafka.commit_lost=fail@2+; reader.polled=sleep(1)";
    assert_eq!(arm(spec), Ok(()));
    let times: Vec<bool> = (0..4).map(|_| fails("chain.put_lost")).collect();
    assert_eq!(times, [false, true, false, false]);
    let times: Vec<bool> = (0..4).map(|_| fails("kafka.commit_lost")).collect();
    assert_eq!(times, [false, true, true, true]);
    pass("reader.polled");
    assert!(!fails("timescale.commit_lost"));
    for (bad, error) in [
        ("nowhere=abort", ArmError::Name("nowhere".to_owned())),
        ("sink.fenced", ArmError::Form("sink.fenced".to_owned())),
        (
            "sink.fenced=die",
            ArmError::Form("sink.fenced=die".to_owned()),
        ),
        (
            "sink.fenced=abort@0",
            ArmError::Form("sink.fenced=abort@0".to_owned()),
        ),
        (
            "sink.fenced=sleep(x)",
            ArmError::Form("sink.fenced=sleep(x)".to_owned()),
        ),
    ] {
        assert_eq!(arm(&format!("sink.applied=fail;{bad}")), Err(error));
    }
    assert!(!fails("sink.applied"), "none is armed if one is wrong");
}

#[test]
fn there_are_enough_and_each_has_one_name() {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), NAMES.len());
    assert!(names.len() >= 60, "{}", names.len());
}
