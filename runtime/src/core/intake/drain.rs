//! From readers to dataflows: takes decoded batches, moves positions, feeds views, sets bad
//! payloads aside.

use rtsap_stream::change::ChangeBatch;
use rtsap_stream::decode::Reject;
use rtsap_stream::failpoint;
use rtsap_stream::source::{Offset, SplitId};

use super::{Phase, Split, idle};
use crate::core::{Core, STEP_ROWS_MAX};
use crate::reader::{self, ReadBatch, ReadEvent};
use crate::spec::OnError;

impl Core {
    /// Takes what the reader of intake `index` has decoded, up to a step's share.
    pub(in crate::core) fn drain(&mut self, index: usize) {
        if !self.intakes[index].shared {
            self.drain_stash(index);
        }
        if self.intakes[index].held {
            return;
        }
        let mut rows = 0;
        while rows < STEP_ROWS_MAX && self.intakes[index].frozen_since.is_none() {
            let Phase::Open { reader, away } = &mut self.intakes[index].phase else {
                return;
            };
            let Some(event) = reader.next() else { return };
            match event {
                ReadEvent::Batch(batch) => {
                    *away = None;
                    rows += batch.rows.num_rows();
                    self.take_batch(index, batch);
                }
                ReadEvent::Found(split, at) => self.find_split(index, split, at),
                ReadEvent::Available => *away = None,
                ReadEvent::Unavailable(reason) => *away = Some(reason),
                ReadEvent::Failed(error) => {
                    let reason = error.to_string();
                    tracing::error!(
                        source = self.intakes[index].spec.name,
                        reason,
                        "source suspended"
                    );
                    self.intakes[index].phase = Phase::Failed { reason };
                }
            }
        }
    }

    /// Takes a split that came while the source was read. It holds the watermark back like any
    /// other, until its first row or until it is idle; a checkpoint knows it from now on.
    fn find_split(&mut self, index: usize, split: SplitId, at: Offset) {
        let now = self.config.clock.elapsed();
        let intake = &mut self.intakes[index];
        tracing::info!(source = intake.spec.name, %split, %at, "new split");
        intake.splits.entry(split).or_insert(Split {
            offset: at,
            last_rows: now,
            ..Split::default()
        });
        self.changed_since_checkpoint = true;
        failpoint::pass("core.split_found");
    }

    fn take_batch(&mut self, index: usize, batch: ReadBatch) {
        if self.intakes[index].shared {
            self.process(index, batch);
        } else {
            let stash = self.intakes[index]
                .stash
                .entry(batch.split.clone())
                .or_default();
            stash.push_back(batch);
            self.drain_stash(index);
        }
    }

    /// Processes what a private reader has read, up to where the shared one stands.
    fn drain_stash(&mut self, index: usize) {
        let source = self.intakes[index].spec.id;
        let Some(shared) = self
            .intakes
            .iter()
            .position(|i| i.shared && i.spec.id == source)
        else {
            // The shared reader went away with its last view: this one takes its place.
            self.intakes[index].shared = true;
            let stash = std::mem::take(&mut self.intakes[index].stash);
            for batch in stash.into_values().flatten() {
                self.process(index, batch);
            }
            return;
        };
        let splits: Vec<SplitId> = self.intakes[index].stash.keys().cloned().collect();
        for split in splits {
            let stand = self.intakes[shared].splits.get(&split);
            let Some((limit, shared_ended)) = stand.map(|s| (s.offset, s.ended)) else {
                continue;
            };
            while let Some(batch) = self.intakes[index].pop_stash(&split, limit, shared_ended) {
                self.process(index, batch);
            }
        }
    }

    /// Feeds a batch to the views of an intake and moves its position.
    fn process(&mut self, index: usize, batch: ReadBatch) {
        let now = self.config.clock.elapsed();
        self.touched = true;
        self.changed_since_checkpoint = true;
        let intake = &mut self.intakes[index];
        let shared = intake.shared;
        let source = intake.spec.id;
        let timeout = intake.spec.idle_timeout;
        let last = intake.last_heard.replace(now);
        idle::hear(&mut intake.splits, &batch.split, last, now, timeout);
        let split = intake.splits.entry(batch.split.clone()).or_default();
        if batch.ended {
            split.ended = true;
        } else {
            split.offset = batch.resume_at;
        }
        let place = intake
            .spec
            .event_time
            .and_then(|t| intake.column_of.get(&t.column).copied());
        let times = place.and_then(|place| reader::nanos(batch.rows.column(place)));
        if let Some(latest) = times.and_then(|times| arrow::compute::max(&times)) {
            split.latest = Some(split.latest.map_or(latest, |before| before.max(latest)));
        }
        if !batch.rejects.is_empty() || shared {
            self.count_read(index, batch.rows.num_rows(), &batch.rejects);
        }
        let intake = &mut self.intakes[index];
        if batch.rows.num_rows() > 0 {
            let changes = match batch.ops {
                None => Ok(ChangeBatch::inserts(batch.rows)),
                Some(ops) => ChangeBatch::try_new(batch.rows, ops),
            };
            let changes = match changes {
                Ok(changes) => changes,
                Err(error) => {
                    let reason = format!("a decoder broke its contract: {error}");
                    self.intakes[index].phase = Phase::Failed { reason };
                    return;
                }
            };
            let place_of = |column: usize| intake.column_of.get(&column).copied();
            for view in &intake.views {
                if let Some(relation) = self.relations.get_mut(view) {
                    let began = self.config.clock.elapsed();
                    relation.feed(source, &changes, &place_of);
                    let took = self.config.clock.elapsed().saturating_sub(began);
                    relation.work.busy += took;
                }
            }
        }
        self.promise_from(index);
        failpoint::pass("core.batch_taken");
    }

    /// Counts rows of a source and sets its bad payloads aside.
    fn count_read(&mut self, index: usize, rows: usize, rejects: &[Reject]) {
        let intake = &mut self.intakes[index];
        let Some(entry) = self.sources.get_mut(&intake.spec.id) else {
            return;
        };
        if !intake.shared {
            // The shared reader has read, or will have skipped, the same payloads: it alone speaks
            // of them.
            return;
        }
        entry.saved.rows += rows as u64;
        entry.saved.error_count += rejects.len() as u64;
        if rejects.is_empty() {
            return;
        }
        metrics::counter!(crate::metrics::ERROR_ROWS, "source" => entry.spec.name.clone())
            .increment(rejects.len() as u64);
        match entry.spec.on_error {
            OnError::Drop => {}
            OnError::DeadLetter => self.dead_letter(index, rejects),
            OnError::Fail => {
                let reason = format!("payload at {}: {}", rejects[0].offset, rejects[0].reason);
                self.dead_letter(index, rejects);
                self.intakes[index].phase = Phase::Failed { reason };
            }
        }
    }

    fn dead_letter(&mut self, index: usize, rejects: &[Reject]) {
        let now = self.config.clock.wall();
        let source = self.intakes[index].spec.id;
        let Some(entry) = self.sources.get_mut(&source) else {
            return;
        };
        match entry.set_aside(rejects, now) {
            Ok(changes) => self.tell_error_subscribers(source, changes),
            Err(error) => {
                self.intakes[index].phase = Phase::Failed {
                    reason: error.to_string(),
                };
            }
        }
    }
}
