//! A mount, and the one media that all its readers share, for as long as the mount lives.
//!
//! Takes packets; hands them to the media, or drops them at once. The stream's clock is mapped to the
//! media's running time at its first keyframe, the same for frames and audio. Readers begin with
//! a keyframe ([`Gate`]).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gstreamer_app as gst_app;
use gstreamer_rtsp_server as rtsp;
use rtsp::gst;
use rtsp::gst::prelude::*;
use rtsp::prelude::*;

use super::factory::one_media;
use super::gate::Gate;
use super::hold::{Hold, forgive};
use super::{MountPlan, access, lock};
use crate::core::time::Pts;
use crate::gst::packet::{Kind, Packet};
use crate::stages::sink::live::gst::stamped;
use crate::stages::sink::live::preroll::Formats;
use crate::telemetry::metrics::{Metrics, stream_labels};

/// What may wait in a media, in bytes: two seconds of 8 Mbit/s.
const WAITING_BYTES: u64 = 2 << 20;
/// How often a keyframe is asked for while a media waits for one.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A mount.
pub struct Mount {
    /// The path, without the slash in front.
    pub path: String,
    stream: String,
    metrics: Metrics,
    on_new_reader: Arc<dyn Fn() + Send + Sync>,
    with_roles: bool,
    now: Mutex<Now>,
    gate: Gate,
}

#[derive(Default)]
struct Now {
    formats: Option<Formats>,
    media: Option<Live>,
    hold: Option<Hold>,
    closed: bool,
    readers: usize,
}

/// The media that exists now.
struct Live {
    frames: gst_app::AppSrc,
    audio: Option<gst_app::AppSrc>,
    /// The stream's time at which the media's running time was zero.
    zero: Option<Pts>,
    /// Frames are left out up to the next keyframe.
    waits_for_key: bool,
    asked: Instant,
}

impl Mount {
    /// A mount without a media; `with_roles` where the server asks for any.
    pub fn new(plan: &MountPlan, with_roles: bool) -> Self {
        Self {
            path: plan.mount.clone(),
            stream: plan.status.stream.to_string(),
            metrics: plan.metrics.clone(),
            on_new_reader: Arc::clone(&plan.on_new_reader),
            with_roles,
            now: Mutex::default(),
            gate: Gate::default(),
        }
    }

    /// The tracks are these from now on.
    pub fn set_formats(&self, formats: Formats) {
        lock(&self.now).formats = Some(formats);
    }

    /// It takes and gives nothing any more.
    pub fn close(&self) {
        self.gate.close();
        let mut now = lock(&self.now);
        now.closed = true;
        let old = (now.media.take(), now.hold.take());
        drop(now);
        drop(old);
    }

    /// Makes the media anew; calls `ready` once it runs.
    pub fn open(
        self: &Arc<Self>,
        factory: &rtsp::RTSPMediaFactory,
        ready: impl FnOnce() + Send + 'static,
    ) {
        let mut now = lock(&self.now);
        let old = (now.media.take(), now.hold.take());
        drop(now);
        drop(old);
        let (_, url) = rtsp::gst_rtsp::RTSPUrl::parse(&format!("rtsp://localhost/{}", self.path));
        let media = url.and_then(|url| factory.construct(&url).ok());
        let hold = media.map(|media| Hold::begin(media, ready));
        match hold {
            Some(Ok(hold)) => {
                let mut now = lock(&self.now);
                if !now.closed {
                    now.hold = Some(hold);
                }
            }
            Some(Err(e)) => tracing::warn!(mount = %self.path, "no thread for the mount: {e}"),
            None => tracing::warn!(mount = %self.path, "the mount's pipeline cannot be made"),
        }
    }

