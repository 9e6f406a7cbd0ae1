//! Disks and folders: full, gone, replaced.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::kit::camera::Camera;
use crate::kit::daemon::{Daemon, PATIENCE, Plan, RECORD, SERVE, Start};
use crate::kit::row::Row;
use crate::kit::{kept, sleep, until};

fn trouble(daemon: &Daemon) -> bool {
    daemon.ready("cam").is_some_and(|s| !s["sink_errors"]["record"].is_null())
}

fn grows(daemon: &Daemon) -> bool {
    let bytes = || daemon.metric(&["locutor_recorded_bytes_total", "cam"]).unwrap_or(0.0);
    let before = bytes();
    sleep(2.5);
    bytes() > before
}

#[test]
fn folder_replaced() {
    let what = "the folder that is recorded to is removed, and a file stands in its place; then it \
                can be made again: the stream is shown all the time, recording goes on by itself";
    let Some(mut row) = Row::begin("folder_replaced", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let folder = dir.join("kept");
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    until("it is recorded", PATIENCE, || !kept::recordings(&folder).is_empty());
    std::fs::remove_dir_all(&folder).expect("removed");
    std::fs::write(&folder, "no folder").expect("a file");
    until("the trouble is told", PATIENCE, || trouble(&daemon));
    let shown = daemon.frames("cam");
    sleep(3.0);
    assert!(daemon.frames("cam") > shown + 20, "the stream stopped with its recording");
    assert_eq!(daemon.state("cam"), "live");
    std::fs::remove_file(&folder).expect("removed");
    let since = Instant::now();
    until("it is recorded again", PATIENCE, || !kept::recordings(&folder).is_empty());
    until("the trouble is over", PATIENCE, || !trouble(&daemon));
    row.recovered(since.elapsed());
    row.ran();
    sleep(2.0);
    daemon.stop();
    assert!(!kept::recordings(&folder).is_empty());
    kept::all_play(&folder);
}

/// A small disk in memory that goes with its owner; `None`, said loudly, for all but root.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn at(place: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(place).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(place);
        let mounted = mount.output().is_ok_and(|out| out.status.success());
        if !mounted {
            crate::needs::skip_on_this_machine("root, who can mount a small disk");
        }
        mounted.then_some(Self(place))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn disk_full() {
    let what = "the disk is full: recording stops and nothing else does; there is room again: it \
                goes on by itself";
    let Some(mut row) = Row::begin("disk_full", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let folder = dir.join("kept");
    let Some(_disk) = SmallDisk::at(&folder) else { return row.skipped() };
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    daemon.until("cam", "live");
    until("it is recorded", PATIENCE, || !kept::recordings(&folder).is_empty());
    let ballast = folder.join("ballast");
    // All that is left, and what writing it did not get.
    let filled = std::fs::write(&ballast, vec![1; 16 << 20]);
    assert!(filled.is_err(), "the disk has room for all");
    until("the trouble is told", PATIENCE, || trouble(&daemon));
    let shown = daemon.frames("cam");
    sleep(4.0);
    assert!(daemon.frames("cam") > shown + 30, "the stream stopped with its recording");
    std::fs::remove_file(&ballast).expect("removed");
    let since = Instant::now();
    until("it is recorded again", PATIENCE, || grows(&daemon));
    row.recovered(since.elapsed());
    row.ran();
    sleep(2.0);
    daemon.stop();
    kept::all_play(&folder);
}

#[test]
#[ignore = "of the same kind as folder_replaced"]
fn folder_read_only() {
    let what = "the disk becomes read-only, then writable again";
    let Some(mut row) = Row::begin("folder_read_only", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let folder = dir.join("kept");
    let Some(_disk) = SmallDisk::at(&folder) else { return row.skipped() };
    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size=200m,{how}")]).arg(&folder);
        mount.output().is_ok_and(|out| out.status.success())
    };
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), RECORD)]).spawn();
    // A disk that is written to cannot be made read-only: the folder is so from the start.
    assert!(remount("ro"), "remounted");
    daemon.until("cam", "live");
    until("the trouble is told", PATIENCE, || trouble(&daemon));
    assert!(remount("rw"), "remounted");
    let since = Instant::now();
    until("it is recorded", PATIENCE, || {
        !kept::recordings(&folder).is_empty() && !trouble(&daemon)
    });
    row.recovered(since.elapsed());
    row.ran();
    sleep(2.0);
    daemon.stop();
    kept::all_play(&folder);
}

#[test]
#[ignore = "says only what folder_replaced says, of a place that never answers"]
fn disk_that_never_answers() {
    let what = "the events' file is a pipe that nobody reads, so that opening it waits for ever: \
                frames go on, SIGTERM ends the daemon in time";
    let Some(mut row) = Row::begin("disk_that_never_answers", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let made = Command::new("mkfifo").arg(dir.join("cam.jsonl")).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), SERVE)]).spawn();
    daemon.until("cam", "live");
    let shown = daemon.frames("cam");
    sleep(4.0);
    assert!(daemon.frames("cam") > shown + 30, "the stream waits for its events");
    let since = Instant::now();
    daemon.process.signal(rustix::process::Signal::TERM);
    let code = daemon.ended(Duration::from_secs(20));
    row.note(format!("ended with {code:?} after {:.1} s", since.elapsed().as_secs_f64()));
    row.ran();
}
