//! Feeds packets into a pipeline: one source for frames, one for audio where there is any.
//!
//! Takes packets on the stream's clock; gives buffers whose time starts at zero with the first keyframe
//! ([`Inlet`]). Never blocks. Drops audio from before the first frame. Every buffer has a time.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::super::preroll::Formats;
use crate::core::time::{Pts, Span};
use crate::gst::elements::{ElementError, broken};
use crate::gst::packet::{Packet, PacketKind};

/// The pipeline has failed or ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the pipeline accepts no more packets")]
pub(crate) struct InletError;

/// The sources of one pipeline.
#[derive(Debug)]
pub(crate) struct Inlet {
    frames: gst_app::AppSrc,
    audio: Option<gst_app::AppSrc>,
    /// The stream time of the pipeline's zero.
    zero: Pts,
}

fn source(name: &str, packet: &Packet, live: bool) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .name(name)
        .caps(&packet.caps)
        .format(gst::Format::Time)
        .is_live(live)
        .do_timestamp(false)
        .block(false)
        .max_bytes(0)
        .build()
}

impl Inlet {
    /// Sources for these tracks; their first frame is at zero.
    pub(crate) fn new(formats: &Formats, live: bool) -> Self {
        Self {
            frames: source("frames", &formats.image, live),
            audio: formats.audio.as_ref().map(|s| source("audio", s, live)),
            zero: formats.image.at,
        }
    }

    /// The source of frames.
    pub(crate) fn frames(&self) -> &gst::Element {
        self.frames.upcast_ref()
    }

    /// The source of audio.
    pub(crate) fn audio(&self) -> Option<&gst::Element> {
        self.audio.as_ref().map(|s| s.upcast_ref())
    }

    /// Bytes that wait in the sources.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let audio = self.audio.as_ref().map_or(0, |s| s.current_level_bytes());
        self.frames.current_level_bytes() + audio
    }

    /// Pushes a packet.
    ///
    /// # Errors
    /// Where the pipeline has failed or ended.
    pub(crate) fn push(&self, packet: &Packet) -> Result<(), InletError> {
        let source = match packet.kind {
            PacketKind::Video { .. } => Some(&self.frames),
            PacketKind::Audio => self.audio.as_ref(),
        };
        let Some((source, buffer)) = source.zip(stamped(packet, self.zero)) else {
            return Ok(());
        };
        source.push_buffer(buffer).map(drop).map_err(|_| InletError)
    }

    /// Ends the stream.
    pub(crate) fn end(&self) {
        let _ = self.frames.end_of_stream();
        if let Some(audio) = &self.audio {
            let _ = audio.end_of_stream();
        }
    }
}

/// The packet's buffer with its time counted from `zero`; `None` before it. The bytes are shared.
pub(crate) fn stamped(packet: &Packet, zero: Pts) -> Option<gst::Buffer> {
    let time = |t: Span| u64::try_from(t.ns()).ok().map(gst::ClockTime::from_nseconds);
    let pts = time(packet.at - zero)?;
    let ahead = match (packet.buffer.pts(), packet.buffer.dts()) {
        // Reordered frames are decoded earlier than shown.
        (Some(p), Some(d)) => p.saturating_sub(d),
        _ => gst::ClockTime::ZERO,
    };
    let mut buffer = packet.buffer.copy();
    let meta = buffer.make_mut();
    meta.set_pts(pts);
    meta.set_dts(pts.saturating_sub(ahead));
    Some(buffer)
}

/// Drops buffers without a time behind `element`: a muxer stops for good at one.
///
/// # Errors
/// Where the element has no pad called `src`.
pub(crate) fn guard(element: &gst::Element) -> Result<(), ElementError> {
    let pad = element.static_pad("src");
    let pad = pad.ok_or_else(|| broken(&element.name(), "it has no pad called src"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| match info.buffer() {
        Some(buffer) if buffer.pts().is_none() => {
            tracing::warn!(pad = %pad.name(), "dropped a buffer without a time before the muxer");
            gst::PadProbeReturn::Drop
        }
        _ => gst::PadProbeReturn::Ok,
    });
    Ok(())
}
