//! A mount, and the media that all its readers share.
//!
//! Takes packets; hands them to the media, or drops them at once. At its first keyframe the
//! stream's clock is mapped to the media's running time, the same for frames and audio. Readers
//! start with a keyframe ([`KeyframeGate`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer_app as gst_app;
use gstreamer_rtsp_server as rtsp;
use rtsp::gst;
use rtsp::gst::prelude::*;
use rtsp::prelude::*;

use super::access;
use super::factory::one_media;
use super::keyframe_gate::KeyframeGate;
use super::prepared_media::{PreparedMedia, ignore_flow_errors};
use crate::core::queue::Receiver;
use crate::core::time::Pts;
use crate::gst::packet::{Packet, PacketKind};
use crate::stages::sink::live::gst::stamped;
use crate::stages::sink::live::preroll::Formats;
use crate::telemetry::metrics::{Metrics, stream_labels};
use crate::telemetry::status::Status;

/// Bytes that may wait in a media: two seconds at 8 Mbit/s.
const MAX_QUEUED_BYTES: u64 = 2 << 20;
/// Interval of keyframe requests while a media waits for one.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// A stream to be served.
pub(crate) struct MountPlan {
    /// The path, without the slash in front.
    pub mount: String,
    /// Its packets.
    pub packets: Receiver<Packet>,
    /// The stream's status.
    pub status: Status,
    /// Where readers are counted.
    pub metrics: Metrics,
    /// Called when a reader waits for a keyframe; must not block.
    pub on_new_reader: Arc<dyn Fn() + Send + Sync>,
}

/// A mount.
pub(super) struct Mount {
    /// The path, without the slash in front.
    pub path: String,
    stream: String,
    metrics: Metrics,
    on_new_reader: Arc<dyn Fn() + Send + Sync>,
    with_roles: bool,
    state: Mutex<State>,
    gate: KeyframeGate,
}

#[derive(Default)]
struct State {
    formats: Option<Formats>,
    media: Option<ActiveMedia>,
    prepared: Option<PreparedMedia>,
    closed: bool,
    readers: usize,
}

/// The current media.
struct ActiveMedia {
    frames: gst_app::AppSrc,
    audio: Option<gst_app::AppSrc>,
    /// The stream's time at which the media's running time was zero.
    zero: Option<Pts>,
    /// Frames are dropped until the next keyframe.
    needs_keyframe: bool,
    requested_at: Instant,
}

impl Mount {
    /// A mount without a media; `with_roles` if the server requires roles.
    pub(super) fn new(plan: &MountPlan, with_roles: bool) -> Self {
        Self {
            path: plan.mount.clone(),
            stream: plan.status.stream.to_string(),
            metrics: plan.metrics.clone(),
            on_new_reader: Arc::clone(&plan.on_new_reader),
            with_roles,
            state: Mutex::default(),
            gate: KeyframeGate::default(),
        }
    }

    /// Sets the tracks.
    pub(super) fn set_formats(&self, formats: Formats) {
        self.lock().formats = Some(formats);
    }

    /// Closes it: packets are ignored from now on.
    pub(super) fn close(&self) {
        self.gate.close();
        let mut state = self.lock();
        state.closed = true;
        let old = (state.media.take(), state.prepared.take());
        drop(state);
        drop(old);
    }

    /// Creates the media again; calls `ready` once it runs.
    pub(super) fn open(
        self: &Arc<Self>,
        factory: &rtsp::RTSPMediaFactory,
        ready: impl FnOnce() + Send + 'static,
    ) {
        let mut state = self.lock();
        let old = (state.media.take(), state.prepared.take());
        drop(state);
        drop(old);
        let (_, url) = rtsp::gst_rtsp::RTSPUrl::parse(&format!("rtsp://localhost/{}", self.path));
        let media = url.and_then(|url| factory.construct(&url).ok());
        let prepared = media.map(|media| PreparedMedia::prepare(media, ready));
        match prepared {
            Some(Ok(prepared)) => {
                let mut state = self.lock();
                if !state.closed {
                    state.prepared = Some(prepared);
                }
            }
            Some(Err(e)) => {
                tracing::warn!(mount = %self.path, "the mount's thread cannot be started: {e}")
            }
            None => tracing::warn!(mount = %self.path, "the mount's pipeline cannot be created"),
        }
    }

    /// Whether its media is gone and must be created again.
    pub(super) fn is_broken(&self) -> bool {
        let state = self.lock();
        !state.closed && state.prepared.as_ref().is_none_or(PreparedMedia::has_failed)
    }

    /// Whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Sets the number of readers.
    pub(super) fn set_readers(&self, readers: usize) {
        let gauge = self.metrics.readers.get_or_create(&stream_labels(&self.stream)).clone();
        gauge.set(i64::try_from(readers).unwrap_or(i64::MAX));
        self.lock().readers = readers;
    }

