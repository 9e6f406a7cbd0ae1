//! The spool under crashes, full disks and nonsense.

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
    std::iter::from_fn(|| spool.give()).collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the folder");
    let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "seg"));
    files.sort();
    files
}

#[test]
fn what_waits_comes_again_in_order_until_it_is_acknowledged() {
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
    assert_eq!(spool.give().expect("one").number, 1000);
    assert!(spool.bytes() < ROOM / 8, "what was acknowledged is gone: {}", spool.bytes());
    assert_eq!(spool.take_loss(), SpoolLoss::default());
}

#[test]
fn the_oldest_go_first_when_it_is_full_and_are_counted() {
    let dir = tempfile::tempdir().expect("temp");
    let mut spool = Spool::open(dir.path(), LEAST_BYTES).expect("a spool");
    (0..500).for_each(|n| spool.push(&message(n)));
    assert!(spool.bytes() <= LEAST_BYTES);
    let lost = spool.take_loss().full;
    let got = all(&mut spool);
    assert_eq!(got.len() as u64 + lost, 500);
    assert_eq!(got.first().map(|m| m.number), Some(lost));
    assert_eq!(got.last().map(|m| m.number), Some(499));
    let on_disk: u64 = segments(dir.path()).iter().map(|f| f.metadata().expect("m").len()).sum();
    assert_eq!(on_disk, spool.bytes());
    spool.push(&vec![0; LEAST_BYTES as usize]);
    assert_eq!(spool.take_loss().too_large, 1);
}

#[test]
fn two_do_not_share_a_folder() {
    let dir = tempfile::tempdir().expect("temp");
    let first = open(dir.path());
    assert_eq!(Spool::open(dir.path(), ROOM).expect_err("in use"), SpoolError::InUse);
    drop(first);
    open(dir.path());
}

#[test]
fn where_the_disk_refuses_messages_wait_in_memory_and_move_later() {
    let dir = tempfile::tempdir().expect("temp");
    let folder = dir.path().join("spool");
    fs::write(&folder, "a file where the folder should be").expect("write");
    let mut spool = open(&folder);
    assert!(spool.trouble().is_some());
    (0..10).for_each(|n| spool.push(&message(n)));
    let first = spool.give().expect("one");
    assert_eq!(first.bytes, message(0));
    spool.ack(first.number);
    fs::remove_file(&folder).expect("remove");
    std::thread::sleep(EVERY + EVERY / 10);
    spool.tick();
    assert_eq!(spool.trouble(), None);
    spool.push(&message(10));
    assert!(!segments(&folder).is_empty());
    let got: Vec<_> = all(&mut spool).into_iter().map(|m| m.bytes).collect();
    assert_eq!(got, (1..=10).map(message).collect::<Vec<_>>());
}

#[test]
fn a_folder_that_is_removed_costs_nothing_that_was_not_given() {
    let dir = tempfile::tempdir().expect("temp");
    let folder = dir.path().join("spool");
    let mut spool = open(&folder);
    (0..100).for_each(|n| spool.push(&message(n)));
    fs::remove_dir_all(&folder).expect("remove");
    // More than what is left of the segment: a new one is made, and its folder.
    (100..1000).for_each(|n| spool.push(&message(n)));
    assert!(!segments(&folder).is_empty());
    let got: Vec<_> = all(&mut spool).into_iter().map(|m| m.number).collect();
    assert_eq!(got, (0..1000).collect::<Vec<_>>());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Give(usize),
    Ack(usize),
    Rewind,
    /// The process dies; the file that was written last loses so much of its tail (in 1/65536 of
    /// what was pushed since the last crash at most), and the position its own where `true`.
    Crash(u16, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u64..60).prop_map(Step::Push),
        3 => (1_usize..80).prop_map(Step::Give),
        3 => (1_usize..80).prop_map(Step::Ack),
        1 => Just(Step::Rewind),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(cut, position)| Step::Crash(cut, position)),
    ]
}

/// Cuts the newest segment at a random byte; gives how many messages are whole before the cut.
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

/// Takes up to `count` messages, each of which must be the next; fewer only where none is left.
fn give(spool: &mut Spool, count: usize, from: u64, pushed: u64, given: &mut VecDeque<u64>) {
    for _ in 0..count {
        let expected = from + given.len() as u64;
        let Some(got) = spool.give() else {
            assert_eq!(expected, pushed);
            return;
        };
        assert_eq!((got.number, got.bytes), (expected, message(expected)));
        given.push_back(expected);
    }
}

/// The spool as found after a crash, and the whole messages before the cut as [`tear`] counts them.
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

    /// Message `n` says `n`: after a torn tail the numbers go on from the last whole message.
    #[test]
    fn no_whole_message_is_lost_and_none_comes_out_of_order(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let dir = tempfile::tempdir().expect("temp");
        let mut spool = open(dir.path());
        // [acknowledged, pushed) must be there.
        let (mut acknowledged, mut pushed) = (0_u64, 0_u64);
        let mut given: VecDeque<u64> = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(count) => {
                    (pushed..pushed + count).for_each(|n| spool.push(&message(n)));
                    pushed += count;
                }
                Step::Give(count) => {
                    give(&mut spool, count, acknowledged, pushed, &mut given);
                }
                Step::Ack(count) => {
                    let last = given.drain(..count.min(given.len())).next_back();
                    if let Some(last) = last {
                        spool.ack(last);
                        acknowledged = last + 1;
                    }
                }
                Step::Rewind => {
                    spool.rewind();
                    given.clear();
                }
                Step::Crash(cut, position) => {
                    given.clear();
                    let whole;
                    (spool, whole) = crash(spool, dir.path(), cut, position);
                    // What follows the cut is gone; numbers are never given twice below what
                    // was acknowledged, unless the position is lost: then all is given again.
                    let end = whole.unwrap_or(pushed);
                    let first = spool.give().map(|m| m.number);
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

    /// Whatever lies in the folder: no panic, no more memory than a message may have, and a spool
    /// that works.
    #[test]
    fn nonsense_on_the_disk_is_read_over(
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
        let most = bytes.len();
        prop_assert!(found.iter().map(|m| m.bytes.len()).sum::<usize>() <= most);
        prop_assert!(!(magic && whole) || found[0].bytes == b"a whole message");
        spool.push(b"works");
        prop_assert_eq!(all(&mut spool).pop().expect("one").bytes, b"works");
    }
}
