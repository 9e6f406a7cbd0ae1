//! One uninterrupted run of a live source: opened, watched, and taken down when it is lost.
//!
//! ```text
//! source ─┬─ pictures → sync ─┬───────────── fast lane ──────────────→ show
//!         │                   └→ detect → track ─┐
//!         ├─ sound (16 kHz) ─────────────────────┴→ score … decide ──→ show
//!         └─ sound (48 kHz) ─────────────────────────────────────────→ show
//! ```
//!
//! The source's threads never wait: they place, stamp and try to send. The slow lane (detect to
//! decide) lives and dies with the session, so that no track, window or heatmap spans two, and so
//! that a stage that panics is replaced with its session; what shows and encodes goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::edges;
use super::stage_threads::{SlowLane, ended_early};
use super::stream::Shared;
use crate::core::edge::{Receiver, Sender, WhenFull, edge};
use crate::core::picture::Frame;
use crate::core::time::{Epoch, Pts};
use crate::gst::live_intake::{LiveGraph, Taps, build};
use crate::stages::score::stage::ScoreInput;
use crate::stages::source::live::anchor::Anchor;
use crate::stages::source::live::{Loss, Reason};
use crate::stages::source::{RawPicture, SoundBlock};
use crate::stages::sync::timeline::{JumpPolicy, Timeline};

/// How often a session is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After the first picture so long is waited for a sound track to show up.
const SOUND_PATIENCE: Duration = Duration::from_millis(800);
/// How long a source may take to be taken down before it is left to itself.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// What goes on from session to session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Going {
    /// The next session's epoch.
    pub epoch: Epoch,
    /// The next frame's number.
    pub seq: u64,
    /// People numbered so far.
    pub people: u32,
}

/// Where a picture goes from the source's thread.
pub(super) struct Intake {
    pub(super) timeline: Timeline,
    pub(super) anchor: Anchor,
    generation: u32,
    size: Option<(usize, usize)>,
    pub(super) next: Going,
    pub(super) last_picture: Option<Instant>,
    last_picture_at: Option<Pts>,
}

/// The taps' ends of the edges.
struct Ends {
    fast: Option<Sender<Frame>>,
    slow: Sender<Frame>,
    heard: Sender<ScoreInput>,
    sound: Option<Sender<SoundBlock>>,
}

/// Runs the source until it is lost, or the stream is told to stop.
pub(super) fn session(shared: &Arc<Shared>, going: &mut Going, opened: &dyn Fn(&[String])) -> Loss {
    let (slow, look_out) = edge("source→detect", edges::TO_DETECT, WhenFull::DropOldest);
    let (score_in, found) = edge("track→score", edges::TO_SCORE, WhenFull::Block);
    let intake = Arc::new(Mutex::new(Intake {
        timeline: Timeline::new(JumpPolicy::default(), None).going_on(going.epoch, going.seq),
        anchor: Anchor::at(shared.clock.now()),
        generation: 0,
        size: None,
        next: *going,
        last_picture: None,
        last_picture_at: None,
    }));
    shared.watch_edges(&[slow.meter(), score_in.meter()]);
    let ends = Ends {
        fast: shared.fast.clone(),
        slow,
        heard: score_in.clone(),
        sound: shared.sound.clone(),
    };
    let loss = match build(&shared.camera.source, taps(shared, &intake, ends)) {
        Err(e) => Loss { reason: Reason::Unreadable, why: e.to_string() },
        Ok(graph) => {
            let lane = Lane { look_out, found, score_in, intake: &intake };
            let loss = watch(shared, &graph, lane, opened, going);
            graph.stop_within(CLOSE_PATIENCE);
            loss
        }
    };
    let intake = lock(&intake);
    *going = Going { people: going.people, ..intake.next };
    going.epoch = going.epoch.next();
    loss
}

