//! Where searches look, and that what they find lies where it is in the picture.

use std::any::Any;
use std::sync::{Arc, Mutex};

use super::*;
use crate::core::geometry::{Point, Rect};
use crate::core::picture::{Chroma, LumaRange, Picture, PictureView, Plane};
use crate::core::time::{FrameRef, Pts};

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
/// Side of a face: too small for an ordinary search.
const FACE_PX: f32 = 24.0;

/// A dark picture with a white pixel in the middle of each face.
struct Dots(Vec<u8>);

impl Dots {
    fn new(faces: &[(usize, usize)]) -> Self {
        let mut samples = vec![0; WIDTH * HEIGHT];
        faces.iter().for_each(|(x, y)| samples[y * WIDTH + x] = 255);
        Self(samples)
    }
}

impl Picture for Dots {
    fn view(&self) -> PictureView<'_> {
        let plane = Plane { data: &self.0, stride: WIDTH };
        PictureView {
            width: WIDTH,
            height: HEIGHT,
            luma: plane,
            chroma: Chroma::Interleaved(plane),
            range: LumaRange::Full,
            bt709: false,
        }
    }

    fn byte_size(&self) -> usize {
        self.0.len()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Finds a face at each dot where the search is fine enough for it; notes what it was given.
struct Dotted {
    gains: bool,
    searched: Arc<Mutex<Vec<(usize, usize)>>>,
}

impl FaceDetector for Dotted {
    fn detect(
        &mut self,
        picture: &PictureView<'_>,
        long_side_px: u32,
    ) -> Result<Vec<FaceBox>, DetectError> {
        self.searched.lock().expect("nobody panicked").push((picture.width, picture.height));
        let scale = long_side_px as f32 / picture.width.max(picture.height) as f32;
        if FACE_PX * scale.min(1.0) < 20.0 {
            return Ok(Vec::new());
        }
        let pixels = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
        let dots = pixels.filter(|(x, y)| picture.luma.data[y * picture.luma.stride + x] == 255);
        let face = |(x, y)| {
            let (x, y, half) = (x as f32, y as f32, FACE_PX / 2.0);
            let rect = Rect::new(x - half, y - half, x + half, y + half);
            FaceBox { rect, confidence: 0.9, landmarks: [Point { x, y }; 5] }
        };
        Ok(dots.map(face).collect())
    }

    fn gains_by_parts(&self) -> bool {
        self.gains
    }
}

/// Two seconds of `faces`: what was found in each frame, and the sizes that were searched.
fn watch(gains: bool, faces: &[(usize, usize)]) -> (Vec<TrackedFrame>, Vec<(usize, usize)>) {
    let searched = Arc::default();
    let detector = Dotted { gains, searched: Arc::clone(&searched) };
    let mut look = Look::new(Box::new(detector), PlanSettings::default(), Policy::default());
    let picture: Arc<dyn Picture> = Arc::new(Dots::new(faces));
    let mut looked = Vec::new();
    for seq in 0..50_i64 {
        let pts = Pts::from_ns(seq * 40_000_000);
        let id = FrameRef { epoch: Epoch::default(), seq: seq as u64, pts };
        let frame = Frame { id, span: None, picture: Arc::clone(&picture) };
        look.push(frame, &mut looked).expect("the detector cannot fail");
    }
    looked.extend(look.finish().expect("the detector cannot fail"));
    let searched = searched.lock().expect("nobody panicked").clone();
    (looked.into_iter().map(|(_, tracked)| tracked).collect(), searched)
}

#[test]
fn small_faces_are_looked_for_in_a_part_and_found_where_they_are() {
    let faces = [(301, 91), (422, 84)];
    let (by_parts, searched) = watch(true, &faces);
    let (whole, _) = watch(false, &faces);
    assert_eq!(by_parts, whole);
    assert!(by_parts.iter().all(|frame| frame.faces.len() == 2));
    let part = |size: &&(usize, usize)| size.0 * size.1 < WIDTH * HEIGHT / 4;
    assert!(searched.iter().filter(part).count() >= 3, "{searched:?}");
}

#[test]
fn what_gains_nothing_by_parts_is_given_whole_pictures() {
    let (_, searched) = watch(false, &[(301, 91)]);
    assert!(searched.iter().all(|size| *size == (WIDTH, HEIGHT)), "{searched:?}");
}
