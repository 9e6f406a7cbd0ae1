//! A recording in GStreamer: checks the file, prerolls it, and gives its readers.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::{AudioBlock, AudioShape, RawFrame, SourceError, SourceShape, VideoShape};
use crate::core::time::{Rate, Span};
use crate::gst::bus::BusListener;
use crate::gst::decode_graph::{DecodeGraph, StreamInfo, build};
use crate::gst::elements::conversions;
use crate::gst::image::GstImage;
use crate::gst::running_time;

/// Timeout for a file's first frame.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a waiting reader checks whether the pipeline has failed.
const POLL_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// An opened recording. Dropping it stops the pipeline.
pub struct Recording {
    graph: DecodeGraph,
    bus: BusListener,
    shape: SourceShape,
}

impl Recording {
    /// Opens the file at `path` and waits for its first frame.
    ///
    /// # Errors
    /// A [`SourceError`] that names the file and the remedy.
    pub fn open(path: &Path, audio_track: u32) -> Result<Self, SourceError> {
        check_file(path)?;
        crate::gst::start().map_err(|e| SourceError::Library(e.to_string()))?;
        // GStreamer accepts file names in UTF-8 only.
        let location = path.to_str().ok_or_else(|| SourceError::Unreadable {
            path: path.to_owned(),
            reason: "its name is not UTF-8".into(),
        })?;
        let graph =
            build(location, audio_track).map_err(|e| SourceError::Library(e.to_string()))?;
        let bus = BusListener::attach(&graph.pipeline);
        let opened = preroll(path, &graph, &bus, audio_track);
        match opened {
            Ok(shape) => Ok(Self { graph, bus, shape }),
            Err(e) => {
                // GStreamer warns when a running pipeline is dropped.
                let _ = graph.pipeline.set_state(gst::State::Null);
                Err(e)
            }
        }
    }

    /// The format of the file's streams.
    pub const fn shape(&self) -> &SourceShape {
        &self.shape
    }

    /// The caps of the decoded frames, for the encoder.
    pub fn frame_caps(&self) -> Option<gst::Caps> {
        self.graph.app_sinks.frames.static_pad("sink").and_then(|p| p.current_caps())
    }

    /// The caps of the encoded audio, for the muxer; `None` without audio.
    pub fn packet_caps(&self) -> Option<gst::Caps> {
        self.shape.audio.as_ref()?;
        self.graph.app_sinks.packets.static_pad("sink").and_then(|p| p.current_caps())
    }

    /// Number of elements between the decoder and the frame reader that convert every pixel; 0 if
    /// the decoder's format fits.
    pub fn conversions(&self) -> usize {
        conversions(&self.graph.pipeline)
    }

    /// The reader of frames.
    pub fn frames(&self) -> FrameReader {
        FrameReader { puller: SamplePuller::new(&self.graph.app_sinks.frames, &self.bus) }
    }

    /// The reader of audio for the model; `None` without audio.
    pub fn audio(&self) -> Option<AudioReader> {
        self.shape.audio.as_ref()?;
        Some(AudioReader { puller: SamplePuller::new(&self.graph.app_sinks.audio, &self.bus) })
    }

    /// The reader of encoded audio; `None` without audio.
    pub fn packets(&self) -> Option<PacketReader> {
        self.shape.audio.as_ref()?;
        Some(PacketReader { puller: SamplePuller::new(&self.graph.app_sinks.packets, &self.bus) })
    }

    /// Starts the pipeline. Before that, the readers have their first buffers only.
    ///
    /// # Errors
    /// Where the pipeline cannot be started.
    pub fn play(&self) -> Result<(), SourceError> {
        self.graph
            .pipeline
            .set_state(gst::State::Playing)
            .map(drop)
            .map_err(|e| SourceError::Library(format!("the source pipeline does not start: {e}")))
    }

    /// Stops the source; its readers end.
    pub fn stop(&self) {
        let _ = self.graph.pipeline.set_state(gst::State::Null);
    }

    /// Errors and warnings of the pipeline, as readable messages for the report.
    pub fn damage(&self) -> Vec<String> {
        let log = self.bus.log();
        let mut notes: Vec<String> =
            log.error.iter().map(|e| format!("the source ended early: {e}")).collect();
        let unlisted = log.warning_count.saturating_sub(log.warnings.len() as u64);
        notes.extend(log.warnings.iter().map(ToString::to_string));
        if unlisted > 0 {
            notes.push(format!("and {unlisted} more warnings from the source"));
        }
        notes
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop();
    }
}

