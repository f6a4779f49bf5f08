//! How a private reader meets the shared one: what it may process, and when its views are handed
//! over.

use std::time::Duration;

use rtsap_stream::message::Watermark;
use rtsap_stream::source::{Offset, SplitId};

use super::{Intake, Phase};
use crate::core::Core;
use crate::reader::ReadBatch;

/// How long the shared reader is held back for a private one to draw level.
const FREEZE_MAX: Duration = Duration::from_millis(500);

/// Rows a private reader may lag behind before the shared one is held back for it.
const FREEZE_LAG_MAX: u64 = 20_000;

impl Core {
    /// Hands the views of a private intake over to the shared one where both stand at the same
    /// offsets; holds the shared one back for a moment where they nearly do.
    pub(in crate::core) fn merge_intakes(&mut self) {
        let mut index = 0;
        while index < self.intakes.len() {
            let source = self.intakes[index].spec.id;
            let shared = self
                .intakes
                .iter()
                .position(|i| i.shared && i.spec.id == source);
            let Some(shared) = shared.filter(|_| !self.intakes[index].shared) else {
                index += 1;
                continue;
            };
            let level = self.level(index, shared);
            if level == Some(0) {
                let private = self.intakes.remove(index);
                let shared = if shared > index { shared - 1 } else { shared };
                tracing::info!(
                    source = private.spec.name,
                    "view caught up with the shared reader"
                );
                self.tell_promise(shared, &private);
                self.intakes[shared].views.extend(private.views);
                self.intakes[shared].frozen_since = None;
                self.reopen(shared);
                self.touched = true;
                self.changed_since_checkpoint = true;
                continue;
            }
            let now = self.config.clock.elapsed();
            let near = level.is_some_and(|lag| lag <= FREEZE_LAG_MAX);
            let shared = &mut self.intakes[shared];
            match shared.frozen_since {
                None if near => shared.frozen_since = Some(now),
                // It did not draw level in time: let the data flow and try again later.
                Some(since) if now.saturating_sub(since) > FREEZE_MAX => shared.frozen_since = None,
                _ => {}
            }
            index += 1;
        }
    }

    /// Tells the views of a private intake what the shared one, at the same offsets, promises: if
    /// the source stays quiet, nothing else would.
    fn tell_promise(&mut self, shared: usize, private: &Intake) {
        let shared = &self.intakes[shared];
        let Some(time) = shared
            .watermark
            .filter(|time| Some(*time) >= private.watermark)
        else {
            return;
        };
        let promise = match shared.promise() {
            Some(Watermark::Idle) => Watermark::Idle,
            _ => Watermark::At(time),
        };
        for view in &private.views {
            if let Some(relation) = self.relations.get_mut(view) {
                relation.advance(private.spec.id, Watermark::At(time));
                if promise == Watermark::Idle {
                    relation.advance(private.spec.id, promise);
                }
            }
        }
    }

    /// How many payloads a private intake is behind the shared one; `None` if it cannot be said
    /// yet.
    fn level(&self, private: usize, shared: usize) -> Option<u64> {
        let (private, shared) = (&self.intakes[private], &self.intakes[shared]);
        if !matches!(private.phase, Phase::Open { .. }) || shared.splits.is_empty() {
            return None;
        }
        // A topic that was created again between the two: equal offsets mean nothing.
        if private.identity != shared.identity {
            return None;
        }
        let mut lag = 0;
        for (id, stand) in &shared.splits {
            let own = private.splits.get(id)?;
            if own.offset > stand.offset {
                return None;
            }
            lag += stand.offset.0 - own.offset.0;
            lag += u64::from(own.ended != stand.ended);
        }
        Some(lag)
    }
}

impl Intake {
    /// The next stashed batch of `split` as far as it lies before `limit`.
    pub(super) fn pop_stash(
        &mut self,
        split: &SplitId,
        limit: Offset,
        ended: bool,
    ) -> Option<ReadBatch> {
        let stash = self.stash.get_mut(split)?;
        let front = stash.front_mut()?;
        if front.ended {
            let batch = if ended { stash.pop_front() } else { None };
            if stash.is_empty() {
                self.stash.remove(split);
            }
            return batch;
        }
        if front.resume_at <= limit {
            let batch = stash.pop_front();
            if stash.is_empty() {
                self.stash.remove(split);
            }
            return batch;
        }
        let own = self
            .splits
            .get(split)
            .map_or(Offset(0), |split| split.offset);
        if own >= limit {
            return None;
        }
        let count = front.offsets.count_below(limit, front.rows.num_rows());
        let rest = front.rows.num_rows() - count;
        let before = ReadBatch {
            split: split.clone(),
            rows: front.rows.slice(0, count),
            ops: front.ops.as_ref().map(|ops| ops.slice(0, count)),
            offsets: front.offsets.clone(),
            rejects: front
                .rejects
                .iter()
                .filter(|r| r.offset < limit)
                .cloned()
                .collect(),
            resume_at: limit,
            ended: false,
        };
        front.rows = front.rows.slice(count, rest);
        front.ops = front.ops.as_ref().map(|ops| ops.slice(count, rest));
        front.offsets = front.offsets.skip(count);
        front.rejects.retain(|reject| reject.offset >= limit);
        Some(before)
    }
}
