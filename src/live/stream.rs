//! A live stream: its source opened again and again, its pictures shown without a break.
//!
//! Two threads for good: this one opens the source, runs a session, and waits before the next try;
//! `show` draws and encodes whatever there is. Neither waits for the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::clock::StreamClock;
use super::edges;
use super::latency::Latencies;
use super::load::Load;
use super::meters::{Meters, because, of, of_stream};
use super::session::{Going, session};
use super::show::show;
use super::status::{SourceState, Status};
use super::studio::Studio;
use crate::config::camera::{Camera, Show};
use crate::core::backoff::Backoff;
use crate::core::edge::{ByteSize, Receiver, Sender, WhenFull, edge};
use crate::core::evidence::FrameEvidence;
use crate::core::meter::EdgeMeter;
use crate::core::picture::Frame;
use crate::core::time::{Epoch, Span, Tick};
use crate::onnx::engine::Engine;
use crate::run::Setting;
use crate::stages::sink::events::hub::EventHub;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::records::PictureSize;
use crate::stages::sink::records::event::Event;
use crate::stages::source::SoundBlock;
use crate::stages::source::live::{Loss, Reason};

/// A source that was well for so long has earned a quick first try.
const WELL_FOR: Duration = Duration::from_secs(20);
/// How often a waiting stream looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Evidence by what is known now.
pub(super) struct Told(pub(super) FrameEvidence);

impl ByteSize for Told {
    fn byte_size(&self) -> usize {
        self.0.byte_size()
    }
}

impl ByteSize for SoundBlock {
    fn byte_size(&self) -> usize {
        size_of_val(self.samples.as_slice())
    }
}

/// What all stages of a stream share.
pub struct Shared {
    /// The stream as configured.
    pub camera: Camera,
    /// Its clock.
    pub clock: StreamClock,
    /// What it does.
    pub status: Status,
    /// What it measures.
    pub meters: Meters,
    /// How late it is.
    pub latency: Latencies,
    /// What it may spend.
    pub load: Load,
    /// Whether it is to end.
    pub stop: Arc<AtomicBool>,
    /// What its stages are built from.
    pub setting: Setting,
    /// Who runs its models.
    pub engine: Arc<Engine>,
    /// Where its packets go.
    pub fan_out: FanOut,
    /// The encoder's element.
    pub encoder: &'static str,
    /// Who hears what happens.
    pub hub: EventHub,
    /// Shown so far, for whoever waits for it.
    pub(super) fast: Option<Sender<Frame>>,
    pub(super) sound: Option<Sender<SoundBlock>>,
    pub(super) exact: Sender<FrameEvidence>,
    pub(super) told: Sender<Told>,
    edges: Mutex<Vec<(EdgeMeter, u64)>>,
    left_out: AtomicU64,
    /// Width and height of the newest picture, 32 bits each.
    picture: AtomicU64,
}

/// The ends that `show` reads.
pub(super) struct ShowEnds {
    pub(super) frames: Receiver<Frame>,
    pub(super) exact: Receiver<FrameEvidence>,
    pub(super) told: Receiver<Told>,
    pub(super) sound: Receiver<SoundBlock>,
}

/// What a stream is made from.
pub struct Parts {
    /// The stream as configured.
    pub camera: Camera,
    /// What its stages are built from.
    pub setting: Setting,
    /// Who runs its models.
    pub engine: Arc<Engine>,
    /// The metrics of the process.
    pub meters: Meters,
    /// Its status.
    pub status: Status,
    /// Its clock.
    pub clock: StreamClock,
    /// Where its packets go.
    pub fan_out: FanOut,
    /// The encoder's element.
    pub encoder: &'static str,
    /// Raised by sinks that want a key picture.
    pub wants_key: Arc<AtomicBool>,
    /// Who hears what happens.
    pub hub: EventHub,
    /// Whether it is to end.
    pub stop: Arc<AtomicBool>,
}

/// Runs a stream until it is told to stop (or its file has ended), on this thread and one more.
pub fn run(parts: Parts, latencies: Latencies) -> std::io::Result<()> {
    let (shared, ends, wants_key) = share(parts, latencies);
    let shared = Arc::new(shared);
    let studio = shared.fast.is_some().then(|| Studio::new(&shared, wants_key));
    let showing = {
        let shared = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("show".into())
            .spawn(move || show(&shared, ends, studio))?
    };
    supervise(&shared, &showing);
    shared.stop.store(true, Ordering::Relaxed);
    if showing.join().is_err() {
        // Nothing can be shown any more: whoever supervises the process is to begin anew.
        shared.trouble("show", Some("it panicked; this is a fault of the program".into()));
    }
    shared.status.set_source(SourceState::Ended);
    Ok(())
}

