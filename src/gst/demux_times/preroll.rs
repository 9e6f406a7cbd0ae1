//! Frames before an edit list's first instant stay out.
//!
//! A stream copy that is cut between two keyframes begins with frames that are only there to decode
//! the others. GStreamer drops those that end before the segment begins, but one that reaches into
//! it is shown at its start for the rest, perhaps a millisecond. Other readers leave out every frame that
//! begins before. So such a frame is dated to end where the segment begins.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::rate::frame_duration;

/// Guards the stream of frames at `pad`.
pub(super) fn attach(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let start = segment_start(pad);
        if let (Some(gst::PadProbeData::Buffer(buffer)), Some(start)) = (&mut info.data, start) {
            keep_out(buffer, start, frame_duration(pad));
        }
        gst::PadProbeReturn::Ok
    });
}

fn segment_start(pad: &gst::Pad) -> Option<gst::ClockTime> {
    let event = pad.sticky_event::<gst::event::Segment>(0)?;
    event.segment().downcast_ref::<gst::ClockTime>()?.start()
}

/// Dates `buffer` to end at `start` where it begins before that.
fn keep_out(
    buffer: &mut gst::Buffer,
    start: gst::ClockTime,
    frame_duration: Option<gst::ClockTime>,
) {
    let Some(pts) = buffer.pts().filter(|pts| *pts < start) else { return };
    // Decoders take the longer of the two.
    let duration = buffer.duration().max(frame_duration).unwrap_or_default();
    let overlap = (pts + duration).saturating_sub(start);
    let earlier = |t: gst::ClockTime| t.saturating_sub(overlap);
    let dts = buffer.dts().map(earlier);
    let buffer = buffer.make_mut();
    buffer.set_flags(gst::BufferFlags::DECODE_ONLY);
    buffer.set_pts(earlier(pts));
    buffer.set_dts(dts);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(pts_ms: u64) -> gst::Buffer {
        let mut buffer = gst::Buffer::new();
        let meta = buffer.make_mut();
        meta.set_pts(gst::ClockTime::from_mseconds(pts_ms));
        meta.set_duration(gst::ClockTime::from_mseconds(40));
        buffer
    }

    #[test]
    fn only_a_frame_that_begins_before_the_segment_is_moved() {
        crate::gst::start().expect("GStreamer");
        let start = gst::ClockTime::from_mseconds(1_010);
        for (pts_ms, expected_ms) in [(900, 900), (1_000, 970), (1_010, 1_010), (1_040, 1_040)] {
            let mut buffer = dated(pts_ms);
            keep_out(&mut buffer, start, None);
            assert_eq!(buffer.pts(), Some(gst::ClockTime::from_mseconds(expected_ms)));
            let left_out = buffer.flags().contains(gst::BufferFlags::DECODE_ONLY);
            assert_eq!(left_out, pts_ms < 1_010);
        }
    }
}
