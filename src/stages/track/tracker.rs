//! The tracker itself: births, deaths, and the frames held in between.
//!
//! A frame is let go as soon as no open track could still change it: each open track waits for its
//! next detection, and the frames after its last one wait with it. The oldest such wait is bounded
//! by the policy, so the queue is, too.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::core::evidence::TrackId;
use crate::core::geometry::{FaceBox, Landmarks, Rect};
use crate::core::time::{Epoch, FrameRef, Pts};

use super::assign::{Expected, assign};
use super::motion::{Velocity, lerp_landmarks, sane, share};
use super::policy::{Lag, LagBound, Policy};

/// A tracked face in one frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrackedFace {
    /// Whose face.
    pub track: TrackId,
    /// Where it is, in pixels of the source frame.
    pub rect: Rect,
    /// Eyes, nose, mouth corners, in pixels of the source frame.
    pub landmarks: Landmarks,
    /// Whether a detection in this very frame says so.
    pub detected: bool,
}

/// The faces of a frame; as many as usual frames have need no memory of their own.
pub type TrackedFaces = SmallVec<[TrackedFace; 4]>;

/// A source frame with its tracked faces.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackedFrame {
    /// Which frame.
    pub frame: FrameRef,
    /// Its faces, by track number.
    pub faces: TrackedFaces,
    /// The tracks that had their last box in the frame before this one; none of them comes back.
    /// A track that lasts to the very end of the stream is ended by that, and is not named here.
    pub ended: Vec<TrackId>,
}

/// A face being followed. Not yet confirmed where `id` is `None`; it then had one detection.
struct Track {
    id: Option<TrackId>,
    last: FaceBox,
    last_pts: Pts,
    /// The number of the frame of the last detection, counted by pushes.
    last_at: u64,
    velocity: Velocity,
    /// Detection runs since the last detection that did not find the face.
    missed: u32,
}

impl Track {
    fn expected_at(&self, pts: Pts) -> Expected {
        let (rect, landmarks) = self.carried_to(pts);
        Expected { rect, landmarks }
    }

    fn carried_to(&self, pts: Pts) -> (Rect, Landmarks) {
        let face = self.last.shifted(self.velocity.over(pts - self.last_pts));
        (face.rect, face.landmarks)
    }
}

/// Follows faces through the frames of one stream. See the module for what it promises.
pub struct Tracker {
    policy: Policy,
    tracks: Vec<Track>,
    held: VecDeque<TrackedFrame>,
    /// The push number of `held`'s first frame.
    held_from: u64,
    /// What the next frame has to say ended.
    ended_before_next: Vec<TrackId>,
    epoch: Option<Epoch>,
    people: u32,
}

