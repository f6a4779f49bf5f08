//! GROUPING SETS, ROLLUP and CUBE: one aggregation that groups each row in several ways.

/// One way to group. The last key of the aggregation says which one a group is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupingSet {
    /// One entry for each key but the last: whether it takes part. Null stands for those that do
    /// not.
    pub present: Vec<bool>,
    /// The value of the last key: a bit for each group expression, set where it does not take
    /// part, and above them the number of equal sets before this one.
    pub id: u64,
}

/// As `EXPLAIN` shows sets: ` sets [110, 100]`, or nothing.
pub fn text(sets: &[GroupingSet]) -> String {
    if sets.is_empty() {
        return String::new();
    }
    let bits = |set: &GroupingSet| -> String {
        set.present
            .iter()
            .map(|present| if *present { '1' } else { '0' })
            .collect()
    };
    let sets: Vec<String> = sets.iter().map(bits).collect();
    format!(" sets [{}]", sets.join(", "))
}
