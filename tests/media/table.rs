//! One recording for each way in which a file can date its frames, made by ffmpeg.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::ffprobe::frame_times;
use crate::kit::Origin::{self, File, FirstFrame};
use crate::kit::{annotate, check_times, ffmpeg};
use crate::packs::thin_out;

/// Three seconds of a moving test card at NTSC's rate, and a tone.
const INPUT: &str = "-f lavfi -i testsrc2=size=160x120:rate=30000/1001 \
                     -f lavfi -i sine=sample_rate=44100 -t 3";
/// H.264 with frames out of order.
const H264: &str = "-c:v libx264 -preset veryfast -bf 3 -g 30";

/// A recording made by ffmpeg.
struct Made {
    path: PathBuf,
    times: Vec<Option<f64>>,
    folder: TempDir,
}

/// Makes `name` with these options and checks that it has `frames` frames; `None`, said loudly,
/// without ffmpeg.
fn make(name: &str, options: &str, frames: usize) -> Option<Made> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    ffmpeg(&format!("{INPUT} {options}"), &path)?;
    read(path, folder, frames)
}

fn read(path: PathBuf, folder: TempDir, frames: usize) -> Option<Made> {
    let times = frame_times(&path)?;
    assert_eq!(times.len(), frames, "{}: what ffmpeg made", path.display());
    Some(Made { path, times, folder })
}

/// A copy of `made` without encoding, with `options` before and after the input.
fn copy(made: &Made, name: &str, (before, after): (&str, &str), frames: usize) -> Option<Made> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let input = made.path.display();
    ffmpeg(&format!("{before} -i {input} -c copy {after}"), &path)?;
    read(path, folder, frames)
}

/// Annotates `made` into a film of each kind; its times count from `origin`, as the records' do.
fn check(made: Option<Made>, extensions: &[&str], origin: Origin) {
    let Some(made) = made else { return };
    for extension in extensions {
        let film = annotate(&made.path, extension, 0);
        let name = format!("{} to .{extension}", file_name(&made.path));
        check_times(&name, &made.times, &film, (origin, origin));
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn mp4_with_an_edit_list() {
    check(make("a.mp4", &format!("{H264} -c:a aac"), 90), &["mp4", "mov", "mkv", "webm"], File);
}

#[test]
fn mp4_without_an_edit_list() {
    check(make("a.mp4", &format!("{H264} -c:a aac -use_editlist 0"), 90), &["mp4", "mkv"], File);
}

#[test]
fn mp4_without_an_edit_list_and_audio_begins_late() {
    let Some(made) = make("a.mp4", &format!("{H264} -an -use_editlist 0"), 90) else { return };
    assert!(made.times[0] > Some(0.05), "{:?}", made.times[0]);
    check_times("to .mkv", &made.times, &annotate(&made.path, "mkv", 0), (File, File));
    // An .mp4 cannot begin late, and says so.
    let film = annotate(&made.path, "mp4", 0);
    check_times("to .mp4", &made.times, &film, (FirstFrame, File));
    assert!(
        film.said.contains("the recording begins at 0.067 s and the film at 0"),
        "{}",
        film.said
    );
}

#[test]
fn fragmented_mp4() {
    let options = format!("{H264} -c:a aac -movflags frag_keyframe+empty_moov");
    check(make("a.mp4", &options, 90), &["mp4"], File);
}

#[test]
fn a_slow_ending() {
    let slow = "-t 4.2 -vf select='lt(t,2)+gte(t,2)*not(mod(n,30))' -fps_mode vfr";
    let made = make("a.mp4", &format!("{slow} {H264} -c:a aac"), 63);
    check(made, &["mp4", "mov", "mkv", "webm"], File);
    check(make("a.mkv", &format!("{slow} {H264} -an"), 63), &["mp4", "mkv"], File);
}

#[test]
fn one_frame_a_second() {
    check(make("a.mp4", &format!("-t 8 -r 1 {H264} -c:a aac"), 8), &["mp4", "webm"], File);
}

#[test]
fn a_cut_without_encoding() {
    let Some(made) = make("a.mp4", &format!("{H264} -c:a aac"), 90) else { return };
    for (start, frames) in [("1.3", 51), ("1.02", 53)] {
        let cut = copy(&made, "cut.mp4", (&format!("-ss {start}"), "-t 1.7"), frames);
        check(cut, &["mp4"], File);
    }
}

#[test]
fn matroska_whose_audio_begins_before_its_frames() {
    let made = make("a.mkv", &format!("{H264} -c:a aac"), 90);
    assert!(made.as_ref().is_none_or(|made| made.times[0] > Some(0.02)));
    check(made, &["mp4", "mkv"], File);
    let film = make("a.mp4", "-c:v libx264 -bf 0 -c:a aac", 90);
    let copied = film.as_ref().and_then(|film| copy(film, "a.mkv", ("", ""), 90));
    check(copied, &["mkv"], File);
}

#[test]
fn webm_and_flash_video() {
    check(make("a.webm", "-c:v libvpx-vp9 -cpu-used 8 -c:a libopus", 90), &["webm"], File);
    check(make("a.flv", &format!("{H264} -c:a aac"), 90), &["mkv"], File);
}

#[test]
fn avi_with_frames_out_of_order() {
    for video in ["-c:v mpeg4 -vtag XVID -bf 2", H264, "-c:v mpeg4 -bf 0"] {
        check(make("a.avi", &format!("{video} -c:a libmp3lame"), 90), &["mp4"], File);
    }
}

#[test]
fn program_streams() {
    check(make("a.mpg", "-c:v mpeg2video -c:a mp2", 90), &["mp4"], FirstFrame);
    check(make("a.vob", "-c:v mpeg2video -bf 2 -c:a ac3", 90), &["mp4"], FirstFrame);
    // The counter of 33 bits wraps after 26.5 hours.
    let wraps = "-output_ts_offset 95441 -c:v mpeg2video -c:a mp2";
    check(make("a.mpg", wraps, 90), &["mp4"], FirstFrame);
}

#[test]
fn a_program_stream_with_packs_far_apart() {
    let options = "-t 8 -c:v mpeg1video -b:v 600k -c:a mp2 -f mpeg";
    let Some(made) = make("a.mpg", options, 240) else { return };
    let mut stream = std::fs::read(&made.path).unwrap();
    let packs = thin_out(&mut stream, 1.5);
    assert!((3..7).contains(&packs), "{packs} packs");
    std::fs::write(&made.path, stream).unwrap();
    check(read(made.path, made.folder, 240), &["mp4"], FirstFrame);
}

#[test]
fn two_program_streams_in_one_file_go_on() {
    let Some(made) = make("a.mpg", "-c:v mpeg2video -c:a mp2", 90) else { return };
    let stream = std::fs::read(&made.path).unwrap();
    std::fs::write(&made.path, [&stream[..], &stream].concat()).unwrap();
    let film = annotate(&made.path, "mp4", 0);
    // ffprobe's times go back in the middle; the film's cannot.
    let frame = 1_001.0 / 30_000.0;
    assert_eq!(film.records.len(), 180);
    for (i, pair) in film.records.windows(2).enumerate() {
        let step = pair[1] - pair[0];
        // Where they meet, the one stream that goes on first decides.
        let longest = if i == 89 { 0.1 } else { frame + 0.001 };
        assert!((frame - 0.001..=longest).contains(&step), "frame {i} lasts {step}");
    }
}

#[test]
fn transport_streams() {
    check(make("a.ts", &format!("{H264} -c:a aac"), 90), &["mp4"], FirstFrame);
}
