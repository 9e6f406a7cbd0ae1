//! MPEG-1 and MPEG-2 frames without a time of their own.
//!
//! In a program stream only the first frame that begins in a packet has a time. GStreamer gives the
//! others the time of a neighbour where frames are stored out of order. Each frame states its place in
//! its group, so its time follows from another frame's of the same group.

use std::sync::{Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::rate::frame_duration;

/// Frames are stored in a group up to this number, then from zero again.
const NUMBERS: i64 = 1_024;

/// Whether the stream at `pad` is MPEG-1 or MPEG-2; MPEG-4 has the same name.
fn applies_to(pad: &gst::Pad) -> bool {
    let version = |caps: gst::Caps| caps.structure(0)?.get::<i32>("mpegversion").ok();
    pad.current_caps().and_then(version).is_some_and(|version| version <= 2)
}

/// Guards the parsed stream at `pad`, if it is one of these.
pub(super) fn attach(pad: &gst::Pad) {
    let times = Mutex::new(FrameTimes::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        if !applies_to(pad) {
            return gst::PadProbeReturn::Remove;
        }
        let header = buffer.map_readable().ok().and_then(|map| read_header(&map));
        let Some(header) = header else { return gst::PadProbeReturn::Ok };
        let ns = |t: gst::ClockTime| i64::try_from(t.nseconds()).unwrap_or(i64::MAX);
        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
        times.frame_ns = frame_duration(pad).map_or(times.frame_ns, ns);
        let pts = times.of(header, buffer.pts().map(ns), buffer.dts().map(ns));
        let pts = pts.and_then(|t| u64::try_from(t).ok()).map(gst::ClockTime::from_nseconds);
        if buffer.pts().is_none() && pts.is_some() {
            buffer.make_mut().set_pts(pts);
        }
        gst::PadProbeReturn::Ok
    });
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameHeader {
    /// Whether a group of frames begins with it.
    begins_group: bool,
    /// Its place in the group, in the order of showing.
    number: i64,
    /// Whether it is shown when it is decoded, as no other frame needs it.
    bidirectional: bool,
}

/// The first frame's header in `bytes`.
fn read_header(bytes: &[u8]) -> Option<FrameHeader> {
    let mut begins_group = false;
    // A frame's headers come first; its data may be long.
    for code in bytes.windows(6).take(4_096) {
        match code {
            [0, 0, 1, 0xb8, ..] => begins_group = true,
            [0, 0, 1, 0, high, low] => {
                let number = i64::from(*high) << 2 | i64::from(*low) >> 6;
                let bidirectional = (low >> 3) & 7 == 3;
                return Some(FrameHeader { begins_group, number, bidirectional });
            }
            _ => {}
        }
    }
    None
}

/// Gives the frames of a stream their times, in nanoseconds.
#[derive(Default)]
struct FrameTimes {
    frame_ns: i64,
    /// The last frame with a time in this group: its time and number.
    known: Option<(i64, i64)>,
    /// How long the last frame that others need waited to be shown.
    anchor_delay_ns: i64,
}

impl FrameTimes {
    /// The time of the frame with this header, which states `pts` and is decoded at `dts`.
    fn of(&mut self, header: FrameHeader, pts: Option<i64>, dts: Option<i64>) -> Option<i64> {
        if header.begins_group {
            self.known = None;
        }
        if let Some(pts) = pts {
            self.known = Some((pts, header.number));
            if let (false, Some(dts)) = (header.bidirectional, dts) {
                self.anchor_delay_ns = (pts - dts).max(0);
            }
            return Some(pts);
        }
        let by_number = self.known.map(|(at, number)| {
            let later = (header.number - number + NUMBERS / 2).rem_euclid(NUMBERS) - NUMBERS / 2;
            at + later * self.frame_ns
        });
        let by_decoding = || {
            let delay = if header.bidirectional { 0 } else { self.anchor_delay_ns };
            dts.map(|dts| dts + delay)
        };
        by_number.or_else(by_decoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(begins_group: bool, number: i64, bidirectional: bool) -> FrameHeader {
        FrameHeader { begins_group, number, bidirectional }
    }

    #[test]
    fn a_frame_states_its_place_and_kind() {
        let picture = [0, 0, 1, 0, 0x00, 0x98, 0, 0];
        assert_eq!(read_header(&picture), Some(header(false, 2, true)));
        let group = [&[0, 0, 1, 0xb8, 0, 8, 0, 0][..], &picture].concat();
        assert_eq!(read_header(&group), Some(header(true, 2, true)));
        assert_eq!(read_header(&[0, 0, 1, 0xb3, 1, 2, 3]), None);
        assert_eq!(read_header(&[]), None);
    }

    #[test]
    fn missing_times_follow_from_the_groups_order() {
        let mut times = FrameTimes { frame_ns: 40, known: None, anchor_delay_ns: 0 };
        assert_eq!(times.of(header(true, 0, false), Some(140), Some(100)), Some(140));
        assert_eq!(times.of(header(false, 3, false), None, Some(140)), Some(260));
        assert_eq!(times.of(header(false, 1, true), None, Some(180)), Some(180));
        assert_eq!(times.of(header(false, 2, true), Some(220), Some(220)), Some(220));
        // Nothing of the next group is known: by the time of decoding.
        assert_eq!(times.of(header(true, 0, false), None, Some(260)), Some(300));
        assert_eq!(times.of(header(false, 1, true), None, None), None);
    }
}
