//! The camera's RTSP server: one shared media for all clients, fed in real time from memory.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gstreamer_app as gst_app;
use gstreamer_rtsp_server as rtsp;
use rtsp::gst;
use rtsp::gst::prelude::*;
use rtsp::prelude::*;
use rtsp::{gio, glib};

use super::clip::{AUDIO_HZ, AUDIO_PACKET, Clip, caps};
use crate::controls::{Controls, FRAME_CLOCK_HZ, PacketFate};
use crate::{Codec, Options};

/// The role of logged-in clients.
const VIEWER: &str = "viewer";
/// A feeder that is later than this was suspended; it continues from the current time.
const STALL_THRESHOLD: Duration = Duration::from_millis(500);

/// A camera that serves until it is dropped.
pub(crate) struct Camera {
    uri: String,
    main_loop: glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Camera {
    /// Encodes the clip and starts to listen.
    pub(crate) fn start(options: &Options, controls: &Arc<Controls>) -> Result<Self, String> {
        gst::init().map_err(|e| e.to_string())?;
        let clip = Arc::new(Clip::of(options)?);
        let server = rtsp::RTSPServer::new();
        server.set_address("127.0.0.1");
        server.set_service(&options.port.to_string());
        let factory = rtsp::RTSPMediaFactory::new();
        if let Some((user, password)) = options.user.as_deref().zip(options.password.as_deref()) {
            server.set_auth(Some(&login(user, password, &factory)));
        }
        factory.set_launch(&launch(options));
        factory.set_shared(true);
        let (own, controls, frame_caps) = (Arc::clone(&clip), Arc::clone(controls), caps(options));
        let log = options.sent.as_ref().map(|file| {
            let made = std::fs::File::create(file);
            made.map(Arc::new).map_err(|e| format!("{}: {e}", file.display()))
        });
        let plan = Plan { rate: options.rate, audio: options.audio, log: log.transpose()? };
        factory.connect_media_configure(move |_, media| {
            if let Err(e) = configure(media, &own, &controls, &frame_caps, &plan) {
                eprintln!("locutor-test-camera: {e}");
            }
        });
        let mounts = server.mount_points().ok_or("no mount points")?;
        mounts.add_factory("/camera", factory);

        let context = glib::MainContext::new();
        let source = server.create_source(gio::Cancellable::NONE).map_err(|e| e.to_string())?;
        source.attach(Some(&context));
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let running_loop = main_loop.clone();
        let thread =
            std::thread::Builder::new().name("rtsp".into()).spawn(move || running_loop.run());
        let thread = Some(thread.map_err(|e| e.to_string())?);
        let uri = format!("rtsp://127.0.0.1:{}/camera", server.bound_port());
        Ok(Self { uri, main_loop, thread })
    }

    /// The URI, without credentials.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.main_loop.quit();
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn login(user: &str, password: &str, factory: &rtsp::RTSPMediaFactory) -> rtsp::RTSPAuth {
    let auth = rtsp::RTSPAuth::new();
    let viewer = rtsp::RTSPToken::builder().field("media.factory.role", VIEWER).build();
    auth.set_supported_methods(rtsp::gst_rtsp::RTSPAuthMethod::Digest);
    auth.add_digest(user, password, &viewer);
    let role = gst::Structure::builder(VIEWER)
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
    auth
}

fn launch(options: &Options) -> String {
    let pay = match options.codec {
        Codec::H264 => "rtph264pay config-interval=-1",
        Codec::H265 => "rtph265pay config-interval=-1",
        Codec::Mjpeg => "rtpjpegpay",
        Codec::Vp8 => "rtpvp8pay",
    };
    let offset = options.wraps_after.map_or_else(String::new, |seconds| {
        format!("timestamp-offset={}", 0u32.wrapping_sub(seconds.wrapping_mul(90_000)))
    });
    let source = "is-live=true format=time max-bytes=4000000 leaky-type=downstream";
    let audio = match options.audio {
        true => format!(
            "appsrc name=audio {source} ! rtppcmapay name=pay1 pt=8 min-ptime=20000000 \
             max-ptime=20000000 perfect-rtptime=false"
        ),
        false => String::new(),
    };
    format!("( appsrc name=frames {source} ! {pay} name=pay0 pt=96 {offset} {audio} )")
}

struct Plan {
    rate: (u32, u32),
    audio: bool,
    /// Log of sent frames.
    log: Option<Arc<File>>,
}

fn configure(
    media: &rtsp::RTSPMedia,
    clip: &Arc<Clip>,
    controls: &Arc<Controls>,
    frame_caps: &gst::Caps,
    plan: &Plan,
) -> Result<(), String> {
    media.set_rate_control(false);
    let bin = media.element().downcast::<gst::Bin>().map_err(|_| "no bin")?;
    let app_source =
        |name: &str| bin.by_name(name).and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let frames = app_source("frames").ok_or("no appsrc for frames")?;
    let audio = app_source("audio").filter(|_| plan.audio);
    frames.set_caps(Some(frame_caps));
    if let Some(audio) = &audio {
        let caps = gst::Caps::builder("audio/x-alaw").field("rate", 8_000).field("channels", 1);
        audio.set_caps(Some(&caps.build()));
    }
    for (name, clock_hz) in [("pay0", FRAME_CLOCK_HZ), ("pay1", 8_000)] {
        if let Some(pad) = bin.by_name(name).and_then(|pay| pay.static_pad("src")) {
            inject_faults(&pad, clock_hz, controls);
        }
    }
    let stopped = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&stopped);
    media.connect_unprepared(move |_| ended.store(true, Ordering::Relaxed));
    let feeder = Feeder {
        frames,
        audio,
        clip: Arc::clone(clip),
        controls: Arc::clone(controls),
        rate: plan.rate,
        log: plan.log.clone(),
        stopped,
        late: Duration::ZERO,
    };
    let feed = std::thread::Builder::new().name("feed".into()).spawn(move || feeder.run());
    feed.map(drop).map_err(|e| e.to_string())
}

/// Drops and corrupts RTP packets on `pad`, and shifts their timestamps.
fn inject_faults(pad: &gst::Pad, clock_hz: i64, controls: &Arc<Controls>) {
    let controls = Arc::clone(controls);
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(mask, move |_, info| {
        if let Some(gst::PadProbeData::BufferList(list)) = &mut info.data {
            list.make_mut().foreach_mut(|mut buffer, _| {
                let kept = alter_packet(&mut buffer, clock_hz, &controls);
                std::ops::ControlFlow::Continue(kept.then_some(buffer))
            });
        }
        match info.buffer_mut().is_none_or(|buffer| alter_packet(buffer, clock_hz, &controls)) {
            true => gst::PadProbeReturn::Ok,
            false => gst::PadProbeReturn::Drop,
        }
    });
}

/// Applies the faults to a packet; false drops it.
fn alter_packet(buffer: &mut gst::Buffer, clock_hz: i64, controls: &Controls) -> bool {
    let (fate, random) = controls.next_fate();
    let jump = controls.jump_ticks(clock_hz);
    if fate == PacketFate::Lost {
        return false;
    }
    if jump == 0 && fate == PacketFate::Sent {
        return true;
    }
    let Ok(mut map) = buffer.make_mut().map_writable() else { return true };
    let bytes = map.as_mut_slice();
    if let Some(stamp) = bytes.get_mut(4..8) {
        let at = stamp.iter().fold(0u32, |at, byte| at << 8 | u32::from(*byte));
        stamp.copy_from_slice(&at.wrapping_add(jump).to_be_bytes());
    }
    // After the header: a corrupt header would be a lost packet.
    if fate == PacketFate::Corrupted && bytes.len() > 13 {
        let at = 13 + random % (bytes.len() - 13);
        bytes[at] ^= 1 << (random % 8);
    }
    true
}

struct Feeder {
    frames: gst_app::AppSrc,
    audio: Option<gst_app::AppSrc>,
    clip: Arc<Clip>,
    controls: Arc<Controls>,
    rate: (u32, u32),
    log: Option<Arc<File>>,
    stopped: Arc<AtomicBool>,
    /// Total time during which the process was suspended.
    late: Duration,
}

impl Feeder {
    /// Feeds until the last client leaves.
    fn run(mut self) {
        let begun = Instant::now();
        let (n, d) = (u64::from(self.rate.0), u64::from(self.rate.1));
        let frame_due = |i: u64| Duration::from_nanos(i * 1_000_000_000 * d / n);
        let (mut frames, mut audios) = (0u64, 0u64);
        let mut audio_due = Duration::ZERO;
        while !self.stopped.load(Ordering::Relaxed) {
            let frame_at = frame_due(frames);
            let audio_is_next = self.audio.is_some() && audio_due < frame_at;
            let due = if audio_is_next { audio_due } else { frame_at };
            let at = self.wait(begun, due);
            let pushed = if audio_is_next {
                let pushed = self.push_audio(audios, at);
                audios += 1;
                let ns = 1_000_000_000 * AUDIO_PACKET as i64 / AUDIO_HZ as i64;
                let ns = ns - ns * self.controls.drift_ppm() / 1_000_000;
                audio_due += Duration::from_nanos(ns.unsigned_abs());
                pushed
            } else {
                frames += 1;
                self.push_frame(frames - 1, at)
            };
            if !pushed {
                return;
            }
        }
    }

