//! Assigns verdicts by tick to tracked source frames.
//!
//! Takes tracked frames and track updates; gives one [`FrameEvidence`] for every frame, in order,
//! also for frames without faces. It is the watermark: overlay and records wait for nothing else.
//! A frame is released when no later tick can change it.

use std::collections::{BTreeMap, VecDeque};

use smallvec::SmallVec;

use super::cross_face::TrackUpdate;
use super::decide::{DecisionRule, TickScore, TrackVerdicts};
use super::floor::{Floor, FloorFace, FloorRules};
use crate::core::evidence::{
    FaceEvidence, FrameEvidence, PlacedHeatmap, TrackId, Unknown, Verdict,
};
use crate::core::time::{Pts, Span, Tick};
use crate::stages::track::{TrackedFace, TrackedFrame};

/// One track's verdicts and heatmaps that frames may still need.
struct Track {
    verdicts: TrackVerdicts,
    heatmaps: VecDeque<(Tick, PlacedHeatmap)>,
    talk_time: Span,
    complete: bool,
}

/// Assembles frames and verdicts.
pub(crate) struct FrameAssembler {
    rule: DecisionRule,
    floor: Floor,
    has_audio: bool,
    frames: VecDeque<TrackedFrame>,
    tracks: BTreeMap<TrackId, Track>,
    last_pts: Option<Pts>,
    /// The track that had the floor in the last released frame.
    has_floor: Option<TrackId>,
}

/// A heatmap is still shown on a face whose IoU with the heatmap's area is above this.
const HEATMAP_MIN_IOU: f32 = 0.3;

impl FrameAssembler {
    /// Creates an assembler for one stream.
    pub(crate) fn new(rule: DecisionRule, floor: FloorRules, has_audio: bool) -> Self {
        Self {
            rule,
            floor: Floor::new(floor),
            has_audio,
            frames: VecDeque::new(),
            tracks: BTreeMap::new(),
            last_pts: None,
            has_floor: None,
        }
    }

    /// Pushes the next frame.
    pub(crate) fn push(&mut self, frame: TrackedFrame) {
        self.frames.push_back(frame);
    }

    /// Number of frames that wait for verdicts.
    pub(crate) fn waiting(&self) -> usize {
        self.frames.len()
    }

    /// Applies a track's update.
    pub(crate) fn apply(&mut self, update: TrackUpdate) {
        let rule = self.rule;
        let track = self.tracks.entry(update.track).or_insert_with(|| Track {
            verdicts: TrackVerdicts::new(rule),
            heatmaps: VecDeque::new(),
            talk_time: Span::ZERO,
            complete: false,
        });
        for v in update.verdicts {
            track.verdicts.push(TickScore { tick: v.tick, p: v.p, shares: v.shares });
            if let Some(map) = v.heat {
                track.heatmaps.push_back((v.tick, PlacedHeatmap { map, over: v.over }));
            }
        }
        if update.complete {
            track.verdicts.finish();
            track.complete = true;
        }
    }

    /// The next frame whose evidence is complete. `ended`: no more updates will come.
    pub(crate) fn pop(&mut self, ended: bool) -> Option<FrameEvidence> {
        let front = self.frames.front()?;
        let pts = front.frame.pts;
        let ready = |face: &TrackedFace| {
            self.tracks.get(&face.track).is_some_and(|t| t.verdicts.is_ready(pts))
        };
        if self.has_audio && !ended && !front.faces.iter().all(ready) {
            return None;
        }
        let frame = self.frames.pop_front()?;
        let frame_duration = self.frame_duration(pts);
        let mut floor_faces = SmallVec::new();
        let faces = frame
            .faces
            .iter()
            .map(|f| self.face(f, pts, frame_duration, &mut floor_faces))
            .collect();
        let floor = self.floor.update(frame.frame, &floor_faces);
        self.last_pts = Some(pts);
        self.has_floor = floor;
        for ended in &frame.ended {
            self.tracks.remove(ended);
        }
        Some(FrameEvidence { frame: frame.frame, faces, floor })
    }

    /// The newest frame with the newest verdicts, which belong to earlier frames; for output
    /// without delay. A heatmap is shown while the face is still where it was computed.
    pub(crate) fn newest(&self) -> Option<FrameEvidence> {
        let frame = self.frames.back()?;
        let faces = frame.faces.iter().map(|face| {
            let track = self.tracks.get(&face.track);
            let unknown = if self.has_audio { Unknown::NotScored } else { Unknown::NoAudio };
            let frame_verdict = track.and_then(|t| t.verdicts.newest());
            let heat = track.and_then(|t| t.heatmaps.back()).map(|(_, heat)| heat.clone());
            FaceEvidence {
                track: face.track,
                rect: face.rect,
                landmarks: face.landmarks,
                detected: face.detected,
                verdict: frame_verdict.map_or(Verdict::Unknown(unknown), |s| s.verdict),
                heat: heat.filter(|h| h.over.iou(face.rect) > HEATMAP_MIN_IOU),
                talk_seconds: track.map_or(0.0, |t| t.talk_time.seconds()),
            }
        });
        Some(FrameEvidence { frame: frame.frame, faces: faces.collect(), floor: self.has_floor })
    }

    /// How long the frame at `pts` counts as talk time: the time since the previous frame.
    fn frame_duration(&self, pts: Pts) -> Span {
        let since = self.last_pts.map_or(Tick::SPAN, |last| pts - last);
        if since > Span::ZERO && since < Span::from_ms(500) { since } else { Tick::SPAN }
    }

    fn face(
        &mut self,
        face: &TrackedFace,
        pts: Pts,
        frame_duration: Span,
        floor_faces: &mut SmallVec<[FloorFace; 4]>,
    ) -> FaceEvidence {
        let unknown = if self.has_audio { Unknown::NotScored } else { Unknown::NoAudio };
        let mut verdict = Verdict::Unknown(unknown);
        let (mut heat, mut talk_time) = (None, Span::ZERO);
        if let Some(track) = self.tracks.get_mut(&face.track) {
            let frame_verdict = track.verdicts.at(pts);
            verdict = frame_verdict.verdict;
            if verdict.speaking() {
                track.talk_time = track.talk_time + frame_duration;
            }
            if let Some(smoothed) = frame_verdict.smoothed {
                let speaking = verdict.speaking();
                floor_faces.push(FloorFace { track: face.track, speaking, smoothed });
            }
            talk_time = track.talk_time;
            heat = track.heatmap_at(pts);
            track.verdicts.forget_before(pts);
        }
        FaceEvidence {
            track: face.track,
            rect: face.rect,
            landmarks: face.landmarks,
            detected: face.detected,
            verdict,
            heat,
            talk_seconds: talk_time.seconds(),
        }
    }
}

impl Track {
    /// The heatmap of the tick nearest to `pts`; drops older ones.
    fn heatmap_at(&mut self, pts: Pts) -> Option<PlacedHeatmap> {
        let tick = Tick::nearest(pts);
        while self.heatmaps.len() > 1 && self.heatmaps.front().is_some_and(|(t, _)| *t < tick) {
            self.heatmaps.pop_front();
        }
        let (at, heat) = self.heatmaps.front()?;
        ((at.0 - tick.0).abs() <= 1).then(|| heat.clone())
    }
}
