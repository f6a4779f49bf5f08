//! Every combination of record, generation and epoch.

use crate::error::{ConnectorError, ErrorKind};
use crate::message::{Epoch, Generation};

use super::{Move, Owner, Progress, check_owner, claim, judge};

fn known(generation: u64, epoch: u64) -> Option<Progress> {
    Some(Progress { generation, epoch })
}

/// What the target holds, what was confirmed, and where it goes on.
type Claim = (Option<Progress>, Option<u64>, Result<u64, ErrorKind>);

/// What the target holds, the epoch before, the epoch, and what becomes of it.
type Step = (Option<Progress>, u64, u64, Result<Move, ErrorKind>);

#[test]
fn a_claim_goes_on_where_the_target_stands_and_never_behind_what_was_confirmed() {
    let cases: [Claim; 8] = [
        (None, None, Ok(0)),
        (None, Some(7), Err(ErrorKind::Data)),
        (known(1, 7), None, Ok(7)),
        (known(2, 7), Some(7), Ok(7)),
        // The last answers were lost: the target knows more than the checkpoint.
        (known(1, 9), Some(7), Ok(9)),
        // A failover or a restored backup: epochs 7 and before are forgotten here.
        (known(1, 6), Some(7), Err(ErrorKind::Data)),
        (known(3, 7), Some(7), Err(ErrorKind::Fenced)),
        (known(3, 6), Some(7), Err(ErrorKind::Fenced)),
    ];
    for (record, expected, wanted) in cases {
        let found = claim("s", Generation::new(2), record, expected.map(Epoch::new));
        let found = found.map(Epoch::number).map_err(|error| error.kind);
        assert_eq!(found, wanted, "{record:?} {expected:?}");
    }
}

#[test]
fn an_epoch_is_applied_only_right_behind_its_predecessor() {
    let cases: [Step; 8] = [
        (known(2, 5), 5, 6, Ok(Move::Apply)),
        (known(2, 5), 5, 9, Ok(Move::Apply)),
        (known(2, 6), 5, 6, Ok(Move::AlreadyApplied)),
        // It sent 6 and no epoch after it: 8 is another's.
        (known(2, 8), 5, 6, Err(ErrorKind::Data)),
        (known(2, 4), 5, 6, Err(ErrorKind::Data)),
        (known(3, 5), 5, 6, Err(ErrorKind::Fenced)),
        // Fenced for 2, and now 1 again: somebody restored it.
        (known(1, 5), 5, 6, Err(ErrorKind::Data)),
        (None, 5, 6, Err(ErrorKind::Data)),
    ];
    for (record, previous, epoch, wanted) in cases {
        let (previous, epoch) = (Epoch::new(previous), Epoch::new(epoch));
        let found = judge("s", Generation::new(2), record, previous, epoch);
        let found = found.map_err(|error: ConnectorError| error.kind);
        assert_eq!(found, wanted, "{record:?} {previous} {epoch}");
    }
}

#[test]
fn a_record_is_taken_over_by_its_own_sink_only() {
    let owner = |directory, sink| Owner { directory, sink };
    let ours = owner(0xfeed, 7);
    let cases = [
        (None, None, None, true),
        (None, None, Some(4), true),
        (Some(ours), known(1, 4), None, true),
        (Some(ours), known(1, 4), Some(4), true),
        // Dropped and created again, and another directory's: whatever the epoch.
        (Some(owner(0xfeed, 6)), known(1, 4), None, false),
        (Some(owner(0xfeed, 6)), known(1, 0), None, false),
        (Some(owner(0xdead, 7)), known(1, 4), Some(4), false),
        // Written by a version that named nobody.
        (None, known(1, 4), Some(3), true),
        (None, known(1, 0), None, true),
        (None, known(1, 4), None, false),
    ];
    for (found, record, expected, wanted) in cases {
        let checked = check_owner("s", ours, found, record, expected.map(Epoch::new));
        let kind = checked.map_err(|error| error.kind);
        let wanted = if wanted { Ok(()) } else { Err(ErrorKind::Data) };
        assert_eq!(kind, wanted, "{found:?} {record:?} {expected:?}");
    }
    for owner in [ours, Owner::default(), owner(u64::MAX, u64::MAX)] {
        assert_eq!(owner.to_string().parse(), Ok(owner));
    }
    for text in ["", "-", "7", "g-1", "1-"] {
        assert!(text.parse::<Owner>().is_err(), "{text}");
    }
}
