//! Smooths a face's place and size over time, one track at a time.
//!
//! Takes a track's [`FaceSpot`]s in the order of the 25 fps grid, one for every tick; gives the
//! median over 13 of them (each of x, y and half-size by itself), six ticks later; live streams
//! take a shorter one ([`SpotSmoother::lagging`]), as they cannot wait.
//! Before the first and after the last tick the edge value is repeated: the released demo puts
//! zeros there, which shrinks faces and pulls them to the picture's corner at both ends of a track.
//! Promises one smoothed spot for each one taken, in order, once [`SpotSmoother::finish`] was
//! called. Does not fill gaps: a track that skips a tick has to say what stood there.
//! A median, not a mean, because a detector's slips are single and large.

use super::crop::FaceSpot;
use crate::core::geometry::Point;

/// Spots that one median looks at.
pub const WINDOW_TICKS: usize = 13;
/// Ticks by which a smoothed spot follows its own.
pub const LAG_TICKS: usize = WINDOW_TICKS / 2;

/// The running median of one track.
#[derive(Clone, Debug)]
pub struct SpotSmoother {
    lag: usize,
    /// The newest spots, oldest first; at most a window of them.
    recent: Vec<FaceSpot>,
    taken: u64,
    given: u64,
}

impl Default for SpotSmoother {
    fn default() -> Self {
        Self::new()
    }
}

impl SpotSmoother {
    /// A smoother for a track that is about to begin.
    pub fn new() -> Self {
        Self::lagging(LAG_TICKS)
    }

    /// The same with a median over 2 · `lag` + 1 spots, `lag` ticks later: at most [`LAG_TICKS`].
    pub fn lagging(lag: usize) -> Self {
        Self { lag: lag.min(LAG_TICKS), recent: Vec::new(), taken: 0, given: 0 }
    }

    const fn window(&self) -> usize {
        2 * self.lag + 1
    }

    /// Takes the next tick's spot; gives the smoothed spot of the tick [`LAG_TICKS`] before it,
    /// once there is one.
    pub fn push(&mut self, spot: FaceSpot) -> Option<FaceSpot> {
        if self.recent.is_empty() {
            self.recent.resize(self.lag, spot);
        }
        if self.recent.len() == self.window() {
            self.recent.remove(0);
        }
        self.recent.push(spot);
        self.taken += 1;
        let ready = self.recent.len() == self.window();
        self.given += u64::from(ready);
        ready.then(|| self.median())
    }

    /// Ends the track: gives the smoothed spots that are still owed, at most [`LAG_TICKS`], and
    /// begins anew.
    pub fn finish(&mut self) -> Vec<FaceSpot> {
        let owed = (self.taken - self.given) as usize;
        let mut rest = Vec::with_capacity(owed);
        if let Some(last) = self.recent.last().copied() {
            while rest.len() < owed {
                rest.extend(self.push(last));
            }
        }
        *self = Self::lagging(self.lag);
        rest
    }

    fn median(&self) -> FaceSpot {
        let median = |part: fn(&FaceSpot) -> f32| {
            let mut values = [0.0; WINDOW_TICKS];
            let values = &mut values[..self.window()];
            values.iter_mut().zip(&self.recent).for_each(|(v, spot)| *v = part(spot));
            values.sort_unstable_by(f32::total_cmp);
            values[self.lag]
        };
        FaceSpot {
            center: Point { x: median(|s| s.center.x), y: median(|s| s.center.y) },
            half_size: median(|s| s.half_size),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spot(x: f32) -> FaceSpot {
        FaceSpot { center: Point { x, y: -x }, half_size: 2.0 * x }
    }

    fn smoothed(xs: &[f32]) -> Vec<FaceSpot> {
        let mut smoother = SpotSmoother::new();
        let mut all: Vec<_> = xs.iter().filter_map(|x| smoother.push(spot(*x))).collect();
        all.extend(smoother.finish());
        all
    }

    #[test]
    fn a_shorter_lag_looks_at_fewer_spots() {
        let mut smoother = SpotSmoother::lagging(1);
        let said: Vec<f32> = [1.0, 9.0, 2.0, 3.0]
            .iter()
            .filter_map(|x| smoother.push(spot(*x)))
            .map(|s| s.center.x)
            .collect();
        assert_eq!(said, [1.0, 2.0, 3.0]);
        assert_eq!(smoother.finish().len(), 1);
    }

    #[test]
    fn the_first_smoothed_spot_comes_six_ticks_late() {
        let mut smoother = SpotSmoother::new();
        for _ in 0..LAG_TICKS {
            assert_eq!(smoother.push(spot(1.0)), None);
        }
        assert_eq!(smoother.push(spot(1.0)), Some(spot(1.0)));
    }

    #[test]
    fn a_still_face_stays_where_it_is_at_both_ends() {
        assert_eq!(smoothed(&[5.0; 3]), [spot(5.0); 3]);
        assert_eq!(smoothed(&[5.0; 40]), [spot(5.0); 40]);
        assert_eq!(smoothed(&[]), []);
    }

    #[test]
    fn a_single_slip_leaves_no_trace() {
        let mut xs = [5.0; 30];
        xs[17] = 500.0;
        assert_eq!(smoothed(&xs), [spot(5.0); 30]);
    }

    proptest! {
        #[test]
        fn every_spot_is_the_median_of_its_window(xs in prop::collection::vec(1f32..1e4, 0..50)) {
            let got = smoothed(&xs);
            prop_assert_eq!(got.len(), xs.len());
            for (i, spot) in got.iter().enumerate() {
                let last = xs.len() as i64 - 1;
                let mut window: Vec<f32> = (-6..=6i64)
                    .map(|d| xs[(i as i64 + d).clamp(0, last) as usize])
                    .collect();
                window.sort_by(f32::total_cmp);
                prop_assert_eq!(spot.center.x, window[6]);
            }
        }
    }
}
