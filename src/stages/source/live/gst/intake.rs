//! Decodes a live source: frames in the decoder's format, audio for the model and for the output.
//!
//! Every branch passes what it has decoded to [`Taps`] immediately, on GStreamer's own threads; taps
//! must not block. Times are running times; the caller maps them to the stream's clock. The graph does
//! not recover from errors: the caller drops it and builds a new one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::element::{SourceElements, source_elements};
use crate::core::queue::{ByteSize, Capacity, Overflow, bounded};
use crate::core::signal::Signal;
use crate::core::time::{Pts, Span};
use crate::gst::bus::BusListener;
use crate::gst::decoder_output::{link_audio, link_video};
use crate::gst::elements::{ElementError, broken, chain, link, make, start};
use crate::gst::image::{self, GstImage};
use crate::gst::running_time;
use crate::stages::source::live::settings::SourceSettings;
use crate::stages::source::{AudioBlock, RawFrame};

/// Maximum number of buffers that wait between two threads of a branch.
const MAX_QUEUED_BUFFERS: u32 = 8;

/// Callbacks for decoded data. None of them may block.
#[derive(Clone)]
pub(crate) struct Taps {
    /// Frames.
    pub image: Arc<dyn Fn(RawFrame) + Send + Sync>,
    /// Audio for the model: 16 kHz, one channel.
    pub model_audio: Arc<dyn Fn(AudioBlock) + Send + Sync>,
    /// Audio for the output: 48 kHz, two interleaved channels.
    pub audio: Arc<dyn Fn(AudioBlock) + Send + Sync>,
    /// Notified when a stream was discovered, ended or failed.
    pub changed: Signal,
}

#[cfg(test)]
impl Taps {
    /// Taps that only count the frames.
    pub(crate) fn counting() -> (Self, Arc<std::sync::atomic::AtomicU64>) {
        let frames = Arc::<std::sync::atomic::AtomicU64>::default();
        let count = Arc::clone(&frames);
        let image = Arc::new(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let (model_audio, audio) = (Arc::new(|_| {}), Arc::new(|_| {}));
        (Self { image, model_audio, audio, changed: Signal::default() }, frames)
    }
}

/// The streams discovered so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discovered {
    /// Number of video streams.
    pub frames: u32,
    /// Number of audio streams.
    pub audios: u32,
    /// The codecs of the streams, e.g. `H264, MPEG4-GENERIC`.
    pub codecs: Vec<String>,
    /// Whether all streams are known.
    pub all: bool,
    /// Whether the source has ended.
    pub ended: bool,
    /// The first error while building a branch.
    pub error: Option<String>,
}

/// The pipeline of a live source.
pub(crate) struct LiveGraph {
    /// The pipeline.
    pub pipeline: gst::Pipeline,
    /// The pipeline's messages.
    pub bus: BusListener,
    discovered: Arc<Mutex<Discovered>>,
}