    /// Waits until `due`; returns the presentation time.
    fn wait(&mut self, begun: Instant, due: Duration) -> Duration {
        let at = due + self.late;
        let now = begun.elapsed();
        if now > at + STALL_THRESHOLD {
            self.late += now - at;
            return now;
        }
        std::thread::sleep(at.saturating_sub(now));
        at
    }

    fn push_frame(&self, index: u64, at: Duration) -> bool {
        if self.controls.paused() {
            return true;
        }
        let clip = &self.clip.frames;
        let index = (index % clip.len() as u64) as usize;
        if let Some(mut log) = self.log.as_deref() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let _ = writeln!(log, "{index} {}", now.as_nanos());
        }
        push(&self.frames, clip[index].clone(), at)
    }

    fn push_audio(&self, index: u64, at: Duration) -> bool {
        let Some(audio) =
            self.audio.as_ref().filter(|_| !self.controls.paused() && !self.controls.silent())
        else {
            return true;
        };
        let packets = (self.clip.audio.len() / AUDIO_PACKET).max(1) as u64;
        let from = (index % packets) as usize * AUDIO_PACKET;
        let data = self.clip.audio.get(from..from + AUDIO_PACKET).unwrap_or_default();
        push(audio, data.to_vec(), at)
    }
}

/// Pushes a buffer; false if the media has stopped.
fn push(to: &gst_app::AppSrc, data: Vec<u8>, at: Duration) -> bool {
    let mut buffer = gst::Buffer::from_mut_slice(data);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::from_nseconds(at.as_nanos() as u64));
    }
    !matches!(to.push_buffer(buffer), Err(gst::FlowError::Flushing | gst::FlowError::Eos))
}
