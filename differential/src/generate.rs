//! Random cases: streams with disorder, tables with updates, restarts, and views of all kinds.

use crate::case::{Action, Case, Change, KEYED, MOVING, STREAMS, TABLE, View, bases};
use crate::late::{FAR_US, LAST_US};
use crate::random::Random;
use crate::rel::{Emit, Rel};
use crate::value::{Row, START_US, Value};

mod expr;
mod rel;

/// The length of a case in event time, in milliseconds.
const LENGTH_MS: i64 = 40_000;

/// The case of `seed` with `views` views.
pub fn case(seed: u64, views: usize, changes: bool) -> Case {
    let mut random = Random::new(seed);
    let delay = |random: &mut Random| random.one_of(&[0, 500_000, 2_000_000, 5_000_000]);
    let mut case = Case {
        seed,
        late: false,
        zoned: random.one_in(4),
        delays: [delay(&mut random), delay(&mut random)],
        digits: [random.one_of(&[3, 6, 9]), random.one_of(&[3, 6, 9])],
        splits: [1 + random.below(3), 1 + random.below(3)],
        actions: Vec::new(),
        views: Vec::new(),
    };
    case.actions = actions(&mut random, &case, changes);
    for _ in 0..views {
        let at = match random.one_in(3) {
            true => random.below(case.actions.len() + 1),
            false => 0,
        };
        let (rel, emit) = view(&mut random);
        case.views.push(View { rel, emit, at });
    }
    case
}

/// A case of `seed` whose rows may come too late, with `views` views of one operator each.
pub fn late_case(seed: u64, views: usize) -> Case {
    let mut random = Random::new(!seed);
    let delay = |random: &mut Random| random.one_of(&[0, 500_000, 2_000_000]);
    let mut case = Case {
        seed,
        late: true,
        zoned: random.one_in(4),
        delays: [delay(&mut random), delay(&mut random)],
        digits: [random.one_of(&[3, 6, 9]), random.one_of(&[3, 6, 9])],
        splits: [1, 1],
        actions: Vec::new(),
        views: Vec::new(),
    };
    // What would be in time for a long delay is late for a short one.
    let slow = Case {
        delays: [8_000_000; STREAMS],
        ..case.clone()
    };
    let write = |action: Action| match action {
        Action::Arrive(base, _, rows) => Action::Insert(base, rows),
        action => action,
    };
    case.actions = actions(&mut random, &slow, false)
        .into_iter()
        .map(write)
        .collect();
    for stream in 0..STREAMS {
        let base = &bases()[stream];
        let last = base.columns.iter().map(|(name, _)| match *name {
            "id" => Value::Int(999),
            "ts" => Value::Time(FAR_US + LAST_US),
            _ => Value::Null,
        });
        case.actions
            .push(Action::Insert(stream, vec![last.collect()]));
    }
    for _ in 0..views {
        let bases = bases();
        let rel = rel::Maker::new(&mut random, &bases).gate();
        let closes = matches!(rel, Rel::Window(_)) && random.one_in(2);
        let emit = if closes { Emit::Close } else { Emit::Default };
        case.views.push(View { rel, emit, at: 0 });
    }
    case
}

fn view(random: &mut Random) -> (Rel, Emit) {
    let bases = bases();
    let depth = 1 + random.below(4);
    let rel = rel::Maker::new(random, &bases).rel(depth);
    let closes = |rel: &Rel| matches!(rel, Rel::Window(_) | Rel::Over(_) | Rel::Assigned(..));
    let open = |rel: &Rel| matches!(rel, Rel::Base(MOVING));
    let emit = match random.below(3) {
        0 if rel.any(&closes) && !rel.any(&open) => Emit::Close,
        1 => Emit::Changes,
        _ => Emit::Default,
    };
    (rel, emit)
}

fn some_key(random: &mut Random) -> Value {
    match random.below(9) {
        0 => Value::Null,
        n => Value::Text(["a", "b", "c", "d"][n % 4].to_owned()),
    }
}

fn some_int(random: &mut Random, first: i64, last: i64) -> Value {
    match random.one_in(8) {
        true => Value::Null,
        false => Value::Int(random.between(first, last)),
    }
}

