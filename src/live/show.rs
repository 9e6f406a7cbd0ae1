//! Where the fast lane meets the slow one, live: every picture is drawn on and encoded when it is
//! due, whatever is known by then.
//!
//! `delay`: a picture is due when its own scores are certain; what is shown is true. `latest`: it is
//! due as soon as its boxes are known, with the newest scores. In both, a picture whose evidence did
//! not come in time is shown with the newest boxes that are no older than [`STALE_AFTER`], and
//! counted; pictures are never held back. While the source is away a slate says since when and why.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::chaos::Point;
use super::load::{Governor, Second};
use super::meters::{of, of_stream};
use super::slate;
use super::status::SourceState;
use super::stream::{Shared, ShowEnds};
use super::studio::Studio;
use crate::config::camera::Show;
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::core::time::{Pts, Span};

/// Boxes older than this are not shown any more.
pub const STALE_AFTER: Span = Span::from_ms(1_000);
/// `latest`: a picture waits no longer than this for its own boxes.
const LATEST_PATIENCE: Span = Span::from_ms(90);
/// The longest sleep: sound is handed on, and slates are drawn, at least this often.
const NAP: Duration = Duration::from_millis(10);
/// Time between two slates.
const SLATE_EVERY: Span = Span::from_ms(200);
/// A source that gives no picture for so long is not shown as live.
const SLATE_AFTER: Span = Span::from_ms(1_500);
/// Frames of evidence kept for pictures that are not due yet.
const EVIDENCE_KEPT: usize = 1_024;

/// Shows until the stream is told to stop and nothing is left.
pub(super) fn show(shared: &Shared, ends: ShowEnds, studio: Option<Studio>) {
    let mut stage = Stage {
        shared,
        ends,
        studio,
        pending: None,
        known: BTreeMap::new(),
        newest: None,
        order: VecDeque::new(),
        last_shown: None,
        last_slate: None,
        slate_from: shared.clock.now(),
        second: Second::default(),
        stale: 0,
        second_began: Instant::now(),
        governor: Governor::of(shared.load.clone()),
        left_out_before: 0,
    };
    let beat = shared.status.beat("show");
    let mut fault = Point::of("show");
    loop {
        beat.beat();
        fault.pass();
        let now = shared.clock.now();
        stage.listen();
        stage.sound(now);
        let shown = stage.picture(now);
        stage.slate(now);
        stage.account();
        if shared.stop.load(Ordering::Relaxed) && !shown && stage.is_drained() {
            break;
        }
        if !shown {
            stage.nap(now);
        }
    }
    if let Some(studio) = stage.studio {
        studio.finish();
    }
}

struct Stage<'a> {
    shared: &'a Shared,
    ends: ShowEnds,
    studio: Option<Studio>,
    /// The next picture, not due yet.
    pending: Option<Frame>,
    /// Evidence by frame number.
    known: BTreeMap<u64, FrameEvidence>,
    newest: Option<FrameEvidence>,
    order: VecDeque<u64>,
    last_shown: Option<Pts>,
    last_slate: Option<Pts>,
    /// No slate before this: a stream that has just started is given time.
    slate_from: Pts,
    second: Second,
    /// Pictures of this second whose own evidence was not there.
    stale: u64,
    second_began: Instant,
    governor: Governor,
    left_out_before: u64,
}

