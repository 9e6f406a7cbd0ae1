//! A live source, decoded: frames as they are, audio as the model hears it and as people do.
//!
//! Every branch hands over what it decoded at once, on GStreamer's own threads, to [`Taps`]: they
//! must not wait. Times are running times; the caller puts them on the stream's clock. Nothing here
//! comes again after a failure: the caller drops the graph and builds a new one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::element::{Head, head};
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

/// Buffers that wait between two threads of a branch.
const BUFFERS_WAITING: u32 = 8;

/// Where decoded things go. None of these may wait.
#[derive(Clone)]
pub(crate) struct Taps {
    /// Frames.
    pub image: Arc<dyn Fn(RawFrame) + Send + Sync>,
    /// Audio for the model: 16 kHz, one channel.
    pub heard: Arc<dyn Fn(AudioBlock) + Send + Sync>,
    /// Audio for people: 48 kHz, two channels by turns.
    pub audio: Arc<dyn Fn(AudioBlock) + Send + Sync>,
    /// Notified when something has shown up, ended or failed.
    pub changed: Signal,
}

#[cfg(test)]
impl Taps {
    /// Nothing but a count of the frames.
    pub(crate) fn counting() -> (Self, Arc<std::sync::atomic::AtomicU64>) {
        let frames = Arc::<std::sync::atomic::AtomicU64>::default();
        let count = Arc::clone(&frames);
        let image = Arc::new(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let (heard, audio) = (Arc::new(|_| {}), Arc::new(|_| {}));
        (Self { image, heard, audio, changed: Signal::default() }, frames)
    }
}

/// What has shown up so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Streams with frames.
    pub frames: u32,
    /// Streams with audio.
    pub audios: u32,
    /// The chosen streams' stored form, e.g. `H264, MPEG4-GENERIC`.
    pub codecs: Vec<String>,
    /// Whether no more streams are to come.
    pub all: bool,
    /// Whether the source has ended.
    pub ended: bool,
    /// The first thing that went wrong while building a branch.
    pub error: Option<String>,
}

/// A source at work.
pub(crate) struct LiveGraph {
    /// Its pipeline.
    pub pipeline: gst::Pipeline,
    /// What the pipeline says.
    pub bus: BusListener,
    shown: Arc<Mutex<Shown>>,
}

impl LiveGraph {
    /// What has shown up so far.
    pub(crate) fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts it; what comes goes to the taps.
    ///
    /// # Errors
    /// Where an element refuses, in the library's words.
    pub(crate) fn play(&self) -> Result<(), String> {
        let started = self.pipeline.set_state(gst::State::Playing);
        started.map(drop).map_err(|e| match self.bus.log().error {
            Some(fault) => fault.to_string(),
            None => e.to_string(),
        })
    }

    /// The stream's time at which this source's running time was zero, where `now` is the stream's
    /// time now.
    pub(crate) fn base(&self, now: Pts) -> Option<Pts> {
        let (clock, base) = (self.pipeline.clock()?.time(), self.pipeline.base_time()?);
        let running = clock.nseconds().checked_sub(base.nseconds())?;
        Some(now - Span::from_ns(i64::try_from(running).ok()?))
    }

    /// Takes it down; a source that does not end within `patience` is left to itself, and said so.
    pub(crate) fn stop_within(&self, patience: Duration) {
        let (one, pipeline) = (Capacity { items: 1, bytes: usize::MAX }, self.pipeline.clone());
        let (done, waits) = bounded("closer→source", one, Overflow::Block);
        let closer = std::thread::Builder::new().name("closer".into()).spawn(move || {
            let _ = pipeline.set_state(gst::State::Null);
            // Whoever waited may be gone.
            let _ = done.try_send(Closed);
        });
        let closed = closer.is_ok() && waits.recv_timeout(patience).is_ok();
        if !closed {
            tracing::warn!("the source does not let go; it is left behind");
        }
    }
}

/// A source has been taken down.
struct Closed;

impl ByteSize for Closed {
    fn byte_size(&self) -> usize {
        0
    }
}

struct Builder {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    taps: Taps,
    shown: Arc<Mutex<Shown>>,
    audio_track: u32,
    paced: bool,
}