    /// Whether its media is gone and must be made anew.
    pub fn is_broken(&self) -> bool {
        let now = lock(&self.now);
        !now.closed && now.hold.as_ref().is_none_or(Hold::has_failed)
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.now).closed
    }

    /// So many read it now.
    pub fn set_readers(&self, readers: usize) {
        let gauge = self.metrics.readers.get_or_create(&stream_labels(&self.stream)).clone();
        gauge.set(i64::try_from(readers).unwrap_or(i64::MAX));
        lock(&self.now).readers = readers;
    }

    /// What makes the mount's media, with the tracks as they are now.
    pub fn factory(self: &Arc<Self>) -> rtsp::RTSPMediaFactory {
        let factory = one_media();
        let audio = lock(&self.now).formats.as_ref().is_some_and(|f| f.audio.is_some());
        let audio = if audio {
            "appsrc name=audio ! aacparse ! rtpmp4gpay name=pay1 pt=97 perfect-rtptime=false"
        } else {
            ""
        };
        factory.set_launch(&format!(
            "( appsrc name=frames ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=0 \
             aggregate-mode=zero-latency perfect-rtptime=false {audio} )"
        ));
        // A media for every reader costs a pipeline for every reader.
        factory.set_shared(true);
        factory.set_suspend_mode(rtsp::RTSPSuspendMode::None);
        factory.set_stop_on_disconnect(true);
        factory.set_eos_shutdown(false);
        factory.set_latency(0);
        let transports = rtsp::gst_rtsp::RTSPLowerTrans::TCP | rtsp::gst_rtsp::RTSPLowerTrans::UDP;
        factory.set_protocols(transports);
        if self.with_roles {
            access::allow(&factory);
        }
        let mount = Arc::downgrade(self);
        factory.connect_media_configure(move |_, media| {
            if let Some(mount) = mount.upgrade() {
                mount.configure(media);
            }
        });
        factory
    }

    /// A media was made.
    fn configure(self: &Arc<Self>, media: &rtsp::RTSPMedia) {
        media.set_reusable(false);
        let element = media.element();
        if let Some(pipeline) = element.parent().and_downcast::<gst::Bin>() {
            send_at_once(&pipeline);
        }
        let source = |name: &str| {
            let source = element.downcast_ref::<gst::Bin>()?.by_name(name)?;
            source.downcast::<gst_app::AppSrc>().ok()
        };
        let Some(frames) = source("frames") else { return };
        let audio = source("audio");
        let mut now = lock(&self.now);
        // One media at a time: packets go to the one that is held.
        let free = !now.closed && now.media.is_none();
        let Some(formats) = now.formats.clone().filter(|_| free) else { return };
        set_up(&frames, &formats.image.caps);
        if let Some((audio, format)) = audio.as_ref().zip(formats.audio.as_ref()) {
            set_up(audio, &format.caps);
        }
        forgive(frames.upcast_ref());
        if let Some(audio) = &audio {
            forgive(audio.upcast_ref());
        }
        let (zero, waits_for_key, asked) = (None, true, Instant::now());
        now.media = Some(Live { frames, audio, zero, waits_for_key, asked });
        drop(now);
        (self.on_new_reader)();
    }

    /// Waits, on the reader's thread, for the keyframe that it begins with.
    pub fn reader_waits(&self) {
        self.gate.wait(|| (self.on_new_reader)());
    }

    /// A reader is sent to from now on.
    pub fn reader_plays(&self) {
        self.gate.arrived();
    }

    /// Hands `packet` to the media, where there is one. Waits only for readers that begin with it,
    /// and then briefly.
    pub fn offer(&self, packet: &Packet) {
        if packet.kind == (Kind::Image { key: true }) {
            let waiting = |m: &Live| m.frames.current_level_bytes() > 0;
            self.gate.open(|| lock(&self.now).media.as_ref().is_some_and(waiting));
        }
        let mut now = lock(&self.now);
        let Some(media) = &mut now.media else { return };
        let wanted = media.offer(packet);
        drop(now);
        if wanted {
            (self.on_new_reader)();
        }
    }
}

impl Live {
    /// Whether a keyframe is to be asked for.
    fn offer(&mut self, packet: &Packet) -> bool {
        if packet.kind == (Kind::Image { key: true }) {
            self.start(packet);
        }
        let image = matches!(packet.kind, Kind::Image { .. });
        let Some(zero) = self.zero.filter(|_| !(image && self.waits_for_key)) else {
            let ask = self.asked.elapsed() >= ASK_EVERY;
            if ask {
                self.asked = Instant::now();
            }
            return ask;
        };
        let source = if image { Some(&self.frames) } else { self.audio.as_ref() };
        if let Some((source, buffer)) = source.zip(stamped(packet, zero)) {
            if image && source.caps().as_ref() != Some(&packet.caps) {
                source.set_caps(Some(&packet.caps));
            }
            if source.current_level_bytes() > WAITING_BYTES {
                // The media is stuck or about to end: what is old helps nobody.
                self.waits_for_key = true;
                return false;
            }
            // A media that is going away takes nothing, and needs nothing.
            let _ = source.push_buffer(buffer);
        }
        false
    }

    fn start(&mut self, key: &Packet) {
        if self.zero.is_none()
            && let Some(running) = self.frames.current_running_time()
        {
            let running = i64::try_from(running.nseconds()).unwrap_or(0);
            self.zero = Some(Pts::from_ns(key.at.ns() - running));
        }
        self.waits_for_key = self.zero.is_none();
    }
}

fn set_up(source: &gst_app::AppSrc, caps: &gst::Caps) {
    source.set_caps(Some(caps));
    source.set_format(gst::Format::Time);
    source.set_is_live(true);
    source.set_do_timestamp(false);
    source.set_block(false);
    source.set_max_bytes(WAITING_BYTES);
    source.set_leaky_type(gst_app::AppLeakyType::Downstream);
}

/// Every sink of the media sends what it gets at once: its time is in the packets, and a sink that
/// waits for the clock makes all readers as late as the slowest frame ever was.
fn send_at_once(pipeline: &gst::Bin) {
    let at_once = |element: &gst::Element| {
        let is_sink = element.element_flags().contains(gst::ElementFlags::SINK);
        if is_sink && element.has_property("sync") && !element.is::<gst::Bin>() {
            element.set_property("sync", false);
        }
    };
    for element in pipeline.iterate_recurse().into_iter().flatten() {
        at_once(&element);
    }
    pipeline.connect_deep_element_added(move |_, _, element| at_once(element));
}
