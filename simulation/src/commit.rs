//! The state of the model, what can happen in it, and what must hold in every state.

use std::collections::{BTreeMap, BTreeSet};

use rtsap_stream::progress::Progress;
use stateright::{Model, Property};

use crate::rules::Rules;

mod process;
mod sink;

/// The processes that take turns, or do not.
pub const PROCESSES: usize = 2;

/// Who computed an epoch's rows: the number of the life, so that two of them differ.
pub type Life = u8;

/// The protocol with `rules`, within bounds.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// What the processes do right.
    pub rules: Rules,
    /// Lives altogether.
    pub lives_max: u8,
    /// Epochs altogether.
    pub epochs_max: u8,
    /// Manifests that are kept.
    pub kept: u8,
    /// Whether the target may once lose its last commit, as a failover to a replica does.
    pub rewinds: bool,
    /// Whether states remember what was seen on the way to them: each such mark makes states that
    /// are the same otherwise different ones.
    pub remembers: bool,
}

/// What tells one manifest from another: who put it, in which generation, and its epoch.
pub type Name = (Life, u8, u8);

impl Manifest {
    fn name(&self) -> Name {
        (self.life, self.generation, self.epoch)
    }
}

/// A link of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// Who put it.
    pub life: Life,
    /// What it follows: a hash of all of that in reality.
    pub previous: Name,
    /// Its writer's generation.
    pub generation: u8,
    /// The epoch whose state it is.
    pub epoch: u8,
    /// Whether it only takes over.
    pub fence: bool,
    /// The last epoch that the target has confirmed.
    pub applied: u8,
    /// Epochs, with who computed them, that it may not have applied.
    pub outbox: Vec<(u8, Life)>,
}

/// A transaction at the target that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Its epoch.
    pub epoch: u8,
    /// Who computed the rows.
    pub content: Life,
    /// The process that waits for its answer.
    pub owner: usize,
    /// In the broken protocol: its rows are there already, its record is not.
    pub rows_done: bool,
}

/// The relation outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its record of the sink: generation and epoch.
    pub record: Option<(u8, u8)>,
    /// Epochs in the order in which they came, with who computed them.
    pub rows: Vec<(u8, Life)>,
    /// The transaction that holds the record.
    pub open: Option<Open>,
    /// One whose process is gone or has lost its connection: it ends as it likes.
    pub orphan: Option<Open>,
    /// The record before the last commit, for a rewind.
    pub before: Option<(u8, u8)>,
    /// Whether it has been rewound.
    pub rewound: bool,
}

/// How far a process is with the chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ChainPhase {
    /// Nothing is under way.
    Idle,
    /// This manifest is to be put.
    Put(Manifest),
    /// It was sent and no answer came.
    Unclear(Manifest),
    /// It is in its place; what lies before it has not been looked at.
    LookBehind(Manifest),
}

/// How far a process is with its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkPhase {
    /// The chain has not been taken over.
    Off,
    /// The target is to be taken over.
    Claim,
    /// The next epoch can be sent.
    Ready,
    /// An epoch was sent; its answer is awaited.
    Sent(u8),
    /// It has stopped and says so.
    Stopped,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub life: Life,
    /// Its generation, 0 before it has one.
    pub generation: u8,
    /// The place of the last manifest that it knows.
    pub place: u8,
    /// That manifest.
    pub tip: Manifest,
    /// Its work on the chain.
    pub chain: ChainPhase,
    /// Its work on the sink.
    pub sink: SinkPhase,
    /// The last epoch that it knows to be applied.
    pub at: u8,
}

/// The world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// What lies at each place of the chain now.
    pub chain: BTreeMap<u8, Manifest>,
    /// Who took each place first: the truth of the chain, which nobody in the model can read.
    pub taken: BTreeMap<u8, Life>,
    /// Who computed each epoch that was committed, from epoch 1.
    pub history: Vec<Life>,
    /// Objects that hold an epoch's rows.
    pub objects: BTreeSet<(u8, Life)>,
    /// The relation outside.
    pub target: Target,
    /// The processes that live.
    pub processes: [Option<Process>; PROCESSES],
    /// Lives so far.
    pub lives: u8,
    /// What went wrong, once something has.
    pub wrong: Option<&'static str>,
    /// A process found itself in a place that had been collected.
    pub overtaken: bool,
    /// A process found that the target belongs to a newer one.
    pub fenced_by_target: bool,
}

/// Whether an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It does.
    Heard,
    /// The effect happens, the answer is lost.
    Lost,
    /// Neither happens, and nobody is told.
    Nothing,
}

