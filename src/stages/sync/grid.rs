//! Assigns source frames to ticks of the model's grid: each tick gets the frame nearest in time, as
//! in ffmpeg's `fps=25` filter, for constant and variable rates.
//!
//! A frame's ticks depend on the next frame's time, so the result comes one frame late. With a fast
//! source some frames have no tick; with a slow one a frame has several.

use std::ops::Range;

use crate::core::time::{Pts, Span, Tick};

/// The longest time that one frame covers. Ticks beyond it stay empty, as the content there is
/// unknown.
const MAX_FRAME_DURATION: Span = Span::from_ms(1_000);

/// Assigns ticks to the frames of one epoch, in order.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    last: Option<(Pts, Tick)>,
}

impl Grid {
    /// Takes the next frame's time and returns the ticks of the frame *before* it. The first call
    /// returns `None`: there is no frame before.
    pub(crate) fn push(&mut self, pts: Pts) -> Option<Range<i64>> {
        let first = self.first_tick(pts);
        let (previous, from) = self.last.replace((pts, first))?;
        let until = first.0.min(Tick::nearest(previous + MAX_FRAME_DURATION).0).max(from.0);
        Some(from.0..until)
    }

    /// The ticks of the epoch's last frame: those that its `span` covers.
    pub(crate) fn finish(&mut self, span: Span) -> Option<Range<i64>> {
        let (previous, from) = self.last.take()?;
        let until = Tick::nearest(previous + span).0.max(from.0 + 1);
        Some(from.0..until.min(Tick::nearest(previous + MAX_FRAME_DURATION).0.max(from.0 + 1)))
    }

    /// The first tick that is nearer to `pts` than to the frame before it.
    fn first_tick(&self, pts: Pts) -> Tick {
        let Some((previous, from)) = self.last else {
            return Tick::nearest(pts);
        };
        // The midpoint, rounded up to a tick: a tick exactly halfway belongs to the later frame.
        let middle = previous.ns() + (pts - previous).ns() / 2;
        let span = Tick::SPAN.ns();
        Tick((middle + span - 1).div_euclid(span)).max(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assign(times_ms: &[f64]) -> Vec<(usize, i64)> {
        let mut grid = Grid::default();
        let mut out = Vec::new();
        for (i, t) in times_ms.iter().enumerate() {
            if let Some(ticks) = grid.push(Pts::from_seconds(t / 1_000.0)) {
                out.extend(ticks.map(|tick| (i - 1, tick)));
            }
        }
        if let Some(ticks) = grid.finish(Tick::SPAN) {
            out.extend(ticks.map(|tick| (times_ms.len() - 1, tick)));
        }
        out
    }

    #[test]
    fn at_25_fps_every_frame_is_its_own_tick() {
        let times: Vec<f64> = (0..100).map(|i| f64::from(i) * 40.0).collect();
        let pairs = assign(&times);
        assert_eq!(pairs, (0..100).map(|i| (i as usize, i)).collect::<Vec<_>>());
    }

    #[test]
    fn slow_sources_repeat_a_frame_but_not_across_a_gap() {
        assert_eq!(assign(&[0.0, 80.0]), [(0, 0), (1, 1), (1, 2)]);
        let pairs = assign(&[0.0, 1_900.0]);
        let first = pairs.iter().filter(|(frame, _)| *frame == 0).count();
        assert_eq!(first, 24, "up to the middle of the gap, at most a second");
    }

    proptest! {
        #[test]
        fn every_tick_goes_to_the_nearest_frame_once(
            steps in prop::collection::vec(1_u32..90, 2..120), start in 0_u32..2_000
        ) {
            let mut t = f64::from(start);
            let times: Vec<f64> = steps.iter().map(|s| { t += f64::from(*s); t }).collect();
            let pairs = assign(&times);
            for pair in pairs.windows(2) {
                prop_assert_eq!(pair[1].1, pair[0].1 + 1);
                prop_assert!(pair[1].0 >= pair[0].0);
            }
            let (lo, hi) = (times[0], times[times.len() - 1]);
            for (frame, tick) in pairs {
                let at = tick as f64 * 40.0;
                if at < lo || at > hi { continue; }
                let best = times.iter().map(|t| (t - at).abs()).fold(f64::MAX, f64::min);
                prop_assert!((times[frame] - at).abs() <= best + 1e-3);
            }
        }
    }
}
