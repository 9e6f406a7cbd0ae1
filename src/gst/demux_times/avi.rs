//! AVI states when a frame is decoded, not when it is shown.
//!
//! Where frames are stored out of order, the first is shown some frames after it is decoded.
//! `avidemux` does not count those, so that all frames come too early by as much. How many they are
//! is in the stream's first header.

use std::sync::OnceLock;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::rate::frame_duration;
use crate::gst::reorder;

/// Guards the stream of frames that `demuxer` gives.
pub(super) fn attach(demuxer: &gst::Element) {
    demuxer.connect_pad_added(|_, pad| {
        if !pad.name().starts_with("video_") {
            return;
        }
        let delayed = OnceLock::new();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
                return gst::PadProbeReturn::Ok;
            };
            if delayed.get_or_init(|| delay(pad, buffer)).is_none() {
                return gst::PadProbeReturn::Remove;
            }
            // Keyframes have one, the time of decoding; the decoder knows better.
            buffer.make_mut().set_pts(None);
            gst::PadProbeReturn::Ok
        });
    });
}

/// Delays all of `pad`'s frames by as many as the first, `buffer`, says; `None` where by none.
fn delay(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<()> {
    let caps = pad.current_caps()?;
    let format = caps.structure(0)?;
    let duration = buffer.duration().or_else(|| frame_duration(pad))?;
    let setup = format.get::<gst::Buffer>("codec_data").ok();
    let read = |buffer: &gst::BufferRef| {
        let map = buffer.map_readable().ok()?;
        match format.name().as_str() {
            "video/mpeg" | "video/x-divx" => reorder::mpeg4_frames(&map),
            "video/x-h264" => reorder::h264_frames(&map),
            _ => None,
        }
    };
    let frames = read(buffer).or_else(|| setup.as_deref().and_then(read))?;
    let offset = duration.nseconds().checked_mul(frames.into()).filter(|offset| *offset > 0)?;
    pad.set_offset(i64::try_from(offset).ok()?);
    Some(())
}
