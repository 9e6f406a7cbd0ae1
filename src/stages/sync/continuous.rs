//! Audio for people, without a hole: what a live output plays while its source comes and goes.
//!
//! Takes stretches of 48 kHz audio of two channels, each with its time on the stream's clock, as
//! they come; gives one line of samples in which every sample stands where the clock says, to within
//! [`TOLERANCE`]. A missing stretch is silence *here* (players stop at a hole); what the model hears
//! is another line, where a hole stays a hole. A source whose clock runs a little fast or slow is
//! stretched by fractions of a sample, not cut.

use crate::core::time::{Pts, SECOND_NS, Span};

/// Samples a second, of each channel.
pub const RATE_HZ: i64 = 48_000;
/// Channels, by turns.
pub const CHANNELS: usize = 2;
/// Audio this far off its time is put right at once: a gap or a jump.
pub const TOLERANCE: Span = Span::from_ms(60);
/// Audio this far off its time is stretched towards it.
const DRIFT: Span = Span::from_ms(4);
/// The most that is stretched: half a percent, which nobody hears.
const MOST_STRETCH: f64 = 0.005;
/// The most silence given at once.
const MOST_SILENCE_SAMPLES: i64 = RATE_HZ / 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Continuous {
    /// The next sample to give, counted from the stream's zero.
    next: Option<i64>,
}

/// A stretch to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// When it is heard first.
    pub at: Pts,
    /// Samples, two channels by turns.
    pub samples: Vec<i16>,
}

impl Continuous {
    /// Takes audio that is first heard at `at`; gives what to play, in order.
    pub fn push(&mut self, at: Pts, samples: &[i16]) -> Vec<Stretch> {
        let start = sample_of(at);
        let next = *self.next.get_or_insert(start);
        let tolerance = sample_of(Pts::ZERO + TOLERANCE);
        let mut out = Vec::new();
        let off = start - next;
        if off > tolerance {
            out.extend(self.silence_until(at));
            out.extend(self.give(samples.to_vec()));
        } else if off < -tolerance {
            // Heard already: the rest of it fits.
            let heard = usize::try_from(-off).unwrap_or(usize::MAX).saturating_mul(CHANNELS);
            out.extend(self.give(samples.get(heard..).unwrap_or_default().to_vec()));
        } else if off.abs() > sample_of(Pts::ZERO + DRIFT) {
            out.extend(self.give(stretched(samples, off)));
        } else {
            out.extend(self.give(samples.to_vec()));
        }
        out
    }

    /// Fills up with silence to `at`, where nothing came.
    pub fn silence_until(&mut self, at: Pts) -> Option<Stretch> {
        let until = sample_of(at);
        let next = *self.next.get_or_insert(until);
        let missing = (until - next).min(MOST_SILENCE_SAMPLES * 4);
        if missing <= 0 {
            return None;
        }
        // After a long pause of the caller's own only the last part is worth filling.
        self.next = Some(until - missing);
        self.give(vec![0; usize::try_from(missing).unwrap_or(0) * CHANNELS])
    }

    /// Where the line ends by now.
    pub fn until(&self) -> Option<Pts> {
        self.next.map(pts_of)
    }

    fn give(&mut self, samples: Vec<i16>) -> Option<Stretch> {
        let next = self.next?;
        if samples.len() < CHANNELS {
            return None;
        }
        self.next = Some(next + (samples.len() / CHANNELS) as i64);
        Some(Stretch { at: pts_of(next), samples })
    }
}

/// The nearest sample, so that a sample's own time leads back to it.
fn sample_of(at: Pts) -> i64 {
    let wide = i128::from(at.ns()) * i128::from(RATE_HZ) + i128::from(SECOND_NS / 2);
    i64::try_from(wide.div_euclid(i128::from(SECOND_NS))).unwrap_or(0)
}

fn pts_of(sample: i64) -> Pts {
    let wide = i128::from(sample) * i128::from(SECOND_NS);
    Pts::from_ns(i64::try_from(wide.div_euclid(i128::from(RATE_HZ))).unwrap_or(0))
}

/// `samples` longer (`off` > 0) or shorter by what half a percent allows, by linear interpolation.
fn stretched(samples: &[i16], off: i64) -> Vec<i16> {
    let frames = samples.len() / CHANNELS;
    if frames < 2 {
        return samples.to_vec();
    }
    let most = (frames as f64 * MOST_STRETCH).max(1.0) as i64;
    let wanted = (frames as i64 + off.clamp(-most, most)).max(1) as usize;
    let step = (frames - 1) as f64 / (wanted.max(2) - 1) as f64;
    let mut out = Vec::with_capacity(wanted * CHANNELS);
    for i in 0..wanted {
        let place = i as f64 * step;
        let (before, share) = (place as usize, place.fract());
        let after = (before + 1).min(frames - 1);
        for channel in 0..CHANNELS {
            let a = f64::from(samples[before * CHANNELS + channel]);
            let b = f64::from(samples[after * CHANNELS + channel]);
            out.push((a + (b - a) * share).round() as i16);
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
    fn a_hole_is_filled_and_audio_that_comes_twice_is_left_out() {
        let mut line = Continuous::default();
        assert_eq!(line.push(ms(100), &tone(20))[0].at, ms(100));
        let after = line.push(ms(500), &tone(20));
        assert_eq!(after.len(), 2, "silence, then the audio");
        assert!(after[0].samples.iter().all(|s| *s == 0));
        assert_eq!((after[0].at, after[1].at), (ms(120), ms(500)));
        assert!(line.push(ms(300), &tone(20)).is_empty());
        assert_eq!(line.until(), Some(ms(520)));
    }

    #[test]
    fn silence_goes_on_while_nothing_comes() {
        let mut line = Continuous::default();
        assert_eq!(line.silence_until(ms(40)), None, "the line begins where it is first asked");
        assert_eq!(line.silence_until(ms(80)).map(|s| s.samples.len()), Some(40 * 48 * 2));
        assert_eq!(line.silence_until(ms(60)), None);
    }

    #[test]
    fn a_clock_that_drifts_by_500_ppm_is_followed_without_a_cut() {
        let mut line = Continuous::default();
        let mut worst = 0;
        for i in 0..60_000_i64 {
            // 20 ms of samples that the stream's clock says last 20.01 ms.
            let at = Pts::from_ns(i * 20_010_000);
            let given = line.push(at, &tone(20));
            assert_eq!(given.len(), 1, "no silence, no cut, at {i}");
            worst = worst.max((given[0].at - at).abs().ns());
        }
        assert!(worst < 10_000_000, "{worst} ns off");
    }

    proptest! {
        #[test]
        fn the_line_has_no_hole_and_nothing_twice(
            starts in prop::collection::vec((0_i64..400, 1_usize..60), 1..60)
        ) {
            let (mut line, mut end) = (Continuous::default(), None);
            let mut now = 0;
            for (step, length) in starts {
                now += step;
                for stretch in line.push(ms(now), &tone(length)) {
                    if let Some(end) = end {
                        prop_assert_eq!(stretch.at, end);
                    }
                    end = Some(pts_of(sample_of(stretch.at) + (stretch.samples.len() / 2) as i64));
                    // What follows is counted in samples, so it must come out as the line says.
                    prop_assert!((end.unwrap() - line.until().unwrap()).abs().ns() < 2_000_000_000);
                }
                end = line.until();
            }
        }
    }
}
