//! The tracker: begins, continues and ends tracks, and holds the frames in between.
//!
//! A frame is released when no open track can change it any more. Each open track waits for its
//! next detection, and so do the frames after its last one. The policy bounds this wait, and so the
//! number of held frames.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::core::evidence::TrackId;
use crate::core::geometry::{FaceBox, Landmarks, Rect};
use crate::core::time::{Epoch, FrameRef, Pts};

use super::assign::{ExpectedFace, assign};
use super::motion::{Velocity, fraction, is_valid, lerp_landmarks};
use super::policy::{BoxFill, LagBound, Policy};

/// A tracked face in one frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrackedFace {
    /// The face's track.
    pub track: TrackId,
    /// Its box, in pixels of the source frame.
    pub rect: Rect,
    /// Eyes, nose, mouth corners, in pixels of the source frame.
    pub landmarks: Landmarks,
    /// Whether it was detected in this frame.
    pub detected: bool,
}

/// The faces of a frame; a usual number of faces needs no heap allocation.
pub type TrackedFaces = SmallVec<[TrackedFace; 4]>;

/// A source frame with its tracked faces.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackedFrame {
    /// The frame.
    pub frame: FrameRef,
    /// Its faces, by track number.
    pub faces: TrackedFaces,
    /// The tracks whose last box was in the previous frame; they never return. Tracks that last
    /// until the end of the stream are not listed.
    pub ended: Vec<TrackId>,
}

/// A tracked face. `id` is `None` until it is confirmed; it then had one detection.
struct Track {
    id: Option<TrackId>,
    last: FaceBox,
    last_pts: Pts,
    /// Index of the frame of the last detection, counted by pushes.
    last_index: u64,
    velocity: Velocity,
    /// Detector runs since the last detection.
    misses: u32,
}

impl Track {
    fn expected_at(&self, pts: Pts) -> ExpectedFace {
        let (rect, landmarks) = self.extrapolated_to(pts);
        ExpectedFace { rect, landmarks }
    }

    fn extrapolated_to(&self, pts: Pts) -> (Rect, Landmarks) {
        let face = self.last.shifted(self.velocity.displacement(pts - self.last_pts));
        (face.rect, face.landmarks)
    }
}

/// Tracks faces through the frames of one stream. The module's documentation lists its guarantees.
pub struct Tracker {
    policy: Policy,
    tracks: Vec<Track>,
    held: VecDeque<TrackedFrame>,
    /// Index of the first held frame.
    first_held: u64,
    /// Tracks that the next frame reports as ended.
    ended_before_next: Vec<TrackId>,
    epoch: Option<Epoch>,
    people: u32,
}