impl LiveGraph {
    /// The streams discovered so far.
    pub(crate) fn discovered(&self) -> Discovered {
        self.discovered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts the pipeline.
    ///
    /// # Errors
    /// Where an element refuses: GStreamer's message.
    pub(crate) fn play(&self) -> Result<(), String> {
        let started = self.pipeline.set_state(gst::State::Playing);
        started.map(drop).map_err(|e| match self.bus.log().error {
            Some(fault) => fault.to_string(),
            None => e.to_string(),
        })
    }

    /// The stream time at which this source's running time was zero, given the current stream time
    /// `now`.
    pub(crate) fn base(&self, now: Pts) -> Option<Pts> {
        let (clock, base) = (self.pipeline.clock()?.time(), self.pipeline.base_time()?);
        let running = clock.nseconds().checked_sub(base.nseconds())?;
        Some(now - Span::from_ns(i64::try_from(running).ok()?))
    }

    /// Closes the source. After `timeout` it is left to close in the background, with a warning.
    pub(crate) fn stop_within(&self, timeout: Duration) {
        let (one, pipeline) = (Capacity { items: 1, bytes: usize::MAX }, self.pipeline.clone());
        let (done, wait) = bounded("closer→source", one, Overflow::Block);
        let closer = std::thread::Builder::new().name("closer".into()).spawn(move || {
            let _ = pipeline.set_state(gst::State::Null);
            // Fails only after the timeout.
            let _ = done.try_send(Closed);
        });
        let closed = closer.is_ok() && wait.recv_timeout(timeout).is_ok();
        if !closed {
            tracing::warn!("closing the source takes too long; not waiting for it");
        }
    }
}

/// The source has been closed.
struct Closed;

impl ByteSize for Closed {
    fn byte_size(&self) -> usize {
        0
    }
}

struct Builder {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    taps: Taps,
    discovered: Arc<Mutex<Discovered>>,
    audio_track: u32,
    paced: bool,
}

/// Builds the graph for `source` without starting it.
///
/// # Errors
/// Where an element is missing.
pub(crate) fn build(source: &SourceSettings, taps: Taps) -> Result<LiveGraph, ElementError> {
    let pipeline = gst::Pipeline::with_name("camera");
    pipeline.use_clock(Some(&gst::SystemClock::obtain()));
    let discovered = Arc::new(Mutex::new(Discovered::default()));
    let changed = taps.changed.clone();
    let bus = {
        let changed = changed.clone();
        BusListener::attach_with(&pipeline, move || changed.notify())
    };
    let SourceElements { elements, audio, paced } = source_elements(source)?;
    chain(&pipeline, &elements.iter().collect::<Vec<_>>())?;
    let builder = Arc::new(Builder {
        pipeline: pipeline.downgrade(),
        taps,
        discovered: Arc::clone(&discovered),
        audio_track: source.audio_track,
        paced,
    });
    let last = elements.last().ok_or_else(|| broken("source", "it has no elements"))?;
    if let Some(pad) = last.static_pad("src") {
        builder.take(&pad);
    } else {
        let builder = Arc::clone(&builder);
        last.connect_pad_added(move |_, pad| builder.take(pad));
    }
    if let Some(audio) = audio {
        chain(&pipeline, &[&audio])?;
        if let Some(pad) = audio.static_pad("src") {
            builder.take(&pad);
        }
        lock(&discovered).all = true;
    }
    let known = Arc::clone(&discovered);
    last.connect_no_more_pads(move |_| {
        lock(&known).all = true;
        changed.notify();
    });
    Ok(LiveGraph { pipeline, bus, discovered })
}

fn lock(discovered: &Mutex<Discovered>) -> std::sync::MutexGuard<'_, Discovered> {
    discovered.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Builder {
    /// Connects a new stream to its branch.
    fn take(&self, pad: &gst::Pad) {
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        if let Err(e) = self.route(pad) {
            lock(&self.discovered).error.get_or_insert(e.to_string());
        }
        self.taps.changed.notify();
    }

    fn route(&self, pad: &gst::Pad) -> Result<(), ElementError> {
        let Some(pipeline) = self.pipeline.upgrade() else { return Ok(()) };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let (kind, codec) = kind_of(&caps);
        let (frames, audios) = {
            let mut discovered = lock(&self.discovered);
            discovered.frames += u32::from(kind == Kind::Image);
            discovered.audios += u32::from(kind == Kind::Audio);
            discovered.codecs.push(codec);
            (discovered.frames, discovered.audios)
        };
        match kind {
            Kind::Image if frames == 1 => self.frames(&pipeline, pad),
            Kind::Audio if audios == self.audio_track => self.audio(&pipeline, pad),
            _ => drain(&pipeline, pad),
        }
    }

    fn frames(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), ElementError> {
        let decode = decoder()?;
        let convert = make("videoconvert")?;
        let filter = make("capsfilter")?;
        let caps = gst_video::VideoCapsBuilder::new().format_list(image::FORMATS).build();
        filter.set_property("caps", &caps);
        let tap = Arc::clone(&self.taps.image);
        let sink = self.appsink(move |sample| {
            if let Some(raw) = raw_frame(sample) {
                tap(raw);
            }
        });
        let sink: &gst::Element = sink.upcast_ref();
        chain(pipeline, &[&decode])?;
        chain(pipeline, &[&convert, &filter, sink])?;
        link_video(&decode, &convert);
        start(&[sink, &filter, &convert, &decode])?;
        link(pad, &decode)
    }

    fn audio(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), ElementError> {
        let decode = decoder()?;
        let tee = make("tee")?;
        chain(pipeline, &[&decode])?;
        chain(pipeline, &[&tee])?;
        let taps = [(&self.taps.model_audio, 16_000, 1), (&self.taps.audio, 48_000, 2)];
        for (tap, rate_hz, channels) in taps {
            let queue = make("queue")?;
            queue.set_property("max-size-buffers", MAX_QUEUED_BUFFERS * 8);
            let (convert, resample) = (make("audioconvert")?, make("audioresample")?);
            let filter = make("capsfilter")?;
            let caps = gst::Caps::builder("audio/x-raw")
                .field("format", "S16LE")
                .field("rate", rate_hz)
                .field("channels", channels)
                .field("layout", "interleaved")
                .build();
            filter.set_property("caps", &caps);
            let tap = Arc::clone(tap);
            let sink = self.appsink(move |sample| {
                if let Some(block) = audio_block(sample) {
                    tap(block);
                }
            });
            let sink: &gst::Element = sink.upcast_ref();
            chain(pipeline, &[&queue, &convert, &resample, &filter, sink])?;
            tee.link(&queue).map_err(|e| broken("tee", e))?;
            start(&[sink, &filter, &resample, &convert, &queue])?;
        }
        link_audio(&decode, &tee);
        start(&[&tee, &decode])?;
        link(pad, &decode)
    }

    /// An appsink that passes every sample to `take` immediately.
    fn appsink(&self, take: impl Fn(&gst::SampleRef) + Send + Sync + 'static) -> gst_app::AppSink {
        let (changed, discovered) = (self.taps.changed.clone(), Arc::clone(&self.discovered));
        gst_app::AppSink::builder()
            .sync(self.paced)
            .async_(false)
            .max_buffers(MAX_QUEUED_BUFFERS)
            .enable_last_sample(false)
            .wait_on_eos(false)
            .callbacks(
                gst_app::AppSinkCallbacks::builder()
                    .new_sample(move |sink| {
                        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                        take(&sample);
                        Ok(gst::FlowSuccess::Ok)
                    })
                    .eos(move |_| {
                        lock(&discovered).ended = true;
                        changed.notify();
                    })
                    .build(),
            )
            .build()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Audio,
    Other,
}

/// The kind of a stream, and its codec; RTP has its own fields for both.
fn kind_of(caps: &gst::Caps) -> (Kind, String) {
    let Some(structure) = caps.structure(0) else { return (Kind::Other, String::new()) };
    let name = structure.name().to_string();
    let media = structure.get::<String>("media").unwrap_or_else(|_| name.clone());
    let codec = structure.get::<String>("encoding-name").unwrap_or(name);
    let kind = if media.starts_with("video") || media.starts_with("image") {
        Kind::Image
    } else if media.starts_with("audio") {
        Kind::Audio
    } else {
        Kind::Other
    };
    (kind, codec)
}

/// A decoder that outputs each frame as soon as it is decoded: frame threading would delay the output
/// by one frame per thread.
fn decoder() -> Result<gst::Element, ElementError> {
    let decode = make("decodebin")?;
    if let Ok(bin) = decode.clone().downcast::<gst::Bin>() {
        bin.connect_deep_element_added(|_, _, element| {
            if element.has_property("thread-type") {
                element.set_property_from_str("thread-type", "slice");
            }
        });
    }
    Ok(decode)
}

/// Discards an unused stream: it must still be read.
fn drain(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), ElementError> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    chain(pipeline, &[&sink])?;
    start(&[&sink])?;
    link(pad, &sink)
}

fn raw_frame(sample: &gst::SampleRef) -> Option<RawFrame> {
    let (buffer, caps) = (sample.buffer_owned()?, sample.caps()?);
    let info = gst_video::VideoInfo::from_caps(caps).ok()?;
    let pts = running_time(sample);
    let duration = buffer.duration().map(|d| Span::from_ns(d.nseconds().try_into().unwrap_or(0)));
    let damaged = buffer.flags().contains(gst::BufferFlags::CORRUPTED);
    let image = Arc::new(GstImage::map(buffer, &info)?);
    Some(RawFrame { pts, duration, image, damaged })
}

fn audio_block(sample: &gst::SampleRef) -> Option<AudioBlock> {
    let map = sample.buffer()?.map_readable().ok()?;
    let (pairs, _) = map.as_slice().as_chunks::<2>();
    let samples = pairs.iter().map(|b| i16::from_le_bytes(*b)).collect();
    Some(AudioBlock { pts: running_time(sample), samples })
}
