//! A process and the chain: taking over, cutting, putting, collecting.

use super::{Action, Answer, ChainPhase, Commit, Manifest, Process, SinkPhase, State};

impl Commit {
    pub(super) fn chain_actions(
        &self,
        state: &State,
        index: usize,
        process: &Process,
        actions: &mut Vec<Action>,
    ) {
        match &process.chain {
            ChainPhase::Idle => {
                let begun = process.generation > 0;
                if begun && process.tip.epoch < self.epochs_max {
                    actions.push(Action::Cut(index));
                }
                if begun && self.collectable(state, process).is_some() {
                    actions.push(Action::Collect(index));
                }
            }
            ChainPhase::Put(_) => {
                let answers = [Answer::Heard, Answer::Lost, Answer::Nothing];
                actions.extend(answers.map(|answer| Action::Put(index, answer)));
            }
            ChainPhase::Unclear(_) => actions.push(Action::Look(index)),
            ChainPhase::LookBehind(_) => actions.push(Action::LookBehind(index)),
        }
    }

    /// A new life reads the tip and prepares to take over.
    pub(super) fn start(&self, state: &mut State, index: usize) {
        state.lives += 1;
        let life = state.lives;
        let (place, tip) = state.tip();
        let fence = Manifest {
            life,
            previous: tip.name(),
            generation: tip.generation + 1,
            fence: true,
            ..tip.clone()
        };
        let mut process = Process {
            life,
            generation: 0,
            place,
            at: tip.applied,
            tip,
            chain: ChainPhase::Put(fence),
            sink: SinkPhase::Off,
        };
        if !self.rules.fence_on_start {
            process.generation = process.tip.generation.max(1);
            process.chain = ChainPhase::Idle;
            process.sink = SinkPhase::Claim;
        }
        state.processes[index] = Some(process);
    }

    /// A checkpoint: the next epoch, which goes into the outbox, without what the target confirmed.
    pub(super) fn cut(&self, state: &mut State, index: usize) {
        let Some(process) = &mut state.processes[index] else {
            return;
        };
        let epoch = process.tip.epoch + 1;
        let sent = match process.sink {
            SinkPhase::Sent(epoch) if !self.rules.forget_after_confirmation => epoch,
            _ => process.at,
        };
        let applied = sent.max(process.tip.applied);
        let mut outbox = process.tip.outbox.clone();
        outbox.retain(|(waiting, _)| *waiting > applied);
        outbox.push((epoch, process.life));
        state.objects.insert((epoch, process.life));
        process.chain = ChainPhase::Put(Manifest {
            life: process.life,
            previous: process.tip.name(),
            generation: process.generation,
            epoch,
            fence: false,
            applied,
            outbox,
        });
    }

    pub(super) fn put(&self, state: &mut State, index: usize, answer: Answer) {
        let Some(process) = state.processes[index].clone() else {
            return;
        };
        let ChainPhase::Put(manifest) = process.chain else {
            return;
        };
        let place = process.place + 1;
        let free = !state.chain.contains_key(&place) || !self.rules.put_if_absent;
        if free && answer != Answer::Nothing {
            state.chain.insert(place, manifest.clone());
            state.taken.entry(place).or_insert_with(|| {
                if !manifest.fence {
                    state.history.push(manifest.life);
                }
                manifest.life
            });
        }
        let next = match answer {
            Answer::Heard if free => ChainPhase::LookBehind(manifest),
            // "Exists" says nothing about who put it there.
            _ => ChainPhase::Unclear(manifest),
        };
        if let Some(process) = &mut state.processes[index] {
            process.chain = next;
        }
    }

    pub(super) fn look(&self, state: &mut State, index: usize) {
        let Some(process) = &mut state.processes[index] else {
            return;
        };
        let ChainPhase::Unclear(manifest) = process.chain.clone() else {
            return;
        };
        let found = state.chain.get(&(process.place + 1));
        if !self.rules.look_after_unclear_put {
            process.chain = ChainPhase::LookBehind(manifest);
            return;
        }
        match found {
            None => process.chain = ChainPhase::Put(manifest),
            Some(found) if *found == manifest => process.chain = ChainPhase::LookBehind(manifest),
            Some(_) => self.fenced(state, index),
        }
    }

    pub(super) fn look_behind(&self, state: &mut State, index: usize) {
        let Some(process) = &mut state.processes[index] else {
            return;
        };
        let ChainPhase::LookBehind(manifest) = process.chain.clone() else {
            return;
        };
        let place = process.place + 1;
        let overtaken = if process.place > 0 {
            state.chain.get(&process.place) != Some(&process.tip)
        } else {
            // Nothing comes before the first. Somebody may have gone on from it since.
            let mut later = state.chain.range(place + 1..);
            later
                .next()
                .is_some_and(|(_, next)| next.previous != manifest.name())
        };
        if overtaken && self.rules.look_behind {
            if state.chain.get(&place) == Some(&manifest) {
                state.chain.remove(&place);
            }
            state.overtaken = true;
            self.fenced(state, index);
            return;
        }
        let is_true = state.taken.get(&place) == Some(&process.life);
        let computed = state
            .history
            .get(usize::from(manifest.epoch).wrapping_sub(1));
        let same = manifest.fence || computed == Some(&process.life);
        if manifest.fence {
            process.generation = manifest.generation;
            process.sink = SinkPhase::Claim;
        }
        process.place = place;
        process.tip = manifest;
        process.chain = ChainPhase::Idle;
        if !is_true || !same {
            state.blame("a process believes a commit that did not happen");
        }
    }

    /// A process that finds itself overtaken on the chain stops; one that was only taking over
    /// looks again.
    fn fenced(&self, state: &mut State, index: usize) {
        let taking_over = state.processes[index]
            .as_ref()
            .is_some_and(|process| process.generation == 0);
        if taking_over {
            let (place, tip) = state.tip();
            if let Some(process) = &mut state.processes[index] {
                let fence = Manifest {
                    life: process.life,
                    previous: tip.name(),
                    generation: tip.generation + 1,
                    fence: true,
                    ..tip.clone()
                };
                process.place = place;
                process.at = tip.applied;
                process.tip = tip;
                process.chain = ChainPhase::Put(fence);
            }
            return;
        }
        super::kill(state, index);
    }

    /// The manifest that `process` would delete next.
    fn collectable(&self, state: &State, process: &Process) -> Option<u8> {
        let mut old = state
            .chain
            .keys()
            .copied()
            .filter(|place| place + self.kept <= process.place);
        if self.rules.collect_oldest_first {
            old.next()
        } else {
            old.next_back()
        }
    }

    pub(super) fn collect(&self, state: &mut State, index: usize) {
        let Some(process) = &state.processes[index] else {
            return;
        };
        let Some(place) = self.collectable(state, process) else {
            return;
        };
        let Some(gone) = state.chain.remove(&place) else {
            return;
        };
        let needed = |object: &(u8, u8)| {
            let named = state
                .chain
                .values()
                .any(|kept| kept.outbox.contains(object));
            named && self.rules.keep_outbox
        };
        let dropped = gone.outbox.iter().filter(|object| !needed(object));
        let dropped: Vec<(u8, u8)> = dropped.copied().collect();
        for object in dropped {
            state.objects.remove(&object);
        }
    }
}
