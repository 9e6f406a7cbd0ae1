//! Crops, the detector's input, shot cuts: everything that reads a whole or part of a frame.

use divan::{Bencher, black_box};
use locutor::core::frame::Image;
use locutor::core::geometry::Rect;
use locutor::models::face_detector::input::InputBuilder;
use locutor::stages::detect::cuts::CutDetector;
use locutor::stages::features::crop::{CROP_PIXELS, CropRect, Cropper};

use crate::kit::{P360, P1080, Still};

/// One crop; the face is a quarter and a half of the frame's height.
#[divan::bench(args = [(P360, 90), (P360, 180), (P1080, 270), (P1080, 540)], max_time = 1)]
fn crop(bencher: Bencher<'_, '_>, ((width, height), face): ((usize, usize), usize)) {
    let still = Still::new((width, height), 0);
    let (x, y, half) = (width as f32 / 2.0, height as f32 / 2.0, face as f32 / 2.0);
    let spot = Rect::new(x - half, y - half, x + half, y + half).into();
    let rect = CropRect::new(spot, width, height).expect("a face");
    let (mut cropper, mut out) = (Cropper::new(), [0; CROP_PIXELS]);
    bencher.bench_local(|| {
        cropper.crop_grey(black_box(&still.view()), rect, &mut out);
        out[0]
    });
}

/// Colour and scale: one tensor for the detector, by source and long side of the tensor.
#[divan::bench(args = [(P360, 320), (P1080, 320), (P1080, 1280)], max_time = 1)]
fn detector_input(bencher: Bencher<'_, '_>, (size, long_side): ((usize, usize), u32)) {
    let (still, mut builder) = (Still::new(size, 0), InputBuilder::new());
    bencher.bench_local(|| builder.prepare(black_box(&still.view()), long_side).data[0]);
}

/// Whether a frame begins a new shot, by source.
#[divan::bench(args = [P360, P1080], max_time = 1)]
fn shot_cut(bencher: Bencher<'_, '_>, size: (usize, usize)) {
    // Turn by turn, so that no frame equals the one before.
    let stills = [Still::new(size, 0), Still::new(size, 7)];
    let (mut cuts, mut turn) = (CutDetector::new(), 0);
    bencher.bench_local(|| {
        turn ^= 1;
        cuts.push(black_box(&stills[turn].view()))
    });
}
