//! The encoder of a live stream: raw frames and audio in, packets out, as soon as they are ready.
//!
//! Takes frames of one size and 48 kHz audio of two channels, each with its time on the stream's
//! clock; gives H.264 and AAC packets on those times to `take`. A frame that finds the encoder
//! behind is left out: the caller counts it. Which encoder works here is found out once per process,
//! by encoding: a hardware encoder that is installed but does not start is named with the reason in
//! plain words, and the next one is taken.

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

/// Frames that may wait for the encoder.
const FRAMES_WAITING: u64 = 3;
/// Bytes of audio that may wait: two seconds.
const AUDIO_WAITING_BYTES: u64 = 2 * 48_000 * 4;
/// How long an encoder may take to show that it works.
const PROBE_DEADLINE: gst::ClockTime = gst::ClockTime::from_seconds(5);
/// Encoders from the one that costs this machine least.
const CANDIDATES: [&str; 6] =
    ["nvh264enc", "vah264enc", "vaapih264enc", "v4l2h264enc", "x264enc", "openh264enc"];

/// The encoder that is used here, and what was tried before it.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// The element.
    pub element: &'static str,
    /// Why better ones are not used, in words.
    pub passed_over: Vec<String>,
}

/// The encoder to use, tried once per process.
///
/// # Errors
/// Where `wanted` does not work, or none does.
pub(crate) fn choose(wanted: Option<&str>) -> Result<Chosen, ElementError> {
    if let Some(wanted) = wanted {
        let element = CANDIDATES.into_iter().find(|e| *e == wanted);
        let element = element.ok_or_else(|| broken(wanted, "it is no H.264 encoder known here"))?;
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
    let ended = pipeline.bus().and_then(|b| b.timed_pop_filtered(PROBE_DEADLINE, &wanted));
    let _ = pipeline.set_state(gst::State::Null);
    match (started, ended, bus.log().error) {
        (Ok(_), Some(m), None) if m.type_() == gst::MessageType::Eos => Ok(()),
        (_, _, Some(fault)) => Err(broken(element, plain(element, &fault.to_string()))),
        _ => Err(broken(element, "it gives no frame within 5 s")),
    }
}

/// The library's words where they mislead, in plain ones.
fn plain(element: &str, said: &str) -> String {
    // NVENC says so when all of its sessions are taken, or the card has no encoder at all.
    if element.starts_with("nv") && said.contains("out of memory") {
        return "the card has no encoder to spare: its session limit is reached (or, as on A100 and \
                H100, it has none)"
            .into();
    }
    said.to_owned()
}

/// An encoder at work for frames of one size.
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
        // Times are set by the caller; no clock is waited for.
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
        frame_row(&pipeline, settings, (element, rate), &frames, Arc::clone(&take))?;
        audio_row(&pipeline, settings, &audio, take)?;
        pipeline.set_state(gst::State::Playing).map_err(|e| {
            let said = bus.log().error.map_or_else(|| e.to_string(), |f| f.to_string());
            broken(element, plain(element, &said))
        })?;
        Ok(Self { pipeline, bus, frames, audio })
    }

    /// Encodes a frame. `false` where the encoder is so far behind that it was left out.
    pub(crate) fn image(&self, mut buffer: gst::Buffer, at: Pts, span: Option<Span>) -> bool {
        if self.frames.current_level_buffers() >= FRAMES_WAITING {
            return false;
        }
        let meta = buffer.make_mut();
        meta.set_pts(clock_time(at));
        meta.set_dts(gst::ClockTime::NONE);
        meta.set_duration(span.and_then(|s| clock_time(Pts::ZERO + s)));
        self.frames.push_buffer(buffer).is_ok()
    }

    /// Encodes audio that is first heard at `at`: two channels by turns.
    pub(crate) fn audio(&self, samples: &[i16], at: Pts) -> bool {
        if self.audio.current_level_bytes() >= AUDIO_WAITING_BYTES {
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

    /// Asks for a keyframe, for a reader that begins now.
    pub(crate) fn request_keyframe(&self) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
        if let Some(sink) = self.pipeline.by_name("out") {
            let _ = sink.send_event(event);
        }
    }

    /// What ended it, where something did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.bus.log().error.map(|f| f.to_string())
    }

    /// Ends it once everything pushed is encoded, or after `patience`.
    pub(crate) fn finish(self, patience: Duration) {
        let _ = self.frames.end_of_stream();
        let _ = self.audio.end_of_stream();
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        let patience = gst::ClockTime::try_from(patience).ok();
        let _ = self.pipeline.bus().map(|b| b.timed_pop_filtered(patience, &wanted));
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

fn frame_row(
    pipeline: &gst::Pipeline,
    settings: &EncoderSettings,
    (element, rate): (&str, Option<Rate>),
    from: &gst_app::AppSrc,
    take: Arc<dyn Fn(Packet) + Send + Sync>,
) -> Result<(), ElementError> {
    // Odd sizes become even by one line: 4:2:0 has no half pixels.
    let (convert, parse, fixed) = (make("videoconvert")?, make("h264parse")?, make("capsfilter")?);
    parse.set_property("config-interval", -1_i32);
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
    fixed.set_property("caps", caps);
    let encoder = make(element)?;
    set_up(&encoder, element, settings, rate);
    let sink = outlet("out", move |sample| {
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
    let row = [from.upcast_ref(), &convert, &encoder, &parse, &fixed, sink.upcast_ref()];
    chain(pipeline, &row)
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
            // Keyframes where they are due and nowhere else: segments and readers count on them.
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

fn audio_row(
    pipeline: &gst::Pipeline,
    settings: &EncoderSettings,
    from: &gst_app::AppSrc,
    take: Arc<dyn Fn(Packet) + Send + Sync>,
) -> Result<(), ElementError> {
    let (convert, encoder) = (make("audioconvert")?, make("avenc_aac")?);
    let (parse, fixed) = (make("aacparse")?, make("capsfilter")?);
    encoder.set_property_from_str("bitrate", &(settings.audio_kbit_per_second * 1_000).to_string());
    // Two fifths of the default's time, and nearer to its source: SDR of two clips at 96 kbit/s 58.2 and
    // 49.7 dB, 44.2 and 44.5 with the default.
    if encoder.has_property("aac-coder") {
        encoder.set_property_from_str("aac-coder", "fast");
    }
    let caps = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .build();
    fixed.set_property("caps", caps);
    let sink = outlet("heard", move |sample| {
        let (buffer, at) = on_stream_clock(sample)?;
        take(Packet { kind: PacketKind::Audio, at, caps: sample.caps_owned()?, buffer });
        Some(())
    });
    let row = [from.upcast_ref(), &convert, &encoder, &parse, &fixed, sink.upcast_ref()];
    chain(pipeline, &row)
}

/// The sample's buffer with its times on the stream's clock: x264enc moves both by a thousand hours,
/// and its segment back again, so that no decoding time is below zero.
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

/// An outlet that hands every sample on as it comes.
fn outlet(
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
                    // A packet without a time cannot be placed; it is left out.
                    let _ = take(&sample);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        )
        .build()
}
