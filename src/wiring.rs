//! The way of a frame, wired: the stages in order, a named thread each, and the edges between them.
//!
//! ```text
//! source ─┬─ pictures → sync ─┬─────────────── fast lane ───────────────┬→ overlay → film
//!         │                   └→ detect → track ─┐                      │
//!         ├─ sound ──────────────────────────────┴→ features, score, ───┘→ records
//!         │                                          explain, decide
//!         └─ packets (the sound as stored) ────────────────────────────→ film
//! ```
//!
//! Files: every edge blocks, nothing is dropped. The fast lane is as long as the slow lane takes,
//! by the sum in [`crate::stages::score::budget`]; where that does not fit the byte budget the
//! recording is read twice, scores first (see `passes` below).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use crate::core::edge::{Capacity, Receiver, Sender, WhenFull, edge};
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::core::time::Tick;
use crate::onnx::engine::Engine;
use crate::run::{RunError, Setting};
use crate::stages::detect::look::Look;
use crate::stages::features::audio_line::AudioLine;
use crate::stages::overlay::Painter;
use crate::stages::overlay::gst::{Blender, Drawn};
use crate::stages::score::hearing::Hearing;
use crate::stages::score::join::Join;
use crate::stages::score::scorer::Scorer;
use crate::stages::score::stage::{Nobody, ScoreCounts, ScoreInput, score};
use crate::stages::sink::gst::Film;
use crate::stages::sink::stage::{Progress, Records, write};
use crate::stages::source::feed::{Fed, Hold, feed_pictures};
use crate::stages::source::gst::{PacketReader, Recording, SoundReader};
use crate::stages::sync::timeline::{JumpPolicy, Timeline};

/// Items that wait between two stages of the slow lane.
const BETWEEN: usize = 4;
/// Bytes of decoded sound that may wait for the scorer.
const SOUND_BYTES: usize = 64 << 20;

/// What a pass over the recording did.
#[derive(Debug, Default)]
pub struct Passed {
    /// What the source gave.
    pub fed: Fed,
    /// What scoring went through.
    pub scored: ScoreCounts,
    /// What drawing did.
    pub drawn: Drawn,
}

/// One pass: the recording through all stages, with evidence for every frame written to `records`
/// and drawn on the film, where there is one.
///
/// # Errors
/// The first thing that failed, in the order of the stages.
pub fn pass(
    setting: &Setting,
    recording: &Recording,
    engine: &Engine,
    film: Option<&Film>,
    records: &mut Records,
    (progress, stop): (&Progress, &AtomicBool),
) -> Result<Passed, RunError> {
    // Bounded by the source itself (`Hold`): in frames and in media time.
    let lane = Capacity { items: usize::MAX, bytes: usize::MAX };
    let (fast_in, fast_out) = edge("source→overlay", lane, WhenFull::Block);
    let (evidence_in, evidence_out) = edge("score→overlay", lane, WhenFull::Block);
    let (fast_in, fast_out) = film.map(|_| (fast_in, fast_out)).unzip();
    let scorer = scorer(setting, engine, recording);
    let join = Join::new(setting.rule, setting.floor, recording.shape().sound.is_some());
    recording.play()?;
    std::thread::scope(|scope| {
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let hold = film.and(setting.schedule.frames_held).map(|frames| Hold {
            frames,
            span: setting.schedule.span_held,
            progress,
        });
        let fast = FastLane { film, frames: fast_in, hold };
        let Front { source, track, found } = front(scope, setting, recording, engine, fast, stop)?;
        let most = setting.schedule.give_up_at;
        let scoring = named("score").spawn_scoped(scope, move || {
            guarded(recording, || score(&found, scorer, join, most, &evidence_in, &mut Nobody))
        })?;
        let overlay = named("overlay").spawn_scoped(scope, move || {
            let drawn = guarded(recording, || {
                draw(setting, film, &evidence_out, fast_out.as_ref(), records, progress)
            });
            // The sound may go on for long; the muxer must not wait for pictures meanwhile.
            film.iter().for_each(|film| film.end_pictures());
            drawn
        })?;
        let fed = joined(source, "source");
        let tracked = joined(track, "track").flatten();
        let scored = joined(scoring, "score").and_then(|s| s.map_err(RunError::from));
        let drawn = joined(overlay, "overlay").flatten();
        // A stage that fails ends its neighbours: report the cause, not the consequence.
        let drawn = drawn?;
        tracked?;
        Ok(Passed { fed: fed?, scored: scored?, drawn })
    })
}

