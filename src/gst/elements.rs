//! Creates and links elements by name. An error for a missing element names its Debian package.

use gstreamer as gst;
use gstreamer::prelude::*;

pub(crate) use super::element_list::ELEMENTS;

/// An element is not installed or cannot be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ElementError {
    /// No plugin offers it.
    #[error("the GStreamer element `{element}` is not installed; {}", install_hint(element))]
    Missing {
        /// The element's factory name.
        element: String,
    },
    /// The plugin is there but the element cannot be built into the pipeline.
    #[error("the GStreamer element `{element}` cannot be used: {reason}")]
    Broken {
        /// The element's factory name.
        element: String,
        /// GStreamer's reason.
        reason: String,
    },
    /// The CA file cannot be used.
    #[error("tls_ca_file: {0}")]
    Trust(String),
}

/// The command that installs `element` on Debian.
pub(crate) fn install_hint(element: &str) -> String {
    match ELEMENTS.iter().find(|w| w.element == element) {
        Some(w) => format!("install it with: apt-get install {}", w.package),
        None => "find its package with: apt-file search libgst".to_owned(),
    }
}

/// Whether `element` is installed.
pub(crate) fn is_installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// Makes `element`.
///
/// # Errors
/// If it is not installed (with the package that carries it) or cannot be made.
pub(crate) fn make(element: &str) -> Result<gst::Element, ElementError> {
    let factory = gst::ElementFactory::find(element)
        .ok_or_else(|| ElementError::Missing { element: element.to_owned() })?;
    factory.create().build().map_err(|e| broken(element, e))
}

/// Adds `elements` to `bin` and links them in order.
///
/// # Errors
/// If two of them do not fit together.
pub(crate) fn chain(
    bin: &impl IsA<gst::Bin>,
    elements: &[&gst::Element],
) -> Result<(), ElementError> {
    let name = |e: &gst::Element| e.factory().map_or_else(String::new, |f| f.name().to_string());
    for element in elements {
        bin.add(*element).map_err(|e| broken(&name(element), e))?;
    }
    for pair in elements.windows(2) {
        pair[0].link(pair[1]).map_err(|e| broken(&name(pair[0]), e))?;
    }
    Ok(())
}

/// Sets `elements` to the state of their pipeline.
///
/// # Errors
/// If one of them refuses.
pub(crate) fn start(elements: &[&gst::Element]) -> Result<(), ElementError> {
    for element in elements {
        element.sync_state_with_parent().map_err(|e| {
            broken(&element.factory().map_or_else(String::new, |f| f.name().to_string()), e)
        })?;
    }
    Ok(())
}

/// Links `pad` to `element`.
///
/// # Errors
/// If they do not fit together.
pub(crate) fn link(pad: &gst::Pad, element: &gst::Element) -> Result<(), ElementError> {
    let sink = element
        .static_pad("sink")
        .ok_or_else(|| broken(&element.name(), "it has no pad called sink"))?;
    pad.link(&sink).map(drop).map_err(|e| broken(&element.name(), e))
}

/// Number of elements in `bin` that currently change the format, size, memory or orientation of
/// frames. Each of them touches every pixel.
pub(crate) fn conversions(bin: &impl IsA<gst::Bin>) -> usize {
    let caps = |element: &gst::Element, pad| element.static_pad(pad)?.current_caps();
    let rotates =
        |element: &gst::Element| element.factory().is_some_and(|f| f.name() == "videoflip");
    let converts = |element: &gst::Element| {
        let (Some(input), Some(output)) = (caps(element, "sink"), caps(element, "src")) else {
            return false;
        };
        let raw = |caps: &gst::Caps| caps.structure(0).is_some_and(|s| s.name() == "video/x-raw");
        raw(&input) && raw(&output) && !same_pixels(&input, &output)
    };
    let touches = |element: &gst::Element| rotates(element) || converts(element);
    bin.iterate_recurse().into_iter().flatten().filter(touches).count()
}

/// Whether both caps describe frames with the same bytes.
fn same_pixels(a: &gst::Caps, b: &gst::Caps) -> bool {
    let same = |key| {
        let of = |caps: &gst::Caps| caps.structure(0)?.value(key).ok()?.serialize().ok();
        of(a) == of(b)
    };
    let memory = |caps: &gst::Caps| caps.features(0).map(ToString::to_string);
    memory(a) == memory(b) && ["format", "width", "height"].into_iter().all(same)
}

/// An [`ElementError::Broken`] with GStreamer's reason.
pub(crate) fn broken(element: &str, reason: impl std::fmt::Display) -> ElementError {
    ElementError::Broken { element: element.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversions_to(caps: &str) -> usize {
        super::super::start().expect("GStreamer");
        let text = format!(
            "videotestsrc num-buffers=1 ! video/x-raw,format=I420,width=64,height=48 \
             ! videoconvert ! videoscale ! {caps} ! fakesink"
        );
        let pipeline = gst::parse::launch(&text).expect("a pipeline");
        let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
        pipeline.set_state(gst::State::Paused).expect("it starts");
        let (paused, ..) = pipeline.state(gst::ClockTime::from_seconds(10));
        paused.expect("a frame");
        let found = conversions(&pipeline);
        pipeline.set_state(gst::State::Null).expect("it stops");
        found
    }

    #[test]
    fn only_elements_that_change_frames_count() {
        assert_eq!(conversions_to("video/x-raw,format=I420"), 0);
        assert_eq!(conversions_to("video/x-raw,format=NV12"), 1);
        assert_eq!(conversions_to("video/x-raw,format=NV12,width=32,height=24"), 2);
        assert_eq!(conversions_to("videoflip video-direction=180"), 1);
    }
}
