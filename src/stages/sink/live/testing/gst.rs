//! Packets like those of a live stream's encoder: a test pattern and a test tone, encoded once for all
//! tests of a process, and offered at the speed that a test needs.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::core::time::Pts;
use crate::gst::packet::{Packet, PacketKind};
use crate::stages::sink::fan_out::FanOut;

/// Frames per second.
pub(crate) const RATE: u64 = 25;

/// A frame without content at `ms`, for tests that check only times.
pub(crate) fn image(ms: i64, key: bool) -> Packet {
    blank(ms, PacketKind::Video { keyframe: key }, "video/x-h264")
}

/// Audio without content at `ms`.
pub(crate) fn audio(ms: i64) -> Packet {
    blank(ms, PacketKind::Audio, "audio/mpeg")
}

fn blank(ms: i64, kind: PacketKind, format: &str) -> Packet {
    gst::init().expect("GStreamer starts");
    let caps = gst::Caps::builder(format).build();
    let mut buffer = gst::Buffer::with_size(100).expect("memory");
    let pts = gst::ClockTime::from_mseconds(u64::try_from(ms).expect("after the start"));
    buffer.make_mut().set_pts(pts);
    Packet { kind, at: Pts::from_ns(ms * 1_000_000), buffer, caps }
}

/// `seconds` of video and audio, in time order. A flash and a beep begin every second.
pub(crate) fn encoded(seconds: u64, width: u32, with_audio: bool) -> Vec<Packet> {
    gst::init().expect("GStreamer starts");
    let height = width * 3 / 4;
    let frames = seconds * RATE;
    let line = format!(
        "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,width={width},\
         height={height},framerate={RATE}/1 ! x264enc tune=zerolatency key-int-max=25 bitrate=300 \
         speed-preset=ultrafast ! video/x-h264,profile=baseline ! h264parse config-interval=-1 ! \
         video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=v sync=false"
    );
    let mut packets = run(&line, "v");
    if with_audio {
        let blocks = seconds * 48_000 / 1024;
        let line = format!(
            "audiotestsrc num-buffers={blocks} samplesperbuffer=1024 wave=ticks ! \
             audio/x-raw,rate=48000,channels=1 ! avenc_aac bitrate=64000 ! aacparse ! \
             audio/mpeg,mpegversion=4,stream-format=raw ! appsink name=a sync=false"
        );
        packets.extend(run(&line, "a"));
    }
    packets.sort_by_key(|p| (p.at, p.kind == PacketKind::Audio));
    packets
}

/// Twenty seconds of small video with audio, encoded once.
pub(crate) fn common_packets() -> &'static [Packet] {
    static PACKETS: OnceLock<Vec<Packet>> = OnceLock::new();
    PACKETS.get_or_init(|| encoded(20, 320, true))
}

fn run(line: &str, name: &str) -> Vec<Packet> {
    let pipeline = gst::parse::launch(line).expect("the test's elements are installed");
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = pipeline.by_name(name).expect("named").downcast::<gst_app::AppSink>();
    let sink = sink.expect("an appsink");
    pipeline.set_state(gst::State::Playing).expect("plays");
    let packets = std::iter::from_fn(|| sink.pull_sample().ok()).filter_map(|s| packet(&s));
    let packets: Vec<_> = packets.collect();
    pipeline.set_state(gst::State::Null).expect("stops");
    assert!(!packets.is_empty(), "no packets from {line}");
    packets
}

fn packet(sample: &gst::Sample) -> Option<Packet> {
    let (mut buffer, caps) = (sample.buffer_owned()?, sample.caps_owned()?);
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let at = segment.to_running_time(buffer.pts()?)?;
    // x264 starts at 1000 h, so that no time is negative; the stream's clock starts at 0.
    let dts = buffer.dts().and_then(|d| segment.to_running_time(d));
    buffer.make_mut().set_pts(at);
    buffer.make_mut().set_dts(dts);
    let kind = match caps.structure(0)?.name().as_str() {
        "video/x-h264" => {
            PacketKind::Video { keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) }
        }
        _ => PacketKind::Audio,
    };
    Some(Packet { kind, at: Pts::from_ns(i64::try_from(at.nseconds()).ok()?), buffer, caps })
}

/// The packets in an endless loop, each round later by `seconds`.
pub(crate) fn endless(packets: &[Packet], seconds: u64) -> impl Iterator<Item = Packet> + '_ {
    (0..).flat_map(move |round| packets.iter().map(move |p| later(p, round * seconds)))
}

/// The packet, `seconds` later.
pub(crate) fn later(packet: &Packet, seconds: u64) -> Packet {
    let by = gst::ClockTime::from_seconds(seconds);
    let mut packet = packet.clone();
    let buffer = packet.buffer.make_mut();
    buffer.set_pts(buffer.pts().map(|t| t + by));
    buffer.set_dts(buffer.dts().map(|t| t + by));
    packet.at = Pts::from_ns(packet.at.ns() + i64::try_from(by.nseconds()).expect("short"));
    packet
}

/// Offers packets to all sinks like a live encoder, from its own thread, until dropped.
pub(crate) struct LiveEncoder {
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl LiveEncoder {
    /// Starts; a `speed` of 1 is real time.
    pub(crate) fn start(fan_out: &FanOut, speed: f64) -> Self {
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (fan_out, stopped) = (fan_out.clone(), Arc::clone(&stop));
        let work = move || {
            let began = Instant::now();
            for packet in endless(common_packets(), 20) {
                let due = Duration::from_secs_f64(packet.at.ns() as f64 / 1e9 / speed);
                std::thread::sleep(due.saturating_sub(began.elapsed()));
                if stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                fan_out.offer(&packet);
            }
        };
        common_packets();
        let thread = std::thread::Builder::new().name("test-encoder".into()).spawn(work);
        Self { stop, thread: Some(thread.expect("a thread")) }
    }
}

impl Drop for LiveEncoder {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the test's encoder does not panic");
        }
    }
}

/// Waits until `done`, up to 30 s.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited 30 s in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
