//! From scores on the model's grid to a verdict per source frame.
//!
//! Takes one track's scores, tick by tick. Gives, for any source frame, P(speaking) at that moment
//! and whether the person is speaking: the *smoothed* score, a centred running mean over an odd
//! number of ticks, compared with the package's threshold.
//!
//! A frame on the grid gets its tick's own score; a frame between two ticks gets the linear
//! interpolation; a frame whose nearest tick is unknown or more than a tick away is unknown.
//! Unknown ticks are left out of the mean. At a track's ends the mean is over the ticks there are.
//!
//! Tracks are independent: create one [`TrackVerdicts`] per track.

use std::collections::VecDeque;

use crate::core::evidence::{Probability, Shares, Unknown, Verdict};
use crate::core::time::{Pts, Span, Tick};

/// How scores become decisions: from the model package's manifest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DecisionRule {
    threshold: f32,
    half_ticks: u32,
}

/// Why a decision rule is invalid.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum DecisionRuleError {
    /// Not a probability.
    #[error("threshold {0} is not a probability; give a number from 0 to 1")]
    Threshold(f32),
    /// A mean over an even number of ticks has no centre.
    #[error("smoothing_ticks {0} is not odd; give 1 (none), 3, 5 ... up to 251")]
    Smoothing(u32),
}

impl DecisionRule {
    /// A smoothed score above `threshold` is speaking; the mean runs over `smoothing_ticks` ticks
    /// of 40 ms, an odd number from 1 (no smoothing) to 251 (10 s).
    ///
    /// # Errors
    /// Where either is out of range.
    pub fn new(threshold: f32, smoothing_ticks: u32) -> Result<Self, DecisionRuleError> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(DecisionRuleError::Threshold(threshold));
        }
        if smoothing_ticks.is_multiple_of(2) || smoothing_ticks > 251 {
            return Err(DecisionRuleError::Smoothing(smoothing_ticks));
        }
        Ok(Self { threshold, half_ticks: smoothing_ticks / 2 })
    }

    /// The threshold.
    pub const fn threshold(self) -> f32 {
        self.threshold
    }

    /// Number of ticks in the mean.
    pub const fn smoothing_ticks(self) -> u32 {
        2 * self.half_ticks + 1
    }

    /// Number of later ticks that a decision needs: part of the lookahead.
    pub const fn lookahead_ticks(self) -> u32 {
        self.half_ticks
    }
}

/// The model's score of a track at one tick.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct TickScore {
    /// The tick.
    pub tick: Tick,
    /// P(speaking), or why there is none.
    pub p: Result<Probability, Unknown>,
    /// The modalities' shares of the decision.
    pub shares: Option<Shares>,
}

/// The verdict on a track in one source frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct FrameVerdict {
    /// The verdict for the frame's evidence.
    pub verdict: Verdict,
    /// The smoothed score behind the decision; `None` if it is unknown.
    pub smoothed: Option<f32>,
}

impl FrameVerdict {
    const fn unknown(why: Unknown) -> Self {
        Self { verdict: Verdict::Unknown(why), smoothed: None }
    }
}

/// One track's scores and the verdicts on it.
#[derive(Clone, Debug)]
pub(crate) struct TrackVerdicts {
    rule: DecisionRule,
    /// In order of time, each tick once.
    scores: VecDeque<TickScore>,
    /// No more scores will come.
    ended: bool,
}

impl TrackVerdicts {
    /// Creates a track without scores.
    pub(crate) const fn new(rule: DecisionRule) -> Self {
        Self { rule, scores: VecDeque::new(), ended: false }
    }

    /// Pushes the next tick's score. Ticks come in order; a score that is not later than the last
    /// one is dropped, so that decisions are final.
    pub(crate) fn push(&mut self, score: TickScore) {
        if self.scores.back().is_none_or(|last| last.tick < score.tick) {
            self.scores.push_back(score);
        }
    }

