//! A process and its target: claiming, sending, what becomes of transactions nobody waits for.

use rtsap_stream::error::ErrorKind;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Move, claim, judge};

use super::{Action, Answer, ChainPhase, Commit, Open, Process, SinkPhase, State};

impl Commit {
    pub(super) fn sink_actions(
        &self,
        state: &State,
        index: usize,
        process: &Process,
        actions: &mut Vec<Action>,
    ) {
        let target = &state.target;
        // The record is locked by whoever is about to change it.
        let orphan = target.orphan.is_some() && self.rules.wait_for_unclear_commit;
        let locked = target.open.is_some() || orphan;
        match process.sink {
            SinkPhase::Claim if !locked => {
                actions.push(Action::Claim(index, Answer::Heard));
                actions.push(Action::Claim(index, Answer::Lost));
            }
            SinkPhase::Ready if !locked && self.next_of(process).is_some() => {
                actions.push(Action::Send(index));
            }
            SinkPhase::Sent(_) => {
                let rows_done = target.open.as_ref().is_some_and(|open| open.rows_done);
                if self.rules.record_with_rows || rows_done {
                    actions.push(Action::Commit(index, Answer::Heard));
                } else {
                    actions.push(Action::CommitRows(index));
                }
                if target.orphan.is_none() {
                    actions.push(Action::Lose(index));
                }
            }
            _ => {}
        }
    }

    /// The epoch that comes next, and who computed it.
    fn next_of(&self, process: &Process) -> Option<(u8, u8)> {
        let early = match &process.chain {
            ChainPhase::Put(next) | ChainPhase::Unclear(next)
                if !self.rules.deliver_after_commit =>
            {
                next.outbox.as_slice()
            }
            _ => &[],
        };
        let waiting = process.tip.outbox.iter().chain(early);
        waiting.copied().find(|(epoch, _)| *epoch > process.at)
    }

    pub(super) fn claim(&self, state: &mut State, index: usize, answer: Answer) {
        let record = state.record();
        let Some(process) = &mut state.processes[index] else {
            return;
        };
        let expected = (process.tip.applied > 0).then(|| Epoch::new(process.tip.applied.into()));
        let expected = expected.filter(|_| record.is_none() || self.rules.refuse_rewound_target);
        let generation = Generation::new(process.generation.into());
        let applied = match claim("s", generation, record, expected) {
            Ok(applied) => u8::try_from(applied.number()).unwrap_or(u8::MAX),
            Err(error) => {
                process.sink = SinkPhase::Stopped;
                state.fenced_by_target |= error.kind == ErrorKind::Fenced;
                return;
            }
        };
        if applied > process.tip.epoch && self.rules.refuse_target_ahead {
            process.sink = SinkPhase::Stopped;
            return;
        }
        if self.rules.fence_sink || state.target.record.is_none() {
            state.target.record = Some((process.generation, applied));
        }
        if answer == Answer::Heard {
            process.at = applied;
            process.sink = SinkPhase::Ready;
        }
    }

    pub(super) fn send(&self, state: &mut State, index: usize) {
        let mut record = state.record();
        let newest = state.tip().1.generation;
        let Some(process) = &mut state.processes[index] else {
            return;
        };
        let Some((epoch, content)) = self.next_of(process) else {
            return;
        };
        if !state.objects.contains(&(epoch, content)) {
            process.sink = SinkPhase::Stopped;
            // Whoever was overtaken may find them collected: its successor has applied them. Where
            // the target has lost that, it says again that it belongs to the older one.
            let owns = record.is_some_and(|r| r.generation == u64::from(process.generation));
            let overtaken = state.target.rewound && process.generation < newest;
            if owns && !overtaken {
                state.blame("the rows of an epoch are gone before it was applied");
            }
            return;
        }
        let generation = Generation::new(process.generation.into());
        if let Some(record) = record.as_mut().filter(|_| !self.rules.compare_generation) {
            record.generation = generation.number();
        }
        let (previous, next) = (Epoch::new(process.at.into()), Epoch::new(epoch.into()));
        let judged = judge("s", generation, record, previous, next);
        let judged = match judged {
            Err(error) if error.kind != ErrorKind::Fenced && !self.rules.compare_epoch => {
                Ok(Move::Apply)
            }
            Ok(_) if !self.rules.compare_epoch => Ok(Move::Apply),
            judged => judged,
        };
        match judged {
            Ok(Move::AlreadyApplied) => process.at = epoch,
            Ok(Move::Apply) => {
                process.sink = SinkPhase::Sent(epoch);
                state.target.open = Some(Open {
                    epoch,
                    content,
                    owner: index,
                    rows_done: false,
                });
            }
            Err(error) => {
                process.sink = SinkPhase::Stopped;
                state.fenced_by_target |= error.kind == ErrorKind::Fenced;
            }
        }
    }
}

/// The open transaction of process `index` is committed, and it hears of it.
pub(super) fn commit(state: &mut State, index: usize, _answer: Answer) {
    let Some(open) = state.target.open.take() else {
        return;
    };
    let epoch = open.epoch;
    apply(state, &open);
    if let Some(process) = &mut state.processes[index] {
        process.at = epoch;
        process.sink = SinkPhase::Ready;
    }
}

/// In the broken protocol the rows come first.
pub(super) fn commit_rows(state: &mut State, _index: usize) {
    if let Some(open) = &mut state.target.open {
        state.target.rows.push((open.epoch, open.content));
        open.rows_done = true;
    }
}

fn apply(state: &mut State, open: &Open) {
    let target = &mut state.target;
    if !open.rows_done {
        target.rows.push((open.epoch, open.content));
    }
    let Some((generation, epoch)) = target.record else {
        return;
    };
    target.before = Some((generation, epoch));
    target.record = Some((generation, open.epoch));
}

/// The connection of process `index` breaks; it does not know what became of its transaction.
pub(super) fn lose(state: &mut State, index: usize) {
    abandon(state, index);
    if let Some(process) = &mut state.processes[index] {
        process.sink = SinkPhase::Ready;
    }
}

/// What process `index` had open goes on by itself.
pub(super) fn abandon(state: &mut State, index: usize) {
    let target = &mut state.target;
    if target.open.as_ref().is_some_and(|open| open.owner == index) {
        target.orphan = target.open.take().map(|open| Open { owner: 0, ..open });
    }
}

/// A transaction that nobody waits for is committed, or not.
pub(super) fn end_orphan(state: &mut State, commits: bool) {
    let Some(open) = state.target.orphan.take() else {
        return;
    };
    if commits {
        apply(state, &open);
    }
}

/// The last commit is gone, and all connections with it.
pub(super) fn rewind(state: &mut State) {
    let target = &mut state.target;
    target.record = target.before.take();
    target.rows.pop();
    target.open = None;
    target.orphan = None;
    target.rewound = true;
    for process in state.processes.iter_mut().flatten() {
        if let SinkPhase::Sent(_) = process.sink {
            process.sink = SinkPhase::Ready;
        }
    }
}
