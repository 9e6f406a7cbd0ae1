//! Rotates frames upright if the stream has an orientation tag.
//!
//! A permanent `videoflip` costs two copies of every frame even without rotation: its own (up to
//! GStreamer 1.22) and the decoder's, because it offers the decoder no memory. It is therefore
//! inserted only when an `image-orientation` tag asks for it. The tag comes before the first frame.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer::tags::ImageOrientation;

use super::elements::{ElementError, broken, chain, make, start};

/// The orientation tag of upright frames.
const UPRIGHT: &str = "rotate-0";

/// Inserts a `videoflip` after `pad` once an orientation tag passes that is not upright.
pub(super) fn rotate_if_needed(pad: &gst::Pad) {
    let needs_rotation = |event: &gst::Event| match event.view() {
        gst::EventView::Tag(tag) => {
            tag.tag().get::<ImageOrientation>().is_some_and(|way| way.get() != UPRIGHT)
        }
        _ => false,
    };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        if !info.event().is_some_and(needs_rotation) {
            return gst::PadProbeReturn::Ok;
        }
        if let Err(e) = insert_videoflip(pad) {
            tracing::warn!("frames cannot be rotated: {e}");
        }
        gst::PadProbeReturn::Remove
    });
}

/// Inserts a `videoflip` between `pad` and its peer. Linking resends the sticky events, so the new
/// element gets the tag.
fn insert_videoflip(pad: &gst::Pad) -> Result<(), ElementError> {
    let name = "videoflip";
    let refused = |reason: &str| broken(name, reason);
    let next = pad.peer().ok_or_else(|| refused("the decoder is not linked yet"))?;
    let bin = next.parent_element().and_then(|e| e.parent()?.downcast::<gst::Bin>().ok());
    let bin = bin.ok_or_else(|| refused("it is in no pipeline"))?;
    let flip = make(name)?;
    // Follows later changes of the tag, too.
    flip.set_property_from_str("video-direction", "auto");
    chain(&bin, &[&flip])?;
    let end = |end| flip.static_pad(end).ok_or_else(|| refused("it lacks a pad"));
    let (sink, src) = (end("sink")?, end("src")?);
    start(&[&flip])?;
    pad.unlink(&next).map_err(|e| broken(name, e))?;
    src.link(&next).map_err(|e| broken(name, e))?;
    pad.link(&sink).map_err(|e| broken(name, e))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output size of a 64 × 48 frame with this tag, and whether a `videoflip` was inserted.
    fn output_size(tag: Option<&str>) -> ((i32, i32), bool) {
        super::super::start().expect("GStreamer");
        let tag = tag.map(|way| format!("! taginject tags=image-orientation={way}"));
        let text = format!(
            "videotestsrc num-buffers=3 ! video/x-raw,format=I420,width=64,height=48 {} \
             ! identity name=decoded ! videoconvert ! fakesink name=out",
            tag.unwrap_or_default()
        );
        let pipeline = gst::parse::launch(&text).expect("a pipeline");
        let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
        let pad = |element: &str, pad| pipeline.by_name(element)?.static_pad(pad);
        rotate_if_needed(&pad("decoded", "src").expect("a pad"));
        pipeline.set_state(gst::State::Paused).expect("it starts");
        let (paused, ..) = pipeline.state(gst::ClockTime::from_seconds(10));
        paused.expect("a frame");
        let caps = pad("out", "sink").and_then(|pad| pad.current_caps()).expect("caps");
        let size = caps.structure(0).expect("one");
        let flips = |e: gst::Element| e.factory().is_some_and(|f| f.name() == "videoflip");
        let rotated = pipeline.iterate_elements().into_iter().flatten().any(flips);
        pipeline.set_state(gst::State::Null).expect("it stops");
        let of = |key| size.get::<i32>(key).expect("a number");
        ((of("width"), of("height")), rotated)
    }

    #[test]
    fn only_frames_with_an_orientation_tag_are_rotated() {
        assert_eq!(output_size(None), ((64, 48), false));
        assert_eq!(output_size(Some("rotate-0")), ((64, 48), false));
        assert_eq!(output_size(Some("rotate-90")), ((48, 64), true));
        assert_eq!(output_size(Some("rotate-180")), ((64, 48), true));
        assert_eq!(output_size(Some("flip-rotate-270")), ((48, 64), true));
    }
}
