//! The spool after crashes, disk errors and damage.

use std::fs::OpenOptions;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const ROOM: u64 = 1 << 20;

fn open(directory: &Path) -> Spool {
    Spool::open(directory, ROOM).expect("a spool")
}

fn message(number: u64) -> Vec<u8> {
    // Lengths from 8 to 407 bytes.
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(8 + (number * 37 % 400) as usize, number as u8);
    bytes
}

fn all(spool: &mut Spool) -> Vec<Message> {
    std::iter::from_fn(|| spool.read_next()).collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the folder");
    let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "seg"));
    files.sort();
    files
}

#[test]
fn messages_are_read_again_in_order_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = open(dir.path());
    (0..1000).for_each(|n| spool.push(&message(n)));
    assert_eq!(all(&mut spool).len(), 1000);
    spool.ack(699);
    drop(spool);
    let mut spool = open(dir.path());
    let got = all(&mut spool);
    assert_eq!((got[0].number, got.len()), (700, 300));
    assert!(got.iter().all(|m| m.bytes == message(m.number)));
    spool.rewind();
    assert_eq!(all(&mut spool), got);
    spool.ack(999);
    assert!(spool.is_empty() && spool.waiting_bytes() == 0);
    spool.push(b"more");
    assert_eq!(spool.read_next().expect("one").number, 1000);
    assert!(spool.bytes() < ROOM / 8, "acknowledged messages are still there: {}", spool.bytes());
    assert_eq!(spool.take_loss(), SpoolLoss::default());
}

#[test]
fn a_full_spool_drops_the_oldest_messages_and_counts_them() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = Spool::open(dir.path(), MIN_BYTES).expect("a spool");
    (0..500).for_each(|n| spool.push(&message(n)));
    assert!(spool.bytes() <= MIN_BYTES);
    let lost = spool.take_loss().full;
    let got = all(&mut spool);
    assert_eq!(got.len() as u64 + lost, 500);
    assert_eq!(got.first().map(|m| m.number), Some(lost));
    assert_eq!(got.last().map(|m| m.number), Some(499));
    let on_disk: u64 = segments(dir.path()).iter().map(|f| f.metadata().expect("m").len()).sum();
    assert_eq!(on_disk, spool.bytes());
    spool.push(&vec![0; MIN_BYTES as usize]);
    assert_eq!(spool.take_loss().too_large, 1);
}

#[test]
fn a_second_spool_in_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().expect("temp");
    let first = open(dir.path());
    assert_eq!(Spool::open(dir.path(), ROOM).expect_err("in use"), SpoolError::InUse);
    drop(first);
    open(dir.path());
}

#[test]
fn after_a_disk_error_messages_wait_in_memory_and_move_to_the_disk_later() {
    let dir = tempfile::tempdir().expect("temp");
    let folder = dir.path().join("spool");
    fs::write(&folder, "a file where the folder should be").expect("write");
    let mut spool = open(&folder);
    assert!(spool.disk_error().is_some());
    (0..10).for_each(|n| spool.push(&message(n)));
    let first = spool.read_next().expect("one");
    assert_eq!(first.bytes, message(0));
    spool.ack(first.number);
    fs::remove_file(&folder).expect("remove");
    std::thread::sleep(DISK_INTERVAL + DISK_INTERVAL / 10);
    spool.tick();
    assert_eq!(spool.disk_error(), None);
    spool.push(&message(10));
    assert!(!segments(&folder).is_empty());
    let got: Vec<_> = all(&mut spool).into_iter().map(|m| m.bytes).collect();
    assert_eq!(got, (1..=10).map(message).collect::<Vec<_>>());
}

#[test]
fn no_unread_message_is_lost_when_the_folder_is_removed() {
    let dir = tempfile::tempdir().expect("temp");
    let folder = dir.path().join("spool");
    let mut spool = open(&folder);
    (0..100).for_each(|n| spool.push(&message(n)));
    fs::remove_dir_all(&folder).expect("remove");
    // More than the segment has room for: a new one is created, and its folder.
    (100..1000).for_each(|n| spool.push(&message(n)));
    assert!(!segments(&folder).is_empty());
    let got: Vec<_> = all(&mut spool).into_iter().map(|m| m.number).collect();
    assert_eq!(got, (0..1000).collect::<Vec<_>>());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Read(usize),
    Ack(usize),
    Rewind,
    /// The process dies. The newest segment is truncated to this many 65536ths of its size, and
    /// the position file is truncated too if `true`.
    Crash(u16, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..60).prop_map(Step::Push),
        3 => (1_usize..80).prop_map(Step::Read),
        3 => (1_usize..80).prop_map(Step::Ack),
        1 => Just(Step::Rewind),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(cut, position)| Step::Crash(cut, position)),
    ]
}

