//! The painter as a whole: for any evidence, sprites lie inside the frame. Also writes example
//! frames to the folder that `LOCUTOR_TEST_FRAMES` names.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::core::evidence::{Heatmap, PlacedHeatmap, Probability, Shares, Unknown};
use crate::core::geometry::{Landmarks, Rect};
use crate::core::time::{Epoch, FrameRef, Pts};

fn face(id: u32, rect: Rect, p: Option<f32>) -> FaceEvidence {
    let scored = p.and_then(Probability::new).map(|p| Verdict::Scored {
        p,
        speaking: p.get() > 0.5,
        shares: Shares::from_effects(1.0 + id as f32, 2.0),
    });
    FaceEvidence {
        track: TrackId(id),
        rect,
        landmarks: Landmarks::default(),
        detected: true,
        verdict: scored.unwrap_or(Verdict::Unknown(Unknown::NotScored)),
        heat: Some(PlacedHeatmap { map: mouth_map(), over: crop_of(rect) }),
        talk_seconds: 7.0 + 31.0 * f64::from(id),
    }
}

/// The face encoder's crop: 1.4 half-sizes wide, from 0.3 above the centre.
fn crop_of(rect: Rect) -> Rect {
    let (c, s) = (rect.center(), rect.width().max(rect.height()) / 2.0);
    Rect::new(c.x - 0.7 * s, c.y - 0.3 * s, c.x + 0.7 * s, c.y + 1.1 * s)
}

fn mouth_map() -> Arc<Heatmap> {
    let cell = |i: i32| {
        let (x, y) = ((i % 14 - 7) as f32 / 3.0, (i / 14 - 8) as f32 / 2.0);
        (-x * x - y * y).exp()
    };
    Arc::new(Heatmap::new(14, 14, (0..196).map(cell).collect()).expect("14x14"))
}

fn frame(faces: Vec<FaceEvidence>, floor: Option<u32>) -> FrameEvidence {
    let frame = FrameRef { epoch: Epoch(0), seq: 0, pts: Pts::ZERO };
    FrameEvidence { frame, faces, floor: floor.map(TrackId) }
}