/// The stages before scoring alone: what they give goes to `take`, on the calling thread, which may
/// end before they do.
///
/// # Errors
/// The first thing that failed, in the order of the stages.
pub fn look<T>(
    setting: &Setting,
    recording: &Recording,
    engine: &Engine,
    take: impl FnOnce(Receiver<ScoreInput>) -> T,
) -> Result<(T, Fed), RunError> {
    let stop = AtomicBool::new(false);
    recording.play()?;
    std::thread::scope(|scope| {
        let fast = FastLane { film: None, frames: None, hold: None };
        let Front { source, track, found } = front(scope, setting, recording, engine, fast, &stop)?;
        let taken = guarded(recording, || Ok::<_, RunError>(take(found)));
        // Whoever still reads then ends, too.
        stop.store(true, Ordering::Relaxed);
        recording.stop();
        let fed = joined(source, "source");
        joined(track, "track").flatten()?;
        Ok((taken?, fed?))
    })
}

/// Where pictures go beside the slow lane.
struct FastLane<'scope> {
    film: Option<&'scope Film>,
    frames: Option<Sender<Frame>>,
    hold: Option<Hold<'scope>>,
}

/// The stages before scoring, at work.
struct Front<'scope> {
    source: ScopedJoinHandle<'scope, Fed>,
    track: ScopedJoinHandle<'scope, Result<(), RunError>>,
    /// Tracked frames and sound.
    found: Receiver<ScoreInput>,
}

/// Starts the stages before scoring, a thread each.
fn front<'scope>(
    scope: &'scope Scope<'scope, '_>,
    setting: &Setting,
    recording: &'scope Recording,
    engine: &Engine,
    fast: FastLane<'scope>,
    stop: &'scope AtomicBool,
) -> Result<Front<'scope>, RunError> {
    let named = |name: &str| std::thread::Builder::new().name(name.into());
    let between = Capacity { items: BETWEEN, bytes: usize::MAX };
    let inputs = Capacity { items: usize::MAX, bytes: SOUND_BYTES };
    let (look_in, look_out) = edge("source→detect", between, WhenFull::Block);
    let (score_in, found) = edge("track→score", inputs, WhenFull::Block);
    let look = Look::new(Box::new(engine.detector()), setting.plan, setting.policy);
    let timeline = Timeline::new(JumpPolicy::default(), recording.shape().video.rate);
    let pictures = recording.pictures();
    let FastLane { film, frames, hold } = fast;
    let source = named("source").spawn_scoped(scope, move || {
        let fed = feed_pictures(pictures, timeline, frames, look_in, hold, stop);
        // Pictures that nobody takes any more hold up the demuxer, and with it whoever waits for
        // sound and has not seen `stop` yet.
        if fed.stopped {
            recording.stop();
        }
        fed
    })?;
    read_sound(scope, recording, film, &score_in, stop)?;
    let track = named("track")
        .spawn_scoped(scope, move || guarded(recording, || follow(look, &look_out, &score_in)))?;
    Ok(Front { source, track, found })
}