/// Truncates the newest segment at a random byte; returns the number after the last whole message.
fn tear(directory: &Path, cut: u16) -> Option<u64> {
    let file = segments(directory).pop()?;
    let bytes = file.metadata().expect("metadata").len();
    let keep = bytes * u64::from(cut) / 65536;
    let first: u64 = file.file_stem()?.to_str()?.parse().ok()?;
    let open = OpenOptions::new().write(true).open(&file).expect("open");
    open.set_len(keep).expect("cut");
    let (mut at, mut whole) = (Segment::START, first);
    let mut next = |n: u64| {
        at += 8 + message(n).len() as u64;
        at <= keep
    };
    while next(whole) {
        whole += 1;
    }
    Some(whole)
}

/// Reads up to `count` messages and checks their order; fewer only if none is left.
fn read_next(spool: &mut Spool, count: usize, from: u64, pushed: u64, unacked: &mut VecDeque<u64>) {
    for _ in 0..count {
        let expected = from + unacked.len() as u64;
        let Some(got) = spool.read_next() else {
            assert_eq!(expected, pushed);
            return;
        };
        assert_eq!((got.number, got.bytes), (expected, message(expected)));
        unacked.push_back(expected);
    }
}

/// The spool as reopened after a crash, and the result of [`tear`].
fn crash(spool: Spool, directory: &Path, cut: u16, position: bool) -> (Spool, Option<u64>) {
    drop(spool);
    let whole = tear(directory, cut);
    if position {
        let file = OpenOptions::new().write(true).open(directory.join("position"));
        file.expect("position").set_len(u64::from(cut) % 12).expect("cut");
    }
    (open(directory), whole)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Message `n` contains `n`: after a torn tail numbering continues from the last whole message.
    #[test]
    fn no_whole_message_is_lost_or_reordered(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let dir = tempfile::tempdir().expect("temp");
        let mut spool = open(dir.path());
        // [acknowledged, pushed) must be there.
        let (mut acknowledged, mut pushed) = (0_u64, 0_u64);
        let mut unacked: VecDeque<u64> = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(count) => {
                    (pushed..pushed + count).for_each(|n| spool.push(&message(n)));
                    pushed += count;
                }
                Step::Read(count) => {
                    read_next(&mut spool, count, acknowledged, pushed, &mut unacked);
                }
                Step::Ack(count) => {
                    let last = unacked.drain(..count.min(unacked.len())).next_back();
                    if let Some(last) = last {
                        spool.ack(last);
                        acknowledged = last + 1;
                    }
                }
                Step::Rewind => {
                    spool.rewind();
                    unacked.clear();
                }
                Step::Crash(cut, position) => {
                    unacked.clear();
                    let whole;
                    (spool, whole) = crash(spool, dir.path(), cut, position);
                    // Messages after the cut are lost. Acknowledged messages are not read again,
                    // unless the position is lost: then all messages are.
                    let end = whole.unwrap_or(pushed);
                    let first = spool.read_next().map(|m| m.number);
                    spool.rewind();
                    if let Some(first) = first {
                        prop_assert!(first <= acknowledged);
                        prop_assert!(position || first == acknowledged);
                        acknowledged = first;
                        pushed = end;
                    } else {
                        prop_assert!(end <= acknowledged.max(1) || whole.is_none());
                        acknowledged = spool.end();
                        pushed = acknowledged;
                    }
                    prop_assert_eq!(spool.end(), pushed);
                }
            }
        }
        spool.rewind();
        let rest: Vec<u64> = all(&mut spool).iter().map(|m| m.number).collect();
        prop_assert_eq!(rest, (acknowledged..pushed).collect::<Vec<_>>());
        prop_assert_eq!(spool.take_loss(), SpoolLoss::default());
    }

    /// Whatever is in the folder: no panic, no allocation larger than a message may be, and a
    /// working spool.
    #[test]
    fn damaged_files_are_skipped(
        mut bytes in prop::collection::vec(any::<u8>(), 0..4096),
        magic in any::<bool>(),
        whole in any::<bool>(),
        number in any::<u64>(),
        position in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let dir = tempfile::tempdir().expect("temp");
        if magic {
            let mut start = segment::MAGIC.to_vec();
            if whole {
                let mut own = Segment::in_memory(0);
                own.push(b"a whole message").expect("memory");
                let found = own.read(Segment::START).expect("memory").expect("whole");
                start.extend(15_u32.to_le_bytes());
                let mut hasher = crc32fast::Hasher::new();
                hasher.update(&15_u32.to_le_bytes());
                hasher.update(&found.message);
                start.extend(hasher.finalize().to_le_bytes());
                start.extend(&found.message);
            }
            bytes.splice(..0, start);
        }
        let number = number % (u64::MAX / 2);
        fs::write(dir.path().join(format!("{number:020}.seg")), &bytes).expect("write");
        fs::write(dir.path().join("position"), &position).expect("write");
        fs::write(dir.path().join("not a number.seg"), &bytes).expect("write");
        let mut spool = open(dir.path());
        let found = all(&mut spool);
        let max = bytes.len();
        prop_assert!(found.iter().map(|m| m.bytes.len()).sum::<usize>() <= max);
        prop_assert!(!(magic && whole) || found[0].bytes == b"a whole message");
        spool.push(b"works");
        prop_assert_eq!(all(&mut spool).pop().expect("one").bytes, b"works");
    }
}
