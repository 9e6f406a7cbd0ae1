//! Packets into a pipeline: one source for pictures, one for sound where there is any.
//!
//! Takes packets on the stream's clock; gives buffers whose time starts at zero with the first key
//! picture ([`Inlet`]). Promises: nothing waits here; sound from before the first picture is left
//! out; every buffer has a time.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::super::gather::Formats;
use crate::core::time::{Pts, Span};
use crate::gst::elements::{ElementError, broken};
use crate::gst::packet::{Kind, Packet};

/// Packets cannot go in any more: the pipeline behind has failed or ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the pipeline takes nothing any more")]
pub struct InletError;

/// The sources of one pipeline.
#[derive(Debug)]
pub struct Inlet {
    pictures: gst_app::AppSrc,
    sound: Option<gst_app::AppSrc>,
    /// The stream's time that is zero here.
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
    /// Sources for these tracks; the picture that they begin with is at zero.
    pub fn new(formats: &Formats, live: bool) -> Self {
        Self {
            pictures: source("pictures", &formats.picture, live),
            sound: formats.sound.as_ref().map(|s| source("sound", s, live)),
            zero: formats.picture.at,
        }
    }

    /// The source of pictures.
    pub fn pictures(&self) -> &gst::Element {
        self.pictures.upcast_ref()
    }

    /// The source of sound.
    pub fn sound(&self) -> Option<&gst::Element> {
        self.sound.as_ref().map(|s| s.upcast_ref())
    }

    /// What waits in the sources, in bytes.
    pub fn waiting_bytes(&self) -> u64 {
        let sound = self.sound.as_ref().map_or(0, |s| s.current_level_bytes());
        self.pictures.current_level_bytes() + sound
    }

    /// Hands over a packet.
    ///
    /// # Errors
    /// Where the pipeline has failed or ended.
    pub fn push(&self, packet: &Packet) -> Result<(), InletError> {
        let source = match packet.kind {
            Kind::Picture { .. } => Some(&self.pictures),
            Kind::Sound => self.sound.as_ref(),
        };
        let Some((source, buffer)) = source.zip(stamped(packet, self.zero)) else {
            return Ok(());
        };
        source.push_buffer(buffer).map(drop).map_err(|_| InletError)
    }

    /// Says that nothing more comes.
    pub fn end(&self) {
        let _ = self.pictures.end_of_stream();
        if let Some(sound) = &self.sound {
            let _ = sound.end_of_stream();
        }
    }
}

/// The packet's buffer with its time counted from `zero`; `None` before it. The bytes are shared.
pub fn stamped(packet: &Packet, zero: Pts) -> Option<gst::Buffer> {
    let time = |t: Span| u64::try_from(t.ns()).ok().map(gst::ClockTime::from_nseconds);
    let pts = time(packet.at - zero)?;
    let ahead = match (packet.buffer.pts(), packet.buffer.dts()) {
        // Where pictures are reordered they are decoded earlier than shown.
        (Some(p), Some(d)) => p.saturating_sub(d),
        _ => gst::ClockTime::ZERO,
    };
    let mut buffer = packet.buffer.copy();
    let meta = buffer.make_mut();
    meta.set_pts(pts);
    meta.set_dts(pts.saturating_sub(ahead));
    Some(buffer)
}

/// Keeps buffers without a time from whatever `element` feeds: muxers stop for good at one.
///
/// # Errors
/// Where the element has no pad called `src`.
pub fn guard(element: &gst::Element) -> Result<(), ElementError> {
    let pad = element.static_pad("src");
    let pad = pad.ok_or_else(|| broken(&element.name(), "it has no pad called src"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| match info.buffer() {
        Some(buffer) if buffer.pts().is_none() => {
            tracing::warn!(pad = %pad.name(), "a buffer without a time was kept from the muxer");
            gst::PadProbeReturn::Drop
        }
        _ => gst::PadProbeReturn::Ok,
    });
    Ok(())
}
