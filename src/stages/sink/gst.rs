//! The annotated output file: encoded frames and the original audio.
//!
//! Takes frames and stored audio packets in time order, each from its own thread, and writes one
//! file. Writes under the path of its plan only: the caller passes a temporary name and renames.
//! Audio is copied where the container allows it, else encoded again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::core::exit::Exit;
use crate::core::signal::Signal;
use crate::core::time::{Pts, Span};
use crate::gst::bus::BusListener;
use crate::gst::container::{Container, MuxerPads};
use crate::gst::elements::{ElementError, broken, chain, conversions, make};
use crate::gst::encoder::EncoderOptions;
use crate::gst::video_codec::VideoCodec;

/// Frames that may wait for the encoder.
const MAX_FRAMES: u64 = 3;
/// Bytes of stored audio that may wait in the muxer for frames to catch up.
const MAX_PACKET_BYTES: u64 = 64 << 20;
/// Longest wait for a signal before a blocked writer checks again.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often [`FileSink::finish`] checks the file's size.
const POLL_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(100);
/// Polls without progress after which a finished file counts as stuck: one minute.
const MAX_IDLE_POLLS: u32 = 600;

/// A film that begins earlier than its recording by less than this begins with it, in ns.
const MIN_LATE_START_NS: u64 = 1_000_000;
/// Ticks a second of an MP4 track with frames: exact for 24, 25, 30, 50 and 60 fps, and 39 hours
/// in 32 bits.
const MP4_TIMESCALE: u32 = 30_000;

/// Why the output file cannot be written.
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
    #[error("{}: writing the output failed: {reason}", path.display())]
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

/// How to write an output file.
#[derive(Clone, Debug)]
pub struct FileSinkPlan {
    /// Where the bytes go (a temporary name; the caller renames).
    pub path: PathBuf,
    /// The container.
    pub container: Container,
    /// How to encode the frames.
    pub encoder: EncoderOptions,
    /// Caps of the raw frames.
    pub frames: gst::Caps,
    /// Caps of the stored audio.
    pub packets: Option<gst::Caps>,
}

/// An output file being written. Dropping it without [`FileSink::finish`] abandons the file.
pub struct FileSink {
    pipeline: gst::Pipeline,
    bus: BusListener,
    path: PathBuf,
    frames: gst_app::AppSrc,
    packets: Option<gst_app::AppSrc>,
    audio_kept: bool,
    /// Notified when an appsrc hands on a buffer and when the pipeline posts a message.
    changed: Signal,
    /// When the last frame ends, in ns.
    frames_end_ns: AtomicU64,
    /// Audio from here on is dropped, in ns.
    audio_end_ns: Arc<AtomicU64>,
    /// When the first frame or audio packet begins, in ns.
    first_ns: AtomicU64,
    container: Container,
}

