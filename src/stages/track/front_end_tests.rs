//! Which regions are searched, and that faces are found at their position in the frame.

use std::sync::{Arc, Mutex};

use super::*;
use crate::core::frame::{GreyImage, Image, ImageView};
use crate::core::geometry::{Point, Rect};
use crate::core::time::{FrameRef, Pts};

/// Dark stripes, horizontal or vertical, with a white pixel at the centre of each face.
fn test_image(size: (usize, usize), lying: bool, faces: &[(usize, usize)]) -> GreyImage {
    GreyImage::from_fn(size, |x, y| {
        match (faces.contains(&(x, y)), if lying { y } else { x } / 60 % 2) {
            (true, _) => 255,
            (false, 0) => 0,
            (false, _) => 150,
        }
    })
}

/// The input of a search: width, height, and input pixels per frame pixel.
type SearchInput = (usize, usize, f32);

/// Finds a face at each dot if the resolution suffices; records its inputs.
struct DotDetector {
    benefits: bool,
    face_px: f32,
    inputs: Arc<Mutex<Vec<SearchInput>>>,
}

impl FaceDetector for DotDetector {
    fn detect(
        &mut self,
        image: &ImageView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError> {
        let (width, height) = (image.width, image.height);
        let scale = (long_side_px as f32 / width.max(height) as f32).min(1.0);
        self.inputs.lock().expect("nobody panicked").push((width, height, scale));
        if self.face_px * scale < 20.0 {
            return Ok(Vec::new());
        }
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let test_image = pixels.filter(|(x, y)| image.luma.data[y * image.luma.stride + x] == 255);
        let face = |(x, y)| {
            let (x, y, half) = (x as f32, y as f32, self.face_px / 2.0);
            let rect = Rect::new(x - half, y - half, x + half, y + half);
            FaceBox { rect, confidence: 0.95, landmarks: [Point { x, y }; 5] }
        };
        Ok(test_image.map(face).collect())
    }

    fn benefits_from_regions(&self) -> bool {
        self.benefits
    }
}

/// Runs shots of fifty frames each; gives the tracked frames and the inputs of the searches.
fn run_shots(
    benefits: bool,
    face_px: f32,
    shots: &[GreyImage],
) -> (Vec<TrackedFrame>, Vec<SearchInput>) {
    let inputs = Arc::default();
    let detector = DotDetector { benefits, face_px, inputs: Arc::clone(&inputs) };
    let plan = PlanSettings::for_detector(20, 960);
    let mut front_end = FrontEnd::new(Box::new(detector), plan, Policy::default());
    let mut output = Vec::new();
    for seq in 0..50 * shots.len() {
        let image: Arc<dyn Image> = Arc::new(shots[seq / 50].clone());
        let pts = Pts::from_ns(seq as i64 * 40_000_000);
        let id = FrameRef { epoch: Epoch::default(), seq: seq as u64, pts };
        front_end.push(Frame { id, duration: None, image }, &mut output).expect("it cannot fail");
    }
    output.extend(front_end.finish().expect("it cannot fail"));
    let inputs = inputs.lock().expect("nobody panicked").clone();
    (output.into_iter().map(|(_, tracked)| tracked).collect(), inputs)
}

#[test]
fn small_faces_are_searched_in_a_region_and_found_at_their_position() {
    let shot = [test_image((640, 360), false, &[(301, 91), (422, 84)])];
    let (by_regions, inputs) = run_shots(true, 24.0, &shot);
    let (whole, _) = run_shots(false, 24.0, &shot);
    assert_eq!(by_regions, whole);
    assert!(by_regions.iter().all(|frame| frame.faces.len() == 2));
    let region = |inputs: &&SearchInput| inputs.0 * inputs.1 < 640 * 360 / 4;
    assert!(inputs.iter().filter(region).count() >= 3, "{inputs:?}");
}

#[test]
fn regions_belong_to_their_shot_and_have_the_resolution_of_the_whole_frame() {
    // At the edges, then elsewhere after a cut, then in a smaller frame.
    let shots = [
        test_image((1280, 720), false, &[(1270, 300), (1150, 350)]),
        test_image((1280, 720), true, &[(90, 715), (160, 640)]),
        test_image((853, 480), false, &[(20, 20), (90, 60)]),
    ];
    let (by_regions, inputs) = run_shots(true, 28.0, &shots);
    let (whole, _) = run_shots(false, 28.0, &shots);
    assert!(by_regions == whole, "{inputs:?}");
    assert!(by_regions.iter().all(|frame| frame.faces.len() == 2));
    let regions = inputs.iter().filter(|(width, ..)| ![1280, 853].contains(width));
    let scales: Vec<f32> = regions.map(|(.., scale)| *scale).collect();
    let near = |expected: f32| move |scale: &&f32| (*scale / expected - 1.0).abs() < 0.02;
    assert!(scales.iter().filter(near(0.75)).count() >= 6, "{scales:?}");
    assert!(scales.iter().filter(near(640.0 / 853.0)).count() >= 3, "{scales:?}");
}

#[test]
fn a_detector_without_benefit_from_regions_gets_whole_frames() {
    let (_, inputs) = run_shots(false, 24.0, &[test_image((640, 360), false, &[(301, 91)])]);
    assert!(inputs.iter().all(|(width, height, _)| (*width, *height) == (640, 360)), "{inputs:?}");
}