/// The rows of one stream, split by split, in order.
fn stream(random: &mut Random, case: &Case, stream: usize) -> Vec<Vec<Row>> {
    let splits = case.splits[stream];
    // Of keyed splits one row's key says which split it is in.
    let keyed = splits > 1 && random.one_in(2);
    let count = random.one_of(&[0, 3, 12, 25, 40, 60]);
    let step = 1 + LENGTH_MS / (count as i64 + 1) * splits as i64;
    let mut latest = vec![START_US; splits];
    let mut out = vec![Vec::new(); splits];
    for id in 0..count {
        let key = some_key(random);
        let split = match (&key, keyed) {
            (Value::Text(key), true) => usize::from(key.as_bytes()[0]) % splits,
            _ => random.below(splits),
        };
        let delay = case.delays[stream];
        // Times on a coarse grid coincide often, also with the bounds of windows.
        let grid = random.one_of(&[1_000, 250_000, 1_000_000]);
        let moved = latest[split] + random.between(0, step * 1_000 * 2);
        let back = if random.one_in(2) {
            random.between(0, delay)
        } else {
            0
        };
        let time = (moved - back).div_euclid(grid) * grid;
        let time = time.max(latest[split] - delay).max(START_US);
        // Milliseconds, so that three digits hold it.
        let time = (time + 999).div_euclid(1_000) * 1_000;
        latest[split] = latest[split].max(time);
        let id = Value::Int(id as i64);
        let number = some_int(random, -5, 20);
        let row = if stream == 0 {
            let quarter = match random.one_in(6) {
                true => Value::Null,
                false => Value::Real(random.between(-20, 40) as f64 * 0.25),
            };
            vec![id, key, number, quarter, Value::Time(time)]
        } else {
            let price = match random.one_in(6) {
                true => Value::Null,
                false => Value::Decimal(i128::from(random.between(-999, 9_999))),
            };
            let ok = match random.below(5) {
                0 => Value::Null,
                n => Value::Bool(n % 2 == 0),
            };
            vec![id, key, number, price, ok, Value::Time(time)]
        };
        out[split].push(row);
    }
    out
}

/// Cuts rows at random.
fn cut(random: &mut Random, rows: Vec<Row>) -> Vec<Vec<Row>> {
    let most = random.one_of(&[1, 4, 20]);
    let mut out = Vec::new();
    let mut rest = rows.into_iter().peekable();
    while rest.peek().is_some() {
        let count = 1 + random.below(most);
        out.push(rest.by_ref().take(count).collect());
    }
    out
}

fn actions(random: &mut Random, case: &Case, changes: bool) -> Vec<Action> {
    // Queues whose heads come in a random order.
    let mut queues: Vec<Vec<Action>> = Vec::new();
    for base in 0..STREAMS {
        for (split, rows) in stream(random, case, base).into_iter().enumerate() {
            let parts = cut(random, rows).into_iter();
            queues.push(
                parts
                    .map(|rows| Action::Arrive(base, split, rows))
                    .collect(),
            );
        }
    }
    // A sequence of their own, so that the cases of a seed stay what they were without them.
    let mut other = changes.then(|| Random::new(case.seed.wrapping_add(1)));
    let appended: Vec<Row> = (0..random.one_of(&[0, 8, 20]))
        .map(|id| vec![Value::Int(id), some_key(random), some_int(random, 0, 9)])
        .collect();
    let parts = cut(random, appended).into_iter();
    let written = parts.map(|rows| Action::Insert(TABLE, rows)).collect();
    queues.push(changed(other.as_mut(), TABLE, written));
    let upserted: Vec<Row> = (0..random.one_of(&[0, 6, 20]))
        .map(|_| {
            let key = random.one_of(&["a", "b", "c", "d", "e"]);
            let group = random.one_of(&["x", "y"]);
            let group = match random.one_in(5) {
                true => Value::Null,
                false => Value::Text(group.to_owned()),
            };
            vec![Value::Text(key.to_owned()), some_int(random, 0, 9), group]
        })
        .collect();
    let parts = cut(random, upserted).into_iter();
    let written = parts.map(|rows| Action::Insert(KEYED, rows)).collect();
    queues.push(changed(other.as_mut(), KEYED, written));
    let moving: Vec<Row> = (0..random.one_of(&[0, 10, 25]))
        .map(|_| {
            let id = Value::Int(random.between(0, 7));
            let time = START_US + random.between(0, LENGTH_MS / 250) * 250_000;
            vec![
                id,
                some_key(random),
                some_int(random, 0, 9),
                Value::Time(time),
            ]
        })
        .collect();
    let parts = cut(random, moving).into_iter();
    let written = parts.map(|rows| Action::Insert(MOVING, rows)).collect();
    queues.push(changed(other.as_mut(), MOVING, written));
    let mut out = Vec::new();
    for queue in &mut queues {
        queue.reverse();
    }
    while queues.iter().any(|queue| !queue.is_empty()) {
        let queue = random.below(queues.len());
        out.extend(queues[queue].pop());
    }
    for _ in 0..random.one_of(&[0, 0, 1, 2]) {
        let action = match random.one_in(3) {
            true => Action::Crash,
            false => Action::Restart,
        };
        out.insert(random.below(out.len() + 1), action);
    }
    out
}

/// `writes` of a table, with changes of what they have written in between, if there is chance.
fn changed(random: Option<&mut Random>, base: usize, writes: Vec<Action>) -> Vec<Action> {
    let Some(random) = random else {
        return writes;
    };
    let mut out = Vec::new();
    for write in writes {
        out.push(write);
        if random.one_in(3) {
            let modulus = random.one_of(&[1, 2, 3, 4]);
            let change = Change {
                modulus,
                rest: random.below(modulus as usize) as i64,
                add: (!random.one_in(3)).then(|| random.one_of(&[0, 1, 3])),
            };
            out.push(Action::Change(base, change));
        }
    }
    out
}