impl Stage<'_> {
    /// Takes the evidence that has come.
    fn listen(&mut self) {
        while let Ok(evidence) = self.ends.exact.try_recv() {
            let late = self.shared.clock.now() - evidence.frame.pts;
            self.shared.latency.add("score", late);
            // A stream that scores in longer strides under load is given the time for them: it could
            // never come back to ease if that counted as being late.
            self.second.late += u32::from(late > self.shared.scores_due());
            self.shared.tell_frame(&evidence);
            if self.shared.camera.show == Show::Delay {
                self.keep(evidence);
            }
        }
        while let Ok(told) = self.ends.told.try_recv() {
            self.keep(told.0);
        }
    }

    fn keep(&mut self, evidence: FrameEvidence) {
        self.order.push_back(evidence.frame.seq);
        if self.studio.is_some() {
            self.known.insert(evidence.frame.seq, evidence.clone());
        }
        while self.order.len() > EVIDENCE_KEPT {
            let oldest = self.order.pop_front();
            let _ = oldest.and_then(|seq| self.known.remove(&seq));
        }
        self.newest = Some(evidence);
    }

    fn sound(&mut self, now: Pts) {
        if let Some(studio) = &mut self.studio {
            studio.sound(&self.ends.sound, now - self.shared.delay());
        }
    }

    /// Shows the next picture, where it is due. Says whether it was.
    fn picture(&mut self, now: Pts) -> bool {
        if self.pending.is_none() {
            self.pending = self.ends.frames.try_recv().ok();
        }
        let Some(frame) = &self.pending else { return false };
        let age = now - frame.id.pts;
        let told = self.known.contains_key(&frame.id.seq);
        let due = match self.shared.camera.show {
            Show::Delay => age >= self.shared.delay(),
            Show::Latest => told || age >= LATEST_PATIENCE,
        };
        if !due {
            return false;
        }
        let Some(frame) = self.pending.take() else { return false };
        let evidence = self.evidence_of(&frame);
        self.second.shown += 1;
        self.last_shown = Some(now);
        if let Some(studio) = &mut self.studio {
            studio.picture(frame, &evidence);
            self.shared.latency.add("overlay", self.shared.clock.now() - evidence.frame.pts);
        }
        true
    }

    /// What is known of `frame`, or else the newest that is not too old.
    fn evidence_of(&mut self, frame: &Frame) -> FrameEvidence {
        let exact = self.known.remove(&frame.id.seq);
        // What belongs to earlier frames is never asked for again.
        self.known = self.known.split_off(&frame.id.seq);
        if let Some(exact) = exact {
            return exact;
        }
        self.stale += 1;
        let fresh = |old: &&FrameEvidence| {
            let same = old.frame.epoch == frame.id.epoch;
            same && (frame.id.pts - old.frame.pts).abs() <= STALE_AFTER
        };
        match self.newest.as_ref().filter(fresh) {
            Some(old) => FrameEvidence { frame: frame.id, ..old.clone() },
            None => FrameEvidence { frame: frame.id, faces: Vec::new(), floor: None },
        }
    }

    /// Draws a slate where no picture has come for long.
    fn slate(&mut self, now: Pts) {
        let Some(studio) = &mut self.studio else { return };
        let quiet = now - self.last_shown.unwrap_or(self.slate_from);
        let state = self.shared.status.source();
        let live = matches!(state, SourceState::Live { .. });
        let patience = SLATE_AFTER + self.shared.delay();
        if self.pending.is_some() || (live && quiet < patience) || quiet < SLATE_AFTER {
            return;
        }
        if self.last_slate.is_some_and(|last| now - last < SLATE_EVERY) {
            return;
        }
        self.last_slate = Some(now);
        let lines = slate::lines(&self.shared.camera.name, &state, self.shared.clock);
        studio.slate(&lines, now - self.shared.delay());
    }

    /// Once a second: the load's level, and what the edges say.
    fn account(&mut self) {
        if self.second_began.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.second_began = Instant::now();
        let left_out = self.shared.sample_edges();
        self.second.left_out =
            u32::try_from(left_out - self.left_out_before.min(left_out)).unwrap_or(0);
        self.left_out_before = left_out;
        let second = std::mem::take(&mut self.second);
        let (meters, name) = (&self.shared.meters, &self.shared.camera.name);
        meters.frames.get_or_create(&of(name, "show")).inc_by(u64::from(second.shown));
        let stale = std::mem::take(&mut self.stale);
        if stale > 0 {
            super::meters::dropped(meters, name, "show", "late", stale);
        }
        let newest = self.newest.as_ref().filter(|_| second.shown > 0);
        let (faces, speaking) = newest.map_or((0, 0), |e| {
            (e.faces.len(), e.faces.iter().filter(|f| f.verdict.speaking()).count())
        });
        meters.faces.get_or_create(&of_stream(name)).set(faces as i64);
        meters.speaking.get_or_create(&of_stream(name)).set(speaking as i64);
        if let Some(level) = self.governor.second(second) {
            meters.load_level.get_or_create(&of_stream(name)).set(i64::from(level));
            self.shared.load_changed(level);
        }
        if let Some(studio) = &mut self.studio {
            studio.account();
        }
    }

    fn is_drained(&self) -> bool {
        self.pending.is_none()
    }

    /// Waits for evidence, or until something is due.
    fn nap(&mut self, now: Pts) {
        let due = self.pending.as_ref().map(|f| f.id.pts + self.shared.delay() - now);
        let due =
            due.map_or(NAP, |span| Duration::from_nanos(u64::try_from(span.ns()).unwrap_or(0)));
        std::thread::sleep(due.clamp(Duration::from_millis(1), NAP));
    }
}
