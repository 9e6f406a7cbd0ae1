//! Headers made here, before and after.

use super::*;
use proptest::prelude::*;

fn atom(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("small");
    [&size.to_be_bytes()[..], name, content].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// A movie of one track, eight seconds long.
fn movie(media_time: u32) -> Vec<u8> {
    let mvhd = atom(b"mvhd", &words(&[0, 0, 0, 1_000, 8_000, 0]));
    let elst = atom(b"elst", &words(&[0, 1, 8_000, media_time, 65_536]));
    let mdhd = atom(b"mdhd", &words(&[0, 0, 0, 16_000, 129_024, 0]));
    let track = [atom(b"edts", &elst), atom(b"mdia", &mdhd)].concat();
    atom(b"moov", &[mvhd, atom(b"trak", &track)].concat())
}

/// A movie of one track of 90 frames at 30 fps, the second of which is shown fourth; with the edit
/// list `edts`, or without.
fn frames(edts: &[u8]) -> Vec<u8> {
    let mvhd = atom(b"mvhd", &words(&[0, 0, 0, 1_000, 3_000, 0]));
    let mdhd = atom(b"mdhd", &words(&[0, 0, 0, 30_000, 90_000, 0]));
    let hdlr = atom(b"hdlr", &[&words(&[0, 0])[..], b"vide"].concat());
    let dref = atom(b"dref", &[words(&[0, 1]), atom(b"url ", &words(&[1]))].concat());
    let stts = atom(b"stts", &words(&[0, 1, 90, 1_000]));
    let ctts = atom(b"ctts", &words(&[0, 3, 1, 1_000, 1, 3_000, 88, 0]));
    let stbl = atom(b"stbl", &[stts, ctts].concat());
    let minf = atom(b"minf", &[atom(b"dinf", &dref), stbl].concat());
    let mdia = atom(b"mdia", &[mdhd, hdlr, minf].concat());
    atom(b"moov", &[mvhd, atom(b"trak", &[edts, &mdia].concat())].concat())
}

fn movie_ticks(moov: &[u8]) -> Option<u64> {
    duration(moov, (8, moov.len()), &[b"mvhd"]).map(|d| d.ticks)
}

/// The first track's edit list: for how long, and from where on.
fn edit(moov: &[u8]) -> Option<(u64, i64)> {
    let edits = edits(moov, *atoms::tracks(moov).first()?);
    edits.first().map(|edit| (edit.ticks, edit.media_time))
}

#[test]
fn the_movie_duration_covers_its_tracks() {
    let mut moov = movie(1_024);
    correct(&mut moov);
    assert_eq!(movie_ticks(&moov), Some(8_064));
    let mut plain = movie(0);
    correct(&mut plain);
    assert_eq!(plain, movie(0));
}

#[test]
fn without_an_edit_list_a_track_lasts_until_its_last_frame() {
    let mut moov = frames(&[]);
    let length = moov.len();
    correct(&mut moov);
    assert_eq!(
        (moov.len(), movie_ticks(&moov), edit(&moov)),
        (length, Some(3_100), Some((3_100, 0)))
    );
    let track = atoms::tracks(&moov)[0];
    assert!(atoms::is_video(&moov, track));
    assert_eq!(
        atoms::sample_times(&moov, track).take(3).collect::<Vec<_>>(),
        [1_000, 4_000, 2_000]
    );
    assert_eq!(find(&moov, track, &[b"mdia", b"minf", b"dinf"]), None);
}

#[test]
fn an_edit_list_begins_with_a_frame() {
    let with = |media_time| {
        let elst = atom(b"elst", &words(&[0, 1, 2_000, media_time, 65_536]));
        let mut moov = frames(&atom(b"edts", &elst));
        correct(&mut moov);
        edit(&moov)
    };
    assert_eq!(with(1_000), Some((2_000, 1_000)));
    // Shown at 3000, 4000, …: half a frame before the next.
    assert_eq!(with(10_500), Some((1_984, 11_000)));
    assert_eq!(with(0), Some((1_967, 1_000)));
}

proptest! {
    #[test]
    fn invalid_atoms_are_left_alone(
        at in 0_usize..330, value in any::<u8>(), cut in 0_usize..330, listed in any::<bool>(),
    ) {
        let mut moov = if listed { movie(1_024) } else { frames(&[]) };
        if let Some(byte) = moov.get_mut(at) { *byte = value; }
        moov.truncate(cut.max(8));
        let length = moov.len();
        correct(&mut moov);
        prop_assert_eq!(moov.len(), length);
    }
}