impl Tracker {
    /// A tracker without tracks.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            tracks: Vec::new(),
            held: VecDeque::new(),
            first_held: 0,
            ended_before_next: Vec::new(),
            epoch: None,
            people: 0,
        }
    }

    /// Track numbers continue after `people`.
    pub fn number_from(&mut self, people: u32) {
        self.people = self.people.max(people);
    }

    /// The bound on held frames, for a frame budget.
    pub fn max_lag(&self) -> LagBound {
        self.policy.max_lag()
    }

    /// Confirmed tracks so far: the highest track number.
    pub const fn people(&self) -> u32 {
        self.people
    }

    /// Frames held now.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next frame; returns finished frames in order.
    ///
    /// `detections`: the detections in this frame. `None` means that no detector ran; `Some(&[])`
    /// that it ran and found no face. Detections that are not finite or are empty are ignored.
    /// `cut`: the frame is the first of a new shot. Run the detector on it if possible: faces have
    /// no box before a shot's first detection.
    pub fn push(
        &mut self,
        frame: FrameRef,
        detections: Option<&[FaceBox]>,
        cut: bool,
    ) -> Vec<TrackedFrame> {
        let index = self.first_held + self.held.len() as u64;
        if cut || self.epoch != Some(frame.epoch) {
            self.end_all(index);
        }
        self.epoch = Some(frame.epoch);
        let ended = std::mem::take(&mut self.ended_before_next);
        self.held.push_back(TrackedFrame { frame, faces: TrackedFaces::new(), ended });
        self.end_lost_tracks(index, frame.pts);
        if let Some(detections) = detections {
            let detections: Vec<FaceBox> = detections.iter().copied().filter(is_valid).collect();
            self.detected(index, frame.pts, &detections);
        }
        if self.policy.box_fill == BoxFill::Extrapolate {
            self.extrapolate_all(index, frame.pts);
        }
        self.release()
    }

    /// Ends the stream; returns all held frames. The tracker is then empty, but its track numbers
    /// continue.
    pub fn finish(&mut self) -> Vec<TrackedFrame> {
        let index = self.first_held + self.held.len() as u64;
        self.end_all(index);
        self.ended_before_next.clear();
        self.epoch = None;
        self.release()
    }

    /// Ends the tracks without a detection for too long.
    fn end_lost_tracks(&mut self, index: u64, pts: Pts) {
        let policy = self.policy;
        let lost = |t: &Track| {
            let (elapsed, frames) = (pts - t.last_pts, index - t.last_index);
            let missing = t.misses > 0 && elapsed > policy.max_missing;
            let undetected = elapsed > policy.max_detection_gap
                && frames > policy.max_detection_gap_frames as u64;
            missing || undetected || frames >= policy.max_held_frames as u64
        };
        for track in self.tracks.extract_if(.., |t| lost(t)).collect::<Vec<_>>() {
            let Some(id) = track.id else { continue };
            // Extrapolated boxes were returned up to the previous frame.
            let from =
                if policy.box_fill == BoxFill::Extrapolate { index } else { track.last_index + 1 };
            self.end_track_at(from, id);
        }
    }

    /// Ends every track before frame `index`, which has not been pushed yet.
    fn end_all(&mut self, index: u64) {
        for mut track in std::mem::take(&mut self.tracks) {
            let good = track.last.confidence >= self.policy.short_track_confidence;
            if track.id.is_none()
                && track.misses == 0
                && good
                && self.policy.box_fill != BoxFill::Extrapolate
            {
                self.confirm(&mut track);
            }
            let Some(id) = track.id else { continue };
            if self.policy.box_fill == BoxFill::Extrapolate {
                self.end_track_at(index, id);
            } else if track.misses > 0 {
                self.end_track_at(track.last_index + 1, id);
            } else {
                // The face probably stayed until the cut, so its box does.
                for k in track.last_index + 1..index {
                    let Some(held) = self.held_frame(k) else {
                        continue;
                    };
                    let (rect, landmarks) = track.extrapolated_to(held.frame.pts);
                    held.faces.push(TrackedFace { track: id, rect, landmarks, detected: false });
                }
                self.end_track_at(index, id);
            }
        }
    }

    /// Assigns detections to tracks, and begins new tracks with the rest.
    fn detected(&mut self, index: u64, pts: Pts, detections: &[FaceBox]) {
        let assigned = self.match_detections(pts, detections);
        let mut matched = vec![false; detections.len()];
        let mut tracks = std::mem::take(&mut self.tracks);
        for (track, assigned) in tracks.iter_mut().zip(assigned) {
            let Some(d) = assigned else {
                track.misses += 1;
                continue;
            };
            matched[d] = true;
            if track.id.is_none() {
                self.confirm(track);
            }
            self.extend_track(track, index, pts, &detections[d]);
        }
        let mut new_faces: Vec<FaceBox> = detections
            .iter()
            .zip(&matched)
            .filter(|(_, matched)| !**matched)
            .map(|(f, _)| *f)
            .collect();
        // Faces that appear together are numbered from left to right.
        new_faces.sort_by(|a, b| a.rect.x1.total_cmp(&b.rect.x1));
        for face in new_faces {
            let mut track = Track {
                id: None,
                last: face,
                last_pts: pts,
                last_index: index,
                velocity: Velocity::default(),
                misses: 0,
            };
            if face.confidence >= self.policy.confirm_confidence {
                self.confirm(&mut track);
            }
            tracks.push(track);
        }
        self.tracks = tracks;
    }

    /// The detection of each track: first at its expected position, then, for tracks not found
    /// there, at its last position (a face that stopped while it was hidden).
    fn match_detections(&self, pts: Pts, detections: &[FaceBox]) -> Vec<Option<usize>> {
        let expected: Vec<ExpectedFace> = self.tracks.iter().map(|t| t.expected_at(pts)).collect();
        let mut assigned = assign(&expected, detections);
        let lost: Vec<usize> = (0..assigned.len()).filter(|&t| assigned[t].is_none()).collect();
        let free: Vec<usize> =
            (0..detections.len()).filter(|&d| !assigned.contains(&Some(d))).collect();
        let last_seen = |t: &usize| {
            let last = self.tracks[*t].last;
            ExpectedFace { rect: last.rect, landmarks: last.landmarks }
        };
        let faces: Vec<FaceBox> = free.iter().map(|&d| detections[d]).collect();
        let again = assign(&lost.iter().map(last_seen).collect::<Vec<_>>(), &faces);
        for (&t, d) in lost.iter().zip(again) {
            assigned[t] = d.map(|d| free[d]);
        }
        assigned
    }

    /// Gives a track its number, and adds the box of its first detection.
    fn confirm(&mut self, track: &mut Track) {
        self.people += 1;
        let id = TrackId(self.people);
        track.id = Some(id);
        let (rect, landmarks) = (track.last.rect, track.last.landmarks);
        if let Some(held) = self.held_frame(track.last_index) {
            held.faces.push(TrackedFace { track: id, rect, landmarks, detected: true });
        }
    }

    /// Extends a track to its detection in frame `index` and fills the frames in between.
    fn extend_track(&mut self, track: &mut Track, index: u64, pts: Pts, face: &FaceBox) {
        let last = (track.last, track.last_pts);
        track.velocity = track.velocity.updated(last.0.rect, face.rect, pts - last.1);
        let Some(id) = track.id else { return };
        for k in track.last_index + 1..=index {
            let Some(held) = self.held_frame(k) else {
                continue;
            };
            let t = fraction(last.1, pts, held.frame.pts);
            let (rect, landmarks) = if k == index {
                (face.rect, face.landmarks)
            } else {
                (
                    last.0.rect.lerp(face.rect, t),
                    lerp_landmarks(&last.0.landmarks, &face.landmarks, t),
                )
            };
            held.faces.push(TrackedFace { track: id, rect, landmarks, detected: k == index });
        }
        (track.last, track.last_pts, track.last_index, track.misses) = (*face, pts, index, 0);
    }

    /// Adds to frame `index` an extrapolated box of every confirmed track not detected in it.
    fn extrapolate_all(&mut self, index: u64, pts: Pts) {
        let extrapolated: Vec<TrackedFace> = self
            .tracks
            .iter()
            .filter(|t| t.last_index != index)
            .filter_map(|t| {
                let (rect, landmarks) = t.extrapolated_to(pts);
                t.id.map(|track| TrackedFace { track, rect, landmarks, detected: false })
            })
            .collect();
        if let Some(held) = self.held_frame(index) {
            held.faces.extend(extrapolated);
        }
    }

    /// Marks track `id` as ended in frame `index`, which is held or the next one.
    fn end_track_at(&mut self, index: u64, id: TrackId) {
        match self.held_frame(index) {
            Some(held) => held.ended.push(id),
            None => self.ended_before_next.push(id),
        }
    }

    /// The frame with `index`, if it is still held.
    fn held_frame(&mut self, index: u64) -> Option<&mut TrackedFrame> {
        let k = usize::try_from(index.checked_sub(self.first_held)?).ok()?;
        self.held.get_mut(k)
    }

    /// Releases the frames that no open track can change any more.
    fn release(&mut self) -> Vec<TrackedFrame> {
        let all = self.first_held + self.held.len() as u64;
        let first_open = |t: &Track| {
            if t.id.is_some() { t.last_index + 1 } else { t.last_index }
        };
        let done = match self.policy.box_fill {
            BoxFill::Extrapolate => all,
            BoxFill::Interpolate => self.tracks.iter().map(first_open).min().unwrap_or(all),
        };
        let count = usize::try_from(done - self.first_held).unwrap_or(0).min(self.held.len());
        self.first_held += count as u64;
        let mut out: Vec<TrackedFrame> = self.held.drain(..count).collect();
        for frame in &mut out {
            frame.faces.sort_by_key(|f| f.track);
            frame.ended.sort();
        }
        out
    }
}
