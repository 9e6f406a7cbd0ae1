//! A live stream from end to end, in one process: looped sample in, recording, events and RTSP out.
#![cfg(all(feature = "gst", feature = "onnx"))]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use locutor::live::process::{Process, Signals};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/sample.mp4")
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a stream's file");
    path
}

fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the health page");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn wait(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < patience, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs the streams of `files` until `look` has seen enough; gives what it said.
fn run<T: Send>(
    files: &[PathBuf],
    look: impl FnOnce(std::net::SocketAddr, &Signals) -> T + Send,
) -> (T, locutor::live::process::ProcessReport) {
    let process = Process::start(files).expect("it starts");
    let health = process.health().expect("a health page");
    let signals = Signals::default();
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            // Whatever is seen, the process is told to end.
            struct End<'a>(&'a Signals);
            impl Drop for End<'_> {
                fn drop(&mut self) {
                    self.0.stop.store(true, Ordering::Relaxed);
                }
            }
            let _end = End(&signals);
            look(health, &signals)
        });
        let figures = process.run(&signals);
        (watched.join().expect("nothing was missed"), figures)
    })
}

#[test]
fn a_stream_is_recorded_told_and_shown_when_it_is_due() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[source]\nuri = \"file://{}\"\nloop = true\n\
         [[sink]]\ntype = \"record\"\ndirectory = \"kept\"\nsegment_seconds = 4\n\
         [[sink]]\ntype = \"events\"\npath = \"events.jsonl\"\nframes = true\n\
         [serve]\nhealth = \"127.0.0.1:0\"\n",
        sample().display()
    );
    let file = write(folder.path(), "hall.toml", &text);
    let kept = folder.path().join("kept");
    let (ready, figures) = run(&[file], |health, _| {
        wait("the stream is live", Duration::from_secs(60), || {
            get(health, "/readyz").starts_with("HTTP/1.1 200")
        });
        let shown = |metrics: &str| {
            let line = metrics
                .lines()
                .find(|l| l.starts_with("locutor_frames_total{") && l.contains("stage=\"encode\""));
            line.and_then(|l| l.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        wait("200 frames are encoded", Duration::from_secs(90), || {
            shown(&get(health, "/metrics")) >= 200
        });
        get(health, "/readyz")
    });
    assert!(
        ready.contains("\"stream\":\"hall\"") && ready.contains("\"state\":\"live\""),
        "{ready}"
    );
    assert!(figures.ended_in_time);
    let stages = &figures.latency["hall"];
    let delay = stages["overlay"].p50;
    assert!((0.5..1.0).contains(&delay), "a frame is shown when it is due: {stages:?}");
    let lines = std::fs::read_to_string(folder.path().join("events.jsonl")).expect("events");
    let frames = lines.lines().filter(|l| l.contains("\"locutor.frame/1\"")).count();
    assert!(frames >= 150, "{frames} frames told");
    assert!(lines.contains("\"speaking\":true"), "somebody speaks in the sample");
    assert!(lines.lines().all(|l| l.contains("\"utc\":\"2")), "every live line says when");
    let segments = films(&kept);
    assert!(segments.len() >= 2, "{segments:?}");
    assert!(segments.iter().all(|s| s.extension().is_some_and(|e| e == "mp4")), "{segments:?}");
}

fn films(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(films(&path)),
            path => all.push(path),
        }
    }
    all
}

#[test]
fn without_a_video_sink_nothing_but_events_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[source]\nuri = \"file://{}\"\nloop = true\n\
         [[sink]]\ntype = \"events\"\npath = \"events.jsonl\"\nframes = true\n\
         [serve]\nhealth = \"127.0.0.1:0\"\n",
        sample().display()
    );
    let file = write(folder.path(), "quiet.toml", &text);
    let events = folder.path().join("events.jsonl");
    run(&[file], |_, _| {
        wait("events come", Duration::from_secs(60), || {
            std::fs::metadata(&events).is_ok_and(|m| m.len() > 20_000)
        });
    });
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|e| e.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["events.jsonl", "quiet.toml"]);
}

/// The queues that `locutor check` lists for the stream in `file`.
fn checked_queues(file: &Path) -> BTreeSet<String> {
    let check = Command::new(env!("CARGO_BIN_EXE_locutor")).arg("check").arg(file).output();
    let check = check.expect("the program runs");
    let text = String::from_utf8(check.stdout).expect("a text");
    assert!(check.status.success(), "{text}{}", String::from_utf8_lossy(&check.stderr));
    let names = text.lines().filter(|line| line.contains(" items, "));
    names.filter_map(|line| Some(line.trim().split_once(": ")?.0.to_owned())).collect()
}

/// The queues of the stream `name` with this measure.
fn measured_queues(metrics: &str, measure: &str, name: &str) -> BTreeSet<String> {
    let stream = format!("stream=\"{name}\"");
    let lines = metrics.lines().filter(|l| l.starts_with(measure) && l.contains(&stream));
    lines.filter_map(|l| Some(l.split("stage=\"").nth(1)?.split('"').next()?.to_owned())).collect()
}

#[test]
fn check_lists_the_queues_that_a_running_stream_measures() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[source]\nuri = \"file://{}\"\nloop = true\n\
         [[sink]]\ntype = \"record\"\ndirectory = \"kept\"\n\
         [serve]\nhealth = \"127.0.0.1:0\"\n",
        sample().display()
    );
    let file = write(folder.path(), "door.toml", &text);
    let checked = checked_queues(&file);
    assert!(checked.contains("track→present"), "{checked:?}");
    let (metrics, _) = run(&[file], |health, _| {
        wait("the stream is live", Duration::from_secs(60), || {
            get(health, "/readyz").starts_with("HTTP/1.1 200")
        });
        let mut metrics = String::new();
        wait("queues are measured", Duration::from_secs(20), || {
            metrics = get(health, "/metrics");
            !measured_queues(&metrics, "locutor_queue_items", "door").is_empty()
        });
        metrics
    });
    for measure in ["locutor_queue_items", "locutor_queue_bytes"] {
        assert_eq!(measured_queues(&metrics, measure, "door"), checked, "{measure}: {metrics}");
    }
}

#[test]
fn a_changed_file_restarts_its_stream_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |extra: &str| {
        format!(
            "[source]\nuri = \"file://{}\"\nloop = true\n{extra}\
             [[sink]]\ntype = \"events\"\npath = \"events.jsonl\"\n\
             [serve]\nhealth = \"127.0.0.1:0\"\n",
            sample().display()
        )
    };
    let file = write(folder.path(), "door.toml", &text(""));
    let events = folder.path().join("events.jsonl");
    let told = |what: &str| std::fs::read_to_string(&events).unwrap_or_default().contains(what);
    run(std::slice::from_ref(&file), |health, signals| {
        let live = || get(health, "/readyz").starts_with("HTTP/1.1 200");
        wait("the stream is live", Duration::from_secs(60), live);
        write(folder.path(), "door.toml", "[source]\nuri = \"rtsp://\"\nnonsense = 1\n");
        signals.reload.store(true, Ordering::Relaxed);
        wait("a wrong file is refused", Duration::from_secs(20), || told("\"accepted\":false"));
        assert!(live(), "all goes on as before");
        write(folder.path(), "door.toml", &text("audio_track = 1\nstall_timeout_seconds = 7\n"));
        wait("a changed one is taken", Duration::from_secs(30), || told("\"accepted\":true"));
        wait("the stream is live again", Duration::from_secs(60), live);
    });
}