/// The sound's two threads: what the model hears, and what the film keeps.
fn read_sound<'scope>(
    scope: &'scope Scope<'scope, '_>,
    recording: &Recording,
    film: Option<&'scope Film>,
    to: &Sender<ScoreInput>,
    stop: &'scope AtomicBool,
) -> Result<(), RunError> {
    let named = |name: &str| std::thread::Builder::new().name(name.into());
    if let Some(sound) = recording.sound() {
        let to = to.clone();
        named("sound").spawn_scoped(scope, move || feed_sound(sound, &to, stop))?;
    }
    if let Some(packets) = recording.packets() {
        named("packets").spawn_scoped(scope, move || match film {
            Some(film) => keep_sound(packets, film, stop),
            // Nobody wants them, but the demuxer does not go on without.
            None => packets.take_while(|_| !stop.load(Ordering::Relaxed)).for_each(drop),
        })?;
    }
    Ok(())
}

/// Stops the recording where `work` fails or panics: whoever still reads from it then ends, too,
/// instead of waiting for a stage that is gone.
fn guarded<T, E>(recording: &Recording, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    struct Armed<'a>(Option<&'a Recording>);
    impl Drop for Armed<'_> {
        fn drop(&mut self) {
            if let Some(recording) = self.0 {
                recording.stop();
            }
        }
    }
    let mut armed = Armed(Some(recording));
    let done = work();
    if done.is_ok() {
        armed.0 = None;
    }
    done
}

fn joined<T>(handle: ScopedJoinHandle<'_, T>, stage: &'static str) -> Result<T, RunError> {
    handle.join().map_err(|_| RunError::Panicked { stage })
}

fn scorer(setting: &Setting, engine: &Engine, recording: &Recording) -> Scorer {
    let has_sound = recording.shape().sound.is_some();
    let line = has_sound.then(|| AudioLine::new(setting.spectrum(), Tick::default()));
    let hearing = Hearing::new(line, Tick::default());
    Scorer::new(Box::new(engine.speaker()), setting.scorer(), hearing, has_sound)
}

fn feed_sound(sound: SoundReader, to: &Sender<ScoreInput>, stop: &AtomicBool) {
    for block in sound {
        if stop.load(Ordering::Relaxed) || to.send(ScoreInput::Sound(block)).is_err() {
            break;
        }
    }
    // Where nobody listens any more there is nobody to tell.
    let _ = to.send(ScoreInput::SoundEnd);
}

/// Hands the stored sound to the film until it ends, or `stop`.
pub fn keep_sound(packets: PacketReader, film: &Film, stop: &AtomicBool) {
    for packet in packets {
        // A film that has failed says so to the stage that pushes pictures.
        if stop.load(Ordering::Relaxed) || film.push_packet(&packet).is_err() {
            break;
        }
    }
    film.end_packets();
}

fn follow(
    mut look: Look,
    frames: &Receiver<Frame>,
    to: &Sender<ScoreInput>,
) -> Result<(), RunError> {
    let mut done = Vec::new();
    while let Some(frame) = frames.recv() {
        look.push(frame, &mut done)?;
        for looked in done.drain(..) {
            if to.send(ScoreInput::Frame(looked)).is_err() {
                return Ok(());
            }
        }
    }
    for looked in look.finish()? {
        if to.send(ScoreInput::Frame(looked)).is_err() {
            return Ok(());
        }
    }
    let _ = to.send(ScoreInput::FramesEnd);
    Ok(())
}

fn draw(
    setting: &Setting,
    film: Option<&Film>,
    evidence: &Receiver<FrameEvidence>,
    frames: Option<&Receiver<Frame>>,
    records: &mut Records,
    progress: &Progress,
) -> Result<Drawn, RunError> {
    let mut blender = Blender::new(Painter::new(setting.style));
    write(evidence, frames, records, progress, |frame, evidence| {
        let (pts, span) = (frame.id.pts, frame.span);
        let buffer = blender.draw(frame, evidence)?;
        if let Some(film) = film {
            film.push_picture(buffer, pts, span)?;
        }
        Ok::<_, RunError>(())
    })?;
    Ok(blender.drawn())
}