fn lock(intake: &Mutex<Intake>) -> std::sync::MutexGuard<'_, Intake> {
    intake.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taps(shared: &Arc<Shared>, intake: &Arc<Mutex<Intake>>, ends: Ends) -> Taps {
    let Ends { fast, slow, heard, sound } = ends;
    let (clock, latency) = (shared.clock, shared.latency.clone());
    let picture = {
        let (intake, shared) = (Arc::clone(intake), Arc::clone(shared));
        move |raw: RawPicture| {
            let now = clock.now();
            let (frame, epoch) = lock(&intake).place(raw, now);
            let view = frame.picture.view();
            let epoch = epoch.map(|reason| (frame.id.epoch, reason));
            shared.pictures_are(view.width, view.height, epoch);
            latency.add("decode", now - frame.id.pts);
            if let Some(fast) = &fast {
                let _ = fast.try_send(frame.clone());
            }
            // Nobody looks any more: the session is about to end.
            let _ = slow.try_send(frame);
        }
    };
    let placed = {
        let intake = Arc::clone(intake);
        move |block: SoundBlock| {
            let at = lock(&intake).anchor.place(block.pts, clock.now()).at;
            SoundBlock { pts: Some(at), ..block }
        }
    };
    let meters = (shared.meters.clone(), shared.camera.name.clone());
    let skew = {
        let intake = Arc::clone(intake);
        let (meters, name) = (shared.meters.clone(), shared.camera.name.clone());
        move |at: Option<Pts>| {
            if let (Some(sound), Some(picture)) = (at, lock(&intake).last_picture_at) {
                let level = meters.av_skew.get_or_create(&super::meters::of_stream(&name));
                level.set((sound - picture).seconds());
            }
        }
    };
    let place = placed.clone();
    Taps {
        picture: Arc::new(picture),
        heard: Arc::new(move |block| {
            let block = place(block);
            skew(block.pts);
            // A scorer that is behind hears less; it must not hold up the source.
            if heard.try_send(ScoreInput::Sound(block)).is_err() {
                let (meters, name) = &meters;
                super::meters::dropped(meters, name, "track→score", "full", 1);
            }
        }),
        sound: Arc::new(move |block| {
            if let Some(sound) = &sound {
                let _ = sound.try_send(placed(block));
            }
        }),
    }
}

impl Intake {
    /// The picture's place on the stream's clock. A jump of the source's clock and a change of its
    /// size each begin an epoch.
    fn place(&mut self, raw: RawPicture, now: Pts) -> (Frame, Option<&'static str>) {
        let placed = self.anchor.place(raw.pts, now);
        let view = raw.picture.view();
        let size = (view.width, view.height);
        let reshaped = self.size.is_some_and(|before| before != size);
        let jumped = placed.generation != self.generation;
        if jumped || reshaped {
            self.timeline.begin_epoch();
        }
        let why = match (self.size, jumped, reshaped) {
            (None, ..) => Some("the source was opened"),
            (_, true, _) => Some("the source's clock jumped"),
            (_, _, true) => Some("the picture's size changed"),
            _ => None,
        };
        (self.generation, self.size) = (placed.generation, Some(size));
        let id = self.timeline.advance_to(Some(placed.at));
        self.next.epoch = id.epoch;
        self.next.seq = id.seq + 1;
        self.last_picture = Some(Instant::now());
        self.last_picture_at = Some(id.pts);
        (Frame { id, span: raw.span, picture: raw.picture }, why)
    }
}

/// The slow lane's ends, until it starts.
struct Lane<'a> {
    look_out: Receiver<Frame>,
    found: Receiver<ScoreInput>,
    score_in: Sender<ScoreInput>,
    intake: &'a Mutex<Intake>,
}

