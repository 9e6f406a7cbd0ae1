//! Gapless audio for a live output whose source comes and goes.
//!
//! Takes segments of 48 kHz stereo audio, each with its time on the stream's clock; gives
//! continuous audio in which every sample is at its clock time to within [`RESYNC_TOLERANCE`].
//! Gaps are filled with silence, as players stop at gaps; the model's audio is separate and keeps
//! them. When the source's clock drifts, the audio is stretched by fractions of a sample, not cut.

use crate::core::time::{Pts, SECOND_NS, Span};

/// Samples per second and channel.
pub(crate) const RATE_HZ: i64 = 48_000;
/// Channels, interleaved.
pub(crate) const CHANNELS: usize = 2;
/// Audio further off its time than this is a gap or a jump, and is corrected at once.
pub(crate) const RESYNC_TOLERANCE: Span = Span::from_ms(60);
/// Audio further off its time than this is stretched towards it.
const DRIFT_TOLERANCE: Span = Span::from_ms(4);
/// The largest stretch: half a percent, which is inaudible.
const MAX_STRETCH_RATIO: f64 = 0.005;
/// A quarter of the most silence returned at once.
const MAX_SILENCE_SAMPLES: i64 = RATE_HZ / 2;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct GaplessAudio {
    /// Index of the next sample to return, from the stream's zero.
    next: Option<i64>,
}

/// A segment to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AudioSegment {
    /// Time of its first sample.
    pub at: Pts,
    /// Samples, two channels interleaved.
    pub samples: Vec<i16>,
}

impl GaplessAudio {
    /// Takes audio that starts at `at`; returns the segments to play, in order.
    pub(crate) fn push(&mut self, at: Pts, samples: &[i16]) -> Vec<AudioSegment> {
        let start = sample_at(at);
        let next = *self.next.get_or_insert(start);
        let tolerance = sample_at(Pts::ZERO + RESYNC_TOLERANCE);
        let mut out = Vec::new();
        let offset = start - next;
        if offset > tolerance {
            out.extend(self.fill_silence_until(at));
            out.extend(self.emit(samples.to_vec()));
        } else if offset < -tolerance {
            // Drop the part that was played already; the rest fits.
            let overlap = usize::try_from(-offset).unwrap_or(usize::MAX).saturating_mul(CHANNELS);
            out.extend(self.emit(samples.get(overlap..).unwrap_or_default().to_vec()));
        } else if offset.abs() > sample_at(Pts::ZERO + DRIFT_TOLERANCE) {
            out.extend(self.emit(time_stretched(samples, offset)));
        } else {
            out.extend(self.emit(samples.to_vec()));
        }
        out
    }

    /// Returns silence up to `at`, where audio is missing.
    pub(crate) fn fill_silence_until(&mut self, at: Pts) -> Option<AudioSegment> {
        let end = sample_at(at);
        let next = *self.next.get_or_insert(end);
        let missing = (end - next).min(MAX_SILENCE_SAMPLES * 4);
        if missing <= 0 {
            return None;
        }
        // After a long pause of the caller only the last part is filled.
        self.next = Some(end - missing);
        self.emit(vec![0; usize::try_from(missing).unwrap_or(0) * CHANNELS])
    }

    #[cfg(test)]
    /// Where the audio returned so far ends.
    pub(crate) fn end(&self) -> Option<Pts> {
        self.next.map(pts_at)
    }

    fn emit(&mut self, samples: Vec<i16>) -> Option<AudioSegment> {
        let next = self.next?;
        if samples.len() < CHANNELS {
            return None;
        }
        self.next = Some(next + (samples.len() / CHANNELS) as i64);
        Some(AudioSegment { at: pts_at(next), samples })
    }
}

/// Index of the nearest sample, so that the time of a sample maps back to it.
fn sample_at(at: Pts) -> i64 {
    let wide = i128::from(at.ns()) * i128::from(RATE_HZ) + i128::from(SECOND_NS / 2);
    i64::try_from(wide.div_euclid(i128::from(SECOND_NS))).unwrap_or(0)
}

