//! One RECORD session by `rtspclientsink`, which is opened, and closed, on threads of its own: a peer
//! that does not answer holds up nothing.

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

/// The peer must take it within this.
const OPENS_WITHIN: Duration = Duration::from_secs(15);
/// More that waits means that the peer reads too slowly.
const WAITING_BYTES: u64 = 8 << 20;

/// A session, or the attempt at one.
pub(super) struct Sending {
    pipeline: gst::Pipeline,
    bus: BusListener,
    inlet: Inlet,
    formats: Formats,
    began: Instant,
}

impl Sending {
    /// Begins to connect.
    ///
    /// # Errors
    /// In words: where an element is missing.
    pub(super) fn start(peer: &Peer, formats: Formats) -> Result<Self, String> {
        let pipeline = gst::Pipeline::new();
        let inlet = Inlet::new(&formats, true);
        build(&pipeline, &inlet, peer).map_err(|e| e.to_string())?;
        let bus = BusListener::attach(&pipeline);
        // The peer is asked from a thread of the pipeline's own.
        pipeline.call_async(|pipeline| {
            let _ = pipeline.set_state(gst::State::Playing);
        });
        Ok(Self { pipeline, bus, inlet, formats, began: Instant::now() })
    }

    /// Whether its tracks are no longer those of the stream.
    pub(super) fn outdated(&self, now: &Formats) -> bool {
        self.formats.outdated(now)
    }

    /// Hands over a packet.
    ///
    /// # Errors
    /// In words: where the session has failed, or the peer is too slow.
    pub(super) fn push(&self, packet: &Packet) -> Result<(), String> {
        if self.inlet.waiting_bytes() > WAITING_BYTES {
            return Err("the peer reads too slowly, or not at all".to_owned());
        }
        self.inlet.push(packet).map_err(|e| self.why().unwrap_or_else(|| e.to_string()))
    }

    /// Whether the peer takes it by now.
    ///
    /// # Errors
    /// In words: where it does not, and will not.
    pub(super) fn progress(&mut self) -> Result<bool, String> {
        if let Some(why) = self.why() {
            return Err(why);
        }
        if self.pipeline.current_state() == gst::State::Playing {
            return Ok(true);
        }
        if self.began.elapsed() > OPENS_WITHIN {
            return Err(format!("no answer within {} s", OPENS_WITHIN.as_secs()));
        }
        Ok(false)
    }

    fn why(&self) -> Option<String> {
        // The library's debug text may hold the whole address: only its first words are told.
        self.bus.log().error.map(|fault| {
            let text = fault.text;
            text.split(" (").next().unwrap_or_default().to_owned()
        })
    }
}

impl Drop for Sending {
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
    // The element announces its tracks in reverse: frames have to be first, as everywhere else,
    // since a peer may know them by their place.
    if let Some(audio) = inlet.audio() {
        let parse = make("aacparse")?;
        chain(pipeline, &[audio, &parse])?;
        track(&parse, &sink, "rtpmp4gpay")?;
    }
    let parse = make("h264parse")?;
    // A reader of the peer's may come at any time.
    parse.set_property("config-interval", -1_i32);
    chain(pipeline, &[inlet.frames(), &parse])?;
    track(&parse, &sink, "rtph264pay")
}

/// Sends what comes from `parse`, packed by `pack`. By itself the element would pack audio as LATM,
/// which fewer peers read than the form that cameras use.
fn track(parse: &gst::Element, sink: &gst::Element, pack: &str) -> Result<(), ElementError> {
    let pad = sink.request_pad_simple("sink_%u");
    let pad = pad.ok_or_else(|| broken("rtspclientsink", "it takes no further track"))?;
    pad.set_property("payloader", make(pack)?);
    let from = parse.static_pad("src").ok_or_else(|| broken(&parse.name(), "it gives nothing"))?;
    from.link(&pad).map(drop).map_err(|e| broken("rtspclientsink", e))
}

#[cfg(test)]
mod tests;
