//! Elements by name: where each comes from on Debian, and making one with an error that says so.

use gstreamer as gst;
use gstreamer::prelude::*;

/// An element that this program uses, with the Debian package that carries it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The element's factory name.
    pub element: &'static str,
    /// The Debian package it comes in.
    pub package: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether the main job cannot run without it.
    pub required: bool,
}

const fn wanted(
    element: &'static str,
    package: &'static str,
    purpose: &'static str,
    required: bool,
) -> Wanted {
    Wanted { element, package, purpose, required }
}

const CORE: &str = "libgstreamer1.0-0";
const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const LIBAV: &str = "gstreamer1.0-libav";

/// Everything that `annotate` may need, in the order of a frame's way.
pub const WANTED: &[Wanted] = &[
    wanted("filesrc", CORE, "read files", true),
    wanted("queue", CORE, "let branches run side by side", true),
    wanted("tee", CORE, "share the sound", true),
    wanted("parsebin", BASE, "demux any container", true),
    wanted("decodebin", BASE, "pick decoders", true),
    wanted("videoconvert", BASE, "bring pictures to I420 or NV12", true),
    wanted("videoscale", BASE, "follow a change of size", true),
    wanted("audioconvert", BASE, "mix sound down for the model", true),
    wanted("audioresample", BASE, "bring sound to 16 kHz for the model", true),
    wanted("appsink", BASE, "take frames out", true),
    wanted("appsrc", BASE, "put frames in", true),
    wanted("videoflip", GOOD, "turn pictures upright", true),
    wanted("qtdemux", GOOD, "read mp4 and mov", true),
    wanted("matroskademux", GOOD, "read mkv and webm", true),
    wanted("mpegpsdemux", BAD, "read MPEG program streams", false),
    wanted("avidemux", GOOD, "read avi", false),
    wanted("avdec_h264", LIBAV, "decode H.264", true),
    wanted("avdec_h265", LIBAV, "decode H.265", false),
    wanted("avdec_aac", LIBAV, "decode AAC", true),
    wanted("avenc_aac", LIBAV, "encode AAC where the sound cannot be kept as it is", true),
    wanted("opusenc", BASE, "encode Opus (webm)", false),
    wanted("x264enc", UGLY, "encode H.264", true),
    wanted("vp9enc", GOOD, "encode VP9 (webm)", false),
    wanted("h264parse", BAD, "hand H.264 to the muxer", true),
    wanted("mp4mux", GOOD, "write mp4", true),
    wanted("matroskamux", GOOD, "write mkv", false),
    wanted("webmmux", GOOD, "write webm", false),
    wanted("filesink", CORE, "write files", true),
];

/// An element is not installed or cannot be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ElementError {
    /// No plugin offers it.
    #[error("the GStreamer element `{element}` is not installed; {}", mend(element))]
    Missing {
        /// The element's factory name.
        element: String,
    },
    /// The plugin is there but the element cannot be built into the pipeline.
    #[error("the GStreamer element `{element}` cannot be used: {reason}")]
    Broken {
        /// The element's factory name.
        element: String,
        /// The library's reason.
        reason: String,
    },
}

/// The command that installs `element` on Debian.
pub fn mend(element: &str) -> String {
    match WANTED.iter().find(|w| w.element == element) {
        Some(w) => format!("install it with: apt-get install {}", w.package),
        None => "find its package with: apt-file search libgst".to_owned(),
    }
}

/// Whether `element` is installed.
pub fn is_installed(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// Makes `element`.
///
/// # Errors
/// Where it is not installed (with the package that carries it) or cannot be made.
pub fn make(element: &str) -> Result<gst::Element, ElementError> {
    let factory = gst::ElementFactory::find(element)
        .ok_or_else(|| ElementError::Missing { element: element.to_owned() })?;
    factory.create().build().map_err(|e| broken(element, e))
}

/// Links `elements` in a row inside `bin`, adding each.
///
/// # Errors
/// Where two of them do not fit together.
pub fn chain(bin: &impl IsA<gst::Bin>, elements: &[&gst::Element]) -> Result<(), ElementError> {
    let name = |e: &gst::Element| e.factory().map_or_else(String::new, |f| f.name().to_string());
    for element in elements {
        bin.add(*element).map_err(|e| broken(&name(element), e))?;
    }
    for pair in elements.windows(2) {
        pair[0].link(pair[1]).map_err(|e| broken(&name(pair[0]), e))?;
    }
    Ok(())
}

/// An [`ElementError::Broken`] with the library's reason.
pub fn broken(element: &str, reason: impl std::fmt::Display) -> ElementError {
    ElementError::Broken { element: element.to_owned(), reason: reason.to_string() }
}