/// What can happen. The number is the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process starts and reads the chain.
    Start(usize),
    /// It is killed.
    Kill(usize),
    /// It cuts a checkpoint.
    Cut(usize),
    /// Its manifest is sent.
    Put(usize, Answer),
    /// It looks what lies where it wanted to put one.
    Look(usize),
    /// It looks whether the manifest before is there.
    LookBehind(usize),
    /// It deletes one old manifest and what only that needed.
    Collect(usize),
    /// It takes the target over.
    Claim(usize, Answer),
    /// It sends the next epoch.
    Send(usize),
    /// The target ends its transaction.
    Commit(usize, Answer),
    /// In the broken protocol: the rows are committed, the record is not.
    CommitRows(usize),
    /// The connection is lost; the transaction goes on without it.
    Lose(usize),
    /// A transaction without a process ends.
    OrphanEnds(bool),
    /// The target loses its last commit.
    Rewind,
}

impl Commit {
    /// Two processes, three epochs, three lives: small enough to be visited completely.
    pub fn small(rules: Rules) -> Self {
        Self {
            rules,
            lives_max: 3,
            epochs_max: 3,
            kept: 1,
            rewinds: false,
            remembers: true,
        }
    }
}

impl State {
    /// The last place of the chain that is visible, and what lies there.
    fn tip(&self) -> (u8, Manifest) {
        let last = self.chain.last_key_value();
        last.map_or((0, Manifest::default()), |(place, m)| (*place, m.clone()))
    }

    /// The record as the sinks read it.
    fn record(&self) -> Option<Progress> {
        self.target.record.map(|(generation, epoch)| Progress {
            generation: generation.into(),
            epoch: epoch.into(),
        })
    }

    fn blame(&mut self, what: &'static str) {
        self.wrong.get_or_insert(what);
    }

    /// The older process first: which of two alike it is makes no difference.
    fn in_order(&mut self) {
        let life = |process: &Option<Process>| process.as_ref().map_or(Life::MAX, |p| p.life);
        if life(&self.processes[0]) <= life(&self.processes[1]) {
            return;
        }
        self.processes.swap(0, 1);
        if let Some(open) = &mut self.target.open {
            open.owner = 1 - open.owner;
        }
    }

    /// Every row of the target is one of the history, in its order, once.
    fn rows_are_a_prefix(&self) -> bool {
        let wanted = self
            .history
            .iter()
            .zip(1..)
            .map(|(life, epoch)| (epoch, *life));
        let count = self.target.rows.len();
        count <= self.history.len() && self.target.rows.iter().copied().eq(wanted.take(count))
    }
}

impl Model for Commit {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // A wrong state is a finding; what follows from it is not looked at.
        if state.wrong.is_some() {
            return;
        }
        for (index, process) in state.processes.iter().enumerate() {
            match process {
                None if state.lives < self.lives_max => actions.push(Action::Start(index)),
                None => {}
                Some(process) => {
                    // The last life goes on, else most ends would be deaths.
                    if state.lives < self.lives_max {
                        actions.push(Action::Kill(index));
                    }
                    self.chain_actions(state, index, process, actions);
                    self.sink_actions(state, index, process, actions);
                }
            }
        }
        if state.target.orphan.is_some() {
            actions.extend([Action::OrphanEnds(true), Action::OrphanEnds(false)]);
        }
        if self.rewinds && !state.target.rewound && state.target.before.is_some() {
            actions.push(Action::Rewind);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Start(index) => self.start(&mut state, index),
            Action::Kill(index) => kill(&mut state, index),
            Action::Cut(index) => self.cut(&mut state, index),
            Action::Put(index, answer) => self.put(&mut state, index, answer),
            Action::Look(index) => self.look(&mut state, index),
            Action::LookBehind(index) => self.look_behind(&mut state, index),
            Action::Collect(index) => self.collect(&mut state, index),
            Action::Claim(index, answer) => self.claim(&mut state, index, answer),
            Action::Send(index) => self.send(&mut state, index),
            Action::Commit(index, answer) => sink::commit(&mut state, index, answer),
            Action::CommitRows(index) => sink::commit_rows(&mut state, index),
            Action::Lose(index) => sink::lose(&mut state, index),
            Action::OrphanEnds(commits) => sink::end_orphan(&mut state, commits),
            Action::Rewind => sink::rewind(&mut state),
        }
        if !self.remembers {
            state.overtaken = false;
            state.fenced_by_target = false;
        }
        if !self.rewinds {
            state.target.before = None;
        }
        state.in_order();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "no epoch is lost, repeated or another's",
                |_, state: &State| state.rows_are_a_prefix(),
            ),
            Property::always("nobody believes what is not so", |_, state: &State| {
                state.wrong.is_none()
            }),
            Property::sometimes(
                "all epochs reach the target",
                |model: &Self, state: &State| {
                    state.target.rows.len() == usize::from(model.epochs_max)
                },
            ),
            Property::sometimes(
                "a process finds its place collected",
                |model: &Self, state: &State| state.overtaken || !model.remembers,
            ),
            Property::sometimes(
                "an old process is refused by the target",
                |model: &Self, state: &State| state.fenced_by_target || !model.remembers,
            ),
        ]
    }
}

fn kill(state: &mut State, index: usize) {
    state.processes[index] = None;
    sink::abandon(state, index);
}