    /// Ends the track: no verdict waits for more scores.
    pub(crate) const fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether the verdict at `pts` is final: all ticks in its means have scores, or the track has
    /// ended.
    pub(crate) fn is_ready(&self, pts: Pts) -> bool {
        let (_, after) = around(pts);
        let needed = after.offset(i64::from(self.rule.half_ticks));
        self.ended || self.scores.back().is_some_and(|last| last.tick >= needed)
    }

    /// The verdict at the newest scored tick.
    pub(crate) fn newest(&self) -> Option<FrameVerdict> {
        self.scores.back().map(|last| self.at(last.tick.pts()))
    }

    /// The verdict at `pts` by the scores so far.
    pub(crate) fn at(&self, pts: Pts) -> FrameVerdict {
        let (before, after) = around(pts);
        let (a, b) = (self.index_of(before), self.index_of(after));
        let share = (pts - before.pts()).seconds() / Tick::SPAN.seconds();
        let (nearest, other) = if share < 0.5 { (a, b) } else { (b, a) };
        // Beyond a track's end its last tick counts for frames within a tick of it.
        let Some(nearest) = nearest.or(other) else {
            return FrameVerdict::unknown(Unknown::NotScored);
        };
        let own = match self.scores[nearest].p {
            Ok(own) => own,
            Err(why) => return FrameVerdict::unknown(why),
        };
        let shares = self.scores[nearest].shares;
        let smoothed = self.smoothed(nearest);
        let (p, smoothed) = match (a, b) {
            (Some(a), Some(b)) if a != b => match (self.scores[a].p, self.scores[b].p) {
                (Ok(pa), Ok(pb)) => {
                    let lerp = |x: f32, y: f32| x + (y - x) * share as f32;
                    let p = Probability::new(lerp(pa.get(), pb.get())).unwrap_or(own);
                    (p, lerp(self.smoothed(a), self.smoothed(b)))
                }
                _ => (own, smoothed),
            },
            _ => (own, smoothed),
        };
        let speaking = smoothed > self.rule.threshold;
        FrameVerdict { verdict: Verdict::Scored { p, speaking, shares }, smoothed: Some(smoothed) }
    }

    /// Drops scores that no verdict at `pts` or later needs.
    pub(crate) fn forget_before(&mut self, pts: Pts) {
        let oldest = around(pts).0.offset(-i64::from(self.rule.half_ticks));
        while self.scores.front().is_some_and(|s| s.tick < oldest) {
            self.scores.pop_front();
        }
    }

    fn index_of(&self, tick: Tick) -> Option<usize> {
        self.scores.binary_search_by_key(&tick, |s| s.tick).ok()
    }

    /// The mean of the known scores within half the smoothing's width. Summed anew each time, so
    /// that rounding errors do not grow with the length of a track. Tick `k` must be known.
    fn smoothed(&self, k: usize) -> f32 {
        let (tick, half) = (self.scores[k].tick, i64::from(self.rule.half_ticks));
        let from = self.scores.partition_point(|s| s.tick < tick.offset(-half));
        let near = self.scores.range(from..).take_while(|s| s.tick <= tick.offset(half));
        let (mut sum, mut count) = (0.0_f64, 0_u32);
        for p in near.filter_map(|s| s.p.ok()) {
            sum += f64::from(p.get());
            count += 1;
        }
        (sum / f64::from(count.max(1))) as f32
    }
}