/// Builds the graph for `source` and leaves it stopped.
///
/// # Errors
/// Where an element is missing.
pub(crate) fn build(source: &SourceSettings, taps: Taps) -> Result<LiveGraph, ElementError> {
    let pipeline = gst::Pipeline::with_name("camera");
    pipeline.use_clock(Some(&gst::SystemClock::obtain()));
    let shown = Arc::new(Mutex::new(Shown::default()));
    let changed = taps.changed.clone();
    let bus = {
        let changed = changed.clone();
        BusListener::attach_with(&pipeline, move || changed.notify())
    };
    let Head { row, audio, paced } = head(source)?;
    chain(&pipeline, &row.iter().collect::<Vec<_>>())?;
    let builder = Arc::new(Builder {
        pipeline: pipeline.downgrade(),
        taps,
        shown: Arc::clone(&shown),
        audio_track: source.audio_track,
        paced,
    });
    let last = row.last().ok_or_else(|| broken("source", "it has no elements"))?;
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
        lock(&shown).all = true;
    }
    let known = Arc::clone(&shown);
    last.connect_no_more_pads(move |_| {
        lock(&known).all = true;
        changed.notify();
    });
    Ok(LiveGraph { pipeline, bus, shown })
}

fn lock(shown: &Mutex<Shown>) -> std::sync::MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Builder {
    /// Leads a stream that showed up to where it belongs.
    fn take(&self, pad: &gst::Pad) {
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        if let Err(e) = self.route(pad) {
            lock(&self.shown).error.get_or_insert(e.to_string());
        }
        self.taps.changed.notify();
    }

    fn route(&self, pad: &gst::Pad) -> Result<(), ElementError> {
        let Some(pipeline) = self.pipeline.upgrade() else { return Ok(()) };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let (kind, codec) = kind_of(&caps);
        let (frames, audios) = {
            let mut shown = lock(&self.shown);
            shown.frames += u32::from(kind == Kind::Image);
            shown.audios += u32::from(kind == Kind::Audio);
            shown.codecs.push(codec);
            (shown.frames, shown.audios)
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
        let fixed = make("capsfilter")?;
        let caps = gst_video::VideoCapsBuilder::new().format_list(image::FORMATS).build();
        fixed.set_property("caps", &caps);
        let (tap, shown) = (Arc::clone(&self.taps.image), Arc::clone(&self.shown));
        let outlet = self.outlet(shown, move |sample| {
            if let Some(raw) = raw_frame(sample) {
                tap(raw);
            }
        });
        let sink: &gst::Element = outlet.upcast_ref();
        chain(pipeline, &[&decode])?;
        chain(pipeline, &[&convert, &fixed, sink])?;
        link_video(&decode, &convert);
        start(&[sink, &fixed, &convert, &decode])?;
        link(pad, &decode)
    }

    fn audio(&self, pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), ElementError> {
        let decode = decoder()?;
        let tee = make("tee")?;
        chain(pipeline, &[&decode])?;
        chain(pipeline, &[&tee])?;
        let taps = [(&self.taps.heard, 16_000, 1), (&self.taps.audio, 48_000, 2)];
        for (tap, rate_hz, channels) in taps {
            let queue = make("queue")?;
            queue.set_property("max-size-buffers", BUFFERS_WAITING * 8);
            let (convert, resample) = (make("audioconvert")?, make("audioresample")?);
            let fixed = make("capsfilter")?;
            let caps = gst::Caps::builder("audio/x-raw")
                .field("format", "S16LE")
                .field("rate", rate_hz)
                .field("channels", channels)
                .field("layout", "interleaved")
                .build();
            fixed.set_property("caps", &caps);
            let (tap, shown) = (Arc::clone(tap), Arc::clone(&self.shown));
            let outlet = self.outlet(shown, move |sample| {
                if let Some(block) = audio_block(sample) {
                    tap(block);
                }
            });
            let sink: &gst::Element = outlet.upcast_ref();
            chain(pipeline, &[&queue, &convert, &resample, &fixed, sink])?;
            tee.link(&queue).map_err(|e| broken("tee", e))?;
            start(&[sink, &fixed, &resample, &convert, &queue])?;
        }
        link_audio(&decode, &tee);
        start(&[&tee, &decode])?;
        link(pad, &decode)
    }

    /// An outlet that hands every sample to `take` as it comes.
    fn outlet(
        &self,
        shown: Arc<Mutex<Shown>>,
        take: impl Fn(&gst::SampleRef) + Send + Sync + 'static,
    ) -> gst_app::AppSink {
        let changed = self.taps.changed.clone();
        gst_app::AppSink::builder()
            .sync(self.paced)
            .async_(false)
            .max_buffers(BUFFERS_WAITING)
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
                        lock(&shown).ended = true;
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

/// What a stream is, and the form it is stored in; RTP says both in fields of its own.
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

/// A decoder that gives each frame as soon as it is decoded: threads over frames would hold one
/// back for each thread.
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

/// Streams that nobody wants must still flow.
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
