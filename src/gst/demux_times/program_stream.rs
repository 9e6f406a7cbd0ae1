//! MPEG program streams: times as the packets state them.
//!
//! `mpegpsdemux` takes a step of more than a second between two clock references (SCR) for a jump, and
//! moves all later times to where the stream's stated maximum rate would put them. Streams whose
//! packs are further apart than that get a hole. So it is told to leave the clock references alone.
//! What they are good for is done here: times that go back, as where two streams were put one
//! behind the other, go on from the last one, and the 33 bit counter may wrap.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

/// Nanoseconds until a counter of 33 bits at 90 kHz wraps: 26.5 hours.
const WRAP_NS: i64 = ((1_i128 << 33) * 100_000 / 9) as i64;
/// How far around a wrap a time may lie, in nanoseconds.
const WRAP_MARGIN_NS: i64 = 10_000_000_000;
/// A step back longer than this is a new beginning, in nanoseconds; in decoding order there is none.
const MAX_STEP_BACK_NS: i64 = 500_000_000;

/// Guards all streams of `demuxer`.
pub(super) fn attach(demuxer: &gst::Element) {
    // Since 1.18.
    if demuxer.has_property("ignore-scr") {
        demuxer.set_property("ignore-scr", true);
    }
    let times = Arc::new(Mutex::new(ContinuousTimes::default()));
    demuxer.connect_pad_added(move |_, pad| {
        let times = Arc::clone(&times);
        let last = Mutex::new(None);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
                let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                redate(buffer, &mut times, &mut last);
            }
            gst::PadProbeReturn::Ok
        });
    });
}

fn redate(buffer: &mut gst::Buffer, times: &mut ContinuousTimes, last: &mut Option<StreamTime>) {
    let ns = |t: gst::ClockTime| i64::try_from(t.nseconds()).unwrap_or(i64::MAX);
    let (pts, dts) = (buffer.pts().map(ns), buffer.dts().map(ns));
    let Some(shift) = dts.or(pts).map(|stated| times.shift(stated, last)) else { return };
    let moved = |t: i64| u64::try_from(t + shift).ok().map(gst::ClockTime::from_nseconds);
    // The counter may wrap between decoding and showing a frame.
    let pts = pts.map(|pts| match dts {
        Some(dts) if pts < dts - WRAP_NS / 2 => pts + WRAP_NS,
        _ => pts,
    });
    if shift != 0 || pts != buffer.pts().map(ns) {
        let buffer = buffer.make_mut();
        buffer.set_pts(pts.and_then(moved));
        buffer.set_dts(dts.and_then(moved));
    }
}

/// Where one stream is.
#[derive(Clone, Copy)]
struct StreamTime {
    /// The last time, moved, in nanoseconds.
    at_ns: i64,
    /// How much later it was than the one before.
    step_ns: i64,
}

/// What is added to all times of a file.
#[derive(Default)]
struct ContinuousTimes {
    added_ns: i64,
}

impl ContinuousTimes {
    /// What to add to the time `stated` (in decoding order, nanoseconds) of the stream at `last`.
    fn shift(&mut self, stated: i64, last: &mut Option<StreamTime>) -> i64 {
        let mut shift = self.added_ns;
        if let Some(last) = *last {
            let step = stated + shift - last.at_ns;
            if (step + WRAP_NS).abs() < WRAP_MARGIN_NS {
                self.added_ns += WRAP_NS;
                shift = self.added_ns;
            } else if (step - WRAP_NS).abs() < WRAP_MARGIN_NS {
                // Another stream has wrapped, this one not yet.
                shift -= WRAP_NS;
            } else if step < -MAX_STEP_BACK_NS {
                self.added_ns += last.step_ns - step;
                shift = self.added_ns;
            }
        }
        let at_ns = stated + shift;
        let step_ns = last.map_or(0, |last| (at_ns - last.at_ns).max(0));
        *last = Some(StreamTime { at_ns, step_ns });
        shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn moved(stated_ms: &[i64]) -> Vec<i64> {
        let (mut times, mut last) = (ContinuousTimes::default(), None);
        stated_ms.iter().map(|t| (t * MS + times.shift(t * MS, &mut last)) / MS).collect()
    }

    #[test]
    fn times_that_advance_stay_as_they_are() {
        assert_eq!(moved(&[500, 540, 580, 5_000, 5_040]), [500, 540, 580, 5_000, 5_040]);
    }

    #[test]
    fn a_second_stream_goes_on_from_the_first() {
        assert_eq!(
            moved(&[500, 540, 2_580, 2_620, 500, 540]),
            [500, 540, 2_580, 2_620, 2_660, 2_700]
        );
    }

    #[test]
    fn the_counter_wraps_for_one_stream_after_the_other() {
        let (mut times, mut video, mut audio) = (ContinuousTimes::default(), None, None);
        let before = WRAP_NS - 20 * MS;
        assert_eq!(times.shift(before, &mut video), 0);
        assert_eq!(times.shift(before, &mut audio), 0);
        assert_eq!(times.shift(20 * MS, &mut video), WRAP_NS);
        assert_eq!(times.shift(before + 10 * MS, &mut audio), 0);
        assert_eq!(times.shift(15 * MS, &mut audio), WRAP_NS);
        assert_eq!(times.shift(60 * MS, &mut video), WRAP_NS);
    }
}
