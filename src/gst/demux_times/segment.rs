//! One origin for all of a file's buffers.
//!
//! `matroskademux` and `flvdemux` begin a segment at the first block that they meet, whichever stream it
//! is of. Where a block of another stream is earlier, `matroskademux` begins another segment there:
//! frames before and after that lie on two clocks. `flvdemux` stays with the first, so that the
//! recording begins too early. Both date blocks as the file does, so the segment is put where the
//! file has its zero.

use std::sync::{Arc, OnceLock};

use gstreamer as gst;
use gstreamer::prelude::*;

/// A file whose first block is later than this counts from that block: it was cut from a longer
/// one, and nobody wants to wait for it.
const MAX_START: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Guards all streams of `demuxer`.
pub(super) fn attach(demuxer: &gst::Element) {
    let origin = Arc::new(OnceLock::new());
    demuxer.connect_pad_added(move |_, pad| {
        let origin = Arc::clone(&origin);
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let Some(gst::PadProbeData::Event(event)) = &mut info.data else {
                return gst::PadProbeReturn::Ok;
            };
            if let Some(moved) = at_origin(event, &origin) {
                *event = moved;
            }
            gst::PadProbeReturn::Ok
        });
    });
}

/// The segment event `event` with its origin at the file's own zero; `None` for all others.
fn at_origin(event: &gst::Event, origin: &OnceLock<gst::ClockTime>) -> Option<gst::Event> {
    let gst::EventView::Segment(stated) = event.view() else { return None };
    let mut segment = stated.segment().downcast_ref::<gst::ClockTime>()?.clone();
    let first = segment.start()?;
    let origin = *origin.get_or_init(|| {
        if first <= MAX_START {
            return gst::ClockTime::ZERO;
        }
        tracing::info!("the recording's times begin at {first}; they count from there");
        first
    });
    segment.set_start(origin);
    segment.set_position(origin);
    segment.set_time(gst::ClockTime::ZERO);
    segment.set_base(gst::ClockTime::ZERO);
    segment.set_offset(gst::ClockTime::ZERO);
    Some(gst::event::Segment::builder(&segment).seqnum(event.seqnum()).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start_ms: u64) -> gst::Event {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_mseconds(start_ms));
        segment.set_time(gst::ClockTime::from_mseconds(start_ms));
        gst::event::Segment::new(&segment)
    }

    fn running_ms(event: &gst::Event, pts_ms: u64) -> Option<u64> {
        let gst::EventView::Segment(event) = event.view() else { return None };
        let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
        segment.to_running_time(gst::ClockTime::from_mseconds(pts_ms)).map(gst::ClockTime::mseconds)
    }

    #[test]
    fn two_segments_become_one_clock() {
        crate::gst::start().expect("GStreamer");
        let origin = OnceLock::new();
        for (start_ms, pts_ms) in [(23, 23), (0, 56)] {
            let moved = at_origin(&segment(start_ms), &origin).expect("a segment");
            assert_eq!(running_ms(&moved, pts_ms), Some(pts_ms));
        }
        assert!(at_origin(&gst::event::Eos::new(), &origin).is_none());
    }

    #[test]
    fn a_file_cut_from_a_longer_one_begins_at_its_first_block() {
        crate::gst::start().expect("GStreamer");
        let moved = at_origin(&segment(3_600_000), &OnceLock::new()).expect("a segment");
        assert_eq!(running_ms(&moved, 3_600_040), Some(40));
    }
}
