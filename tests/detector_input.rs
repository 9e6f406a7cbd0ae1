//! The detector's input against swscale's BGR, which OpenCV and the references decode to.
//!
//! Needs the program `ffmpeg`; says so aloud where it is missing.

#[path = "support/needs.rs"]
mod needs;

use std::process::Command;

use locutor::core::frame::{Chroma, ImageView, LumaRange, Plane};
use locutor::models::face_detector::input::InputBuilder;

const WIDTH: usize = 96;
const HEIGHT: usize = 64;

/// A frame with every luma and many colours in it, I420.
fn colourful() -> Vec<u8> {
    let luma = (0..WIDTH * HEIGHT).map(|i| (16 + i * 7 % 220) as u8);
    let u = (0..WIDTH * HEIGHT / 4).map(|i| (40 + i * 11 % 180) as u8);
    let v = (0..WIDTH * HEIGHT / 4).map(|i| (40 + i * 5 % 180) as u8);
    luma.chain(u).chain(v).collect()
}

/// swscale's BGR of `i420`, pixel by pixel.
fn swscale(i420: &[u8], matrix: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("frame.i420");
    std::fs::write(&file, i420).expect("room for a small file");
    let size = format!("{WIDTH}x{HEIGHT}");
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-i"])
        .arg(file)
        .args(["-vf", &format!("scale=in_color_matrix={matrix}:in_range=limited")])
        .args(["-pix_fmt", "bgr24", "-f", "rawvideo", "-"])
        .output();
    let Ok(done) = done else {
        needs::skip("ffmpeg");
        return None;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(done.stdout)
}

#[test]
fn unscaled_frames_are_swscales_to_a_level() {
    let i420 = colourful();
    for (matrix, bt709) in [("bt601", false), ("bt709", true)] {
        let Some(expected) = swscale(&i420, matrix) else { return };
        let (luma, chroma) = i420.split_at(WIDTH * HEIGHT);
        let (u, v) = chroma.split_at(chroma.len() / 2);
        let plane = |data, stride| Plane { data, stride };
        let image = ImageView {
            width: WIDTH,
            height: HEIGHT,
            luma: plane(luma, WIDTH),
            chroma: Chroma::Planar { u: plane(u, WIDTH / 2), v: plane(v, WIDTH / 2) },
            range: LumaRange::Limited,
            bt709,
        };
        let mut builder = InputBuilder::new();
        let input = builder.prepare(&image, 320);
        assert_eq!((input.width, input.height), (WIDTH, HEIGHT));
        let mut differing = 0;
        for (pixel, bgr) in expected.chunks_exact(3).enumerate() {
            for (channel, expected) in bgr.iter().enumerate() {
                let got = input.data[channel * WIDTH * HEIGHT + pixel];
                let apart = (got - f32::from(*expected)).abs();
                assert!(apart <= 1.0, "{matrix}, pixel {pixel}: {got} for {expected}");
                differing += u32::from(apart > 0.0);
            }
        }
        eprintln!("{matrix}: {differing} of {} values differ", expected.len());
    }
}
