//! Streams beside each other: what happens to one is not noticed by the other. And reload.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::camera::{Camera, uri};
use crate::kit::daemon::{PATIENCE, Plan, RECORD, SERVE, Start};
use crate::kit::gst::Reader;
use crate::kit::row::Row;
use crate::kit::{free_port, sleep, times, until};

#[test]
fn one_of_two_never_there() {
    let what = "one camera of two is missing for good: the other stream does not notice";
    let Some(mut row) = Row::begin("one_of_two_never_there", what) else { return };
    let camera = Camera::start(&[]);
    let plans =
        [Plan::new("here", &camera.uri(), RECORD), Plan::new("gone", &uri(free_port()), RECORD)];
    let mut daemon = Start::new(row.dir.path(), &plans).spawn();
    daemon.until("here", "live");
    daemon.until("gone", "lost");
    daemon.until_frame("here");
    let longest = daemon.longest_still("here", times(60, 8));
    row.note(format!("longest time without a frame: {:.2} s", longest.as_secs_f64()));
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert_eq!(daemon.state("here"), "live");
    row.ran();
    daemon.stop();
}

#[test]
fn one_of_two_changed() {
    let what = "the file of one stream of two changes, and SIGHUP: the other's RTSP reader does not \
                notice";
    let Some(mut row) = Row::begin("one_of_two_changed", what) else { return };
    let (one, two) = (Camera::start(&[]), Camera::start(&[]));
    let stays = Plan::new("stays", &one.uri(), SERVE);
    let mut changes = Plan::new("changes", &two.uri(), SERVE);
    let start = Start::new(row.dir.path(), &[stays, changes.clone()]);
    let mut daemon = start.spawn();
    daemon.until("stays", "live");
    daemon.until("changes", "live");
    daemon.until_frame("stays");
    sleep(2.0);
    let reader = Reader::of(&format!("rtsp://127.0.0.1:{}/stays", daemon.rtsp));
    until("it is read", PATIENCE, || reader.packets() > 50);
    reader.longest_gap();
    for hangup in [false, true] {
        row.ran();
        changes.source = format!("jitter_ms = {}\n", 150 + i32::from(hangup));
        start.write(&changes);
        let since = Instant::now();
        if hangup {
            daemon.process.signal(Signal::HUP);
        }
        let told = || daemon.events_of("changes", "reload");
        let taken = || told().iter().filter(|e| e["accepted"] == true).count();
        until("the file is taken", PATIENCE, || taken() > usize::from(hangup));
        daemon.until("changes", "live");
        daemon.until_frame("changes");
        row.recovered(since.elapsed());
    }
    let gap = reader.longest_gap();
    row.note(format!("the other's reader: longest gap {:.2} s", gap.as_secs_f64()));
    assert_eq!(reader.error(), None);
    assert!(gap < Duration::from_secs(2), "{gap:?}");
    drop(reader);
    daemon.stop();
}

#[test]
fn rubbish_on_reload() {
    let what = "a stream's file changes to a model package that is broken, then to no TOML at all: \
                told, and the stream goes on as before";
    let Some(mut row) = Row::begin("rubbish_on_reload", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let plan = Plan::new("cam", &camera.uri(), "");
    let start = Start::new(&dir, std::slice::from_ref(&plan));
    let mut daemon = start.spawn();
    daemon.until("cam", "live");
    let package = dir.join("rubbish");
    std::fs::create_dir(&package).expect("a folder");
    std::fs::write(package.join("model.toml"), "name = \"rubbish\"\n\u{1}").expect("a file");
    let mut broken = plan.clone();
    broken.rest = "[models]\ndevice = \"cpu\"\nspeaker = \"rubbish\"\n".into();
    start.write(&broken);
    let refused = || {
        let told = daemon.events_of("cam", "reload");
        told.iter().filter(|e| e["accepted"] == false).count()
    };
    until("the package is refused", PATIENCE, || refused() >= 1);
    std::fs::write(dir.join("cam.toml"), "name = ").expect("a file");
    until("the file is refused", PATIENCE, || refused() >= 2);
    let longest = daemon.longest_still("cam", 3);
    daemon.process.signal(Signal::HUP);
    until("the file is refused again", PATIENCE, || refused() >= 3);
    assert_eq!(daemon.state("cam"), "live");
    let count = || daemon.metric(&["locutor_latency_seconds_count", "stage=\"score\""]);
    let (before, _) = (count(), sleep(3.0));
    assert!(count() > before, "it is not scored any more; {longest:?}");
    start.write(&plan);
    row.ran();
    daemon.stop();
}

#[test]
#[ignore = "keeps two cores busy"]
fn faces_flood() {
    let what = "twelve faces appear at once: less is done, as told, and frames go on";
    let Some(mut row) = Row::begin("faces_flood", what) else { return };
    let Some(clip) = crate::needs::demo("mosaic12.mp4") else { return row.skipped() };
    let camera = Camera::of(&clip, free_port(), &["--size", "1280x720"]);
    let mut daemon = Start::new(row.dir.path(), &[Plan::new("cam", &camera.uri(), SERVE)]).spawn();
    daemon.until("cam", "live");
    daemon.until_frame("cam");
    let still = daemon.longest_still("cam", times(60, 15));
    let rate = daemon.rate("cam", 5.0);
    let metric = |name: &str| daemon.metric(&[name, "cam"]).unwrap_or(-1.0);
    let (level, faces) = (metric("locutor_load_level{"), metric("locutor_faces{"));
    row.note(format!(
        "{faces} faces at load level {level}: {rate:.1} of 25 frames a second, longest time \
         without one {:.2} s",
        still.as_secs_f64()
    ));
    assert!(still < Duration::from_secs(3), "{still:?}");
    assert!(faces > 4.0, "{faces} faces");
    row.ran();
    daemon.stop();
}