/// The tick at or before `pts`, and the tick at or after it.
fn around(pts: Pts) -> (Tick, Tick) {
    let before = Tick(pts.ns().div_euclid(Tick::SPAN.ns()));
    let on_it = pts - before.pts() == Span::ZERO;
    (before, if on_it { before } else { before.offset(1) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(tick: i64, p: f32) -> TickScore {
        TickScore { tick: Tick(tick), p: Ok(Probability::new(p).expect("p")), shares: None }
    }

    fn track(rule: DecisionRule, p: &[Option<f32>]) -> TrackVerdicts {
        let mut track = TrackVerdicts::new(rule);
        for (n, p) in p.iter().enumerate() {
            let score = TickScore { p: Err(Unknown::AudioGap), ..known(n as i64, 0.0) };
            track.push(p.map_or(score, |p| known(n as i64, p)));
        }
        track
    }

    fn rule(threshold: f32, ticks: u32) -> DecisionRule {
        DecisionRule::new(threshold, ticks).expect("a rule")
    }

    fn ms(ms: i64) -> Pts {
        Pts::from_ns(ms * 1_000_000)
    }

    #[test]
    fn scores_are_exact_on_the_grid_and_interpolated_between_ticks() {
        let t = track(rule(0.5, 1), &[Some(0.1), Some(0.9), Some(0.4)]);
        assert_eq!(t.at(ms(40)).verdict.p(), Some(0.9));
        let between = t.at(ms(50)).verdict.p().expect("known");
        assert!((between - 0.775).abs() < 1e-6);
        assert!(t.at(ms(50)).verdict.speaking() && !t.at(ms(80)).verdict.speaking());
    }

    #[test]
    fn the_nearest_tick_decides_whether_a_frame_is_known() {
        let t = track(rule(0.5, 3), &[Some(0.2), None, Some(0.8)]);
        assert_eq!(t.at(ms(19)).verdict.p(), Some(0.2));
        assert_eq!(t.at(ms(21)).verdict, Verdict::Unknown(Unknown::AudioGap));
        assert_eq!(t.at(ms(61)).verdict.p(), Some(0.8));
        // Within a tick of the track's ends, and beyond.
        assert_eq!(t.at(ms(-39)).verdict.p(), Some(0.2));
        assert_eq!(t.at(ms(119)).verdict.p(), Some(0.8));
        for far in [-41, 121] {
            assert_eq!(t.at(ms(far)).verdict, Verdict::Unknown(Unknown::NotScored));
        }
    }

    #[test]
    fn the_mean_is_centred_and_skips_unknown_ticks() {
        let t = track(rule(0.5, 3), &[Some(0.0), Some(0.3), Some(0.9), None, Some(0.7)]);
        let smoothed = |n: i64| t.at(ms(40 * n)).smoothed;
        let want = [0.15, 0.4, 0.6];
        for (n, want) in want.iter().enumerate() {
            assert!((smoothed(n as i64).expect("known") - want).abs() < 1e-6, "tick {n}");
        }
        assert_eq!((smoothed(3), smoothed(4)), (None, Some(0.7)));
        assert!(!t.at(ms(40)).verdict.speaking() && t.at(ms(80)).verdict.speaking());
    }

    #[test]
    fn a_verdict_is_ready_when_its_mean_is_complete() {
        let mut t = track(rule(0.5, 5), &[Some(0.5); 5]);
        assert!(t.is_ready(ms(80)) && !t.is_ready(ms(81)));
        t.finish();
        assert!(t.is_ready(ms(1000)));
    }

    #[test]
    fn invalid_rules_are_refused() {
        assert!(matches!(DecisionRule::new(f32::NAN, 1), Err(DecisionRuleError::Threshold(_))));
        assert_eq!(DecisionRule::new(0.5, 4), Err(DecisionRuleError::Smoothing(4)));
        assert_eq!(DecisionRule::new(0.5, 0), Err(DecisionRuleError::Smoothing(0)));
        assert_eq!(rule(0.5, 7).smoothing_ticks(), 7);
        assert_eq!(rule(0.5, 7).lookahead_ticks(), 3);
    }

    proptest! {
        #[test]
        fn a_ready_verdict_never_changes_even_if_the_past_is_dropped(
            p in prop::collection::vec(prop::option::weighted(0.9, 0.0..=1.0_f32), 1..60),
            half in 0..5_u32,
            step_ms in 7..70_i64,
        ) {
            let rule = rule(0.5, 2 * half + 1);
            let whole = track(rule, &p);
            let mut live = TrackVerdicts::new(rule);
            let mut next = 0;
            for score in &whole.scores {
                live.push(*score);
                while live.is_ready(ms(next)) {
                    live.forget_before(ms(next));
                    prop_assert_eq!(live.at(ms(next)), whole.at(ms(next)));
                    next += step_ms;
                }
                prop_assert!(live.scores.len() as i64 <= 3 + 2 * i64::from(half) + step_ms / 40 + 1);
            }
        }
    }
}
