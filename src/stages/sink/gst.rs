//! The annotated film: frames encoded, the original audio beside them, into one file.
//!
//! Takes frames and stored audio packets in time order, each from its own thread; gives a file
//! at the path it was told. Writes under that path only: the caller passes a temporary name and
//! renames. Audio is kept as it was stored where the container allows it, else encoded anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::core::exit::Exit;
use crate::core::time::{Pts, Span};
use crate::gst::bus::BusListener;
use crate::gst::container::{Container, MuxerPads};
use crate::gst::elements::{ElementError, broken, chain, conversions, make};
use crate::gst::encoder::EncoderOptions;
use crate::gst::video_codec::VideoCodec;

/// Frames that may wait for the encoder.
const MAX_FRAMES: u64 = 3;
/// Bytes of stored audio that may wait for frames to catch up in the muxer.
const MAX_PACKET_BYTES: u64 = 64 << 20;
/// How often a waiting writer looks for room.
const ROOM_LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(2);
/// How often the end is looked for.
const POLL_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// How long a finished film may take to reach the disk without any progress.
const MAX_IDLE_POLLS: u32 = 600;

/// What went wrong while writing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FileSinkError {
    /// The pipeline cannot be built.
    #[error("{0}")]
    Element(#[from] ElementError),
    /// The disk is full.
    #[error("{}: no space left on the disk; free some, or write elsewhere with -o", path.display())]
    NoSpace {
        /// The file being written.
        path: PathBuf,
    },
    /// Encoding or writing failed.
    #[error("{}: writing the film failed: {reason}", path.display())]
    Failed {
        /// The file being written.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
}

impl FileSinkError {
    /// The exit code this error ends the program with.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Element(_) => Exit::Unavailable,
            Self::NoSpace { .. } | Self::Failed { .. } => Exit::InputOutput,
        }
    }
}

/// How a film is to be written.
#[derive(Clone, Debug)]
pub struct FileSinkPlan {
    /// Where the bytes go (a temporary name; the caller renames).
    pub path: PathBuf,
    /// The container.
    pub container: Container,
    /// The encoder's wishes.
    pub encoder: EncoderOptions,
    /// Caps of the raw frames.
    pub frames: gst::Caps,
    /// Caps of the stored audio.
    pub packets: Option<gst::Caps>,
}

/// A film being written. Dropping it without [`FileSink::finish`] abandons the file.
pub struct FileSink {
    pipeline: gst::Pipeline,
    bus: BusListener,
    path: PathBuf,
    frames: gst_app::AppSrc,
    packets: Option<gst_app::AppSrc>,
    audio_kept: bool,
    priming_packets: AtomicU64,
    /// When the last frame ends, in ns.
    frames_end_ns: AtomicU64,
    /// Audio from here on stays out, in ns.
    audio_end_ns: Arc<AtomicU64>,
}

