//! The edges of a live stream: their names and how much each may hold, in one place for the wiring
//! and for `locutor check`.

use crate::core::queue::Capacity;
use crate::stages::score::budget::Schedule;

/// Bytes of a 1920×1080 frame: what memory is counted with before a source is known.
pub const HD_FRAME_BYTES: usize = 1920 * 1080 * 3 / 2;

/// Frames for the detector; the oldest goes when another comes.
pub const TO_DETECT: Capacity = Capacity { items: 3, bytes: usize::MAX };
/// Frames and audio for the scorer; who tracks waits, audio that finds no room is left out.
pub const TO_SCORE: Capacity = Capacity { items: 64, bytes: 48 << 20 };
/// Evidence for showing; the oldest goes.
pub const EVIDENCE: Capacity = Capacity { items: 512, bytes: 64 << 20 };
/// Audio for people; the oldest goes.
pub const AUDIO: Capacity = Capacity { items: 1_024, bytes: 16 << 20 };

/// Frames that wait until they are due; the oldest goes. Twice what the delay holds.
pub fn to_show(schedule: &Schedule) -> Capacity {
    Capacity { items: schedule.frames_held.unwrap_or(64).max(16) * 2, bytes: 512 << 20 }
}

/// All edges by name, with the bytes that each holds at worst with HD frames.
pub fn all(schedule: &Schedule) -> Vec<(&'static str, usize, usize)> {
    let frames = |c: Capacity| c.items.saturating_mul(HD_FRAME_BYTES).min(c.bytes);
    let show = to_show(schedule);
    vec![
        ("source→detect", TO_DETECT.items, frames(TO_DETECT)),
        ("track→score", TO_SCORE.items, frames(TO_SCORE)),
        ("source→show", show.items, frames(show)),
        ("source→audio", AUDIO.items, AUDIO.bytes),
        ("score→show", EVIDENCE.items, EVIDENCE.bytes),
    ]
}