fn pts_at(sample: i64) -> Pts {
    let wide = i128::from(sample) * i128::from(SECOND_NS);
    Pts::from_ns(i64::try_from(wide.div_euclid(i128::from(RATE_HZ))).unwrap_or(0))
}

/// `samples` stretched (`offset` > 0) or shortened towards `offset` samples, by at most half a
/// percent, with linear interpolation.
fn time_stretched(samples: &[i16], offset: i64) -> Vec<i16> {
    let frames = samples.len() / CHANNELS;
    if frames < 2 {
        return samples.to_vec();
    }
    let max_change = (frames as f64 * MAX_STRETCH_RATIO).max(1.0) as i64;
    let target_frames = (frames as i64 + offset.clamp(-max_change, max_change)).max(1) as usize;
    let step = (frames - 1) as f64 / (target_frames.max(2) - 1) as f64;
    let mut out = Vec::with_capacity(target_frames * CHANNELS);
    for i in 0..target_frames {
        let position = i as f64 * step;
        let (before, fraction) = (position as usize, position.fract());
        let after = (before + 1).min(frames - 1);
        for channel in 0..CHANNELS {
            let a = f64::from(samples[before * CHANNELS + channel]);
            let b = f64::from(samples[after * CHANNELS + channel]);
            out.push((a + (b - a) * fraction).round() as i16);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: i64) -> Pts {
        Pts::from_ns(ms * 1_000_000)
    }

    fn tone(ms: usize) -> Vec<i16> {
        (0..ms * 48).flat_map(|i| [(i % 100) as i16; 2]).collect()
    }

    #[test]
    fn gaps_are_filled_and_duplicate_audio_is_dropped() {
        let mut gapless = GaplessAudio::default();
        assert_eq!(gapless.push(ms(100), &tone(20))[0].at, ms(100));
        let after = gapless.push(ms(500), &tone(20));
        assert_eq!(after.len(), 2, "silence, then the audio");
        assert!(after[0].samples.iter().all(|s| *s == 0));
        assert_eq!((after[0].at, after[1].at), (ms(120), ms(500)));
        assert!(gapless.push(ms(300), &tone(20)).is_empty());
        assert_eq!(gapless.end(), Some(ms(520)));
    }

    #[test]
    fn silence_continues_while_no_audio_arrives() {
        let mut gapless = GaplessAudio::default();
        assert_eq!(gapless.fill_silence_until(ms(40)), None, "the audio begins at the first call");
        assert_eq!(gapless.fill_silence_until(ms(80)).map(|s| s.samples.len()), Some(40 * 48 * 2));
        assert_eq!(gapless.fill_silence_until(ms(60)), None);
    }

    #[test]
    fn a_clock_drift_of_500_ppm_is_followed_without_a_cut() {
        let mut gapless = GaplessAudio::default();
        let mut worst = 0;
        for i in 0..60_000_i64 {
            // 20 ms of samples that last 20.01 ms on the stream's clock.
            let at = Pts::from_ns(i * 20_010_000);
            let emitted = gapless.push(at, &tone(20));
            assert_eq!(emitted.len(), 1, "no silence, no cut, at {i}");
            worst = worst.max((emitted[0].at - at).abs().ns());
        }
        assert!(worst < 10_000_000, "{worst} ns off");
    }

    proptest! {
        #[test]
        fn audio_has_no_gap_and_no_overlap(
            starts in prop::collection::vec((0_i64..400, 1_usize..60), 1..60)
        ) {
            let (mut gapless, mut end) = (GaplessAudio::default(), None);
            let mut now = 0;
            for (step, length) in starts {
                now += step;
                for segment in gapless.push(ms(now), &tone(length)) {
                    if let Some(end) = end {
                        prop_assert_eq!(segment.at, end);
                    }
                    end = Some(pts_at(sample_at(segment.at) + (segment.samples.len() / 2) as i64));
                    // The next segment is counted in samples and must begin at `end`.
                    prop_assert!((end.unwrap() - gapless.end().unwrap()).abs().ns() < 2_000_000_000);
                }
                end = gapless.end();
            }
        }
    }
}
