//! Smooths a face's position and size over time, one track at a time.
//!
//! Takes a track's [`FacePosition`]s, one for every tick of the 25 fps grid, in order. Gives the
//! median over 13 of them (x, y and half-size separately), six ticks later. Live streams use a
//! shorter median ([`PositionSmoother::with_lag`]) to save delay.
//! The first and the last position are repeated beyond the track's ends. The released demo pads
//! with zeros, which shrinks faces and pulls them to the frame's corner at both ends of a track.
//! Gives one smoothed position for each position pushed, in order, after
//! [`PositionSmoother::finish`]. Does not fill gaps: the caller pushes a position for every tick.
//! It is a median and not a mean because detector errors are single and large.

use super::crop::FacePosition;
use crate::core::geometry::Point;

/// Positions in one median.
pub(crate) const WINDOW_TICKS: usize = 13;
/// Ticks by which a smoothed position lags its input.
pub(crate) const LAG_TICKS: usize = WINDOW_TICKS / 2;

/// The running median of one track.
#[derive(Clone, Debug)]
pub(crate) struct PositionSmoother {
    lag: usize,
    /// The newest positions, oldest first; at most a window of them.
    recent: Vec<FacePosition>,
    pushed: u64,
    emitted: u64,
}

impl Default for PositionSmoother {
    fn default() -> Self {
        Self::new()
    }
}

impl PositionSmoother {
    /// Creates a smoother for a new track.
    pub(crate) fn new() -> Self {
        Self::with_lag(LAG_TICKS)
    }

    /// As [`Self::new`], with a median over 2 · `lag` + 1 positions; at most [`LAG_TICKS`].
    pub(crate) fn with_lag(lag: usize) -> Self {
        Self { lag: lag.min(LAG_TICKS), recent: Vec::new(), pushed: 0, emitted: 0 }
    }

    const fn window(&self) -> usize {
        2 * self.lag + 1
    }

    /// Pushes the next tick's position; returns the smoothed position of the tick `lag` ticks
    /// earlier, once there is one.
    pub(crate) fn push(&mut self, position: FacePosition) -> Option<FacePosition> {
        if self.recent.is_empty() {
            self.recent.resize(self.lag, position);
        }
        if self.recent.len() == self.window() {
            self.recent.remove(0);
        }
        self.recent.push(position);
        self.pushed += 1;
        let ready = self.recent.len() == self.window();
        self.emitted += u64::from(ready);
        ready.then(|| self.median())
    }

    /// Ends the track: returns the pending smoothed positions, at most [`LAG_TICKS`], and resets
    /// the smoother.
    pub(crate) fn finish(&mut self) -> Vec<FacePosition> {
        let pending = (self.pushed - self.emitted) as usize;
        let mut rest = Vec::with_capacity(pending);
        if let Some(last) = self.recent.last().copied() {
            while rest.len() < pending {
                rest.extend(self.push(last));
            }
        }
        *self = Self::with_lag(self.lag);
        rest
    }

    fn median(&self) -> FacePosition {
        let median = |part: fn(&FacePosition) -> f32| {
            let mut values = [0.0; WINDOW_TICKS];
            let values = &mut values[..self.window()];
            values.iter_mut().zip(&self.recent).for_each(|(v, position)| *v = part(position));
            values.sort_unstable_by(f32::total_cmp);
            values[self.lag]
        };
        FacePosition {
            center: Point { x: median(|s| s.center.x), y: median(|s| s.center.y) },
            half_size: median(|s| s.half_size),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(x: f32) -> FacePosition {
        FacePosition { center: Point { x, y: -x }, half_size: 2.0 * x }
    }

    fn smoothed(xs: &[f32]) -> Vec<FacePosition> {
        let mut smoother = PositionSmoother::new();
        let mut all: Vec<_> = xs.iter().filter_map(|x| smoother.push(position(*x))).collect();
        all.extend(smoother.finish());
        all
    }

    #[test]
    fn a_shorter_lag_uses_fewer_positions() {
        let mut smoother = PositionSmoother::with_lag(1);
        let medians: Vec<f32> = [1.0, 9.0, 2.0, 3.0]
            .iter()
            .filter_map(|x| smoother.push(position(*x)))
            .map(|s| s.center.x)
            .collect();
        assert_eq!(medians, [1.0, 2.0, 3.0]);
        assert_eq!(smoother.finish().len(), 1);
    }

    #[test]
    fn the_first_smoothed_position_comes_six_ticks_late() {
        let mut smoother = PositionSmoother::new();
        for _ in 0..LAG_TICKS {
            assert_eq!(smoother.push(position(1.0)), None);
        }
        assert_eq!(smoother.push(position(1.0)), Some(position(1.0)));
    }

    #[test]
    fn a_still_face_does_not_move_at_either_end() {
        assert_eq!(smoothed(&[5.0; 3]), [position(5.0); 3]);
        assert_eq!(smoothed(&[5.0; 40]), [position(5.0); 40]);
        assert_eq!(smoothed(&[]), []);
    }

    #[test]
    fn a_single_outlier_is_removed() {
        let mut xs = [5.0; 30];
        xs[17] = 500.0;
        assert_eq!(smoothed(&xs), [position(5.0); 30]);
    }

    proptest! {
        #[test]
        fn each_output_is_the_median_of_its_window(xs in prop::collection::vec(1f32..1e4, 0..50)) {
            let got = smoothed(&xs);
            prop_assert_eq!(got.len(), xs.len());
            for (i, position) in got.iter().enumerate() {
                let last = xs.len() as i64 - 1;
                let mut window: Vec<f32> = (-6..=6i64)
                    .map(|d| xs[(i as i64 + d).clamp(0, last) as usize])
                    .collect();
                window.sort_by(f32::total_cmp);
                prop_assert_eq!(position.center.x, window[6]);
            }
        }
    }
}
