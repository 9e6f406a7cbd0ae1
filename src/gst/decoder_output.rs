//! Links the output of a decoder: downloads frames from device memory and rotates them upright if
//! needed.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::elements::{ElementError, broken, chain, link, make, start};
use super::{decoders, orientation};

/// Links the first stream of `decode` to `next`, rotated upright.
pub(crate) fn link_video(decode: &gst::Element, next: &gst::Element) {
    link_first(decode, next, orientation::rotate_if_needed);
}

/// Links the first stream of `decode` to `next`.
pub(crate) fn link_audio(decode: &gst::Element, next: &gst::Element) {
    link_first(decode, next, |_| ());
}

/// As above; `on_linked` gets the pad that `next` is linked to.
fn link_first(decode: &gst::Element, next: &gst::Element, on_linked: fn(&gst::Pad)) {
    let next = next.downgrade();
    decode.connect_pad_added(move |_, pad| {
        let Some(sink) = next.upgrade().and_then(|n| n.static_pad("sink")) else {
            return;
        };
        if sink.is_linked() {
            return;
        }
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let linked = match decoders::downloader(&caps) {
            Some(element) => link_through(element, pad, &sink),
            None => pad.link(&sink).map(drop).map_err(|e| broken("decodebin", e)),
        };
        match linked {
            Ok(()) => sink.peer().iter().for_each(on_linked),
            Err(e) => tracing::debug!(pad = %pad.name(), "decoded stream cannot be linked: {e}"),
        }
    });
}

/// Links `pad` to `sink` through `element`, which downloads frames from device memory.
fn link_through(element: &str, pad: &gst::Pad, sink: &gst::Pad) -> Result<(), ElementError> {
    let download = make(element)?;
    let bin = sink.parent_element().and_then(|e| e.parent()?.downcast::<gst::Bin>().ok());
    let bin = bin.ok_or_else(|| broken(element, "it is in no pipeline"))?;
    chain(&bin, &[&download])?;
    let out =
        download.static_pad("src").ok_or_else(|| broken(element, "it has no pad called src"))?;
    out.link(sink).map_err(|e| broken(element, e))?;
    start(&[&download])?;
    tracing::info!("decoded frames are in device memory; {element} downloads them");
    link(pad, &download)
}
