//! Frames turned upright, where their stream says that they lie on a side or on the head.
//!
//! A `videoflip` that is always there costs two copies of every frame, also where it has nothing
//! to turn: its own, up to GStreamer 1.22, and the decoder's, to which it offers no memory. So it is
//! put in only once a tag `image-orientation` asks for it; that tag comes before the first frame.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer::tags::ImageOrientation;

use super::elements::{ElementError, broken, chain, make, start};

/// What a stream says whose frames are upright.
const UPRIGHT: &str = "rotate-0";

/// Watches what `pad` gives; once it says that its frames lie, an element that turns them is put
/// behind it.
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
            tracing::warn!("frames stay as they lie: {e}");
        }
        gst::PadProbeReturn::Remove
    });
}

/// Puts the element between `pad` and what it is linked to. It learns what was said so far, as a new
/// link repeats that.
fn insert_videoflip(pad: &gst::Pad) -> Result<(), ElementError> {
    let name = "videoflip";
    let refused = |reason: &str| broken(name, reason);
    let next = pad.peer().ok_or_else(|| refused("nothing takes the frames yet"))?;
    let bin = next.parent_element().and_then(|e| e.parent()?.downcast::<gst::Bin>().ok());
    let bin = bin.ok_or_else(|| refused("there is no pipeline around it"))?;
    let flip = make(name)?;
    // Follows the tag also where that changes.
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

    /// The size of a frame of 64 × 48 that says this of itself, and whether anything turned it.
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
