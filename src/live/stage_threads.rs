//! The slow lane of a session: detect and track on one thread, score to decide on another.
//!
//! Takes frames from the source's edge, and sound that the source sends to the scorer itself; tells
//! evidence. Both threads end when they are told that the session is over, and say who failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use super::chaos::Point;
use super::load::{Load, Spending};
use super::status::Beat;
use super::stream::{Shared, Told};
use crate::config::camera::Show;
use crate::core::edge::{NoItem, Receiver, Sender};
use crate::core::picture::Frame;
use crate::core::time::{Span, Tick};
use crate::run::RunError;
use crate::stages::detect::look::Look;
use crate::stages::explain::Mode;
use crate::stages::features::audio_line::AudioLine;
use crate::stages::score::hearing::Hearing;
use crate::stages::score::join::Join;
use crate::stages::score::scorer::Scorer;
use crate::stages::score::stage::{LookIn, ScoreInput, score};
use crate::stages::source::live::{Loss, Reason};

/// How often a waiting stage looks whether the session is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the slow lane is made from.
pub(super) struct SlowLane<'a> {
    pub(super) shared: &'a Shared,
    pub(super) has_sound: bool,
    pub(super) people: u32,
}

/// The slow lane at work.
pub(super) struct Threads<'scope> {
    track: ScopedJoinHandle<'scope, Result<u32, RunError>>,
    score: ScopedJoinHandle<'scope, Result<(), RunError>>,
}

/// Says that a stage has ended, and is soon to be asked why.
pub(super) fn ended_early(threads: &Threads<'_>) -> Option<Loss> {
    let ended = |stage: &str| {
        Some(Loss { reason: Reason::Stage, why: format!("the stage `{stage}` has ended") })
    };
    if threads.track.is_finished() {
        return ended("track");
    }
    threads.score.is_finished().then(|| ended("score")).flatten()
}

impl<'a> SlowLane<'a> {
    /// Starts both threads.
    pub(super) fn start<'scope>(
        self,
        scope: &'scope Scope<'scope, 'a>,
        frames: Receiver<Frame>,
        (to_score, found): (Sender<ScoreInput>, Receiver<ScoreInput>),
        done: &'a AtomicBool,
    ) -> std::io::Result<Threads<'scope>>
    where
        'a: 'scope,
    {
        let Self { shared, has_sound, people } = self;
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let setting = &shared.setting;
        let detector = Box::new(shared.engine.detector());
        let look = Look::new(detector, setting.plan, setting.policy).prompt(people);
        let track = named("track").spawn_scoped(scope, move || {
            let end = EndsInputs(&to_score);
            let followed = follow(shared, look, &frames, &to_score, done);
            drop(end);
            followed
        })?;
        let (scorer, join) = scorer(shared, has_sound);
        let score = named("score").spawn_scoped(scope, move || {
            let mut watcher = Watcher::new(shared);
            let most = shared.setting.schedule.give_up_at;
            let told = &shared.exact;
            score(&found, scorer, join, most, told, &mut watcher).map(drop).map_err(RunError::from)
        })?;
        Ok(Threads { track, score })
    }
}

impl Threads<'_> {
    /// Waits for both; gives the people numbered so far, and what failed first.
    pub(super) fn join(self) -> (u32, Option<Loss>) {
        let tracked = self.track.join();
        let scored = self.score.join();
        let loss = |stage: &str, why: Option<String>| {
            let why = why.unwrap_or_else(|| "it panicked; this is a fault of the program".into());
            Some(Loss { reason: Reason::Stage, why: format!("the stage `{stage}` failed: {why}") })
        };
        match (tracked, scored) {
            (Err(_), _) => (0, loss("track", None)),
            (Ok(Err(e)), _) => (0, loss("track", Some(e.to_string()))),
            (Ok(Ok(people)), Err(_)) => (people, loss("score", None)),
            (Ok(Ok(people)), Ok(Err(e))) => (people, loss("score", Some(e.to_string()))),
            (Ok(Ok(people)), Ok(Ok(()))) => (people, None),
        }
    }
}

/// Tells the scorer that nothing more comes, also where tracking fails or panics.
struct EndsInputs<'a>(&'a Sender<ScoreInput>);

impl Drop for EndsInputs<'_> {
    fn drop(&mut self) {
        // A scorer that is gone needs no telling.
        let _ = self.0.send(ScoreInput::FramesEnd);
        let _ = self.0.send(ScoreInput::SoundEnd);
    }
}

fn follow(
    shared: &Shared,
    mut look: Look,
    frames: &Receiver<Frame>,
    to: &Sender<ScoreInput>,
    done: &AtomicBool,
) -> Result<u32, RunError> {
    let beat = shared.status.beat("track");
    let mut fault = Point::of("track");
    let ordinary = shared.setting.plan.stride;
    let mut followed = Vec::new();
    loop {
        let frame = match frames.recv_timeout(LOOK_EVERY) {
            Ok(frame) => frame,
            Err(NoItem::Empty) if !done.load(Ordering::Relaxed) => continue,
            Err(_) => break,
        };
        fault.pass();
        look.set_stride(shared.load.spending().stride(ordinary));
        look.push(frame, &mut followed)?;
        for looked in followed.drain(..) {
            let late = shared.clock.now() - looked.0.id.pts;
            shared.latency.add("track", late);
            if to.send(ScoreInput::Frame(looked)).is_err() {
                return Ok(look.people());
            }
        }
        beat.beat();
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    for looked in look.finish()? {
        if to.send(ScoreInput::Frame(looked)).is_err() {
            break;
        }
    }
    Ok(look.people())
}

fn scorer(shared: &Shared, has_sound: bool) -> (Scorer, Join) {
    let setting = &shared.setting;
    // Nothing before the session is known, or waited for.
    let first = Tick::nearest(shared.clock.now() - Span::from_ms(4_000));
    let line = has_sound.then(|| AudioLine::new(setting.spectrum(), first));
    let hearing = Hearing::new(line, first).ending_with(setting.schedule.window);
    let scorer =
        Scorer::new(Box::new(shared.engine.speaker()), setting.scorer(), hearing, has_sound);
    (scorer, Join::new(setting.rule, setting.floor, has_sound))
}

/// Looks in on scoring.
struct Watcher<'a> {
    shared: &'a Shared,
    beat: Arc<Beat>,
    load: Load,
    mode: Mode,
    hop: usize,
    fault: Point,
}

impl<'a> Watcher<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            beat: shared.status.beat("score"),
            load: shared.load.clone(),
            mode: shared.setting.mode,
            hop: shared.setting.schedule.window.hop,
            fault: Point::of("score"),
        }
    }
}

impl LookIn for Watcher<'_> {
    fn look_in(&mut self, scorer: &mut Scorer, join: &Join, frame: bool) {
        self.beat.beat();
        if !frame {
            return;
        }
        self.fault.pass();
        let spending: Spending = self.load.spending();
        scorer.spend(spending.mode(self.mode), self.hop * spending.hops);
        if self.shared.camera.show == Show::Latest
            && let Some(newest) = join.newest()
        {
            let _ = self.shared.told.try_send(Told(newest));
        }
    }
}