impl FileSink {
    /// Builds and starts the writer.
    ///
    /// # Errors
    /// If an element is missing or the file cannot be opened for writing.
    pub fn create(plan: FileSinkPlan) -> Result<Self, FileSinkError> {
        let pipeline = gst::Pipeline::with_name("output");
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
        let changed = Signal::default();
        for source in std::iter::once(&frames).chain(&packets) {
            notify_on_output(source, changed.clone());
        }
        let posted = changed.clone();
        let bus = BusListener::attach_with(&pipeline, move || posted.notify());
        let file_sink = Self {
            pipeline,
            bus,
            path: plan.path,
            frames,
            packets,
            audio_kept,
            changed,
            frames_end_ns: AtomicU64::new(0),
            audio_end_ns,
            first_ns: AtomicU64::new(u64::MAX),
            container: plan.container,
        };
        match file_sink.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(file_sink),
            Err(e) => Err(file_sink.error(&e.to_string())),
        }
    }

    /// Elements before the encoder that touch every pixel of every frame; known after the first
    /// frame.
    pub fn conversions(&self) -> usize {
        conversions(&self.pipeline)
    }

    /// Whether the audio is copied into the file unchanged.
    pub const fn audio_kept(&self) -> bool {
        self.audio_kept
    }

    /// Writes one frame; blocks while the encoder is behind.
    ///
    /// # Errors
    /// If the pipeline has failed.
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
        self.first_ns.fetch_min(u64::try_from(pts.ns()).unwrap_or(0), Ordering::Relaxed);
        let end_ns = pts + span.unwrap_or_default();
        self.frames_end_ns.store(u64::try_from(end_ns.ns()).unwrap_or(0), Ordering::Relaxed);
        self.wait_for_room(|| self.frames.current_level_buffers() < MAX_FRAMES)?;
        self.frames.push_buffer(buffer).map(drop).map_err(|e| self.error(&e.to_string()))
    }

    /// Blocks until a queue has room. A queue that is full when the pipeline fails stays full, so a
    /// failure ends the wait.
    fn wait_for_room(&self, has_room: impl Fn() -> bool) -> Result<(), FileSinkError> {
        loop {
            let seen = self.changed.seen();
            if has_room() {
                return Ok(());
            }
            if self.bus.failed() {
                return Err(self.error("an element failed"));
            }
            self.changed.wait(seen, WAIT_TIMEOUT);
        }
    }

    /// Writes one stored audio packet; blocks while the muxer is far behind.
    ///
    /// # Errors
    /// If the pipeline has failed.
    pub fn push_packet(&self, sample: &gst::Sample) -> Result<(), FileSinkError> {
        let Some(source) = &self.packets else {
            return Ok(());
        };
        let Some(mut buffer) = sample.buffer_owned() else {
            return Ok(());
        };
        let running_time = |t: Option<gst::ClockTime>| {
            let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
            segment.to_running_time_full(t?)
        };
        // Encoder priming has negative times. Few containers can express that and many players
        // handle it wrongly, so it is dropped. The rest keeps its exact time.
        let Some(gst::Signed::Positive(pts)) = running_time(buffer.pts()) else {
            return Ok(());
        };
        self.first_ns.fetch_min(pts.nseconds(), Ordering::Relaxed);
        let dts = running_time(buffer.dts()).and_then(gst::Signed::positive);
        let meta = buffer.make_mut();
        meta.set_pts(pts);
        meta.set_dts(dts);
        self.wait_for_room(|| source.current_level_bytes() < MAX_PACKET_BYTES)?;
        source.push_buffer(buffer).map(drop).map_err(|e| self.error(&e.to_string()))
    }

    /// Ends the video stream.
    pub fn end_frames(&self) {
        let _ = self.frames.end_of_stream();
    }

    /// Ends the audio stream.
    pub fn end_packets(&self) {
        if let Some(source) = &self.packets {
            let _ = source.end_of_stream();
        }
    }

    /// Cuts the audio at the end of the last frame. Audio runs ahead of the frames, so a file that
    /// is stopped early would otherwise end with audio alone.
    pub fn trim_audio_to_frames(&self) {
        let end_ns = self.frames_end_ns.load(Ordering::Relaxed);
        self.audio_end_ns.store(end_ns, Ordering::Relaxed);
    }

    /// Ends both streams and waits until the file is complete.
    ///
    /// # Errors
    /// If encoding or writing fails, or the file stops growing without an end.
    pub fn finish(self) -> Result<(), FileSinkError> {
        self.report_late_start();
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
        Err(self.error("the output did not grow for a minute and did not end"))
    }

    /// Says so where all of the film is earlier than the recording: qtmux takes the first time for
    /// zero.
    fn report_late_start(&self) {
        let first_ns = self.first_ns.load(Ordering::Relaxed);
        if self.container.keeps_late_start() || first_ns < MIN_LATE_START_NS || first_ns == u64::MAX
        {
            return;
        }
        tracing::warn!(
            "the recording begins at {:.3} s and the film at 0; a .mkv keeps such a start",
            first_ns as f64 / 1e9
        );
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
        Some(message) if message.no_space => FileSinkError::NoSpace { path },
        Some(message) => FileSinkError::Failed { path, reason: message.to_string() },
        None => FileSinkError::Failed { path, reason: fallback.to_owned() },
    }
}

/// Notifies `changed` on every buffer that leaves `source`.
fn notify_on_output(source: &gst_app::AppSrc, changed: Signal) {
    let Some(pad) = source.static_pad("src") else { return };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        changed.notify();
        gst::PadProbeReturn::Ok
    });
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
    let converters = odd_size_converters(codec, &plan.frames)?;
    let mut elements: Vec<&gst::Element> = vec![source.upcast_ref()];
    elements.extend(&converters);
    elements.push(&encoder);
    let parse = match codec {
        VideoCodec::H264 => Some(make("h264parse")?),
        VideoCodec::Vp9 => None,
    };
    elements.extend(&parse);
    elements.push(&queue);
    chain(pipeline, &elements)?;
    link_to_muxer(&queue, muxer_pad)?;
    set_timescale(muxer_pad, &plan.frames);
    Ok(source)
}

