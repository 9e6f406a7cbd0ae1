//! The stream's audio features on the model's grid: four spectral rows per tick, or a gap.
//!
//! Takes 16 kHz mono samples with timestamps; gives rows for ticks in order. Missing audio is a
//! gap, never zeros, which would pass for silence. Timestamps may jitter by up to half a tick, as
//! containers round them. A larger step forward is a gap; a larger step back is an overlap, and
//! the repeated samples are dropped.
//! Holds the audio between [`AudioFeatures::forget_before`] and the newest sample.

use std::collections::VecDeque;
use std::ops::Range;

use super::mfcc::{LogMel, Mfcc};
use crate::core::time::{Pts, Tick};

/// Samples per second.
const RATE_HZ: i64 = 16_000;
/// Samples per tick.
const TICK_SAMPLES: i64 = RATE_HZ / Tick::PER_SECOND;
/// Rows per tick.
const TICK_ROWS: usize = 4;
/// Steps up to this count as jitter.
const JITTER_SAMPLES: i64 = TICK_SAMPLES / 2;

/// The kind of spectral rows that a model takes.
pub enum Spectrum {
    /// 13 MFCC per row.
    Mfcc(Box<Mfcc>),
    /// 40 log-mel energies per row.
    LogMel(Box<LogMel>),
}

impl Spectrum {
    const fn width(&self) -> usize {
        match self {
            Self::Mfcc(_) => 13,
            Self::LogMel(_) => 40,
        }
    }

    fn push(&mut self, samples: &[i16], out: &mut Vec<f32>) {
        match self {
            Self::Mfcc(rows) => flat(out, |rows_out| rows.push(samples, rows_out)),
            Self::LogMel(rows) => flat(out, |rows_out| rows.push(samples, rows_out)),
        }
    }

    fn finish(&mut self, out: &mut Vec<f32>) {
        match self {
            Self::Mfcc(rows) => flat(out, |rows_out| rows.finish(rows_out)),
            Self::LogMel(rows) => flat(out, |rows_out| rows.finish(rows_out)),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Mfcc(rows) => rows.restart(None),
            Self::LogMel(rows) => rows.restart(None),
        }
    }
}

fn flat<const N: usize>(out: &mut Vec<f32>, fill: impl FnOnce(&mut Vec<[f32; N]>)) {
    let mut rows = Vec::new();
    fill(&mut rows);
    out.extend(rows.as_flattened());
}

/// Spectral rows by tick.
pub struct AudioFeatures {
    spectrum: Spectrum,
    /// The tick of the first entry.
    base: Tick,
    /// Rows of each tick, or a gap.
    ticks: VecDeque<Option<Box<[f32]>>>,
    /// Rows of the segment that do not fill a tick yet.
    partial_rows: Vec<f32>,
    /// Position of the segment's next sample, in samples of the clock.
    next_sample: Option<i64>,
}

impl AudioFeatures {
    /// Creates features that start at tick `first`.
    pub const fn new(spectrum: Spectrum, first: Tick) -> Self {
        Self {
            spectrum,
            base: first,
            ticks: VecDeque::new(),
            partial_rows: Vec::new(),
            next_sample: None,
        }
    }

    /// Pushes samples that start at `pts`; without a time they follow the last ones.
    pub fn push(&mut self, pts: Option<Pts>, samples: &[i16]) {
        let stated = pts.map(|p| (p.ns() * RATE_HZ).div_euclid(1_000_000_000));
        let mut samples = samples;
        if let Some(next) = self.next_sample {
            let step = stated.map_or(0, |s| s - next);
            if step > JITTER_SAMPLES {
                self.end_segment();
            } else if step < -JITTER_SAMPLES {
                let repeated = usize::try_from(-step).unwrap_or(usize::MAX).min(samples.len());
                samples = &samples[repeated..];
            }
        }
        if self.next_sample.is_none() {
            samples = self.begin_segment(stated.unwrap_or(0), samples);
        }
        self.append(samples);
    }

