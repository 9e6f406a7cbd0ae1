//! What follows a decoder: its stream linked once it is there, brought back from a device where it lies
//! on one, and turned upright.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::elements::{ElementError, broken, chain, link, make, start};
use super::{decoders, orientation};

/// Links `decode`'s first decoded stream to `next`, its frames upright.
pub fn link_video(decode: &gst::Element, next: &gst::Element) {
    link_first(decode, next, orientation::rotate_if_needed);
}

/// Links `decode`'s first decoded stream to `next`.
pub fn link_audio(decode: &gst::Element, next: &gst::Element) {
    link_first(decode, next, |_| ());
}

/// The same; `on_linked` sees the pad that `next` is linked to.
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
            Err(e) => tracing::debug!(pad = %pad.name(), "decoded stream not taken: {e}"),
        }
    });
}

/// Links `pad` to `sink` with `element` between, which brings frames back from a device.
fn link_through(element: &str, pad: &gst::Pad, sink: &gst::Pad) -> Result<(), ElementError> {
    let download = make(element)?;
    let bin = sink.parent_element().and_then(|e| e.parent()?.downcast::<gst::Bin>().ok());
    let bin = bin.ok_or_else(|| broken(element, "there is no pipeline around it"))?;
    chain(&bin, &[&download])?;
    let out =
        download.static_pad("src").ok_or_else(|| broken(element, "it has no pad called src"))?;
    out.link(sink).map_err(|e| broken(element, e))?;
    start(&[&download])?;
    tracing::info!("decoded frames lie on a device; {element} brings them back");
    link(pad, &download)
}