/// Premultiplied source-over in plain Rust.
fn compose(background: &mut [u8], (width, _): (u32, u32), sprites: &[Sprite]) {
    for sprite in sprites {
        let (rect, bgra) = (sprite.rect, sprite.content.bgra());
        for y in 0..rect.h {
            for x in 0..rect.w {
                let over = &bgra[(y * rect.w + x) as usize * 4..][..4];
                let at = ((rect.y as u32 + y) * width + rect.x as u32 + x) as usize * 3;
                for (c, over_c) in [over[2], over[1], over[0]].into_iter().enumerate() {
                    let under = f32::from(background[at + c]) * f32::from(255 - over[3]) / 255.0;
                    let sum = under + f32::from(over_c);
                    background[at + c] = sum.round().clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

/// A test image with dark, bright, busy and skin-coloured parts; faces are ovals.
fn background((width, height): (u32, u32), evidence: &FrameEvidence) -> Vec<u8> {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 7 & 15;
            let light = 30 + 200 * x / width + noise;
            let skin = evidence.faces.iter().any(|f| {
                let c = f.rect.center();
                let (dx, dy) =
                    ((x as f32 - c.x) / f.rect.width(), (y as f32 - c.y) / f.rect.height());
                dx * dx + dy * dy < 0.25
            });
            let pixel = if skin { [205, 160, 130] } else { [light, light, (light + 20).min(255)] };
            rgb.extend(pixel.map(|v| v as u8));
        }
    }
    rgb
}

fn write_png(path: &Path, (width, height): (u32, u32), rgb: &[u8]) {
    let file = std::fs::File::create(path).expect("LOCUTOR_TEST_FRAMES names a folder");
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().expect("header").write_image_data(rgb).expect("pixels");
}

/// `count` faces in a grid with some variety, the first speaking.
fn crowd(count: u32, (width, height): (u32, u32), share: f32) -> FrameEvidence {
    let columns = (count as f32 * width as f32 / height as f32).sqrt().ceil().max(1.0);
    let rows = (count as f32 / columns).ceil();
    let (cell_w, cell_h) = (width as f32 / columns, height as f32 / rows);
    let side = cell_w.min(cell_h) * share;
    let faces = (0..count).map(|i| {
        let (column, row) = ((i as f32) % columns, (i as f32 / columns).floor());
        let x = (column.floor() + 0.5) * cell_w - side / 2.0 + (i as f32 * 7.3) % (side * 0.2);
        let y = (row + 0.5) * cell_h - side / 2.0 + (i as f32 * 3.1) % (side * 0.2);
        let p = [Some(0.93), Some(0.07), None, Some(0.41), Some(0.72)][i as usize % 5];
        face(i + 1, Rect::new(x, y, x + side * 0.8, y + side), p)
    });
    frame(faces.collect(), Some(1))
}

const SIZES: [(u32, u32); 5] = [(320, 240), (640, 360), (1080, 1920), (1920, 1080), (3840, 2160)];

fn scenes(frame_size: (u32, u32)) -> Vec<(&'static str, FrameEvidence)> {
    let (w, h) = (frame_size.0 as f32, frame_size.1 as f32);
    let s = w.min(h) * 0.3;
    let edges = vec![
        face(1, Rect::new(-s * 0.4, -s * 0.3, s * 0.5, s * 0.8), Some(0.9)),
        face(2, Rect::new(w - s * 0.5, h * 0.3, w + s * 0.4, h * 0.3 + s), Some(0.2)),
        face(3, Rect::new(w * 0.4, h - s * 0.7, w * 0.4 + s, h + s * 0.3), Some(0.8)),
        face(4, Rect::new(w * 0.62, -s * 0.6, w * 0.62 + s * 0.8, s * 0.4), None),
    ];
    let tiny = (0..5).map(|i| {
        let (x, y) = (w * 0.1 + i as f32 * w * 0.18, h * 0.3 + i as f32 * h * 0.09);
        face(
            i + 10,
            Rect::new(x, y, x + 18.0, y + 20.0),
            [Some(0.9), Some(0.1), None][i as usize % 3],
        )
    });
    let near = (0..3).map(|i| {
        let x = w * 0.2 + i as f32 * s * 0.75;
        let p = [Some(0.2), Some(0.97), Some(0.44)][i as usize];
        face(i + 21, Rect::new(x, h * 0.35, x + s * 0.72, h * 0.35 + s), p)
    });
    vec![
        ("one", crowd(1, frame_size, 0.5)),
        ("two", crowd(2, frame_size, 0.45)),
        ("twelve", crowd(12, frame_size, 0.5)),
        ("edges", frame(edges, Some(3))),
        ("tiny", frame(tiny.collect(), Some(10))),
        ("near", frame(near.collect(), Some(22))),
    ]
}

fn inside(sprites: &[Sprite], (width, height): (u32, u32)) -> bool {
    sprites.iter().all(|s| {
        let p = s.rect;
        p.x >= 0
            && p.y >= 0
            && p.w > 0
            && p.h > 0
            && p.x as u32 + p.w <= width
            && p.y as u32 + p.h <= height
            && s.content.bgra().len() == (p.w * p.h * 4) as usize
            && s.content.bgra().chunks_exact(4).all(|p| p[..3].iter().all(|c| *c <= p[3]))
    })
}

#[test]
fn every_scene_is_drawn_inside_the_frame() {
    let folder = std::env::var_os("LOCUTOR_TEST_FRAMES");
    for frame_size in SIZES {
        for (name, evidence) in scenes(frame_size) {
            let sprites =
                Painter::new(Style::default()).draw(&evidence, frame_size.0, frame_size.1);
            assert!(inside(&sprites, frame_size), "{name} {frame_size:?}");
            let labels = evidence.faces.len();
            assert!(sprites.len() >= labels * 3, "{name}: {} sprites", sprites.len());
            if let Some(folder) = &folder {
                let mut rgb = background(frame_size, &evidence);
                compose(&mut rgb, frame_size, &sprites);
                let file = format!("overlay-{}x{}-{name}.png", frame_size.0, frame_size.1);
                write_png(&Path::new(folder).join(file), frame_size, &rgb);
            }
        }
    }
}

#[test]
fn blending_touches_little_of_the_frame() {
    let (width, height) = (1920, 1080);
    let style = Style { heat: false, ..Style::default() };
    let sprites = Painter::new(style).draw(&crowd(2, (width, height), 0.6), width, height);
    let blended: u32 = sprites.iter().map(|s| s.rect.w * s.rect.h).sum();
    let pixels = sprites.iter().map(|s| s.rect).flat_map(|p| {
        let (x, y) = (p.x as u32, p.y as u32);
        (y..y + p.h).flat_map(move |y| (x..x + p.w).map(move |x| (x, y)))
    });
    let touched = pixels.collect::<std::collections::BTreeSet<_>>().len() as u32;
    assert!(touched < width * height / 25, "{touched} pixels");
    // Parts lie over their label's background: some pixels are blended twice.
    assert!(blended < touched + touched / 5, "{blended} for {touched} pixels");
}

#[test]
fn heat_boxes_and_labels_can_be_turned_off() {
    let evidence = crowd(2, (640, 360), 0.5);
    let count = |heat, boxes, labels| {
        let style = Style { heat, boxes, labels, ..Style::default() };
        Painter::new(style).draw(&evidence, 640, 360).len()
    };
    // The second face's score is too low for a heatmap.
    assert_eq!(count(true, false, false), 1);
    // Four edges, and for the silent face four corners of two strips each.
    assert_eq!(count(false, true, false), 4 + 8);
    // A label's background, score, talk time, and the fills of both bars.
    assert_eq!(count(false, false, true), 10);
    assert_eq!(count(false, false, false), 0);
}

#[test]
fn the_same_frame_reuses_the_same_pixels() {
    let mut painter = Painter::new(Style::default());
    let evidence = crowd(12, (640, 360), 0.5);
    let first = painter.draw(&evidence, 640, 360);
    let second = painter.draw(&evidence, 640, 360);
    assert_eq!(first, second);
    assert!(first.iter().zip(&second).all(|(a, b)| a.content.is_same(&b.content)));
}

#[test]
fn labels_stand_still_while_faces_sway() {
    let mut painter = Painter::new(Style { heat: false, boxes: false, ..Style::default() });
    let mut last: Vec<Sprite> = Vec::new();
    for i in 0..200u32 {
        let mut evidence = crowd(12, (640, 360), 0.5);
        for face in &mut evidence.faces {
            let sway = ((i * 13 + face.track.0 * 7) % 5) as f32 - 2.0;
            face.rect = face.rect.lerp(Rect::new(0.0, 0.0, 640.0, 360.0), sway * 0.004);
        }
        let now = painter.draw(&evidence, 640, 360);
        // The first sways may show that a placement is too tight; then every label stays.
        for (a, b) in last.iter().zip(&now).filter(|_| i > 10) {
            assert_eq!((a.rect.w, a.rect.h), (b.rect.w, b.rect.h), "frame {i}");
            let moved = a.rect.x.abs_diff(b.rect.x).max(a.rect.y.abs_diff(b.rect.y));
            assert!(moved < 12, "frame {i}: {a:?} {b:?}");
        }
        last = now;
    }
}

#[test]
fn memory_is_bounded_over_many_people() {
    let mut painter = Painter::new(Style::default());
    for id in 0..3000 {
        let rect = Rect::new(10.0, 60.0, 60.0 + (id % 40) as f32, 130.0);
        painter.draw(&frame(vec![face(id, rect, Some(0.9))], None), 320, 240);
    }
    assert!(painter.stabilizers.len() <= FORGET_AFTER_FRAMES as usize);
    assert!(painter.talk.seconds.len() <= MAX_PEOPLE);
    let all: f64 = (0..3000).map(|id| 7.0 + 31.0 * f64::from(id)).sum();
    let share = painter.talk.share(TrackId(2999)) / ((7.0 + 31.0 * 2999.0) / all);
    assert!((share - 1.0).abs() < 1e-9, "{share}");
}

fn any_coordinate() -> impl Strategy<Value = f32> {
    prop_oneof![4 => -100.0f32..800.0, 1 => prop::num::f32::ANY]
}

proptest! {
    #[test]
    fn sprites_lie_in_the_frame_for_any_evidence(
        rects in prop::collection::vec(
            (any_coordinate(), any_coordinate(), any_coordinate(), any_coordinate()), 0..6),
        p in prop::option::of(0.0f32..=1.0),
        talk in prop::num::f64::ANY,
        frame_size in (1u32..700, 1u32..500),
    ) {
        let mut faces: Vec<FaceEvidence> = Vec::new();
        for (id, (x1, y1, x2, y2)) in rects.into_iter().enumerate() {
            let one = face(id as u32, Rect::new(x1, y1, x2, y2), p);
            faces.push(FaceEvidence { talk_seconds: talk, ..one });
        }
        let (width, height) = frame_size;
        let sprites =
            Painter::new(Style::default()).draw(&frame(faces, Some(0)), width, height);
        prop_assert!(inside(&sprites, frame_size), "{sprites:?}");
    }
}
