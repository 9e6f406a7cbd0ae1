//! Muxes packets into the bytes of one file; the caller writes them.
//!
//! Takes packets; gives bytes in order. There are two fragments per second, so that a partial file plays
//! up to its last complete fragment. Bytes are never rewritten.

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::super::preroll::Formats;
use super::inlet::{Inlet, InletError, guard};
use crate::gst::bus::BusListener;
use crate::gst::elements::{ElementError, broken, chain, make};
use crate::gst::packet::Packet;

/// Length of a fragment: the maximum loss by a kill.
const FRAGMENT_MS: u32 = 500;

/// Why muxing failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MuxError {
    /// An element is missing or cannot be linked.
    #[error("{0}")]
    Element(#[from] ElementError),
    /// The muxer has failed.
    #[error("the muxer failed: {0}")]
    Failed(String),
}

/// The container format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// Fragmented mp4.
    Mp4,
    /// Matroska.
    Mkv,
}

impl Wrap {
    fn muxer(self) -> Result<gst::Element, ElementError> {
        let muxer = make(match self {
            Self::Mp4 => "mp4mux",
            Self::Mkv => "matroskamux",
        })?;
        muxer.set_property("streamable", true);
        if self == Self::Mp4 {
            muxer.set_property("fragment-duration", FRAGMENT_MS);
        }
        Ok(muxer)
    }
}

/// A file being muxed. Dropping it without [`Muxing::finish`] loses the last fragment.
pub(crate) struct Muxing {
    pipeline: gst::Pipeline,
    bus: BusListener,
    inlet: Inlet,
    out: gst_app::AppSink,
}

impl Muxing {
    /// Starts a file with the tracks of `formats`.
    ///
    /// # Errors
    /// Where an element is missing.
    pub(crate) fn start(formats: &Formats, wrap: Wrap) -> Result<Self, MuxError> {
        let pipeline = gst::Pipeline::new();
        let inlet = Inlet::new(formats, false);
        let (muxer, parse) = (wrap.muxer()?, make("h264parse")?);
        let out = gst_app::AppSink::builder().sync(false).build();
        chain(&pipeline, &[&muxer, out.upcast_ref()])?;
        chain(&pipeline, &[inlet.frames(), &parse])?;
        guard(&parse)?;
        link(&parse, &muxer, "video_%u")?;
        if let Some(audio) = inlet.audio() {
            let parse = make("aacparse")?;
            chain(&pipeline, &[audio, &parse])?;
            guard(&parse)?;
            link(&parse, &muxer, "audio_%u")?;
        }
        let bus = BusListener::attach(&pipeline);
        pipeline.set_state(gst::State::Playing).map_err(|e| MuxError::Failed(e.to_string()))?;
        Ok(Self { pipeline, bus, inlet, out })
    }

    /// Pushes a packet.
    ///
    /// # Errors
    /// Where the muxer has failed.
    pub(crate) fn push(&self, packet: &Packet) -> Result<(), MuxError> {
        if self.bus.failed() {
            return Err(self.failed());
        }
        self.inlet.push(packet).map_err(|InletError| self.failed())
    }

    /// Bytes that are ready to be written; does not wait.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let sample = self.out.try_pull_sample(gst::ClockTime::ZERO)?;
        Some(sample.buffer()?.map_readable().ok()?.to_vec())
    }

    /// Ends the file; `write` gets the remaining bytes.
    ///
    /// # Errors
    /// Where the muxer has failed, or does not end within ten seconds.
    pub(crate) fn finish<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E>
    where
        E: From<MuxError>,
    {
        self.inlet.end();
        let began = Instant::now();
        loop {
            let sample = self.out.try_pull_sample(gst::ClockTime::from_mseconds(100));
            let buffer = sample.as_ref().and_then(|s| s.buffer()?.map_readable().ok());
            if let Some(bytes) = buffer {
                write(&bytes)?;
            } else if self.out.is_eos() {
                return Ok(());
            } else if self.bus.failed() || began.elapsed() > Duration::from_secs(10) {
                return Err(self.failed().into());
            }
        }
    }

    fn failed(&self) -> MuxError {
        let why = self.bus.log().error.map(|fault| fault.to_string());
        MuxError::Failed(why.unwrap_or_else(|| "it accepts no more packets".to_owned()))
    }
}

impl Drop for Muxing {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn link(element: &gst::Element, muxer: &gst::Element, pad: &str) -> Result<(), ElementError> {
    let into = muxer.request_pad_simple(pad);
    let (from, into) = element.static_pad("src").zip(into).ok_or_else(|| broken(pad, "no pad"))?;
    from.link(&into).map(drop).map_err(|e| broken(&muxer.name(), e))
}
