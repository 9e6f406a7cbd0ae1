//! The encoder of a live stream: raw frames and audio in, packets out as soon as they are ready.
//!
//! Takes frames of one size and 48 kHz stereo audio, each with its time on the stream's clock; gives
//! H.264 and AAC packets with the same times to `take`. If the encoder is behind, a frame is dropped and
//! the caller counts it. The first encoder that works is found once per process, by test encoding. A
//! hardware encoder that is installed but does not start is reported with a readable reason, and the
//! next one is tried.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::core::time::{Pts, Rate, Span};
use crate::gst::bus::BusListener;
use crate::gst::elements::{ElementError, broken, chain, is_installed, make};
use crate::gst::packet::{Packet, PacketKind};
use crate::stages::sink::settings::EncoderSettings;

/// Maximum number of frames that wait for the encoder.
const MAX_QUEUED_FRAMES: u64 = 3;
/// Maximum bytes of audio that wait: two seconds.
const MAX_QUEUED_AUDIO_BYTES: u64 = 2 * 48_000 * 4;
/// How long a test encoding may take.
const PROBE_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(5);
/// Encoders, the cheapest for the CPU first.
const CANDIDATES: [&str; 6] =
    ["nvh264enc", "vah264enc", "vaapih264enc", "v4l2h264enc", "x264enc", "openh264enc"];

/// The encoder to use, and those that were tried before it.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// The element.
    pub element: &'static str,
    /// Readable reasons why better ones are not used.
    pub passed_over: Vec<String>,
}

/// The encoder to use, tried once per process.
///
/// # Errors
/// Where `wanted` does not work, or none does.
pub(crate) fn choose(wanted: Option<&str>) -> Result<Chosen, ElementError> {
    if let Some(wanted) = wanted {
        let element = CANDIDATES.into_iter().find(|e| *e == wanted);
        let element = element.ok_or_else(|| broken(wanted, "it is not a known H.264 encoder"))?;
        return match probe(element) {
            Ok(()) => Ok(Chosen { element, passed_over: Vec::new() }),
            Err(why) => Err(why),
        };
    }
    static BEST: OnceLock<Result<Chosen, ElementError>> = OnceLock::new();
    BEST.get_or_init(|| {
        let mut passed_over = Vec::new();
        for element in CANDIDATES.into_iter().filter(|e| is_installed(e)) {
            match probe(element) {
                Ok(()) => return Ok(Chosen { element, passed_over }),
                Err(e) => passed_over.push(e.to_string()),
            }
        }
        Err(ElementError::Missing { element: "x264enc".into() })
    })
    .clone()
}

/// Encodes three frames.
fn probe(element: &str) -> Result<(), ElementError> {
    let encoder = make(element)?;
    let pipeline = gst::Pipeline::new();
    let (source, convert, sink) = (make("videotestsrc")?, make("videoconvert")?, make("fakesink")?);
    source.set_property("num-buffers", 3);
    chain(&pipeline, &[&source, &convert, &encoder, &sink])?;
    let bus = BusListener::attach(&pipeline);
    let started = pipeline.set_state(gst::State::Playing);
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let ended = pipeline.bus().and_then(|b| b.timed_pop_filtered(PROBE_TIMEOUT, &wanted));
    let _ = pipeline.set_state(gst::State::Null);
    match (started, ended, bus.log().error) {
        (Ok(_), Some(m), None) if m.type_() == gst::MessageType::Eos => Ok(()),
        (_, _, Some(fault)) => Err(broken(element, readable(element, &fault.to_string()))),
        _ => Err(broken(element, "no frame was encoded within 5 s")),
    }
}

/// GStreamer's message, replaced where it is misleading.
fn readable(element: &str, message: &str) -> String {
    // NVENC reports this if all of its sessions are in use, or the card has no encoder at all.
    if element.starts_with("nv") && message.contains("out of memory") {
        return "the card has no encoder to spare: its session limit is reached (or, as on A100 and \
                H100, it has none)"
            .into();
    }
    message.to_owned()
}

/// A running encoder for frames of one size.
pub(crate) struct Encoder {
    pipeline: gst::Pipeline,
    bus: BusListener,
    frames: gst_app::AppSrc,
    audio: gst_app::AppSrc,
}