impl Tracker {
    /// A tracker that has seen nothing yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            tracks: Vec::new(),
            held: VecDeque::new(),
            held_from: 0,
            ended_before_next: Vec::new(),
            epoch: None,
            people: 0,
        }
    }

    /// The next person gets the number after `people`.
    pub fn number_after(&mut self, people: u32) {
        self.people = self.people.max(people);
    }

    /// What is held back at most, ever: a frame budget has to count with it.
    pub fn max_lag(&self) -> LagBound {
        self.policy.max_lag()
    }

    /// Confirmed tracks so far: the highest number given.
    pub const fn people(&self) -> u32 {
        self.people
    }

    /// Frames held at this moment.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next frame, gives the frames that are done, in order.
    ///
    /// `seen`: the detections in this frame; `None` where no detection ran, which is not the same
    /// as `Some(&[])`, where one ran and found nobody. Detections that are not finite or are empty
    /// are left out. `cut`: the frame is the first of a new shot; run detection on it if you can,
    /// for a shot's faces have no box before its first detection.
    pub fn push(
        &mut self,
        frame: FrameRef,
        seen: Option<&[FaceBox]>,
        cut: bool,
    ) -> Vec<TrackedFrame> {
        let at = self.held_from + self.held.len() as u64;
        if cut || self.epoch != Some(frame.epoch) {
            self.end_all(at);
        }
        self.epoch = Some(frame.epoch);
        let ended = std::mem::take(&mut self.ended_before_next);
        self.held.push_back(TrackedFrame { frame, faces: TrackedFaces::new(), ended });
        self.end_the_lost(at, frame.pts);
        if let Some(seen) = seen {
            let seen: Vec<FaceBox> = seen.iter().copied().filter(sane).collect();
            self.detected(at, frame.pts, &seen);
        }
        if self.policy.lag == Lag::Carry {
            self.carry_all(at, frame.pts);
        }
        self.release()
    }

    /// Gives everything that is still held, as the stream ends here. The tracker is as new after
    /// it, except that numbers go on.
    pub fn finish(&mut self) -> Vec<TrackedFrame> {
        let at = self.held_from + self.held.len() as u64;
        self.end_all(at);
        self.ended_before_next.clear();
        self.epoch = None;
        self.release()
    }

    /// Ends the tracks that have been without a detection for too long.
    fn end_the_lost(&mut self, at: u64, pts: Pts) {
        let policy = self.policy;
        let lost = |t: &Track| {
            let (waited, frames) = (pts - t.last_pts, at - t.last_at);
            let missing = t.missed > 0 && waited > policy.max_missing;
            let blind = waited > policy.max_blind && frames > policy.max_blind_frames as u64;
            missing || blind || frames >= policy.max_held_frames as u64
        };
        for track in self.tracks.extract_if(.., |t| lost(t)).collect::<Vec<_>>() {
            let Some(id) = track.id else { continue };
            // Carried boxes were shown up to the frame before this one.
            let from = if policy.lag == Lag::Carry { at } else { track.last_at + 1 };
            self.end_at(from, id);
        }
    }

    /// Ends every track before frame `at`, which has not been pushed yet.
    fn end_all(&mut self, at: u64) {
        for mut track in std::mem::take(&mut self.tracks) {
            let good = track.last.confidence >= self.policy.good_confidence;
            if track.id.is_none() && track.missed == 0 && good && self.policy.lag != Lag::Carry {
                self.confirm(&mut track);
            }
            let Some(id) = track.id else { continue };
            if self.policy.lag == Lag::Carry {
                self.end_at(at, id);
            } else if track.missed > 0 {
                self.end_at(track.last_at + 1, id);
            } else {
                // Nothing says that the face left before the cut, so its box stays until then.
                for k in track.last_at + 1..at {
                    let Some(held) = self.held_frame(k) else {
                        continue;
                    };
                    let (rect, landmarks) = track.carried_to(held.frame.pts);
                    held.faces.push(TrackedFace { track: id, rect, landmarks, detected: false });
                }
                self.end_at(at, id);
            }
        }
    }

    /// Gives each detection to its track, and begins new tracks with the rest.
    fn detected(&mut self, at: u64, pts: Pts, seen: &[FaceBox]) {
        let found = self.find(pts, seen);
        let mut taken = vec![false; seen.len()];
        let mut tracks = std::mem::take(&mut self.tracks);
        for (track, found) in tracks.iter_mut().zip(found) {
            let Some(d) = found else {
                track.missed += 1;
                continue;
            };
            taken[d] = true;
            if track.id.is_none() {
                self.confirm(track);
            }
            self.join(track, at, pts, &seen[d]);
        }
        let mut born: Vec<FaceBox> =
            seen.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(f, _)| *f).collect();
        // People who appear together are numbered from left to right.
        born.sort_by(|a, b| a.rect.x1.total_cmp(&b.rect.x1));
        for face in born {
            let mut track = Track {
                id: None,
                last: face,
                last_pts: pts,
                last_at: at,
                velocity: Velocity::default(),
                missed: 0,
            };
            if face.confidence >= self.policy.sure_confidence {
                self.confirm(&mut track);
            }
            tracks.push(track);
        }
        self.tracks = tracks;
    }

    /// For each track its detection: first where it should be by now, then, for those not found
    /// there, where it was last seen (a face that stopped while it was hidden).
    fn find(&self, pts: Pts, seen: &[FaceBox]) -> Vec<Option<usize>> {
        let expected: Vec<Expected> = self.tracks.iter().map(|t| t.expected_at(pts)).collect();
        let mut found = assign(&expected, seen);
        let lost: Vec<usize> = (0..found.len()).filter(|&t| found[t].is_none()).collect();
        let free: Vec<usize> = (0..seen.len()).filter(|&d| !found.contains(&Some(d))).collect();
        let stood = |t: &usize| {
            let last = self.tracks[*t].last;
            Expected { rect: last.rect, landmarks: last.landmarks }
        };
        let faces: Vec<FaceBox> = free.iter().map(|&d| seen[d]).collect();
        let again = assign(&lost.iter().map(stood).collect::<Vec<_>>(), &faces);
        for (&t, d) in lost.iter().zip(again) {
            found[t] = d.map(|d| free[d]);
        }
        found
    }

    /// Gives a track its number, and its first detection the box that it had not been given yet.
    fn confirm(&mut self, track: &mut Track) {
        self.people += 1;
        let id = TrackId(self.people);
        track.id = Some(id);
        let (rect, landmarks) = (track.last.rect, track.last.landmarks);
        if let Some(held) = self.held_frame(track.last_at) {
            held.faces.push(TrackedFace { track: id, rect, landmarks, detected: true });
        }
    }

    /// Moves a track on to its detection in frame `at`, filling the frames in between.
    fn join(&mut self, track: &mut Track, at: u64, pts: Pts, face: &FaceBox) {
        let last = (track.last, track.last_pts);
        track.velocity = track.velocity.updated(last.0.rect, face.rect, pts - last.1);
        let Some(id) = track.id else { return };
        for k in track.last_at + 1..=at {
            let Some(held) = self.held_frame(k) else {
                continue;
            };
            let t = share(last.1, pts, held.frame.pts);
            let (rect, landmarks) = if k == at {
                (face.rect, face.landmarks)
            } else {
                (
                    last.0.rect.lerp(face.rect, t),
                    lerp_landmarks(&last.0.landmarks, &face.landmarks, t),
                )
            };
            held.faces.push(TrackedFace { track: id, rect, landmarks, detected: k == at });
        }
        (track.last, track.last_pts, track.last_at, track.missed) = (*face, pts, at, 0);
    }

    /// Gives frame `at` a carried box of every confirmed track that was not detected in it.
    fn carry_all(&mut self, at: u64, pts: Pts) {
        let carried: Vec<TrackedFace> = self
            .tracks
            .iter()
            .filter(|t| t.last_at != at)
            .filter_map(|t| {
                let (rect, landmarks) = t.carried_to(pts);
                t.id.map(|track| TrackedFace { track, rect, landmarks, detected: false })
            })
            .collect();
        if let Some(held) = self.held_frame(at) {
            held.faces.extend(carried);
        }
    }

    /// Says in frame `at`, held or the next to come, that track `id` has ended.
    fn end_at(&mut self, at: u64, id: TrackId) {
        match self.held_frame(at) {
            Some(held) => held.ended.push(id),
            None => self.ended_before_next.push(id),
        }
    }

    /// The frame of push number `at`, where it is still held.
    fn held_frame(&mut self, at: u64) -> Option<&mut TrackedFrame> {
        let k = usize::try_from(at.checked_sub(self.held_from)?).ok()?;
        self.held.get_mut(k)
    }

    /// Lets go of the frames that no open track can change any more.
    fn release(&mut self) -> Vec<TrackedFrame> {
        let all = self.held_from + self.held.len() as u64;
        let open = |t: &Track| {
            if t.id.is_some() { t.last_at + 1 } else { t.last_at }
        };
        let done = match self.policy.lag {
            Lag::Carry => all,
            Lag::Interpolate => self.tracks.iter().map(open).min().unwrap_or(all),
        };
        let count = usize::try_from(done - self.held_from).unwrap_or(0).min(self.held.len());
        self.held_from += count as u64;
        let mut out: Vec<TrackedFrame> = self.held.drain(..count).collect();
        for frame in &mut out {
            frame.faces.sort_by_key(|f| f.track);
            frame.ended.sort();
        }
        out
    }
}
