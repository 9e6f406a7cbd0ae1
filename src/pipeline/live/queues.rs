//! The queues of a live stream: names and capacities, for the pipeline and for `locutor check`.

use crate::core::queue::Capacity;
use crate::stages::score::budget::Schedule;

/// The queue before the detector.
pub(crate) const TO_DETECT_NAME: &str = "source→detect";
/// The queue before the scorer.
pub(crate) const TO_SCORE_NAME: &str = "track→score";
/// Frames for the presenter.
pub(crate) const FRAMES_NAME: &str = "source→present";
/// Audio for the encoder.
pub(crate) const AUDIO_NAME: &str = "source→encode";
/// Final evidence for the presenter.
pub(crate) const SCORED_NAME: &str = "score→present";
/// Early evidence for the presenter.
pub(crate) const EARLY_NAME: &str = "track→present";

/// Bytes of a 1920×1080 frame: the basis of memory estimates before the source is known.
pub(crate) const HD_FRAME_BYTES: usize = 1920 * 1080 * 3 / 2;

/// Frames for the detector; when full, the oldest is dropped.
pub(crate) const TO_DETECT: Capacity = Capacity { items: 3, bytes: usize::MAX };
/// Frames and audio for the scorer; when full, tracking blocks and audio is dropped.
pub(crate) const TO_SCORE: Capacity = Capacity { items: 64, bytes: 48 << 20 };
/// Evidence for the presenter; when full, the oldest is dropped.
pub(crate) const EVIDENCE: Capacity = Capacity { items: 512, bytes: 64 << 20 };
/// Audio for the encoder; when full, the oldest is dropped.
pub(crate) const AUDIO: Capacity = Capacity { items: 1_024, bytes: 16 << 20 };

/// Frames that wait until they are due: twice the number that the delay holds. When full, the oldest
/// is dropped.
pub(crate) fn to_present(schedule: &Schedule) -> Capacity {
    Capacity { items: schedule.frames_held.unwrap_or(64).max(16) * 2, bytes: 512 << 20 }
}

/// All queues by name, with the maximum items and bytes that each holds with HD frames.
pub(crate) fn all(schedule: &Schedule) -> Vec<(&'static str, usize, usize)> {
    let frames = |c: Capacity| c.items.saturating_mul(HD_FRAME_BYTES).min(c.bytes);
    let present = to_present(schedule);
    vec![
        (TO_DETECT_NAME, TO_DETECT.items, frames(TO_DETECT)),
        (TO_SCORE_NAME, TO_SCORE.items, frames(TO_SCORE)),
        (FRAMES_NAME, present.items, frames(present)),
        (AUDIO_NAME, AUDIO.items, AUDIO.bytes),
        (SCORED_NAME, EVIDENCE.items, EVIDENCE.bytes),
        (EARLY_NAME, EVIDENCE.items, EVIDENCE.bytes),
    ]
}