fn check_file(path: &Path) -> Result<(), SourceError> {
    let owned = || path.to_owned();
    let by_kind = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => SourceError::NotFound { path: owned() },
        std::io::ErrorKind::PermissionDenied => SourceError::NoPermission { path: owned() },
        _ => SourceError::Unreadable { path: owned(), reason: e.to_string() },
    };
    let meta = std::fs::metadata(path).map_err(by_kind)?;
    if !meta.is_file() {
        return Err(SourceError::NotAFile { path: owned() });
    }
    if meta.len() == 0 {
        return Err(SourceError::Empty { path: owned() });
    }
    std::fs::File::open(path).map(drop).map_err(by_kind)
}

fn preroll(
    path: &Path,
    graph: &DecodeGraph,
    bus: &BusListener,
    audio_track: u32,
) -> Result<SourceShape, SourceError> {
    let _ = graph.pipeline.set_state(gst::State::Paused);
    let deadline = Instant::now() + OPEN_TIMEOUT;
    loop {
        let (state, ..) = graph.pipeline.state(POLL_INTERVAL);
        let streams = graph.streams.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(reason) = streams.error {
            return Err(SourceError::Library(reason));
        }
        if bus.failed() {
            return Err(open_error(path, bus, &streams));
        }
        // Until the demuxer has found its streams, the pipeline has no sinks and counts as ready.
        // So each app sink is checked itself.
        let ready = state.is_ok_and(|s| s != gst::StateChangeSuccess::Async);
        if ready && outputs_ready(graph, &streams, audio_track) {
            return match streams.frames {
                0 => Err(no_frame_error(path, bus, &streams)),
                _ => shape(path, graph, bus, &streams, audio_track),
            };
        }
        if ready {
            std::thread::sleep(Duration::from_millis(5));
        }
        if Instant::now() > deadline {
            return Err(SourceError::Broken {
                path: path.to_owned(),
                reason: format!("no frame arrived within {} s", OPEN_TIMEOUT.as_secs()),
            });
        }
    }
}

/// Whether every app sink with a stream has its first buffer or has ended.
fn outputs_ready(graph: &DecodeGraph, streams: &StreamInfo, audio_track: u32) -> bool {
    let has_data = |sink: &gst_app::AppSink| {
        // A sink that has not started reports EOS.
        let ended = sink.current_state() >= gst::State::Paused && sink.is_eos();
        ended || sink.static_pad("sink").is_some_and(|p| p.has_current_caps())
    };
    let app_sinks = &graph.app_sinks;
    let frames = streams.frames == 0 || has_data(&app_sinks.frames);
    let audio_streams = streams.audio_streams < audio_track
        || (has_data(&app_sinks.audio) && has_data(&app_sinks.packets));
    streams.frames + streams.audio_streams > 0 && frames && audio_streams
}

fn no_frame_error(path: &Path, bus: &BusListener, streams: &StreamInfo) -> SourceError {
    let missing = bus.log().missing;
    if !missing.is_empty() {
        return SourceError::MissingPlugin { path: path.to_owned(), what: missing.join(", ") };
    }
    if streams.audio_streams > 0 {
        return SourceError::NoFrame { path: path.to_owned() };
    }
    SourceError::NotMedia { path: path.to_owned(), reason: "no frame and no audio in it".into() }
}

fn open_error(path: &Path, bus: &BusListener, streams: &StreamInfo) -> SourceError {
    let log = bus.log();
    let path = path.to_owned();
    if !log.missing.is_empty() {
        return SourceError::MissingPlugin { path, what: log.missing.join(", ") };
    }
    let Some(fault) = log.error else {
        return SourceError::Broken { path, reason: "no reason given".into() };
    };
    if fault.unknown_type {
        SourceError::NotMedia { path, reason: fault.text }
    } else if streams.frames == 0 && streams.audio_streams > 0 {
        SourceError::NoFrame { path }
    } else {
        SourceError::Broken { path, reason: fault.to_string() }
    }
}

