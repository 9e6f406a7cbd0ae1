//! Crops of real clips against those that the released active-speaker code cuts from them.
//!
//! Needs `../shared` and the program `ffmpeg`; says so aloud where either is missing.

#[path = "support/needs.rs"]
mod needs;

use std::fs::File;
use std::io::{Cursor, Read};
use std::process::Command;
use std::time::{Duration, Instant};

use locutor::core::frame::{Chroma, ImageView, LumaRange, Plane};
use locutor::core::geometry::Rect;
use locutor::stages::features::crop::{CROP_PIXELS, CropRect, Cropper, FacePosition};

const WINDOW: usize = 13;

fn golden<T: npyz::Deserialize>(clip: &str, name: &str) -> Vec<T> {
    let path = needs::shared(&format!("reference/golden/{clip}.npz")).expect("golden arrays");
    let file = File::open(path).expect("golden arrays");
    let mut bytes = Vec::new();
    let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
    let mut member = archive.by_name(&format!("{name}.npy")).expect("the array");
    member.read_to_end(&mut bytes).expect("an undamaged archive");
    npyz::NpyFile::new(Cursor::new(bytes)).and_then(npyz::NpyFile::into_vec).expect("its type")
}

/// The clip's frames on the 25 fps grid, I420, one after the other.
fn decode(clip: &str) -> Option<Vec<u8>> {
    let file = needs::shared(&format!("clips/{clip}.mp4"))?;
    let decoder = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vf", "fps=25,format=yuv420p", "-frames:v", "80", "-f", "rawvideo", "-"])
        .output();
    let Ok(done) = decoder else {
        needs::skip("ffmpeg");
        return None;
    };
    assert!(done.status.success(), "{clip}: {}", String::from_utf8_lossy(&done.stderr));
    Some(done.stdout)
}

fn view(frame: &[u8], width: usize, height: usize, bt709: bool) -> ImageView<'_> {
    let (luma, chroma) = frame.split_at(width * height);
    let (u, v) = chroma.split_at(width * height / 4);
    let plane = |data, stride| Plane { data, stride };
    ImageView {
        width,
        height,
        luma: plane(luma, width),
        chroma: Chroma::Planar { u: plane(u, width / 2), v: plane(v, width / 2) },
        range: LumaRange::Limited,
        bt709,
    }
}

/// The median over 13 values as the released code takes it: zeros before the first and after the
/// last value. (The program itself repeats the edge values, so that no face shrinks at its birth.)
fn reference_median(values: &[f32]) -> Vec<f32> {
    let half = WINDOW / 2;
    let mut padded = vec![0.0; half];
    padded.extend_from_slice(values);
    padded.resize(values.len() + 2 * half, 0.0);
    padded
        .windows(WINDOW)
        .map(|window| {
            let mut sorted = window.to_vec();
            sorted.sort_by(f32::total_cmp);
            sorted[half]
        })
        .collect()
}

fn reference_spots(boxes: &[f32]) -> Vec<FacePosition> {
    let spots: Vec<FacePosition> =
        boxes.chunks_exact(4).map(|b| Rect::new(b[0], b[1], b[2], b[3]).into()).collect();
    let smooth = |part: fn(&FacePosition) -> f32| {
        reference_median(&spots.iter().map(part).collect::<Vec<_>>())
    };
    let (x, y, half_size) =
        (smooth(|s| s.center.x), smooth(|s| s.center.y), smooth(|s| s.half_size));
    let zipped = x.into_iter().zip(y).zip(half_size);
    zipped
        .map(|((x, y), half_size)| FacePosition {
            center: locutor::core::geometry::Point { x, y },
            half_size,
        })
        .collect()
}

#[test]
fn crops_of_the_golden_clips_are_the_references() {
    for (clip, width, height, bt709) in
        [("aoc_512", 512, 512, false), ("debate_mexca", 640, 360, true)]
    {
        let Some(frames) = decode(clip) else { continue };
        let first = golden::<i64>(clip, "first_frame")[0] as usize;
        let frames: Vec<&[u8]> = frames.chunks_exact(width * height * 3 / 2).skip(first).collect();
        let crops = golden::<u8>(clip, "crops");
        let spots = reference_spots(&golden::<f32>(clip, "boxes"));
        assert_eq!(spots.len(), 50);
        let (mut cropper, mut fastest) = (Cropper::new(), Duration::MAX);
        let (mut worst, mut total) = (0f64, 0f64);
        for ((position, frame), expected) in spots.iter().zip(frames).zip(crops.chunks(CROP_PIXELS))
        {
            let crop = CropRect::new(*position, width, height).expect("a face");
            let mut got = [0; CROP_PIXELS];
            let start = Instant::now();
            cropper.crop_grey(&view(frame, width, height, bt709), crop, &mut got);
            fastest = fastest.min(start.elapsed());
            let apart: u32 = got.iter().zip(expected).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let mean = f64::from(apart) / CROP_PIXELS as f64;
            worst = worst.max(mean);
            total += mean;
        }
        eprintln!(
            "{clip}: mean |d| {:.3} grey levels, worst crop {worst:.3}, fastest crop {} us",
            total / 50.0,
            fastest.as_micros()
        );
        assert!(worst <= 2.0, "{clip}: {worst}");
    }
}
