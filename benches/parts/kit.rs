//! Frames, audio and faces to work on: made up, and the same in every run.

use std::any::Any;
use std::sync::Arc;

use locutor::core::frame::{Chroma, Image, ImageView, LumaRange, Plane};
use locutor::core::geometry::{FaceBox, Point, Rect};
use locutor::core::time::{Epoch, FrameRef, Pts};

/// Widths and heights of the sources that are measured.
pub const P360: (usize, usize) = (640, 360);
pub const P1080: (usize, usize) = (1920, 1080);

/// An I420 frame, BT.709 limited as most video is.
pub struct Still {
    pub width: usize,
    pub height: usize,
    pub luma: Vec<u8>,
    pub chroma: [Vec<u8>; 2],
}

impl Still {
    /// A frame with structure, another one for each `seed`.
    pub fn new((width, height): (usize, usize), seed: u32) -> Self {
        let plane = |width: usize, height: usize, seed: u32| {
            let wave = |x: usize, y: usize| {
                let (x, y) = (x as f32 / 23.0 + seed as f32, y as f32 / 17.0);
                (128.0 + 70.0 * x.sin() * y.cos()) as u8 ^ (x as u8 & 3)
            };
            (0..width * height).map(|i| wave(i % width, i / width)).collect::<Vec<u8>>()
        };
        let half = (width / 2, height / 2);
        Self {
            width,
            height,
            luma: plane(width, height, seed),
            chroma: [plane(half.0, half.1, seed + 1), plane(half.0, half.1, seed + 2)],
        }
    }
}

impl Image for Still {
    fn view(&self) -> ImageView<'_> {
        let plane = |data, stride| Plane { data, stride };
        let [u, v] = &self.chroma;
        ImageView {
            width: self.width,
            height: self.height,
            luma: plane(&self.luma, self.width),
            chroma: Chroma::Planar { u: plane(u, self.width / 2), v: plane(v, self.width / 2) },
            range: LumaRange::Limited,
            bt709: true,
        }
    }

    fn byte_size(&self) -> usize {
        self.width * self.height * 3 / 2
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Frame `seq` of a source with 25 frames a second.
pub fn frame(seq: u64) -> FrameRef {
    FrameRef { epoch: Epoch(0), seq, pts: Pts::from_ns(seq as i64 * 40_000_000) }
}

/// `count` faces in a grid that fills the frame, moved by a pixel or two from frame to frame.
pub fn faces(count: usize, (width, height): (usize, usize), seq: u64) -> Vec<FaceBox> {
    let columns = (count as f32 * width as f32 / height as f32).sqrt().ceil().max(1.0);
    let rows = (count as f32 / columns).ceil();
    let (across, down) = (width as f32 / columns, height as f32 / rows);
    let half = across.min(down) * 0.3;
    let sway = 2.0 * (seq as f32 / 9.0).sin();
    let face = |i: usize| {
        let (column, row) = (i as f32 % columns, (i as f32 / columns).floor());
        let (x, y) = ((column.floor() + 0.5) * across + sway, (row + 0.5) * down - sway);
        let at = |dx: f32, dy: f32| Point { x: x + dx * half, y: y + dy * half };
        FaceBox {
            rect: Rect::new(x - half, y - half, x + half, y + half),
            confidence: 0.95,
            landmarks: [at(-0.4, -0.3), at(0.4, -0.3), at(0.0, 0.0), at(-0.3, 0.4), at(0.3, 0.4)],
        }
    };
    (0..count).map(face).collect()
}

/// One second of 16 kHz audio: a tone that glides, and noise.
pub fn second_of_audio() -> Vec<i16> {
    let sample = |i: usize| {
        let tone = (i as f32 * i as f32 / 40_000.0).sin() * 6_000.0;
        tone as i16 + ((i * 7_919) % 2_003) as i16 - 1_000
    };
    (0..16_000).map(sample).collect()
}
