//! Media time: positions inside an epoch, exact frame rates, and the model's 25 fps grid.
//!
//! Wall-clock time is `std::time`; it never mixes with these types. A [`Pts`] is valid only within
//! its [`Epoch`]: a reconnect, a seek or a timestamp jump opens a new epoch, and no track, window
//! or heatmap spans two.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;

/// A span of media time in nanoseconds; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span(i64);

impl Span {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// A span of `ns` nanoseconds.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// A span of `ms` milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms * 1_000_000)
    }

    /// A span of `seconds`, rounded to the nanosecond.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * SECOND_NS as f64).round() as i64)
    }

    /// The span in nanoseconds.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// The span in seconds.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / SECOND_NS as f64
    }

    /// The span without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.seconds())
    }
}

/// A position in media time, in nanoseconds from the start of its epoch's source clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Pts(i64);

impl Pts {
    /// The source clock's zero.
    pub const ZERO: Self = Self(0);

    /// The position `ns` nanoseconds after the clock's zero.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// The position `seconds` after the clock's zero.
    pub fn from_seconds(seconds: f64) -> Self {
        Self(Span::from_seconds(seconds).ns())
    }

    /// Nanoseconds from the clock's zero.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// Seconds from the clock's zero.
    pub fn seconds(self) -> f64 {
        Span(self.0).seconds()
    }
}

impl Add<Span> for Pts {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0 + span.ns())
    }
}

impl Sub<Span> for Pts {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0 - span.ns())
    }
}

impl Sub for Pts {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span(self.0 - other.0)
    }
}

impl fmt::Debug for Pts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s ({} ns)", self.seconds(), self.0)
    }
}

/// One uninterrupted section of a source. Counts up from zero and is never reused.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Identity of a source frame; enough to find its packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FrameRef {
    /// The epoch the frame belongs to.
    pub epoch: Epoch,
    /// The frame's number since the source was first opened, over all epochs.
    pub seq: u64,
    /// The frame's presentation time.
    pub pts: Pts,
}

/// A frame rate as an exact rational, e.g. 30000/1001.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    num: u32,
    den: u32,
}

impl Rate {
    /// `num`/`den` frames per second, or `None` where either is zero.
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 { None } else { Some(Self { num, den }) }
    }

    /// Frames in [`Self::den`] seconds.
    pub const fn num(self) -> u32 {
        self.num
    }

    /// Seconds of [`Self::num`] frames.
    pub const fn den(self) -> u32 {
        self.den
    }

    /// Frames per second, for display only.
    pub fn fps(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// How long one frame lasts.
    pub fn frame_span(self) -> Span {
        Span(SECOND_NS * i64::from(self.den) / i64::from(self.num))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// A position on the model's 25 fps grid: tick `n` is at `n` × 40 ms of the epoch's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tick(pub i64);

impl Tick {
    /// Ticks per second: the rate that the models were trained at.
    pub const PER_SECOND: i64 = 25;
    /// Time between two ticks.
    pub const SPAN: Span = Span::from_ms(40);

    /// The tick's time.
    pub const fn pts(self) -> Pts {
        Pts(self.0 * Self::SPAN.0)
    }

    /// The tick nearest to `pts`; halfway rounds up.
    pub const fn nearest(pts: Pts) -> Self {
        Self((pts.0 + Self::SPAN.0 / 2).div_euclid(Self::SPAN.0))
    }

    /// The tick `n` later (earlier where negative).
    #[must_use]
    pub const fn offset(self, n: i64) -> Self {
        Self(self.0 + n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_40_ms_apart_on_both_sides_of_zero() {
        assert_eq!(Tick(3).pts(), Pts::from_ns(120_000_000));
        assert_eq!(Tick::nearest(Pts::from_ns(19_999_999)), Tick(0));
        assert_eq!(Tick::nearest(Pts::from_ns(20_000_000)), Tick(1));
        assert_eq!(Tick::nearest(Pts::from_ns(-20_000_001)), Tick(-1));
    }

    #[test]
    fn a_rate_with_a_zero_is_rejected() {
        assert!(Rate::new(0, 1).is_none());
        assert!(Rate::new(25, 0).is_none());
        assert_eq!(Rate::new(30000, 1001).map(Rate::frame_span), Some(Span::from_ns(33_366_666)));
    }
}
