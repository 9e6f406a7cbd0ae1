//! The sound's timeline: spectral rows on the 25 fps grid of one epoch.
//!
//! Takes 16 kHz mono samples with the time of their first one; gives four rows for every tick of
//! the grid, row `4t` beginning at sample `640t` of the epoch's clock, where the sound has them.
//! Promises that a row only ever holds sound: a tick of which any row would look into a hole, or
//! before the first sample, is a *gap* and has no rows, so that silence nobody recorded can never
//! be scored. Deviations of a piece's time up to 20 ms are taken for jitter and do not move the
//! sound; a larger one is a seam: what was heard twice is dropped, what is missing is a gap, and
//! the sound is anchored anew. Every tick has one answer, and it never changes once given.
//! Exceptions to "only ever sound": up to 5 ms before the first sample of a run, and the padding
//! of the very last rows, as the reference has it.
//! Does not correct a drifting clock smoothly: it makes a seam whenever 20 ms have added up.
//! Memory holds what [`AudioLine::forget_before`] was not told to drop, and no gap costs any.

use std::collections::VecDeque;
use std::ops::Range;

use super::mfcc::{Mfcc, SAMPLE_RATE_HZ, STEP_SAMPLES, SpectralRows};
use crate::core::time::{Pts, SECOND_NS, Tick};

/// Rows for each tick.
pub const ROWS_PER_TICK: usize = 4;

const TICK_SAMPLES: i64 = (ROWS_PER_TICK * STEP_SAMPLES) as i64;
/// How far a piece's time may be off before the sound is anchored anew (20 ms).
const JITTER_SAMPLES: i64 = SAMPLE_RATE_HZ as i64 / 50;
/// How much later than a tick's first sample a run may begin without losing that tick (5 ms).
const LATE_START_SAMPLES: i64 = SAMPLE_RATE_HZ as i64 / 200;
/// How much of the last tick must be sound.
const LEAST_LAST_SAMPLES: i64 = TICK_SAMPLES / 2;

/// The rows of one epoch's sound; begin a new line with each epoch.
pub struct AudioLine<const N: usize> {
    frontend: SpectralRows<N>,
    /// Runs of sound, in order; while sound is coming, the last one is being filled.
    runs: VecDeque<Run<N>>,
    state: State,
    /// Ticks before this one were forgotten.
    kept_from: Tick,
}

/// Rows without a hole, in whole ticks but for the one being filled.
struct Run<const N: usize> {
    first: Tick,
    rows: Vec<[f32; N]>,
    /// Rows at the front that are no longer wanted but not yet cleared away.
    forgotten: usize,
}

/// What the sound is doing now; samples are numbered from the clock's zero.
#[derive(Clone, Copy, Debug)]
enum State {
    /// There is no sound, as far as is known until this sample; nothing is known without one.
    Silent { until: Option<i64> },
    /// Sound is coming, but too late for the tick that it lies in: `starts_at` the next one.
    Waiting { next: i64, starts_at: i64, before: Option<i16> },
    /// Sound is going into the last run.
    Running { next: i64 },
    /// The sound has ended.
    Ended,
}

impl AudioLine<13> {
    /// A line of MFCC rows that has heard nothing yet.
    pub fn new() -> Self {
        Self::with(Mfcc::new())
    }
}

impl Default for AudioLine<13> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> AudioLine<N> {
    /// A line of the rows that `frontend` makes.
    pub fn with(mut frontend: SpectralRows<N>) -> Self {
        frontend.restart(None);
        let state = State::Silent { until: None };
        Self { frontend, runs: VecDeque::new(), state, kept_from: Tick(i64::MIN) }
    }

    /// Hears `samples` (16 kHz, mono), the first of which stands at `pts`.
    ///
    /// Sound that comes after [`Self::finish`], or belongs where a gap was already made known, is
    /// dropped.
    pub fn push(&mut self, pts: Pts, samples: &[i16]) {
        let at = sample_at(pts);
        let heard_until = match self.state {
            State::Ended => return,
            State::Silent { until } => until.unwrap_or(at),
            State::Waiting { next, .. } | State::Running { next } => {
                if (at - next).abs() <= JITTER_SAMPLES {
                    return self.hear(samples);
                }
                next
            }
        };
        let twice = usize::try_from(heard_until - at).unwrap_or(0);
        if let Some(fresh) = samples.get(twice..).filter(|fresh| !fresh.is_empty()) {
            self.close_run();
            let next = at.max(heard_until);
            let starts_at = first_whole_tick(next).0 * TICK_SAMPLES;
            self.state = State::Waiting { next, starts_at, before: None };
            self.hear(fresh);
        }
    }

    /// Learns that no sound from before `pts` will come any more: what is missing is a gap.
    pub fn advance_to(&mut self, pts: Pts) {
        let until = sample_at(pts);
        let known_until = match self.state {
            State::Ended => return,
            State::Silent { until } => until.unwrap_or(i64::MIN),
            State::Waiting { next, .. } | State::Running { next } => next + JITTER_SAMPLES,
        };
        if until > known_until {
            self.close_run();
            self.state = State::Silent { until: Some(until) };
        }
    }

    /// Ends the sound: its last rows are padded as the reference pads them, the last tick keeps
    /// them if half of it was sound, and every later tick is a gap.
    pub fn finish(&mut self) {
        if let (State::Running { next }, Some(run)) = (self.state, self.runs.back_mut()) {
            self.frontend.finish(&mut run.rows);
            let last = run.first.offset((run.rows.len() / ROWS_PER_TICK) as i64);
            let heard = next - last.0 * TICK_SAMPLES;
            if let Some(row) = run.rows.last().copied().filter(|_| heard >= LEAST_LAST_SAMPLES) {
                run.rows.resize(run.rows.len().next_multiple_of(ROWS_PER_TICK), row);
            }
        }
        self.close_run();
        self.state = State::Ended;
    }

