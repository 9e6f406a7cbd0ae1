//! A playlist with its segments by `hlssink2`, which writes files on its own threads: a disk that does
//! not answer does not block the sink.

use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::gst::bus::BusListener;
use crate::gst::elements::{ElementError, broken, chain, make};
use crate::gst::packet::Packet;
use crate::stages::sink::live::gst::{Inlet, guard};
use crate::stages::sink::live::preroll::Formats;

/// Queued bytes above this mean that the disk is too slow.
const MAX_QUEUED_BYTES: u64 = 8 << 20;
/// How long closing the last segment may take.
const CLOSE_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(3);

/// A playlist being written.
pub(super) struct Playlist {
    pipeline: gst::Pipeline,
    bus: BusListener,
    inlet: Inlet,
    formats: Formats,
}

impl Playlist {
    /// Starts a playlist with the tracks of `formats`; `segments` is the pattern of the segments' names.
    ///
    /// # Errors
    /// A message where an element is missing, or the folder cannot be written to.
    pub(super) fn start(
        playlist: &Path,
        segments: &Path,
        segment: Duration,
        keep: u32,
        formats: Formats,
    ) -> Result<Self, String> {
        let pipeline = gst::Pipeline::new();
        let inlet = Inlet::new(&formats, false);
        let sink = make("hlssink2").map_err(|e| e.to_string())?;
        sink.set_property("location", segments.to_string_lossy().as_ref());
        sink.set_property("playlist-location", playlist.to_string_lossy().as_ref());
        let seconds = segment.as_secs_f64().round().clamp(1.0, 3600.0) as u32;
        sink.set_property("target-duration", seconds);
        sink.set_property("playlist-length", keep);
        // A player may still read a segment that has just left the playlist.
        sink.set_property("max-files", keep.saturating_add(2));
        sink.set_property("send-keyframe-requests", false);
        build(&pipeline, &inlet, &sink).map_err(|e| e.to_string())?;
        let bus = BusListener::attach(&pipeline);
        pipeline.set_state(gst::State::Playing).map_err(|e| e.to_string())?;
        Ok(Self { pipeline, bus, inlet, formats })
    }

    /// Whether its tracks are no longer those of the stream.
    pub(super) fn outdated(&self, now: &Formats) -> bool {
        self.formats.outdated(now)
    }

    /// Pushes a packet.
    ///
    /// # Errors
    /// A message where the pipeline has failed, or the disk is too slow.
    pub(super) fn push(&self, packet: &Packet) -> Result<(), String> {
        if let Some(fault) = self.bus.log().error {
            return Err(fault.text);
        }
        if self.inlet.waiting_bytes() > MAX_QUEUED_BYTES {
            return Err("the disk is too slow, or does not answer".to_owned());
        }
        self.inlet.push(packet).map_err(|e| e.to_string())
    }

    /// Closes the last segment; waits at most [`CLOSE_TIMEOUT`] for the disk.
    pub(super) fn finish(self) {
        self.inlet.end();
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        let _ = self.pipeline.bus().map(|b| b.timed_pop_filtered(CLOSE_TIMEOUT, &wanted));
    }
}

impl Drop for Playlist {
    fn drop(&mut self) {
        // Closing waits for the disk, which may never answer.
        self.pipeline.call_async(|pipeline| {
            let _ = pipeline.set_state(gst::State::Null);
        });
    }
}

fn build(pipeline: &gst::Pipeline, inlet: &Inlet, sink: &gst::Element) -> Result<(), ElementError> {
    pipeline.add(sink).map_err(|e| broken("hlssink2", e))?;
    let parse = make("h264parse")?;
    chain(pipeline, &[inlet.frames(), &parse])?;
    guard(&parse)?;
    parse.link_pads(Some("src"), sink, Some("video")).map_err(|e| broken("hlssink2", e))?;
    if let Some(audio) = inlet.audio() {
        let parse = make("aacparse")?;
        chain(pipeline, &[audio, &parse])?;
        guard(&parse)?;
        parse.link_pads(Some("src"), sink, Some("audio")).map_err(|e| broken("hlssink2", e))?;
    }
    Ok(())
}
