//! An MP4 track that lasts until its last frame does.
//!
//! `qtmux` takes a track's length from the times at which samples are decoded, and the last sample's
//! own duration. With frames stored out of order the last sample is decoded long before the last
//! frame is shown, if that comes late; players stop at the shorter length. So each sample is given
//! the duration that would end the track with the latest frame so far. Only the last one's counts.

use std::sync::{Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

/// Watches the encoded frames that go into a muxer at `pad`.
pub(super) fn attach(pad: &gst::Pad) {
    let track = Mutex::new(Track::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        let times = buffer.pts().zip(buffer.dts()).zip(buffer.duration());
        let Some(((pts, dts), duration)) = times else { return gst::PadProbeReturn::Ok };
        let mut track = track.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = track.duration(pts, dts, duration);
        if needed != duration {
            buffer.make_mut().set_duration(needed);
        }
        gst::PadProbeReturn::Ok
    });
}

/// What was written so far.
#[derive(Default)]
struct Track {
    /// The first sample's times: when it is shown and when decoded.
    first: Option<(gst::ClockTime, gst::ClockTime)>,
    /// When the latest frame ends.
    end: gst::ClockTime,
}

impl Track {
    /// The duration of the sample shown at `pts` and decoded at `dts` if it is the last.
    fn duration(
        &mut self,
        pts: gst::ClockTime,
        dts: gst::ClockTime,
        duration: gst::ClockTime,
    ) -> gst::ClockTime {
        let (first_pts, first_dts) = *self.first.get_or_insert((pts, dts));
        self.end = self.end.max(pts + duration);
        let (length, decoded) = (self.end.saturating_sub(first_pts), dts.saturating_sub(first_dts));
        // Rounding aside, this is its own duration where frames are evenly spaced.
        length.checked_sub(decoded).filter(|needed| *needed > duration).unwrap_or(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(samples_ms: &[(u64, u64)]) -> Vec<u64> {
        let ms = gst::ClockTime::from_mseconds;
        let mut track = Track::default();
        let given = samples_ms.iter().map(|(pts, dts)| track.duration(ms(*pts), ms(*dts), ms(40)));
        given.map(gst::ClockTime::mseconds).collect()
    }

    #[test]
    fn evenly_spaced_frames_keep_their_duration_at_the_end() {
        let samples = [(80, 0), (200, 40), (120, 80), (160, 120)];
        assert_eq!(durations(&samples).last(), Some(&40));
    }

    #[test]
    fn the_track_lasts_until_a_late_frame_ends() {
        // Shown at 0, 40, 1000 and 2000 ms after the first, decoded two frames ahead.
        let samples = [(80, 0), (120, 40), (2_080, 80), (1_080, 120)];
        // 2040 ms in all.
        assert_eq!(durations(&samples).last(), Some(&(2_040 - 120)));
    }
}
