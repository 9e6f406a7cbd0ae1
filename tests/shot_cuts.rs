//! Shot cuts of real clips.
//!
//! Needs `../shared` and the program `ffmpeg`; says so aloud where either is missing.

#[path = "support/needs.rs"]
mod needs;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use locutor::core::frame::{Chroma, ImageView, LumaRange, Plane};
use locutor::stages::detect::cuts::CutDetector;

/// The cuts found in a clip's frames on the 25 fps grid, and the fastest look at a frame.
fn cuts(clip: &str, width: usize, height: usize) -> Option<(Vec<usize>, Duration)> {
    let file = needs::shared(&format!("clips/{clip}"))?;
    let decoder = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vf", "fps=25,format=gray", "-frames:v", "800", "-f", "rawvideo", "-"])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut decoder) = decoder else {
        needs::skip("ffmpeg");
        return None;
    };
    let mut frames = decoder.stdout.take().expect("it is piped");
    let (mut detector, mut fastest, mut found) = (CutDetector::new(), Duration::MAX, Vec::new());
    let mut luma = vec![0; width * height];
    for frame in 0.. {
        if frames.read_exact(&mut luma).is_err() {
            break;
        }
        let plane = Plane { data: &luma, stride: width };
        let chroma = Chroma::Interleaved(Plane { data: &[], stride: 0 });
        let range = LumaRange::Limited;
        let view = ImageView { width, height, luma: plane, chroma, range, bt709: false };
        let start = Instant::now();
        if detector.push(&view) {
            found.push(frame);
        }
        fastest = fastest.min(start.elapsed());
    }
    let status = decoder.wait().expect("it was started");
    assert!(status.success(), "ffmpeg failed on {clip}");
    Some((found, fastest))
}

#[test]
fn cuts_of_the_clips_are_found_and_nothing_else() {
    // As in ../shared/reference, except for the dip to white from 532 to 538 of debate_mexca: the
    // old frame brightens until 534, 535 is white, the new one appears with 536. There the
    // reference lists 532, 535 and 536; the shot changes once.
    let clips: [(&str, usize, usize, &[usize]); 6] = [
        ("debate_mexca.mp4", 640, 360, &[17, 96, 193, 333, 419, 536, 678]),
        ("meeting_comedy.mp4", 640, 360, &[50]),
        ("hamilton_short.mp4", 640, 360, &[38, 90, 197]),
        ("dj_video4.mp4", 480, 360, &[]),
        ("clearer_001.avi", 1280, 720, &[]),
        ("ls_demo1.mp4", 1080, 1920, &[]),
    ];
    for (clip, width, height, expected) in clips {
        let Some((found, fastest)) = cuts(clip, width, height) else {
            continue;
        };
        eprintln!("{clip}: cuts {found:?}, fastest look {} us", fastest.as_micros());
        assert_eq!(found, expected, "{clip}");
    }
}
