//! Where searches look, and that what they find lies where it is in the frame.

use std::sync::{Arc, Mutex};

use super::*;
use crate::core::frame::{Grey, Image, ImageView};
use crate::core::geometry::{Point, Rect};
use crate::core::time::{FrameRef, Pts};

/// Dark stripes, lying or standing, with a white pixel in the middle of each face.
fn dots(size: (usize, usize), lying: bool, faces: &[(usize, usize)]) -> Grey {
    Grey::painted(size, |x, y| {
        match (faces.contains(&(x, y)), if lying { y } else { x } / 60 % 2) {
            (true, _) => 255,
            (false, 0) => 0,
            (false, _) => 150,
        }
    })
}

/// What a search was given: width, height, and pixels of input per pixel of the frame.
type Given = (usize, usize, f32);

/// Finds a face at each dot where the search is fine enough for it; notes what it was given.
struct Dotted {
    gains: bool,
    face_px: f32,
    given: Arc<Mutex<Vec<Given>>>,
}

impl FaceDetector for Dotted {
    fn detect(
        &mut self,
        image: &ImageView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError> {
        let (width, height) = (image.width, image.height);
        let scale = (long_side_px as f32 / width.max(height) as f32).min(1.0);
        self.given.lock().expect("nobody panicked").push((width, height, scale));
        if self.face_px * scale < 20.0 {
            return Ok(Vec::new());
        }
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let dots = pixels.filter(|(x, y)| image.luma.data[y * image.luma.stride + x] == 255);
        let face = |(x, y)| {
            let (x, y, half) = (x as f32, y as f32, self.face_px / 2.0);
            let rect = Rect::new(x - half, y - half, x + half, y + half);
            FaceBox { rect, confidence: 0.95, landmarks: [Point { x, y }; 5] }
        };
        Ok(dots.map(face).collect())
    }

    fn gains_by_parts(&self) -> bool {
        self.gains
    }
}

/// Shots of fifty frames each: what was found in each frame, and what the searches were given.
fn watch(gains: bool, face_px: f32, shots: &[Grey]) -> (Vec<TrackedFrame>, Vec<Given>) {
    let given = Arc::default();
    let detector = Dotted { gains, face_px, given: Arc::clone(&given) };
    let plan = PlanSettings::of_detector(20, 960);
    let mut look = FrontEnd::new(Box::new(detector), plan, Policy::default());
    let mut looked = Vec::new();
    for seq in 0..50 * shots.len() {
        let image: Arc<dyn Image> = Arc::new(shots[seq / 50].clone());
        let pts = Pts::from_ns(seq as i64 * 40_000_000);
        let id = FrameRef { epoch: Epoch::default(), seq: seq as u64, pts };
        look.push(Frame { id, span: None, image }, &mut looked).expect("it cannot fail");
    }
    looked.extend(look.finish().expect("it cannot fail"));
    let given = given.lock().expect("nobody panicked").clone();
    (looked.into_iter().map(|(_, tracked)| tracked).collect(), given)
}

#[test]
fn small_faces_are_looked_for_in_a_part_and_found_where_they_are() {
    let shot = [dots((640, 360), false, &[(301, 91), (422, 84)])];
    let (by_parts, given) = watch(true, 24.0, &shot);
    let (whole, _) = watch(false, 24.0, &shot);
    assert_eq!(by_parts, whole);
    assert!(by_parts.iter().all(|frame| frame.faces.len() == 2));
    let part = |given: &&Given| given.0 * given.1 < 640 * 360 / 4;
    assert!(given.iter().filter(part).count() >= 3, "{given:?}");
}

#[test]
fn parts_are_those_of_their_own_shot_and_as_fine_as_a_whole_frame() {
    // At the edges, then elsewhere after a cut, then in a smaller frame.
    let shots = [
        dots((1280, 720), false, &[(1270, 300), (1150, 350)]),
        dots((1280, 720), true, &[(90, 715), (160, 640)]),
        dots((853, 480), false, &[(20, 20), (90, 60)]),
    ];
    let (by_parts, given) = watch(true, 28.0, &shots);
    let (whole, _) = watch(false, 28.0, &shots);
    assert!(by_parts == whole, "{given:?}");
    assert!(by_parts.iter().all(|frame| frame.faces.len() == 2));
    let parts = given.iter().filter(|(width, ..)| ![1280, 853].contains(width));
    let scales: Vec<f32> = parts.map(|(.., scale)| *scale).collect();
    let near = |expected: f32| move |scale: &&f32| (*scale / expected - 1.0).abs() < 0.02;
    assert!(scales.iter().filter(near(0.75)).count() >= 6, "{scales:?}");
    assert!(scales.iter().filter(near(640.0 / 853.0)).count() >= 3, "{scales:?}");
}

#[test]
fn what_gains_nothing_by_parts_is_given_whole_frames() {
    let (_, given) = watch(false, 24.0, &[dots((640, 360), false, &[(301, 91)])]);
    assert!(given.iter().all(|(width, height, _)| (*width, *height) == (640, 360)), "{given:?}");
}