impl Encoder {
    /// Starts `element` for frames with `caps`.
    ///
    /// # Errors
    /// Where an element is missing or does not start.
    pub(crate) fn start(
        settings: &EncoderSettings,
        element: &str,
        caps: &gst::Caps,
        rate: Option<Rate>,
        take: Arc<dyn Fn(Packet) + Send + Sync>,
    ) -> Result<Self, ElementError> {
        let pipeline = gst::Pipeline::with_name("encoder");
        // The caller sets all times: the pipeline needs no clock.
        pipeline.use_clock(None::<&gst::Clock>);
        let bus = BusListener::attach(&pipeline);
        let frames = source("frames", caps);
        let audio_caps = gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("rate", 48_000)
            .field("channels", 2)
            .field("layout", "interleaved")
            .build();
        let audio = source("audio", &audio_caps);
        video_branch(&pipeline, settings, (element, rate), &frames, Arc::clone(&take))?;
        audio_branch(&pipeline, settings, &audio, take)?;
        pipeline.set_state(gst::State::Playing).map_err(|e| {
            let message = bus.log().error.map_or_else(|| e.to_string(), |f| f.to_string());
            broken(element, readable(element, &message))
        })?;
        Ok(Self { pipeline, bus, frames, audio })
    }

    /// Encodes a frame. `false` where it was dropped because the encoder is behind.
    pub(crate) fn image(&self, mut buffer: gst::Buffer, at: Pts, span: Option<Span>) -> bool {
        if self.frames.current_level_buffers() >= MAX_QUEUED_FRAMES {
            return false;
        }
        let meta = buffer.make_mut();
        meta.set_pts(clock_time(at));
        meta.set_dts(gst::ClockTime::NONE);
        meta.set_duration(span.and_then(|s| clock_time(Pts::ZERO + s)));
        self.frames.push_buffer(buffer).is_ok()
    }

    /// Encodes audio that begins at `at`: two interleaved channels. `false` where it was dropped.
    pub(crate) fn audio(&self, samples: &[i16], at: Pts) -> bool {
        if self.audio.current_level_bytes() >= MAX_QUEUED_AUDIO_BYTES {
            return false;
        }
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(meta) = buffer.get_mut() {
            let frames = samples.len() as u64 / 2;
            meta.set_pts(clock_time(at));
            meta.set_duration(gst::ClockTime::from_nseconds(frames * 1_000_000_000 / 48_000));
        }
        self.audio.push_buffer(buffer).is_ok()
    }

    /// Requests a keyframe, for a new reader.
    pub(crate) fn request_keyframe(&self) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
        if let Some(sink) = self.pipeline.by_name("out") {
            let _ = sink.send_event(event);
        }
    }

    /// The error that ended the encoder, if any.
    pub(crate) fn failure(&self) -> Option<String> {
        self.bus.log().error.map(|f| f.to_string())
    }

    /// Ends the encoder when all input is encoded, or after `timeout`.
    pub(crate) fn finish(self, timeout: Duration) {
        let _ = self.frames.end_of_stream();
        let _ = self.audio.end_of_stream();
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        let timeout = gst::ClockTime::try_from(timeout).ok();
        let _ = self.pipeline.bus().map(|b| b.timed_pop_filtered(timeout, &wanted));
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn clock_time(at: Pts) -> Option<gst::ClockTime> {
    u64::try_from(at.ns()).ok().map(gst::ClockTime::from_nseconds)
}

fn source(name: &str, caps: &gst::Caps) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .name(name)
        .caps(caps)
        .format(gst::Format::Time)
        .max_buffers(0)
        .max_bytes(0)
        .build()
}

fn video_branch(
    pipeline: &gst::Pipeline,
    settings: &EncoderSettings,
    (element, rate): (&str, Option<Rate>),
    from: &gst_app::AppSrc,
    take: Arc<dyn Fn(Packet) + Send + Sync>,
) -> Result<(), ElementError> {
    // videoconvert makes odd sizes even by one line: 4:2:0 has no half pixels.
    let (convert, parse, filter) = (make("videoconvert")?, make("h264parse")?, make("capsfilter")?);
    parse.set_property("config-interval", -1_i32);
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
    filter.set_property("caps", caps);
    let encoder = make(element)?;
    set_up(&encoder, element, settings, rate);
    let sink = appsink("out", move |sample| {
        let (buffer, at) = on_stream_clock(sample)?;
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        take(Packet {
            kind: PacketKind::Video { keyframe: key },
            at,
            caps: sample.caps_owned()?,
            buffer,
        });
        Some(())
    });
    let elements = [from.upcast_ref(), &convert, &encoder, &parse, &filter, sink.upcast_ref()];
    chain(pipeline, &elements)
}