fn share(parts: Parts, latency: Latencies) -> (Shared, ShowEnds, Arc<AtomicBool>) {
    let video = parts.camera.sinks.iter().any(crate::config::camera::Sink::takes_video);
    let pictures = edges::to_show(&parts.setting.schedule);
    let (fast, frames) = edge("source→show", pictures, WhenFull::DropOldest);
    let (exact_in, exact) = edge("score→show", edges::EVIDENCE, WhenFull::DropOldest);
    let (told_in, told) = edge("track→show", edges::EVIDENCE, WhenFull::DropOldest);
    let (sound_in, sound) = edge("source→sound", edges::SOUND, WhenFull::DropOldest);
    let edges = vec![(fast.meter(), 0), (exact_in.meter(), 0), (sound_in.meter(), 0)];
    let shared = Shared {
        latency,
        clock: parts.clock,
        status: parts.status,
        meters: parts.meters,
        load: Load::default(),
        stop: parts.stop,
        setting: parts.setting,
        engine: parts.engine,
        fan_out: parts.fan_out,
        encoder: parts.encoder,
        hub: parts.hub,
        picture: AtomicU64::new(0),
        fast: video.then_some(fast),
        sound: video.then_some(sound_in),
        exact: exact_in,
        told: told_in,
        edges: Mutex::new(edges),
        left_out: AtomicU64::new(0),
        camera: parts.camera,
    };
    (shared, ShowEnds { frames, exact, told, sound }, parts.wants_key)
}

/// Opens the source, again and again.
fn supervise(shared: &Arc<Shared>, showing: &std::thread::JoinHandle<()>) {
    let source = &shared.camera.source;
    let mut backoff = Backoff::new(source.retry_first, source.retry_most);
    let mut going = Going::default();
    let mut away_since: Option<Instant> = None;
    while !shared.stop.load(Ordering::Relaxed) && !showing.is_finished() {
        if away_since.is_none() {
            shared.status.set_source(SourceState::Connecting { since: Instant::now() });
        }
        let lives_since: Mutex<Option<Instant>> = Mutex::new(None);
        let was_away = away_since;
        let loss = session(shared, &mut going, &|codecs| {
            *lives_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            opened(shared, was_away, codecs);
        });
        let lived = lives_since.into_inner().unwrap_or_else(PoisonError::into_inner);
        if lived.is_some() {
            away_since = None;
        }
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let local = matches!(source.uri.scheme(), "file" | "fd");
        if loss.reason == Reason::Ended && local && lived.is_some() {
            if source.looped {
                continue;
            }
            drain(shared);
            break;
        }
        let since = *away_since.get_or_insert_with(Instant::now);
        away(shared, &mut backoff, &loss, since, lived);
    }
}

/// A file has ended: what is on its way is shown before the stream ends.
fn drain(shared: &Shared) {
    std::thread::sleep(Duration::from_nanos(u64::try_from(shared.delay().ns()).unwrap_or(0)));
}

fn opened(shared: &Shared, was_away: Option<Instant>, codecs: &[String]) {
    let name = &shared.camera.name;
    shared.status.set_source(SourceState::Live { since: Instant::now() });
    shared.meters.source_up.get_or_create(&of_stream(name)).set(1);
    let (codecs, away) = (codecs.join(", "), was_away.map(|since| since.elapsed().as_secs_f64()));
    match away {
        Some(away) => {
            tracing::info!(stream = %name, "the source is back after {away:.1} s ({codecs})")
        }
        None => tracing::info!(stream = %name, "the source is there ({codecs})"),
    }
    shared.hub.status(&shared.status);
}

