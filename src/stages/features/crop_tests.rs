//! Crops of synthetic frames.

use proptest::prelude::*;

use super::*;
use crate::core::frame::{Chroma, Plane};

/// Planes of a frame with samples chosen by a test.
struct TestImage {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

impl TestImage {
    fn new(width: usize, height: usize, luma: impl Fn(usize, usize) -> u8) -> Self {
        let luma = (0..width * height).map(|i| luma(i % width, i / width)).collect();
        let chroma = vec![128; width.div_ceil(2) * height.div_ceil(2) * 2];
        Self { width, height, luma, chroma }
    }

    fn view(&self, interleaved: bool) -> ImageView<'_> {
        let half = self.width.div_ceil(2);
        let (u, v) = self.chroma.split_at(self.chroma.len() / 2);
        let plane = |data, stride| Plane { data, stride };
        ImageView {
            width: self.width,
            height: self.height,
            luma: plane(&self.luma, self.width),
            chroma: if interleaved {
                Chroma::Interleaved(plane(&self.chroma, 2 * half))
            } else {
                Chroma::Planar { u: plane(u, half), v: plane(v, half) }
            },
            range: LumaRange::Full,
            bt709: true,
        }
    }
}

fn position(x: f32, y: f32, half_size: f32) -> FacePosition {
    FacePosition { center: Point { x, y }, half_size }
}

fn crop(image: &ImageView<'_>, position: FacePosition) -> Vec<u8> {
    let rect = CropRect::new(position, image.width, image.height).expect("a face");
    let mut out = [0; CROP_PIXELS];
    Cropper::new().crop_grey(image, rect, &mut out);
    out.to_vec()
}

#[test]
fn outside_the_frame_is_grey_110() {
    let white = TestImage::new(60, 60, |_, _| 255);
    let out = crop(&white.view(false), position(0.0, 30.0, 20.0));
    let row = &out[50 * CROP_SIDE_PX..][..CROP_SIDE_PX];
    assert_eq!((row[0], row[CROP_SIDE_PX - 1]), (110, 254));
    assert_eq!(crop(&white.view(false), position(-39.0, 30.0, 20.0)), [110; CROP_PIXELS]);
}

#[test]
fn large_frames_give_the_crop_of_the_reduced_frame() {
    let wave = |x: usize, y: usize| 128.0 + 60.0 * (x as f32 / 9.0).sin() * (y as f32 / 7.0).cos();
    let small = TestImage::new(960, 540, |x, y| wave(x, y).round() as u8);
    let large = TestImage::new(1920, 1080, |x, y| wave(x / 2, y / 2).round() as u8);
    let a = crop(&small.view(false), position(301.3, 222.2, 41.7));
    let b = crop(&large.view(false), position(602.6, 444.4, 83.4));
    assert_eq!(a, b);
    let rect = |s, w, h| CropRect::new(s, w, h).expect("a face").rect();
    let reduced = rect(position(301.3, 222.2, 41.7), 960, 540);
    assert_eq!(reduced.scaled(2.0), rect(position(602.6, 444.4, 83.4), 1920, 1080));
}

#[test]
fn fine_stripes_do_not_alias_in_a_large_face() {
    let stripes = TestImage::new(900, 900, |x, _| if x % 2 == 0 { 0 } else { 200 });
    let out = crop(&stripes.view(false), position(450.0, 400.0, 320.0));
    assert!(out.iter().all(|v| (60..140).contains(v)), "{:?}", &out[..16]);
}

#[test]
fn both_chroma_layouts_give_the_same_crop() {
    let mut image = TestImage::new(97, 71, |x, y| (x * 2 + y) as u8);
    let samples = image.chroma.len() / 2;
    let value = |plane: usize, i: usize| (plane * 90 + i * 7 % 120) as u8;
    image.chroma = (0..2 * samples).map(|i| value(i / samples, i % samples)).collect();
    let planar = crop(&image.view(false), position(50.0, 30.0, 17.0));
    image.chroma = (0..2 * samples).map(|i| value(i % 2, i / 2)).collect();
    assert_eq!(crop(&image.view(true), position(50.0, 30.0, 17.0)), planar);
}

#[test]
fn an_implausible_face_has_no_crop() {
    for no_face in [
        position(f32::NAN, 1.0, 5.0),
        position(1.0, f32::INFINITY, 5.0),
        position(50.0, 50.0, f32::NAN),
        position(50.0, 50.0, 0.0),
        position(50.0, 50.0, 1e9),
        position(5000.0, 50.0, 5.0),
    ] {
        assert_eq!(CropRect::new(no_face, 100, 100), None, "{no_face:?}");
    }
}

proptest! {
    #[test]
    fn a_crop_covers_its_face(
        x in 0f32..1920.0, y in 0f32..1080.0, half in 4f32..500.0,
    ) {
        let rect = CropRect::new(position(x, y, half), 1920, 1080).expect("a face").rect();
        // Two cells of two pixels: corners are rounded down to whole cells.
        let near = |a: f32, b: f32| (a - b).abs() <= 4.0;
        prop_assert!(near(rect.x1, x - 0.7 * half) && near(rect.x2, x + 0.7 * half));
        prop_assert!(near(rect.y1, y - 0.3 * half) && near(rect.y2, y + 1.1 * half));
    }

    #[test]
    fn any_face_in_any_frame_can_be_cut(
        width in 1usize..200, height in 1usize..200,
        x in -50f32..250.0, y in -50f32..250.0, half in 0.01f32..200.0,
    ) {
        let image = TestImage::new(width, height, |_, _| 90);
        if let Some(rect) = CropRect::new(position(x, y, half), width, height) {
            let mut out = [0; CROP_PIXELS];
            Cropper::new().crop_grey(&image.view(false), rect, &mut out);
            prop_assert!(out.iter().all(|v| (89..=110).contains(v)));
        }
    }
}
