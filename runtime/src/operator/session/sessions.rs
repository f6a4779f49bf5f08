//! Which sessions are open, and the rows of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use rtsap_plan::window::Window;

use super::ByStart;

/// A partition as bytes.
pub(super) type Key = Arc<[u8]>;

/// One session.
struct Session {
    /// Time of its last row.
    last: i64,
    rows: Vec<RecordBatch>,
    /// What was sent of it.
    sent: Vec<RecordBatch>,
}

/// What became of a row.
pub(super) struct Joined {
    /// Time of the first row of its session.
    pub start: i64,
    /// The starts of the sessions that it joined into one.
    pub merged: Vec<i64>,
    /// What was sent of sessions that are no more.
    pub sent: Vec<RecordBatch>,
}

/// All open sessions.
pub(super) struct Sessions {
    gap_nanos: i64,
    open: HashMap<Key, ByStart<Session>, ahash::RandomState>,
    /// Time of the last row, partition, start.
    by_last: BTreeSet<(i64, Key, i64)>,
    bytes: usize,
}

impl Sessions {
    /// No session.
    pub fn new(gap_nanos: i64) -> Self {
        Self {
            gap_nanos,
            open: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            by_last: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Puts a row of `time` into its session. If `over`, it may not open one.
    pub fn join(&mut self, key: &Key, time: i64, over: bool) -> Option<Joined> {
        let gap = self.gap_nanos;
        let sessions = self.open.get(key);
        let near = sessions.into_iter().flat_map(|sessions| {
            let before = sessions.range(..=time.saturating_add(gap)).rev();
            before.take_while(|(_, session)| session.last.saturating_add(gap) >= time)
        });
        let near: Vec<i64> = near.map(|(start, _)| *start).collect();
        if near.is_empty() && over {
            return None;
        }
        let sessions = self.open.entry(Arc::clone(key)).or_default();
        let mut whole = Session {
            last: time,
            rows: Vec::new(),
            sent: Vec::new(),
        };
        let (mut start, mut sent) = (time, Vec::new());
        for old in near.iter().rev() {
            let Some(session) = sessions.remove(old) else {
                continue;
            };
            self.by_last.remove(&(session.last, Arc::clone(key), *old));
            start = start.min(*old);
            whole.last = whole.last.max(session.last);
            whole.rows.extend(session.rows);
            if near.len() == 1 {
                whole.sent = session.sent;
            } else {
                sent.extend(session.sent);
            }
        }
        self.by_last.insert((whole.last, Arc::clone(key), start));
        sessions.insert(start, whole);
        Some(Joined {
            start,
            merged: near,
            sent,
        })
    }

    fn session(&mut self, key: &Key, start: i64) -> Option<&mut Session> {
        self.open.get_mut(key)?.get_mut(&start)
    }

    /// Keeps rows of a session.
    pub fn keep(&mut self, key: &Key, start: i64, rows: RecordBatch) {
        self.bytes += rows.get_array_memory_size();
        if let Some(session) = self.session(key, start) {
            session.rows.push(rows);
        }
    }

    /// The bounds and rows of a session.
    pub fn rows(&self, key: &Key, start: i64) -> Option<(Window, &[RecordBatch])> {
        let session = self.open.get(key)?.get(&start)?;
        let end = session.last.saturating_add(self.gap_nanos);
        Some((Window { start, end }, &session.rows))
    }

    /// Notes what was sent of a session and returns what was sent before.
    pub fn replace_sent(&mut self, key: &Key, start: i64, rows: RecordBatch) -> Vec<RecordBatch> {
        let session = self.session(key, start);
        session
            .map(|session| std::mem::replace(&mut session.sent, vec![rows]))
            .unwrap_or_default()
    }

    /// The sessions that end before `time`, in order of their ends.
    pub fn over(&self, time: i64) -> Vec<(Key, i64)> {
        let over = |(last, ..): &&(i64, Key, i64)| {
            time == i64::MAX || last.saturating_add(self.gap_nanos) < time
        };
        let over = self.by_last.iter().take_while(over);
        over.map(|(_, key, start)| (Arc::clone(key), *start))
            .collect()
    }

    /// The times of the last rows of the first session to be over and of the last one, and how
    /// many there are.
    pub fn lasts(&self) -> Option<(i64, i64, usize)> {
        let (first, ..) = self.by_last.first()?;
        let (last, ..) = self.by_last.last()?;
        Some((*first, *last, self.by_last.len()))
    }

    /// Forgets a session.
    pub fn forget(&mut self, key: &Key, start: i64) {
        let Some(sessions) = self.open.get_mut(key) else {
            return;
        };
        if let Some(session) = sessions.remove(&start) {
            self.by_last.remove(&(session.last, Arc::clone(key), start));
            let bytes: usize = session
                .rows
                .iter()
                .map(RecordBatch::get_array_memory_size)
                .sum();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        if sessions.is_empty() {
            self.open.remove(key);
        }
    }

    /// All sessions, in order of their ends.
    pub fn open(&self) -> Vec<(Key, i64)> {
        let open = self.by_last.iter();
        open.map(|(_, key, start)| (Arc::clone(key), *start))
            .collect()
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.bytes
    }
}
