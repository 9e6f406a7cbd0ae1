//! Synthetic evidence for the tests of records.

use crate::core::evidence::{
    FaceEvidence, FrameEvidence, Probability, Shares, TrackId, Unknown, Verdict,
};
use crate::core::geometry::{Point, Rect};
use crate::core::time::{Epoch, FrameRef, Pts};

/// Frame `n` of a 25 fps video.
pub(crate) fn evidence(n: u64, faces: Vec<FaceEvidence>) -> FrameEvidence {
    let pts = Pts::from_ns(n as i64 * 40_000_000);
    FrameEvidence { frame: FrameRef { epoch: Epoch(0), seq: n, pts }, faces, floor: None }
}

fn face(track: u32, verdict: Verdict) -> FaceEvidence {
    let x = 10.0 * track as f32;
    FaceEvidence {
        track: TrackId(track),
        rect: Rect::new(x, 20.0, x + 50.0, 80.0),
        landmarks: [Point { x: x + 25.0, y: 50.0 }; 5],
        detected: true,
        verdict,
        heat: None,
        talk_seconds: 0.0,
    }
}

/// A face with a score.
pub(crate) fn scored(track: u32, p: f32, speaking: bool) -> FaceEvidence {
    let p = Probability::new(p).expect("a probability");
    face(track, Verdict::Scored { p, speaking, shares: Shares::from_effects(3.0, -1.0) })
}

/// A face without a score.
pub(crate) fn unknown(track: u32) -> FaceEvidence {
    face(track, Verdict::Unknown(Unknown::NoAudio))
}
