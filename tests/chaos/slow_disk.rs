//! A disk that stops answering for a while, as a network's does: a frozen file system.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::kit::camera::Camera;
use crate::kit::daemon::{PATIENCE, Plan, RECORD, SERVE, Start};
use crate::kit::gst::Reader;
use crate::kit::row::Row;
use crate::kit::{kept, sleep, until};

/// How long it does not answer: longer than the recorder's edge holds.
const STALL_S: f64 = 20.0;

/// An ext4 in a file; it answers again and goes with its owner.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// `None` where this machine or user can make none.
    fn at(place: &'a Path, image: &Path) -> Option<Self> {
        std::fs::create_dir_all(place).expect("a folder");
        std::fs::File::create(image).and_then(|f| f.set_len(96 << 20)).expect("an image");
        let made = run(Command::new("mkfs.ext4").arg("-q").arg(image))
            && run(Command::new("mount").args(["-o", "loop"]).args([image, place]));
        if !made {
            crate::needs::skip_on_this_machine(
                "root and mkfs.ext4, to mount a disk that can be frozen",
            );
        }
        made.then_some(Self(place))
    }

    fn freezes(&self, yes: bool) -> bool {
        run(Command::new("fsfreeze").arg(if yes { "-f" } else { "-u" }).arg(self.0))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        self.freezes(false);
        run(Command::new("umount").arg("-l").arg(self.0));
    }
}

fn run(command: &mut Command) -> bool {
    command.output().is_ok_and(|out| out.status.success())
}

#[test]
#[ignore = "a minute; needs root"]
fn disk_stalls() {
    let what = "the disk that is recorded to does not answer for 20 s: told as the recorder's \
                trouble; frames, RTSP and the watchdog do not notice";
    let Some(mut row) = Row::begin("disk_stalls", what) else { return };
    let camera = Camera::start(&[]);
    let dir = row.dir.path().to_owned();
    let folder = dir.join("kept");
    let Some(disk) = Disk::at(&folder, &dir.join("image")) else { return row.skipped() };
    let both = format!("{SERVE}{RECORD}");
    let mut daemon = Start::new(&dir, &[Plan::new("cam", &camera.uri(), &both)]).spawn();
    daemon.until("cam", "live");
    until("it is recorded", PATIENCE, || !kept::recordings(&folder).is_empty());
    sleep(2.0);
    let reader = Reader::of(&format!("rtsp://127.0.0.1:{}/cam", daemon.rtsp));
    until("it is read", PATIENCE, || reader.packets() > 50);
    reader.longest_gap();
    let waits = || {
        let said = daemon.ready("cam").map(|s| s["sink_errors"]["record"].to_string());
        said.is_some_and(|why| why.contains("does not answer"))
    };

    let since = Instant::now();
    assert!(disk.freezes(true), "frozen");
    until("the trouble is told", PATIENCE, waits);
    row.note(format!("told after {:.0} s", since.elapsed().as_secs_f64()));
    let (alive, _) = daemon.get("/livez").expect("answers");
    assert_eq!(alive, 200, "a disk that does not answer is no reason for a restart");
    sleep((STALL_S - since.elapsed().as_secs_f64()).max(0.0));
    let frozen = since.elapsed();
    assert!(disk.freezes(false), "it answers again");

    let since = Instant::now();
    let bytes = || daemon.metric(&["locutor_recorded_bytes_total", "cam"]).unwrap_or(0.0);
    let before = bytes();
    until("it is recorded again", PATIENCE, || bytes() > before);
    row.recovered(since.elapsed());
    until("the trouble is over", PATIENCE, || !waits());
    let gap = reader.longest_gap();
    row.note(format!("longest gap of a reader {:.2} s", gap.as_secs_f64()));
    assert!(gap.as_secs_f64() < 0.5, "the stream waits for its disk: {gap:?}");
    sleep(3.0);
    let shown = daemon.frames("cam") as usize;
    daemon.stop();
    kept::all_play(&folder);
    let kept: usize = kept::recordings(&folder)
        .iter()
        .map(|file| kept::without_slates(&kept::frames(file)))
        .sum();
    let lost = shown.saturating_sub(kept) as f64 / 25.0;
    row.lost(lost);
    assert!(lost < frozen.as_secs_f64(), "more was lost than the stall took");
    row.ran();
}
