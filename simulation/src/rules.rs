//! The rules of the protocol, each of which can be broken by itself: a check that does not notice
//! proves nothing.

/// What a process does right. [`Rules::default`] is the protocol; each mutant lacks one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// A start appends a fence with the next generation.
    pub fence_on_start: bool,
    /// A manifest is put only where nothing lies.
    pub put_if_absent: bool,
    /// "Exists" and lost answers are resolved by reading the place.
    pub look_after_unclear_put: bool,
    /// A place counts only while the very manifest that it follows is there.
    pub look_behind: bool,
    /// Manifests are collected oldest first.
    pub collect_oldest_first: bool,
    /// Objects that an unconfirmed outbox names are kept.
    pub keep_outbox: bool,
    /// A sink gets an epoch after its manifest is durable.
    pub deliver_after_commit: bool,
    /// Rows and the record are committed together.
    pub record_with_rows: bool,
    /// The record is read again after a lost answer, behind whatever is under way.
    pub wait_for_unclear_commit: bool,
    /// A start makes older generations fail at the target.
    pub fence_sink: bool,
    /// The generation is compared with each epoch.
    pub compare_generation: bool,
    /// The epoch before is compared with each epoch.
    pub compare_epoch: bool,
    /// A target that stands before what it confirmed is refused.
    pub refuse_rewound_target: bool,
    /// A target that stands behind the chain is refused.
    pub refuse_target_ahead: bool,
    /// An epoch is forgotten by the outbox only after the target confirmed it.
    pub forget_after_confirmation: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            fence_on_start: true,
            put_if_absent: true,
            look_after_unclear_put: true,
            look_behind: true,
            collect_oldest_first: true,
            keep_outbox: true,
            deliver_after_commit: true,
            record_with_rows: true,
            wait_for_unclear_commit: true,
            fence_sink: true,
            compare_generation: true,
            compare_epoch: true,
            refuse_rewound_target: true,
            refuse_target_ahead: true,
            forget_after_confirmation: true,
        }
    }
}