/// Left alone, qtmux derives a track's timescale from the stated rate, which may be an average over
/// frames far apart: times would be rounded to milliseconds or worse. That of NTSC's rates is exact.
fn set_timescale(muxer_pad: &gst::Pad, frames: &gst::Caps) {
    let rate = frames.structure(0).and_then(|s| s.get::<gst::Fraction>("framerate").ok());
    let is_ntsc = rate.is_some_and(|rate| rate.denom() == 1_001);
    if !is_ntsc && muxer_pad.has_property("trak-timescale") {
        muxer_pad.set_property("trak-timescale", MP4_TIMESCALE);
    }
}

/// Converters to 4:4:4 for H.264 frames of an odd size: halved chroma cannot hold half a pixel.
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
        "the frame's size is odd, so the output is H.264 4:4:4, which some players cannot show; \
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
    let queue = make("queue")?;
    if copied {
        chain(pipeline, &[source.upcast_ref(), &queue])?;
        link_to_muxer(&queue, muxer_pad)?;
        return Ok(source);
    }
    let decode = make("decodebin")?;
    let (convert, resample) = (make("audioconvert")?, make("audioresample")?);
    let encoder = container.audio_encoder()?;
    chain(pipeline, &[source.upcast_ref(), &decode])?;
    chain(pipeline, &[&convert, &resample, &encoder, &queue])?;
    link_to_muxer(&queue, muxer_pad)?;
    let converter = convert.downgrade();
    decode.connect_pad_added(move |_, pad| {
        let Some(sink) = converter.upgrade().and_then(|n| n.static_pad("sink")) else {
            return;
        };
        if let Err(e) = pad.link(&sink) {
            tracing::debug!("decoded audio cannot be linked: {e}");
        }
    });
    Ok(source)
}

/// Drops buffers that begin at `end_ns` or later before the muxer's pad.
fn drop_from(pad: &gst::Pad, end_ns: Arc<AtomicU64>) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().and_then(|b| b.pts());
        match pts {
            Some(t) if t.nseconds() >= end_ns.load(Ordering::Relaxed) => gst::PadProbeReturn::Drop,
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

/// Links to the muxer; drops buffers without a timestamp, which stall muxers for good.
fn link_to_muxer(element: &gst::Element, muxer_pad: &gst::Pad) -> Result<(), ElementError> {
    let pad = element
        .static_pad("src")
        .ok_or_else(|| broken(&element.name(), "it has no pad called src"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| match info.buffer() {
        Some(buffer) if buffer.pts().is_none() => {
            tracing::warn!(pad = %pad.name(), "dropped a buffer without a timestamp");
            gst::PadProbeReturn::Drop
        }
        _ => gst::PadProbeReturn::Ok,
    });
    pad.link(muxer_pad).map(drop).map_err(|e| broken(&element.name(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (320, 240);

    fn file_sink(path: &Path) -> FileSink {
        crate::gst::start().expect("GStreamer");
        let format = gstreamer_video::VideoFormat::I420;
        let info = gstreamer_video::VideoInfo::builder(format, SIZE.0, SIZE.1);
        let info = info.fps(gst::Fraction::new(25, 1)).build().expect("a format");
        FileSink::create(FileSinkPlan {
            path: path.to_owned(),
            container: Container::Mkv,
            encoder: EncoderOptions { element: None, crf: 0, preset: "ultrafast".to_owned() },
            frames: info.to_caps().expect("caps"),
            packets: None,
        })
        .expect("a pipeline")
    }

    fn push(file_sink: &FileSink, n: i64) -> Result<(), FileSinkError> {
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761).rotate_left(7) >> 16) as u8;
        let bytes: Vec<u8> = (0..SIZE.0 * SIZE.1 * 3 / 2).map(noise).collect();
        let (pts, span) = (Pts::from_ns(n * 40_000_000), Span::from_ms(40));
        file_sink.push_frame(gst::Buffer::from_mut_slice(bytes), pts, Some(span))
    }

    #[test]
    fn every_frame_passes_a_full_queue() {
        let dir = tempfile::tempdir().expect("temp");
        let path = dir.path().join("a.mkv");
        let file_sink = file_sink(&path);
        (0..100).try_for_each(|n| push(&file_sink, n)).expect("the encoder takes them");
        file_sink.finish().expect("the file ends");
        assert!(std::fs::metadata(path).expect("there").len() > 100_000);
    }

    #[test]
    fn a_full_disk_ends_the_wait_for_room() {
        let file_sink = file_sink(Path::new("/dev/full"));
        let error = (0..2_000).find_map(|n| push(&file_sink, n).err()).expect("a full device");
        assert!(matches!(error, FileSinkError::NoSpace { .. }), "{error}");
    }
}