/// Starts the source, waits for its first picture, then watches it until it is lost.
fn watch(
    shared: &Shared,
    graph: &LiveGraph,
    lane: Lane<'_>,
    opened: &dyn Fn(&[String]),
    going: &mut Going,
) -> Loss {
    if let Err(why) = graph.play() {
        let why = shared.redacted(&why);
        return lost(shared, graph).unwrap_or(Loss { reason: Reason::Unreachable, why });
    }
    if let Some(base) = graph.base(shared.clock.now()) {
        lock(lane.intake).anchor = Anchor::at(base);
    }
    let begun = Instant::now();
    let stall_after = shared.camera.source.stall_after;
    let mut ready_since: Option<Instant> = None;
    loop {
        if let Some(loss) = lost(shared, graph) {
            return loss;
        }
        let shown = graph.shown();
        let pictures = lock(lane.intake).last_picture.is_some();
        if pictures {
            let since = *ready_since.get_or_insert_with(Instant::now);
            let has_sound = shown.sounds >= shared.camera.source.audio_track;
            if shown.all || has_sound || since.elapsed() > SOUND_PATIENCE {
                opened(&shown.codecs);
                return live(shared, graph, lane, has_sound, going);
            }
        } else if begun.elapsed() > stall_after {
            let why = if shown.pictures == 0 && shown.sounds > 0 {
                "it has sound but no picture".to_owned()
            } else {
                format!("no picture came within {} s", stall_after.as_secs())
            };
            return Loss { reason: Reason::Stalled, why };
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The source is there: runs the slow lane beside it.
fn live(
    shared: &Shared,
    graph: &LiveGraph,
    lane: Lane<'_>,
    has_sound: bool,
    going: &mut Going,
) -> Loss {
    let Lane { look_out, found, score_in, intake } = lane;
    let done = AtomicBool::new(false);
    let slow = SlowLane { shared, has_sound, people: going.people };
    std::thread::scope(|scope| {
        let threads = match slow.start(scope, look_out, (score_in, found), &done) {
            Ok(threads) => threads,
            Err(e) => return Loss { reason: Reason::Stage, why: format!("no thread: {e}") },
        };
        let loss = loop {
            if let Some(loss) = lost(shared, graph) {
                break loss;
            }
            if let Some(loss) = ended_early(&threads) {
                break loss;
            }
            let quiet = lock(intake).last_picture.map_or(Duration::ZERO, |at| at.elapsed());
            if quiet > shared.camera.source.stall_after {
                let why = format!("no picture for {:.0} s", quiet.as_secs_f64());
                break Loss { reason: Reason::Stalled, why };
            }
            if !has_sound && graph.shown().sounds >= shared.camera.source.audio_track {
                let why = "a sound track has appeared".to_owned();
                break Loss { reason: Reason::Changed, why };
            }
            std::thread::sleep(LOOK_EVERY);
        };
        // The source's threads let go of their ends of the edges, and the lane ends with them.
        done.store(true, Ordering::Relaxed);
        graph.stop_within(CLOSE_PATIENCE);
        let (people, failed) = threads.join();
        going.people = people.max(going.people);
        failed.unwrap_or(loss)
    })
}

/// Why the source is lost, where it is.
fn lost(shared: &Shared, graph: &LiveGraph) -> Option<Loss> {
    if shared.stop.load(Ordering::Relaxed) {
        return Some(Loss { reason: Reason::Ended, why: "the stream was told to stop".into() });
    }
    let shown = graph.shown();
    if let Some(why) = shown.error {
        return Some(Loss { reason: Reason::Unreadable, why });
    }
    if let Some(fault) = graph.bus.spoken().error {
        let missing = graph.bus.spoken().missing;
        let reason = match () {
            () if fault.unauthorized => Reason::Refused,
            () if !missing.is_empty() || fault.unknown_type => Reason::Unreadable,
            () => Reason::Unreachable,
        };
        let why = match missing.is_empty() {
            true => fault.of_source(&shared.camera.source),
            false => format!("GStreamer lacks a plugin for: {}", missing.join(", ")),
        };
        return Some(Loss { reason, why: shared.redacted(&why) });
    }
    let why = "the source has ended".to_owned();
    shown.ended.then_some(Loss { reason: Reason::Ended, why })
}