    /// Begins a segment at a tick. If less than half a tick is missing, it is filled with silence;
    /// otherwise the samples before the next tick are dropped.
    fn begin_segment<'a>(&mut self, at: i64, samples: &'a [i16]) -> &'a [i16] {
        let known = self.ready_until().0 * TICK_SAMPLES;
        let late = at.rem_euclid(TICK_SAMPLES);
        let mut start = at - late;
        if late > JITTER_SAMPLES || start < known {
            start = (at + TICK_SAMPLES - 1).div_euclid(TICK_SAMPLES) * TICK_SAMPLES;
            start = start.max(known);
        }
        let skip = usize::try_from(start - at).unwrap_or(0);
        if skip >= samples.len() && skip > 0 {
            return &[];
        }
        while self.ready_until().0 * TICK_SAMPLES < start {
            self.ticks.push_back(None);
        }
        self.next_sample = Some(start);
        self.spectrum.restart();
        let silence = usize::try_from(at - start).unwrap_or(0);
        self.append(&vec![0; silence]);
        &samples[skip..]
    }

    fn append(&mut self, samples: &[i16]) {
        if let Some(next) = &mut self.next_sample {
            *next += i64::try_from(samples.len()).unwrap_or(0);
            self.spectrum.push(samples, &mut self.partial_rows);
            self.collect();
        }
    }

    fn collect(&mut self) {
        let tick = TICK_ROWS * self.spectrum.width();
        let whole = self.partial_rows.len() / tick * tick;
        self.ticks.extend(self.partial_rows[..whole].chunks_exact(tick).map(|t| Some(t.into())));
        self.partial_rows.drain(..whole);
    }

    fn end_segment(&mut self) {
        if self.next_sample.take().is_none() {
            return;
        }
        self.spectrum.finish(&mut self.partial_rows);
        self.collect();
        // A tick with a row of its own (15 ms or more of audio) counts: its last row fills the rest
        // of the tick, as in the references.
        let width = self.spectrum.width();
        if self.partial_rows.len() >= width {
            let last = self.partial_rows[self.partial_rows.len() - width..].to_vec();
            while self.partial_rows.len() < TICK_ROWS * width {
                self.partial_rows.extend_from_slice(&last);
            }
            self.collect();
        }
        self.partial_rows.clear();
    }

    /// Ends the audio.
    pub fn finish(&mut self) {
        self.end_segment();
    }

    /// Stops waiting for audio before `tick`; what is missing becomes a gap.
    pub fn skip_to(&mut self, tick: Tick) {
        if self.ready_until() >= tick {
            return;
        }
        self.end_segment();
        while self.ready_until() < tick {
            self.ticks.push_back(None);
        }
    }

    /// The first tick that is not known yet.
    pub fn ready_until(&self) -> Tick {
        self.base.offset(i64::try_from(self.ticks.len()).unwrap_or(i64::MAX))
    }

    fn at(&self, tick: Tick) -> Option<&[f32]> {
        self.ticks.get(usize::try_from(tick.0 - self.base.0).ok()?)?.as_deref()
    }

    /// Whether `tick` has no audio.
    pub fn gap(&self, tick: Tick) -> bool {
        self.at(tick).is_none()
    }

    /// Appends the rows of `ticks`, flat, four per tick; `ticks` must not contain a gap.
    pub fn copy_rows(&self, ticks: Range<Tick>, out: &mut Vec<f32>) {
        for tick in (ticks.start.0..ticks.end.0).map(Tick) {
            out.extend_from_slice(self.at(tick).unwrap_or_default());
        }
    }

    /// Forgets everything before `tick`.
    pub fn forget_before(&mut self, tick: Tick) {
        while self.base < tick && self.ticks.pop_front().is_some() {
            self.base = self.base.offset(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> AudioFeatures {
        AudioFeatures::new(Spectrum::Mfcc(Box::new(Mfcc::new())), Tick(0))
    }

    fn at(sample: i64) -> Option<Pts> {
        Some(Pts::from_ns(sample * 62_500))
    }

    fn noise(n: usize) -> Vec<i16> {
        (0..n).map(|i| ((i * 7919) % 2003) as i16 - 1000).collect()
    }

    #[test]
    fn missing_audio_is_a_gap_and_repeated_samples_are_dropped() {
        let mut line = line();
        line.push(at(0), &noise(16_000));
        line.push(at(32_000), &noise(16_000));
        line.push(at(40_000), &noise(16_000));
        line.finish();
        let gaps: Vec<i64> = (0..line.ready_until().0).filter(|t| line.gap(Tick(*t))).collect();
        assert_eq!(gaps, (25..50).collect::<Vec<_>>());
        assert_eq!(line.ready_until(), Tick(88), "56000 samples are 87.5 ticks");
    }

    #[test]
    fn audio_that_starts_late_leaves_a_gap_before_it() {
        let mut line = line();
        line.push(at(128), &noise(6_400));
        assert!(!line.gap(Tick(0)), "8 ms late is jitter");
        let mut line = self::line();
        line.push(at(1_000), &noise(6_400));
        assert!(line.gap(Tick(0)) && line.gap(Tick(1)) && !line.gap(Tick(2)));
    }

    #[test]
    fn skipping_makes_a_gap_and_late_audio_is_dropped() {
        let mut line = line();
        line.skip_to(Tick(10));
        line.push(at(0), &noise(640 * 20));
        line.finish();
        assert!((0..10).all(|t| line.gap(Tick(t))) && (10..20).all(|t| !line.gap(Tick(t))));
        assert_eq!(line.ready_until(), Tick(20));
    }

    proptest! {
        #[test]
        fn pieces_and_jitter_change_nothing(
            cuts in prop::collection::vec(1_usize..3_000, 1..30), jitter in -300_i64..300
        ) {
            let samples = noise(20_000);
            let mut whole = line();
            whole.push(at(0), &samples);
            whole.finish();
            let (mut pieces, mut done) = (line(), 0);
            for cut in cuts {
                let end = (done + cut).min(samples.len());
                let offset = if done == 0 { 0 } else { jitter };
                pieces.push(at(done as i64 + offset), &samples[done..end]);
                done = end;
            }
            pieces.push(at(done as i64), &samples[done..]);
            pieces.finish();
            prop_assert_eq!(pieces.ready_until(), whole.ready_until());
            let (mut a, mut b) = (Vec::new(), Vec::new());
            whole.copy_rows(Tick(0)..whole.ready_until(), &mut a);
            pieces.copy_rows(Tick(0)..whole.ready_until(), &mut b);
            prop_assert_eq!(a, b);
        }
    }
}
