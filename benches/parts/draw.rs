//! What is drawn and blended: one frame a call.

use std::sync::Arc;

use divan::{Bencher, black_box};
use locutor::core::evidence::{
    FaceEvidence, FrameEvidence, Heatmap, PlacedHeatmap, Probability, Shares, TrackId, Verdict,
};
use locutor::core::frame::LumaRange;
use locutor::stages::overlay::blend::{
    Chroma, ChromaSums, Colorimetry, PlaneMut, YuvSprite, blend_chroma, blend_luma,
};
use locutor::stages::overlay::{Painter, PixelRect, Style};

use crate::kit::{P360, P1080, Still, faces, frame};

type Size = (usize, usize);

const COLOUR: Colorimetry = Colorimetry { range: LumaRange::Limited, bt709: true };
const CASES: [(Size, usize); 4] = [(P360, 1), (P360, 4), (P1080, 1), (P1080, 4)];

/// A frame of `count` faces that speak; a map of its own for each frame, as scores come.
fn evidence(count: usize, size: Size, seq: u64) -> FrameEvidence {
    let face = |(i, face): (usize, locutor::core::geometry::FaceBox)| {
        let cell = |c: usize| (c as f32 * 0.37 + seq as f32).sin().abs();
        let map = Heatmap::new(8, 8, (0..64).map(cell).collect()).expect("64 cells");
        let p = Probability::new(0.9).expect("it is one");
        FaceEvidence {
            track: TrackId(i as u32 + 1),
            rect: face.rect,
            landmarks: face.landmarks,
            detected: true,
            verdict: Verdict::Scored { p, speaking: true, shares: Shares::from_effects(1.0, 2.0) },
            heat: Some(PlacedHeatmap { map: Arc::new(map), over: face.rect }),
            talk_seconds: 7.0,
        }
    };
    let faces = faces(count, size, seq).into_iter().enumerate().map(face).collect();
    FrameEvidence { frame: frame(seq), faces, floor: Some(TrackId(1)) }
}

/// Sprites of a frame, every heatmap painted anew; boxes and labels mostly known.
#[divan::bench(args = CASES, max_time = 1)]
fn paint(bencher: Bencher<'_, '_>, (size, count): (Size, usize)) {
    let frames: Vec<_> = (0..100).map(|seq| evidence(count, size, seq)).collect();
    let (mut painter, mut turn) = (Painter::new(Style::default()), 0);
    bencher.bench_local(|| {
        turn = (turn + 1) % frames.len();
        painter.draw(black_box(&frames[turn]), size.0 as u32, size.1 as u32).len()
    });
}

/// Every sprite of a frame into I420 planes, in the frame's colour already: boxes, labels, heat.
#[divan::bench(args = CASES, max_time = 1)]
fn blend(bencher: Bencher<'_, '_>, (size, count): (Size, usize)) {
    let mut still = Still::new(size, 0);
    let mut painter = Painter::new(Style::default());
    let sprites = painter.draw(&evidence(count, size, 0), size.0 as u32, size.1 as u32);
    let yuv_sprites: Vec<(YuvSprite, PixelRect)> =
        sprites.iter().map(|s| (YuvSprite::new(s, COLOUR), s.rect)).collect();
    let mut sums = ChromaSums::default();
    bencher.bench_local(|| {
        for (yuv, rect) in black_box(&yuv_sprites) {
            let stride = still.width;
            blend_luma(&mut PlaneMut { data: &mut still.luma, stride }, yuv, *rect);
            let [u, v] = &mut still.chroma;
            let [u, v] = [u, v].map(|data| PlaneMut { data, stride: stride / 2 });
            blend_chroma(&mut Chroma::Planar(u, v), yuv, *rect, size, &mut sums);
        }
    });
}

/// A heatmap turned into the frame's colour: one face.
#[divan::bench(args = [P360, P1080], max_time = 1)]
fn heat_to_yuv(bencher: Bencher<'_, '_>, size: Size) {
    let mut painter = Painter::new(Style::default());
    let sprites = painter.draw(&evidence(1, size, 0), size.0 as u32, size.1 as u32);
    let heat = sprites.first().expect("heat is drawn first");
    let mut yuv = YuvSprite::default();
    bencher.bench_local(|| {
        yuv.fill(black_box(heat), COLOUR);
        yuv.byte_size()
    });
}
