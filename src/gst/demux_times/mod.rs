//! Guards behind demuxers that date buffers wrongly, so that a frame's time is the one that its file
//! states ([decision 12](../../../docs/decisions/0012-demuxer-times.md)).
//!
//! Each guard knows one demuxer's fault and leaves alone what is right already, so that a newer
//! GStreamer that has mended it changes nothing.

mod avi;
mod mpeg_video;
mod preroll;
mod program_stream;
mod rate;
mod segment;

use gstreamer as gst;
use gstreamer::prelude::*;

/// Watches which demuxer `parse` (a `parsebin`) takes and guards what it gives.
pub(crate) fn attach(parse: &gst::Element) {
    let Some(bin) = parse.downcast_ref::<gst::Bin>() else { return };
    bin.connect_deep_element_added(|_, _, element| {
        let Some(factory) = element.factory() else { return };
        match factory.name().as_str() {
            "mpegpsdemux" => program_stream::attach(element),
            // Both begin a segment at whatever block comes first.
            "matroskademux" | "flvdemux" => segment::attach(element),
            "avidemux" => avi::attach(element),
            _ => {}
        }
    });
    parse.connect_pad_added(|_, pad| {
        // What the stream is in full may be known later, with its first frame.
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        match caps.structure(0).map(|format| format.name().as_str()) {
            Some("video/mpeg") => mpeg_video::attach(pad),
            Some(name) if name.starts_with("video/") => {}
            _ => return,
        }
        preroll::attach(pad);
    });
}