impl FileSink {
    /// Builds and starts the writer.
    ///
    /// # Errors
    /// Where an element is missing or the file cannot be opened for writing.
    pub fn create(plan: FileSinkPlan) -> Result<Self, FileSinkError> {
        let pipeline = gst::Pipeline::with_name("film");
        let MuxerPads { muxer, frames: video_pad, audio: audio_pad } =
            plan.container.muxer_with_pads(plan.packets.is_some())?;
        let sink = make("filesink")?;
        sink.set_property("location", plan.path.to_string_lossy().as_ref());
        chain(&pipeline, &[&muxer, &sink])?;
        let frames = frame_branch(&pipeline, &plan, &video_pad)?;
        let audio_end_ns = Arc::new(AtomicU64::new(u64::MAX));
        if let Some(pad) = &audio_pad {
            drop_from(pad, Arc::clone(&audio_end_ns));
        }
        let mut audio_kept = false;
        let packets = match (&plan.packets, &audio_pad) {
            (Some(caps), Some(pad)) => {
                audio_kept = plan.container.accepts_audio(caps);
                Some(audio_branch(&pipeline, plan.container, caps, audio_kept, pad)?)
            }
            _ => None,
        };
        let bus = BusListener::attach(&pipeline);
        let file_sink = Self {
            pipeline,
            bus,
            path: plan.path,
            frames,
            packets,
            audio_kept,
            priming_packets: AtomicU64::new(0),
            frames_end_ns: AtomicU64::new(0),
            audio_end_ns,
        };
        match file_sink.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(file_sink),
            Err(e) => Err(file_sink.error(&e.to_string())),
        }
    }

    /// Elements before the encoder that touch every pixel of every frame; known once one was
    /// pushed.
    pub fn conversions(&self) -> usize {
        conversions(&self.pipeline)
    }

    /// Whether the audio goes into the file as it was stored.
    pub const fn audio_kept(&self) -> bool {
        self.audio_kept
    }

    /// Hands over one frame; waits while the encoder is behind.
    ///
    /// # Errors
    /// Where the writer has failed.
    pub fn push_frame(
        &self,
        mut buffer: gst::Buffer,
        pts: Pts,
        span: Option<Span>,
    ) -> Result<(), FileSinkError> {
        let meta = buffer.make_mut();
        meta.set_pts(clock_time(pts.ns()));
        meta.set_dts(gst::ClockTime::NONE);
        meta.set_duration(span.and_then(|s| clock_time(s.ns())));
        let end_ns = pts + span.unwrap_or_default();
        self.frames_end_ns.store(u64::try_from(end_ns.ns()).unwrap_or(0), Ordering::Relaxed);
        self.wait_for_room(|| self.frames.current_level_buffers() < MAX_FRAMES)?;
        self.frames.push_buffer(buffer).map(drop).map_err(|e| self.error(&e.to_string()))
    }

    /// Waits for room in a queue. A queue that is full when the pipeline fails stays full for good,
    /// so a failure ends the wait.
    fn wait_for_room(&self, room: impl Fn() -> bool) -> Result<(), FileSinkError> {
        while !room() {
            if self.bus.failed() {
                return Err(self.error("an element failed"));
            }
            std::thread::sleep(ROOM_LOOK_EVERY);
        }
        Ok(())
    }

    /// Hands over one stored audio packet; waits while the muxer is far behind.
    ///
    /// # Errors
    /// Where the writer has failed.
    pub fn push_packet(&self, sample: &gst::Sample) -> Result<(), FileSinkError> {
        let Some(source) = &self.packets else {
            return Ok(());
        };
        let Some(mut buffer) = sample.buffer_owned() else {
            return Ok(());
        };
        let running = |t: Option<gst::ClockTime>| {
            let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
            segment.to_running_time_full(t?)
        };
        // Priming lies before zero; containers that could say so are rarer than players that
        // would get it wrong, so it is left out. What follows keeps its exact time.
        let Some(gst::Signed::Positive(pts)) = running(buffer.pts()) else {
            self.priming_packets.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let dts = running(buffer.dts()).and_then(gst::Signed::positive);
        let meta = buffer.make_mut();
        meta.set_pts(pts);
        meta.set_dts(dts);
        self.wait_for_room(|| source.current_level_bytes() < MAX_PACKET_BYTES)?;
        source.push_buffer(buffer).map(drop).map_err(|e| self.error(&e.to_string()))
    }

    /// Says that no more frames come.
    pub fn end_frames(&self) {
        let _ = self.frames.end_of_stream();
    }

    /// Says that no more audio comes.
    pub fn end_packets(&self) {
        if let Some(source) = &self.packets {
            let _ = source.end_of_stream();
        }
    }

    /// Lets the audio end with the last frame. It runs ahead of the frames, so that a film which
    /// is stopped early would go on as audio alone.
    pub fn trim_audio_to_frames(&self) {
        let end_ns = self.frames_end_ns.load(Ordering::Relaxed);
        self.audio_end_ns.store(end_ns, Ordering::Relaxed);
    }

    /// Ends the film and waits until the file is whole on disk.
    ///
    /// # Errors
    /// Where encoding or writing failed, or the end does not come.
    pub fn finish(self) -> Result<(), FileSinkError> {
        let _ = self.frames.end_of_stream();
        self.end_packets();
        let bus = self.pipeline.bus().ok_or_else(|| self.error("the pipeline lost its bus"))?;
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        let written = || std::fs::metadata(&self.path).map_or(0, |m| m.len());
        let (mut bytes, mut idle_polls) = (written(), 0);
        while idle_polls < MAX_IDLE_POLLS {
            idle_polls += 1;
            let now = written();
            if now != bytes {
                (bytes, idle_polls) = (now, 0);
            }
            match bus.timed_pop_filtered(POLL_INTERVAL, &ends) {
                Some(m) if m.type_() == gst::MessageType::Eos => return Ok(()),
                Some(_) => return Err(self.error("an element failed")),
                None if self.bus.failed() => return Err(self.error("an element failed")),
                None => {}
            }
        }
        Err(self.error("the film did not grow for a minute and did not end"))
    }

    fn error(&self, fallback: &str) -> FileSinkError {
        error(&self.bus, &self.path, fallback)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn error(bus: &BusListener, path: &Path, fallback: &str) -> FileSinkError {
    let path = path.to_owned();
    match bus.log().error {
        Some(fault) if fault.no_space => FileSinkError::NoSpace { path },
        Some(fault) => FileSinkError::Failed { path, reason: fault.to_string() },
        None => FileSinkError::Failed { path, reason: fallback.to_owned() },
    }
}

fn clock_time(ns: i64) -> Option<gst::ClockTime> {
    u64::try_from(ns).ok().map(gst::ClockTime::from_nseconds)
}

fn frame_branch(
    pipeline: &gst::Pipeline,
    plan: &FileSinkPlan,
    muxer_pad: &gst::Pad,
) -> Result<gst_app::AppSrc, ElementError> {
    let source = gst_app::AppSrc::builder()
        .name("frames")
        .caps(&plan.frames)
        .format(gst::Format::Time)
        .max_buffers(0)
        .max_bytes(0)
        .build();
    let codec = plan.container.video_codec();
    let encoder = codec.make(&plan.encoder)?;
    let queue = make("queue")?;
    let from: &gst::Element = source.upcast_ref();
    let odd_size_converters = odd_size_converters(codec, &plan.frames)?;
    let mut elements = vec![from];
    elements.extend(&odd_size_converters);
    elements.push(&encoder);
    let parse = match codec {
        VideoCodec::H264 => Some(make("h264parse")?),
        VideoCodec::Vp9 => None,
    };
    elements.extend(&parse);
    elements.push(&queue);
    chain(pipeline, &elements)?;
    link_to_muxer(&queue, muxer_pad)?;
    Ok(source)
}

/// H.264 holds an odd size as 4:4:4 only: halved chroma has no half pixels. What turns frames into
/// that, where it is needed.
fn odd_size_converters(
    codec: VideoCodec,
    frames: &gst::Caps,
) -> Result<Vec<gst::Element>, ElementError> {
    let odd = |s: &gst::StructureRef, key| s.get::<i32>(key).is_ok_and(|n| n % 2 != 0);
    let odd = frames.structure(0).is_some_and(|s| odd(s, "width") || odd(s, "height"));
    if codec != VideoCodec::H264 || !odd {
        return Ok(Vec::new());
    }
    tracing::warn!(
        "the frame's size is odd, so the film is H.264 4:4:4, which some players cannot show; \
         a .webm has no such limit"
    );
    let (convert, caps_filter) = (make("videoconvert")?, make("capsfilter")?);
    let caps = gst::Caps::builder("video/x-raw").field("format", "Y444").build();
    caps_filter.set_property("caps", caps);
    Ok(vec![convert, caps_filter])
}

fn audio_branch(
    pipeline: &gst::Pipeline,
    container: Container,
    caps: &gst::Caps,
    copied: bool,
    muxer_pad: &gst::Pad,
) -> Result<gst_app::AppSrc, ElementError> {
    let source = gst_app::AppSrc::builder()
        .name("packets")
        .caps(caps)
        .format(gst::Format::Time)
        .max_bytes(0)
        .build();
    let from: &gst::Element = source.upcast_ref();
    let queue = make("queue")?;
    if copied {
        chain(pipeline, &[from, &queue])?;
        link_to_muxer(&queue, muxer_pad)?;
        return Ok(source);
    }
    let decode = make("decodebin")?;
    let (convert, resample) = (make("audioconvert")?, make("audioresample")?);
    let encoder = container.audio_encoder()?;
    chain(pipeline, &[from, &decode])?;
    chain(pipeline, &[&convert, &resample, &encoder, &queue])?;
    link_to_muxer(&queue, muxer_pad)?;
    let converter = convert.downgrade();
    decode.connect_pad_added(move |_, pad| {
        let Some(sink) = converter.upgrade().and_then(|n| n.static_pad("sink")) else {
            return;
        };
        if let Err(e) = pad.link(&sink) {
            tracing::debug!("decoded audio not taken: {e}");
        }
    });
    Ok(source)
}

/// Keeps buffers that begin at `end_ns` or later from the muxer's pad.
fn drop_from(pad: &gst::Pad, end_ns: Arc<AtomicU64>) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().and_then(|b| b.pts());
        match pts {
            Some(t) if t.nseconds() >= end_ns.load(Ordering::Relaxed) => gst::PadProbeReturn::Drop,
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

/// The link into the muxer, guarded: a buffer without a time makes muxers stop for good.
fn link_to_muxer(element: &gst::Element, muxer_pad: &gst::Pad) -> Result<(), ElementError> {
    let pad = element
        .static_pad("src")
        .ok_or_else(|| broken(&element.name(), "it has no pad called src"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| match info.buffer() {
        Some(buffer) if buffer.pts().is_none() => {
            tracing::warn!(pad = %pad.name(), "a buffer without a time was kept from the muxer");
            gst::PadProbeReturn::Drop
        }
        _ => gst::PadProbeReturn::Ok,
    });
    pad.link(muxer_pad).map(drop).map_err(|e| broken(&element.name(), e))
}
