//! A RECORD session by `rtspclientsink`, opened and closed on its own threads: a peer that does not
//! answer does not block the sink.

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use secrecy::ExposeSecret;

use crate::gst::bus::BusListener;
use crate::gst::elements::{ElementError, broken, chain, make};
use crate::gst::packet::Packet;
use crate::gst::tls;
use crate::stages::sink::live::gst::Inlet;
use crate::stages::sink::live::preroll::Formats;
use crate::stages::sink::live::push::Peer;

/// How long the peer may take to accept the session.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Queued bytes above this mean that the peer reads too slowly.
const MAX_QUEUED_BYTES: u64 = 8 << 20;

/// A session, connected or connecting.
pub(super) struct PushSession {
    pipeline: gst::Pipeline,
    bus: BusListener,
    inlet: Inlet,
    formats: Formats,
    began: Instant,
}

impl PushSession {
    /// Starts connecting.
    ///
    /// # Errors
    /// A message where an element is missing.
    pub(super) fn start(peer: &Peer, formats: Formats) -> Result<Self, String> {
        let pipeline = gst::Pipeline::new();
        let inlet = Inlet::new(&formats, true);
        build(&pipeline, &inlet, peer).map_err(|e| e.to_string())?;
        let bus = BusListener::attach(&pipeline);
        // Connecting waits for the peer: do it on a thread of the pipeline.
        pipeline.call_async(|pipeline| {
            let _ = pipeline.set_state(gst::State::Playing);
        });
        Ok(Self { pipeline, bus, inlet, formats, began: Instant::now() })
    }

    /// Whether its tracks are no longer those of the stream.
    pub(super) fn outdated(&self, now: &Formats) -> bool {
        self.formats.outdated(now)
    }

    /// Pushes a packet.
    ///
    /// # Errors
    /// A message where the session has failed, or the peer is too slow.
    pub(super) fn push(&self, packet: &Packet) -> Result<(), String> {
        if self.inlet.waiting_bytes() > MAX_QUEUED_BYTES {
            return Err("the peer reads too slowly, or not at all".to_owned());
        }
        self.inlet.push(packet).map_err(|e| self.error().unwrap_or_else(|| e.to_string()))
    }

    /// Whether the peer has accepted the session.
    ///
    /// # Errors
    /// A message where the session has failed or the connection timed out.
    pub(super) fn progress(&mut self) -> Result<bool, String> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        if self.pipeline.current_state() == gst::State::Playing {
            return Ok(true);
        }
        if self.began.elapsed() > CONNECT_TIMEOUT {
            return Err(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()));
        }
        Ok(false)
    }

    fn error(&self) -> Option<String> {
        // GStreamer's debug text may hold the whole address: keep only the text before it.
        self.bus.log().error.map(|fault| {
            let text = fault.text;
            text.split(" (").next().unwrap_or_default().to_owned()
        })
    }
}

impl Drop for PushSession {
    fn drop(&mut self) {
        // Closing waits for the peer, which may never answer.
        self.pipeline.call_async(|pipeline| {
            let _ = pipeline.set_state(gst::State::Null);
        });
    }
}

fn build(pipeline: &gst::Pipeline, inlet: &Inlet, peer: &Peer) -> Result<(), ElementError> {
    let sink = make("rtspclientsink")?;
    sink.set_property("location", peer.uri.as_str());
    sink.set_property_from_str("protocols", "tcp");
    sink.set_property("latency", 0_u32);
    if let Some(login) = &peer.login {
        sink.set_property("user-id", &login.user);
        sink.set_property("user-pw", login.password.expose_secret());
    }
    if peer.uri.scheme() == "rtsps" {
        tls::trust_rtsp(&sink, &peer.uri, peer.tls_ca_file.as_deref())?;
    }
    pipeline.add(&sink).map_err(|e| broken("rtspclientsink", e))?;
    // The element announces its tracks in reverse order. The video track must be the first one, as a
    // peer may identify tracks by their position.
    if let Some(audio) = inlet.audio() {
        let parse = make("aacparse")?;
        chain(pipeline, &[audio, &parse])?;
        track(&parse, &sink, "rtpmp4gpay")?;
    }
    let parse = make("h264parse")?;
    // A reader of the peer may connect at any time.
    parse.set_property("config-interval", -1_i32);
    chain(pipeline, &[inlet.frames(), &parse])?;
    track(&parse, &sink, "rtph264pay")
}

/// Adds a track from `parse` with the payloader `payloader`. By default the element would send audio as
/// LATM, which fewer peers read than the format of cameras.
fn track(parse: &gst::Element, sink: &gst::Element, payloader: &str) -> Result<(), ElementError> {
    let pad = sink.request_pad_simple("sink_%u");
    let pad = pad.ok_or_else(|| broken("rtspclientsink", "it accepts no further track"))?;
    pad.set_property("payloader", make(payloader)?);
    let from = parse.static_pad("src").ok_or_else(|| broken(&parse.name(), "it has no output"))?;
    from.link(&pad).map(drop).map_err(|e| broken("rtspclientsink", e))
}

#[cfg(test)]
mod tests;
