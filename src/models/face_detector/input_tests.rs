//! The detector's input against swscale's arithmetic, for any frame size and layout.

use proptest::prelude::*;

use super::*;
use crate::core::frame::Region;

/// An image with its chroma stored both planar and interleaved.
struct TestImage {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    uv: Vec<u8>,
}

impl TestImage {
    fn new(width: usize, height: usize, paint: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let half = width.div_ceil(2);
        let luma = (0..width * height).map(|i| paint(i % width, i / width)[0]).collect();
        let colour = |c: usize| -> Vec<u8> {
            let cells = 0..half * height.div_ceil(2);
            cells.map(|i| paint(2 * (i % half), 2 * (i / half))[c]).collect()
        };
        let (u, v) = (colour(1), colour(2));
        let uv = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
        Self { width, height, luma, u, v, uv }
    }

    fn view(&self, interleaved: bool) -> ImageView<'_> {
        let half = self.width.div_ceil(2);
        let plane = |data, stride| Plane { data, stride };
        ImageView {
            width: self.width,
            height: self.height,
            luma: plane(&self.luma, self.width),
            chroma: if interleaved {
                Chroma::Interleaved(plane(&self.uv, 2 * half))
            } else {
                Chroma::Planar { u: plane(&self.u, half), v: plane(&self.v, half) }
            },
            range: LumaRange::Limited,
            bt709: false,
        }
    }
}

fn pixel(input: &DetectorInput<'_>, x: usize, y: usize) -> [i32; 3] {
    let plane = input.width * input.height;
    std::array::from_fn(|c| input.data[c * plane + y * input.width + x].round() as i32)
}

#[test]
fn colours_follow_matrix_and_range() {
    // BT.601 limited red, as BGR; the same numbers read as BT.709 and as full range.
    let red = TestImage::new(64, 32, |_, _| [81, 90, 240]);
    let mut view = red.view(false);
    let mut builder = InputBuilder::new();
    assert_eq!(pixel(&builder.prepare(&view, 320), 10, 10), [0, 0, 253]);
    view.bt709 = true;
    assert_eq!(pixel(&builder.prepare(&view, 320), 10, 10), [0, 23, 255]);
    view.range = LumaRange::Full;
    view.bt709 = false;
    assert_eq!(pixel(&builder.prepare(&view, 320), 10, 10), [13, 14, 238]);
}

#[test]
fn the_image_is_padded_with_zeros_at_right_and_bottom() {
    let white = TestImage::new(100, 50, |_, _| [235, 128, 128]);
    let view = white.view(false);
    let mut builder = InputBuilder::new();
    let input = builder.prepare(&view, 50);
    assert_eq!((input.width, input.height, input.scale), (64, 32, 0.5));
    assert_eq!(pixel(&input, 49, 24), [255; 3]);
    assert_eq!(pixel(&input, 50, 0), [0; 3]);
    assert_eq!(pixel(&input, 0, 25), [0; 3]);
}

#[test]
fn small_frames_are_not_enlarged() {
    let small = TestImage::new(33, 21, |x, y| [(3 * x + y) as u8, 128, 128]);
    let view = small.view(false);
    let mut builder = InputBuilder::new();
    let input = builder.prepare(&view, 320);
    assert_eq!((input.width, input.height, input.scale), (64, 32, 1.0));
    let expected = ((3.0 * 20.0 + 11.0 - 16.0) * 255.0 / 219.0f32).round() as i32;
    assert_eq!(pixel(&input, 20, 11), [expected; 3]);
}

#[test]
fn points_are_scaled_exactly() {
    // A white block from 600 to 660 and from 300 to 330 of 1000 pixels, at scale 0.32.
    let block = |x: usize, y: usize| (600..660).contains(&x) && (300..330).contains(&y);
    let image = TestImage::new(1000, 563, |x, y| [if block(x, y) { 235 } else { 16 }, 128, 128]);
    let view = image.view(true);
    let mut builder = InputBuilder::new();
    let input = builder.prepare(&view, 320);
    let (mut sum, mut at_x, mut at_y) = (0.0, 0.0, 0.0);
    for (i, value) in input.data[..input.width * input.height].iter().enumerate() {
        sum += value;
        at_x += value * ((i % input.width) as f32 + 0.5);
        at_y += value * ((i / input.width) as f32 + 0.5);
    }
    assert!((at_x / sum - 630.0 * input.scale).abs() < 0.05, "{}", at_x / sum);
    assert!((at_y / sum - 315.0 * input.scale).abs() < 0.05, "{}", at_y / sum);
}

#[test]
fn both_layouts_of_colour_give_the_same_tensor() {
    let image = TestImage::new(131, 77, |x, y| [(x + y) as u8, (2 * x) as u8, (3 * y) as u8]);
    let (mut one, mut other) = (InputBuilder::new(), InputBuilder::new());
    let (planar, interleaved) = (image.view(false), image.view(true));
    assert_eq!(one.prepare(&planar, 96).data, other.prepare(&interleaved, 96).data);
}

#[test]
fn a_region_equals_the_cropped_image() {
    let paint = |x: usize, y: usize| [(7 * x + y) as u8, (2 * x) as u8, (3 * y) as u8];
    let whole = TestImage::new(131, 77, paint);
    // To the right edge, which is odd, and from the middle.
    for (x, y, width, height) in [(60, 20, 71, 57), (18, 6, 64, 32)] {
        let cut = TestImage::new(width, height, |i, j| paint(x + i, y + j));
        for interleaved in [false, true] {
            let region = whole.view(interleaved).crop(Region { x, y, width, height });
            let (mut one, mut other) = (InputBuilder::new(), InputBuilder::new());
            let cut = cut.view(interleaved);
            assert_eq!(one.prepare(&region, 48).data, other.prepare(&cut, 48).data);
        }
    }
}

#[test]
fn a_change_of_size_leaves_no_old_data() {
    let large = TestImage::new(90, 90, |_, _| [235, 128, 128]);
    let small = TestImage::new(40, 20, |_, _| [235, 128, 128]);
    let mut builder = InputBuilder::new();
    builder.prepare(&large.view(false), 320);
    let view = small.view(false);
    let mut fresh = InputBuilder::new();
    assert_eq!(builder.prepare(&view, 320).data, fresh.prepare(&view, 320).data);
}

proptest! {
    #[test]
    fn any_frame_makes_a_valid_tensor(
        width in 1usize..300, height in 1usize..300, long_side in 1u32..400,
    ) {
        let image = TestImage::new(width, height, |x, y| [(x ^ y) as u8, x as u8, y as u8]);
        let mut builder = InputBuilder::new();
        let view = image.view(width % 2 == 0);
        let input = builder.prepare(&view, long_side);
        prop_assert_eq!((input.width % 32, input.height % 32), (0, 0));
        prop_assert!(input.scale > 0.0 && input.scale <= 1.0);
        prop_assert!(width as f32 * input.scale <= input.width as f32 + 0.5);
        prop_assert_eq!(input.data.len(), 3 * input.width * input.height);
        prop_assert!(input.data.iter().all(|v| (0.0..=255.0).contains(v)));
    }
}