fn set_up(encoder: &gst::Element, element: &str, settings: &EncoderSettings, rate: Option<Rate>) {
    let fps = rate.map_or(25.0, |r| r.fps());
    let keyframe_interval =
        (settings.keyframe_interval.as_secs_f64() * fps).round().clamp(1.0, 1_000.0) as u32;
    let kbit = settings.kbit_per_second;
    match element {
        "x264enc" => {
            encoder.set_property_from_str("tune", "zerolatency");
            encoder.set_property_from_str("speed-preset", &settings.preset);
            encoder.set_property("bitrate", kbit);
            encoder.set_property("key-int-max", keyframe_interval);
            // Keyframes at the interval only, as segments and readers expect them.
            encoder.set_property_from_str("option-string", "scenecut=0");
        }
        "openh264enc" => {
            encoder.set_property("bitrate", kbit.saturating_mul(1_000));
            encoder.set_property("gop-size", keyframe_interval);
            encoder.set_property_from_str("complexity", "low");
        }
        _ => {
            // The names differ from plugin to plugin and version to version.
            for (name, value) in [
                ("bitrate", kbit),
                ("gop-size", keyframe_interval),
                ("key-int-max", keyframe_interval),
            ] {
                if encoder.has_property(name) {
                    encoder.set_property_from_str(name, &value.to_string());
                }
            }
            if encoder.has_property("zerolatency") {
                encoder.set_property("zerolatency", true);
            }
        }
    }
}

fn audio_branch(
    pipeline: &gst::Pipeline,
    settings: &EncoderSettings,
    from: &gst_app::AppSrc,
    take: Arc<dyn Fn(Packet) + Send + Sync>,
) -> Result<(), ElementError> {
    let (convert, encoder) = (make("audioconvert")?, make("avenc_aac")?);
    let (parse, filter) = (make("aacparse")?, make("capsfilter")?);
    encoder.set_property_from_str("bitrate", &(settings.audio_kbit_per_second * 1_000).to_string());
    // Two fifths of the default's time, and closer to the original: SDR of two clips at 96 kbit/s 58.2
    // and 49.7 dB; 44.2 and 44.5 dB with the default.
    if encoder.has_property("aac-coder") {
        encoder.set_property_from_str("aac-coder", "fast");
    }
    let caps = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .build();
    filter.set_property("caps", caps);
    let sink = appsink("audio-out", move |sample| {
        let (buffer, at) = on_stream_clock(sample)?;
        take(Packet { kind: PacketKind::Audio, at, caps: sample.caps_owned()?, buffer });
        Some(())
    });
    let elements = [from.upcast_ref(), &convert, &encoder, &parse, &filter, sink.upcast_ref()];
    chain(pipeline, &elements)
}

/// The sample's buffer with its times on the stream's clock. x264enc shifts both times by a thousand
/// hours, and its segment back again, so that no decoding time is negative.
fn on_stream_clock(sample: &gst::SampleRef) -> Option<(gst::Buffer, Pts)> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = |t: Option<gst::ClockTime>| segment.to_running_time(t?);
    let mut buffer = sample.buffer_owned()?;
    let (pts, dts) = (running(buffer.pts())?, running(buffer.dts()));
    let meta = buffer.make_mut();
    meta.set_pts(pts);
    meta.set_dts(dts.unwrap_or(pts).min(pts));
    Some((buffer, Pts::from_ns(i64::try_from(pts.nseconds()).ok()?)))
}

/// An appsink that passes every sample to `take` immediately.
fn appsink(
    name: &str,
    take: impl Fn(&gst::SampleRef) -> Option<()> + Send + Sync + 'static,
) -> gst_app::AppSink {
    gst_app::AppSink::builder()
        .name(name)
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    // A packet without a time is dropped.
                    let _ = take(&sample);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        )
        .build()
}