    /// The factory of the mount's media, with the current tracks.
    pub(super) fn factory(self: &Arc<Self>) -> rtsp::RTSPMediaFactory {
        let factory = one_media();
        let audio = self.lock().formats.as_ref().is_some_and(|f| f.audio.is_some());
        let audio = if audio {
            "appsrc name=audio ! aacparse ! rtpmp4gpay name=pay1 pt=97 perfect-rtptime=false"
        } else {
            ""
        };
        factory.set_launch(&format!(
            "( appsrc name=frames ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=0 \
             aggregate-mode=zero-latency perfect-rtptime=false {audio} )"
        ));
        // A media per reader would cost a pipeline per reader.
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

    /// Configures a new media.
    fn configure(self: &Arc<Self>, media: &rtsp::RTSPMedia) {
        media.set_reusable(false);
        let element = media.element();
        if let Some(pipeline) = element.parent().and_downcast::<gst::Bin>() {
            disable_sync(&pipeline);
        }
        let source = |name: &str| {
            let source = element.downcast_ref::<gst::Bin>()?.by_name(name)?;
            source.downcast::<gst_app::AppSrc>().ok()
        };
        let Some(frames) = source("frames") else { return };
        let audio = source("audio");
        let mut state = self.lock();
        // One media at a time: packets go to the prepared one.
        let free = !state.closed && state.media.is_none();
        let Some(formats) = state.formats.clone().filter(|_| free) else { return };
        configure_source(&frames, &formats.image.caps);
        if let Some((audio, format)) = audio.as_ref().zip(formats.audio.as_ref()) {
            configure_source(audio, &format.caps);
        }
        ignore_flow_errors(frames.upcast_ref());
        if let Some(audio) = &audio {
            ignore_flow_errors(audio.upcast_ref());
        }
        let (zero, needs_keyframe, requested_at) = (None, true, Instant::now());
        state.media = Some(ActiveMedia { frames, audio, zero, needs_keyframe, requested_at });
        drop(state);
        (self.on_new_reader)();
    }

    /// Waits, on the reader's thread, for the keyframe that it starts with.
    pub(super) fn wait_for_keyframe(&self) {
        self.gate.wait(|| (self.on_new_reader)());
    }

    /// A reader receives packets from now on.
    pub(super) fn reader_playing(&self) {
        self.gate.entered();
    }

    /// Hands `packet` to the media, if there is one. Waits only for readers that start with it, and
    /// then briefly.
    pub(super) fn offer(&self, packet: &Packet) {
        if packet.kind == (PacketKind::Video { keyframe: true }) {
            let waiting = |m: &ActiveMedia| m.frames.current_level_bytes() > 0;
            self.gate.open(|| self.lock().media.as_ref().is_some_and(waiting));
        }
        let mut state = self.lock();
        let Some(media) = &mut state.media else { return };
        let needs_request = media.offer(packet);
        drop(state);
        if needs_request {
            (self.on_new_reader)();
        }
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveMedia {
    /// Hands `packet` over. Returns whether a keyframe must be requested.
    fn offer(&mut self, packet: &Packet) -> bool {
        if packet.kind == (PacketKind::Video { keyframe: true }) {
            self.start(packet);
        }
        let image = matches!(packet.kind, PacketKind::Video { .. });
        let Some(zero) = self.zero.filter(|_| !(image && self.needs_keyframe)) else {
            let ask = self.requested_at.elapsed() >= KEYFRAME_REQUEST_INTERVAL;
            if ask {
                self.requested_at = Instant::now();
            }
            return ask;
        };
        let source = if image { Some(&self.frames) } else { self.audio.as_ref() };
        if let Some((source, buffer)) = source.zip(stamped(packet, zero)) {
            if image && source.caps().as_ref() != Some(&packet.caps) {
                source.set_caps(Some(&packet.caps));
            }
            if source.current_level_bytes() > MAX_QUEUED_BYTES {
                // The media is stuck or about to end: old packets are useless.
                self.needs_keyframe = true;
                return false;
            }
            // A media that is ending takes no packets, and needs none.
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
        self.needs_keyframe = self.zero.is_none();
    }
}

fn configure_source(source: &gst_app::AppSrc, caps: &gst::Caps) {
    source.set_caps(Some(caps));
    source.set_format(gst::Format::Time);
    source.set_is_live(true);
    source.set_do_timestamp(false);
    source.set_block(false);
    source.set_max_bytes(MAX_QUEUED_BYTES);
    source.set_leaky_type(gst_app::AppLeakyType::Downstream);
}

/// Makes every sink of the media send at once. The time is in the packets, and a sink that waits
/// for the clock would delay all readers by the largest delay of any frame.
fn disable_sync(pipeline: &gst::Bin) {
    let disable = |element: &gst::Element| {
        let is_sink = element.element_flags().contains(gst::ElementFlags::SINK);
        if is_sink && element.has_property("sync") && !element.is::<gst::Bin>() {
            element.set_property("sync", false);
        }
    };
    for element in pipeline.iterate_recurse().into_iter().flatten() {
        disable(&element);
    }
    pipeline.connect_deep_element_added(move |_, _, element| disable(element));
}