fn away(
    shared: &Shared,
    backoff: &mut Backoff,
    loss: &Loss,
    since: Instant,
    lived: Option<Instant>,
) {
    let name = &shared.camera.name;
    let wait = match loss.reason {
        Reason::Changed => Duration::ZERO,
        _ => {
            if lived.is_some_and(|at| at.elapsed() >= WELL_FOR) {
                backoff.reset();
            }
            backoff.next_wait()
        }
    };
    let next_try = Instant::now() + wait;
    let why = loss.why.clone();
    tracing::warn!(stream = %name, "no source: {why}; trying again in {:.1} s", wait.as_secs_f64());
    shared.status.set_source(SourceState::Away { since, why, next_try });
    shared.meters.source_up.get_or_create(&of_stream(name)).set(0);
    let key = because(name, "source", loss.reason.word());
    shared.meters.reconnects.get_or_create(&key).inc();
    shared.hub.status(&shared.status);
    while Instant::now() < next_try && !shared.stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY.min(next_try.saturating_duration_since(Instant::now())));
    }
}

impl Shared {
    /// How late a picture is shown after its capture.
    pub fn delay(&self) -> Span {
        match self.camera.show {
            Show::Delay => self.setting.schedule.span_held,
            Show::Latest => Span::ZERO,
        }
    }

    /// How late a frame's scores may be, at the load's level.
    pub fn scores_due(&self) -> Span {
        let hop = self.setting.schedule.window.hop;
        let more = hop * (self.load.spending().hops - 1);
        let more = Tick::SPAN.ns() * i64::try_from(more).unwrap_or(0);
        self.setting.schedule.span_held + Span::from_ns(more)
    }

    /// `text` without what must not be told.
    pub fn redacted(&self, text: &str) -> String {
        use secrecy::ExposeSecret;
        let secret = self.camera.source.login.as_ref().map(|l| l.password.expose_secret());
        match secret {
            Some(secret) if !secret.is_empty() => text.replace(secret, "*****"),
            _ => text.to_owned(),
        }
    }

    /// A part of the output is in trouble, or well again.
    pub fn trouble(&self, part: &str, trouble: Option<String>) {
        if let Some(why) = &trouble {
            tracing::warn!(stream = %self.camera.name, "{part}: {why}");
        }
        self.status.sink(part, trouble);
    }

    pub(super) fn tell_frame(&self, evidence: &FrameEvidence) {
        self.hub.frame(evidence, self.clock.utc(evidence.frame.pts), self.picture_size());
    }

    /// The size of the newest picture.
    pub fn picture_size(&self) -> PictureSize {
        let both = self.picture.load(Ordering::Relaxed);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        PictureSize { width: half(both >> 32), height: half(both) }
    }

    /// The newest picture has this size, and begins an epoch where `epoch` says so.
    pub(super) fn pictures_are(&self, width: usize, height: usize, epoch: Option<(Epoch, &str)>) {
        let half = |n: usize| u32::try_from(n).unwrap_or(0);
        let (width, height) = (half(width), half(height));
        self.picture.store(u64::from(width) << 32 | u64::from(height), Ordering::Relaxed);
        if let Some((epoch, reason)) = epoch {
            let reason = reason.to_owned();
            self.hub.event(&Event::Epoch { epoch: epoch.0, width, height, reason });
        }
    }

    pub(super) fn load_changed(&self, level: u8) {
        let what = super::load::MEANS[usize::from(level).min(super::load::MEANS.len() - 1)];
        tracing::warn!(stream = %self.camera.name, "load level {level}: {what}");
        let reason = what.to_owned();
        self.hub.event(&match level {
            0 => Event::OverloadEnd { level, reason },
            _ => Event::OverloadBegin { level, reason },
        });
    }

    /// A session's own edges, instead of those of the session before it.
    pub(super) fn watch_edges(&self, meters: &[EdgeMeter]) {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        edges.retain(|(meter, _)| meters.iter().all(|new| new.name() != meter.name()));
        edges.extend(meters.iter().map(|meter| (meter.clone(), 0)));
    }

    /// Tells all edges to the metrics; gives how many frames were left out before the detector so
    /// far.
    pub(super) fn sample_edges(&self) -> u64 {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &self.camera.name;
        for (meter, before) in edges.iter_mut() {
            let counts = meter.read();
            let stage = of(name, meter.name());
            let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            self.meters.queue_items.get_or_create(&stage).set(whole(counts.queued_items));
            self.meters.queue_bytes.get_or_create(&stage).set(whole(counts.queued_bytes));
            let new = counts.dropped.saturating_sub(*before);
            *before = counts.dropped;
            if new > 0 {
                super::meters::dropped(&self.meters, name, meter.name(), "full", new);
                if meter.name() == "source→detect" {
                    self.left_out.fetch_add(new, Ordering::Relaxed);
                }
            }
        }
        self.left_out.load(Ordering::Relaxed)
    }
}
