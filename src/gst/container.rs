//! Containers by file extension: muxer, codecs, and whether stored audio can be copied.

use std::path::Path;
use std::sync::OnceLock;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::elements::{ElementError, broken, make};
use super::sample_duration;
use super::video_codec::VideoCodec;

/// A container that the program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `.mp4`, `.m4v`
    Mp4,
    /// `.mov`
    Mov,
    /// `.mkv`
    Mkv,
    /// `.webm`
    Webm,
}

/// The extension names no container that the program writes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{name}: cannot tell the container from the name; end it in .mp4, .mov, .mkv or .webm")]
pub struct UnknownContainer {
    name: String,
}

impl Container {
    /// The container for the extension of `path`.
    ///
    /// # Errors
    /// If no container has this extension.
    pub fn from_path(path: &Path) -> Result<Self, UnknownContainer> {
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("mp4" | "m4v") => Ok(Self::Mp4),
            Some("mov") => Ok(Self::Mov),
            Some("mkv") => Ok(Self::Mkv),
            Some("webm") => Ok(Self::Webm),
            _ => Err(UnknownContainer { name: path.display().to_string() }),
        }
    }

    /// The muxer's element name.
    pub const fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4mux",
            Self::Mov => "qtmux",
            Self::Mkv => "matroskamux",
            Self::Webm => "webmmux",
        }
    }

    /// Whether its first frame may be later than zero where there is nothing else before.
    pub const fn keeps_late_start(self) -> bool {
        matches!(self, Self::Mkv | Self::Webm)
    }

    /// The video codec.
    pub const fn video_codec(self) -> VideoCodec {
        match self {
            Self::Webm => VideoCodec::Vp9,
            _ => VideoCodec::H264,
        }
    }

    /// Whether stored audio of this format can be copied into this container.
    pub fn accepts_audio(self, caps: &gst::Caps) -> bool {
        if matches!(self, Self::Mp4 | Self::Mov) && is_mp1_or_mp2(caps) {
            return false;
        }
        let Some(factory) = gst::ElementFactory::find(self.muxer()) else {
            return false;
        };
        factory
            .static_pad_templates()
            .iter()
            .any(|t| t.name_template().starts_with("audio_") && t.caps().can_intersect(caps))
    }

    /// The encoder for audio that cannot be copied.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn audio_encoder(self) -> Result<gst::Element, ElementError> {
        if self == Self::Webm {
            return make("opusenc");
        }
        let encoder = make("avenc_aac")?;
        encoder.set_property("bitrate", 160_000_i32);
        drop_priming(&encoder);
        Ok(encoder)
    }

    /// The muxer and its request pads.
    ///
    /// # Errors
    /// If it is not installed or refuses a pad.
    pub fn muxer_with_pads(self, audio: bool) -> Result<MuxerPads, ElementError> {
        let muxer = make(self.muxer())?;
        let pad = |template| {
            muxer
                .request_pad_simple(template)
                .ok_or_else(|| broken(self.muxer(), format!("it gives no pad {template}")))
        };
        let frames = pad("video_%u")?;
        if matches!(self, Self::Mp4 | Self::Mov) {
            sample_duration::attach(&frames);
        }
        let audio = audio.then(|| pad("audio_%u")).transpose()?;
        Ok(MuxerPads { muxer, frames, audio })
    }
}

/// Drops the priming packet of libavcodec's AAC encoder. GStreamer gives that packet of silence the
/// first timestamp, so all audio would be a packet late (128 ms at 8 kHz).
fn drop_priming(encoder: &gst::Element) {
    let Some(pad) = encoder.static_pad("src") else { return };
    let priming = OnceLock::new();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
        let Some(length) = priming.get() else {
            let _ = priming.set(buffer.duration().unwrap_or_default());
            return gst::PadProbeReturn::Drop;
        };
        let shifted = |t: Option<gst::ClockTime>| t.map(|t| t.saturating_sub(*length));
        let (pts, dts) = (shifted(buffer.pts()), shifted(buffer.dts()));
        let buffer = buffer.make_mut();
        buffer.set_pts(pts);
        buffer.set_dts(dts);
        gst::PadProbeReturn::Ok
    });
}

/// MPEG-1 audio other than MP3. The mp4 muxer accepts it but labels it MP3; players stay silent.
fn is_mp1_or_mp2(caps: &gst::Caps) -> bool {
    caps.iter().any(|s| {
        s.name() == "audio/mpeg"
            && s.get::<i32>("mpegversion") == Ok(1)
            && s.get::<i32>("layer") != Ok(3)
    })
}

/// A muxer and its sink pads.
pub struct MuxerPads {
    /// The muxer.
    pub muxer: gst::Element,
    /// The video pad.
    pub frames: gst::Pad,
    /// The audio pad.
    pub audio: Option<gst::Pad>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_and_an_unknown_one_gives_a_hint() {
        assert_eq!(Container::from_path(Path::new("a/b.MP4")).ok(), Some(Container::Mp4));
        assert_eq!(Container::from_path(Path::new("x.webm")).ok(), Some(Container::Webm));
        let error = Container::from_path(Path::new("x.flv")).expect_err("no such container");
        assert_eq!(
            error.to_string(),
            "x.flv: cannot tell the container from the name; end it in .mp4, .mov, .mkv or .webm"
        );
    }
}