    /// The first tick that has no answer yet: all before it have their rows or are gaps.
    ///
    /// Before any sound that is the lowest tick there is, after [`Self::finish`] the highest.
    pub fn ready_until(&self) -> Tick {
        match self.state {
            State::Silent { until: None } => Tick(i64::MIN),
            State::Silent { until: Some(until) } => first_whole_tick(until),
            State::Waiting { starts_at, .. } => Tick(starts_at / TICK_SAMPLES),
            State::Running { .. } => self.runs.back().map_or(Tick(i64::MIN), |r| r.kept().end),
            State::Ended => Tick(i64::MAX),
        }
    }

    /// The rows of `ticks`, four each; `None` where one of them is a gap, not ready or forgotten.
    pub fn rows(&self, ticks: Range<Tick>) -> Option<&[[f32; N]]> {
        let run = self.run_of(ticks.start)?;
        let row = |tick: Tick| (tick.0 - run.first.0) as usize * ROWS_PER_TICK;
        (ticks.start <= ticks.end && ticks.end <= run.kept().end)
            .then(|| &run.rows[row(ticks.start)..row(ticks.end)])
    }

    /// The ticks around `tick` that have rows without a hole between them; `None` where it has
    /// none itself.
    pub fn unbroken(&self, tick: Tick) -> Option<Range<Tick>> {
        self.run_of(tick).map(Run::kept)
    }

    /// Whether it is known that `tick` has no sound that could be scored. Ticks that were
    /// forgotten are not known.
    pub fn gap(&self, tick: Tick) -> bool {
        tick >= self.kept_from && tick < self.ready_until() && self.run_of(tick).is_none()
    }

    /// Drops the rows of all ticks before `tick`.
    pub fn forget_before(&mut self, tick: Tick) {
        self.kept_from = self.kept_from.max(tick);
        let filling = matches!(self.state, State::Running { .. });
        while self.runs.len() > usize::from(filling)
            && self.runs.front().is_some_and(|run| run.kept().end <= tick)
        {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.front_mut() {
            run.forget_before(tick);
        }
    }

    /// Takes samples that follow on what was heard, in the states that hear.
    fn hear(&mut self, samples: &[i16]) {
        let mut samples = samples;
        if let State::Waiting { next, starts_at, before } = self.state {
            let skipped = usize::try_from(starts_at - next).unwrap_or(0).min(samples.len());
            let (early, rest) = samples.split_at(skipped);
            let next = next + skipped as i64;
            let before = early.last().copied().or(before);
            if rest.is_empty() {
                self.state = State::Waiting { next, starts_at, before };
                return;
            }
            let mut run =
                Run { first: Tick(starts_at / TICK_SAMPLES), rows: Vec::new(), forgotten: 0 };
            self.frontend.restart(before);
            let missing = usize::try_from(next - starts_at).unwrap_or(0);
            self.frontend.push(&[0; LATE_START_SAMPLES as usize][..missing], &mut run.rows);
            self.runs.push_back(run);
            self.state = State::Running { next };
            samples = rest;
        }
        if let (State::Running { next }, Some(run)) = (&mut self.state, self.runs.back_mut()) {
            self.frontend.push(samples, &mut run.rows);
            *next += samples.len() as i64;
        }
    }

    /// Ends the run being filled: a tick that lacks a row is a gap.
    fn close_run(&mut self) {
        self.frontend.restart(None);
        if let Some(run) = self.runs.back_mut() {
            run.rows.truncate(run.rows.len() / ROWS_PER_TICK * ROWS_PER_TICK);
            if run.kept().is_empty() {
                self.runs.pop_back();
            }
        }
    }

    fn run_of(&self, tick: Tick) -> Option<&Run<N>> {
        self.runs.iter().rev().find(|run| run.kept().contains(&tick))
    }
}

impl<const N: usize> Run<N> {
    /// The ticks that have all their rows and were not forgotten.
    fn kept(&self) -> Range<Tick> {
        let ticks = |rows: usize| (rows / ROWS_PER_TICK) as i64;
        self.first.offset(ticks(self.forgotten))..self.first.offset(ticks(self.rows.len()))
    }

    /// Gives up the rows before `tick`; clears them away once they are more than what is kept, so
    /// that every row is moved once on average.
    fn forget_before(&mut self, tick: Tick) {
        let kept = self.kept();
        let from = tick.clamp(kept.start, kept.end);
        self.forgotten = (from.0 - self.first.0) as usize * ROWS_PER_TICK;
        if self.forgotten > self.rows.len() - self.forgotten {
            self.rows.drain(..self.forgotten);
            self.first = from;
            self.forgotten = 0;
        }
    }
}

/// The number of the sample that stands at `pts`, counted from the clock's zero; halfway goes up.
fn sample_at(pts: Pts) -> i64 {
    let twice = 2 * i128::from(pts.ns()) * i128::from(SAMPLE_RATE_HZ) + i128::from(SECOND_NS);
    // An i64 of nanoseconds is far fewer samples than an i64 holds.
    twice.div_euclid(2 * i128::from(SECOND_NS)) as i64
}

/// The first tick that sound from sample `at` on can fill.
const fn first_whole_tick(at: i64) -> Tick {
    let latest = at - LATE_START_SAMPLES;
    Tick((latest + TICK_SAMPLES - 1).div_euclid(TICK_SAMPLES))
}

#[cfg(test)]
mod tests;