fn shape(
    path: &Path,
    graph: &DecodeGraph,
    bus: &BusListener,
    streams: &StreamInfo,
    audio_track: u32,
) -> Result<SourceShape, SourceError> {
    if streams.audio_streams > 0 && audio_track > streams.audio_streams || audio_track == 0 {
        return Err(SourceError::NoSuchTrack {
            path: path.to_owned(),
            requested: audio_track,
            tracks: streams.audio_streams,
        });
    }
    let caps = graph.app_sinks.frames.static_pad("sink").and_then(|p| p.current_caps());
    let info = caps.and_then(|c| gst_video::VideoInfo::from_caps(&c).ok()).ok_or_else(|| {
        let missing = bus.log().missing;
        if missing.is_empty() {
            let reason = "no frame in it could be decoded".into();
            SourceError::Broken { path: path.to_owned(), reason }
        } else {
            SourceError::MissingPlugin { path: path.to_owned(), what: missing.join(", ") }
        }
    })?;
    let rate = info.fps();
    let to_u32 = |n: i32| u32::try_from(n).unwrap_or(0);
    let duration = graph.pipeline.query_duration::<gst::ClockTime>();
    let added = Span::from_seconds(graph.added_duration.seconds());
    Ok(SourceShape {
        video: VideoShape {
            width: info.width(),
            height: info.height(),
            rate: Rate::new(to_u32(rate.numer()), to_u32(rate.denom())),
            frame_bytes: info.size(),
        },
        audio: streams.codec.clone().map(|codec| AudioShape {
            codec,
            track: audio_track,
            tracks: streams.audio_streams,
        }),
        duration: duration.map(|d| to_span(d) - added),
    })
}

fn to_span(time: gst::ClockTime) -> Span {
    Span::from_ns(i64::try_from(time.nseconds()).unwrap_or(i64::MAX))
}

/// Pulls samples until the stream ends or the pipeline fails.
struct SamplePuller {
    sink: gst_app::AppSink,
    bus: BusListener,
}

impl SamplePuller {
    fn new(sink: &gst_app::AppSink, bus: &BusListener) -> Self {
        Self { sink: sink.clone(), bus: bus.clone() }
    }

    fn next(&self) -> Option<gst::Sample> {
        loop {
            if let Some(sample) = self.sink.try_pull_sample(POLL_INTERVAL) {
                return Some(sample);
            }
            // The pull above has drained everything decoded before a failure.
            let stopped = self.sink.current_state() == gst::State::Null;
            if self.sink.is_eos() || self.bus.failed() || stopped {
                return None;
            }
        }
    }
}

/// Reads decoded frames. Blocks; ends with the stream.
pub struct FrameReader {
    puller: SamplePuller,
}

impl Iterator for FrameReader {
    type Item = RawFrame;

    fn next(&mut self) -> Option<RawFrame> {
        loop {
            let sample = self.puller.next()?;
            let (buffer, caps) = (sample.buffer_owned()?, sample.caps()?);
            let info = gst_video::VideoInfo::from_caps(caps).ok()?;
            let pts = running_time(&sample);
            let duration = buffer.duration().map(to_span);
            let damaged = buffer.flags().contains(gst::BufferFlags::CORRUPTED);
            drop(sample);
            // A buffer that cannot be mapped is one lost frame, not the end of the stream.
            if let Some(image) = GstImage::map(buffer, &info) {
                return Some(RawFrame { pts, duration, image: Arc::new(image), damaged });
            }
        }
    }
}

/// Reads audio for the model in blocks. Blocks the thread; ends with the stream.
pub struct AudioReader {
    puller: SamplePuller,
}

impl Iterator for AudioReader {
    type Item = AudioBlock;

    fn next(&mut self) -> Option<AudioBlock> {
        let sample = self.puller.next()?;
        let pts = running_time(&sample);
        let map = sample.buffer()?.map_readable().ok()?;
        let (pairs, _) = map.as_slice().as_chunks::<2>();
        Some(AudioBlock { pts, samples: pairs.iter().map(|b| i16::from_le_bytes(*b)).collect() })
    }
}

/// Reads encoded audio packets with caps and times. Blocks; ends with the stream.
pub struct PacketReader {
    puller: SamplePuller,
}

impl Iterator for PacketReader {
    type Item = gst::Sample;

    fn next(&mut self) -> Option<gst::Sample> {
        self.puller.next()
    }
}
