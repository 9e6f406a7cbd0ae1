//! `make demo` with nothing imported: each speaker is lit in their own turns and dark in the other's.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::kit::{Run, annotate};
use crate::needs;
use crate::probe::probe;

/// A labelled face: its box as fractions of the frame, who it is, and whether it speaks.
struct Labelled {
    rect: [f64; 4],
    who: String,
    speaks: bool,
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let area = |r: &[f64; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let both = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    area(&both) / (area(a) + area(b) - area(&both))
}

/// The truth, by frame.
fn truth(labels: &Path) -> Vec<Vec<Labelled>> {
    let mut frames: BTreeMap<i64, Vec<Labelled>> = BTreeMap::new();
    for row in csv::Reader::from_path(labels).unwrap().records() {
        let row = row.unwrap();
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        frames.entry((number(1) * 1e3).round() as i64).or_default().push(Labelled {
            rect: [number(2), number(3), number(4), number(5)],
            who: row[7].to_owned(),
            speaks: &row[6] == "SPEAKING_AUDIBLE",
        });
    }
    frames.into_values().collect()
}

/// Whether the program lights the face at `rect`; one that it does not find is dark.
fn lit(frame: &Value, rect: &[f64; 4]) -> bool {
    let faces = frame["faces"].as_array().unwrap();
    let place = |f: &Value| [0, 1, 2, 3].map(|i| f["box"][i].as_f64().unwrap());
    let near = |f: &&Value| overlap(&place(f), rect) > 0.4;
    faces.iter().filter(near).any(|f| f["speaking"] == true)
}

/// For each person: frames in which they are lit and frames of their own turns, then the same for
/// frames of another's.
type Counts = BTreeMap<String, [usize; 4]>;

/// Annotates a clip of `demo` with nothing imported and counts; `None`, said loudly, where the clip is
/// not here.
fn lit_by_person(clip: &str) -> Option<(Run, Counts)> {
    let input = needs::demo(clip)?;
    let nothing = tempfile::tempdir().unwrap();
    let run = annotate(nothing.path(), &input, "mp4", &[], 0);
    let truth = truth(&input.with_extension("labels.csv"));
    assert_eq!(truth.len(), run.records.frames.len());
    let mut counts = Counts::new();
    for (line, faces) in run.records.frames.iter().zip(&truth) {
        let frame: Value = serde_json::from_str(line).unwrap();
        let someone = faces.iter().any(|f| f.speaks);
        for face in faces.iter().filter(|_| someone) {
            let count = counts.entry(face.who.clone()).or_default();
            let at = if face.speaks { 0 } else { 2 };
            count[at] += usize::from(lit(&frame, &face.rect));
            count[at + 1] += 1;
        }
    }
    assert_eq!(counts.len(), 2, "{counts:?}");
    Some((run, counts))
}

#[test]
fn each_speaker_is_lit_in_their_own_turns_only() {
    let Some((run, counts)) = lit_by_person("sample.mp4") else { return };
    assert_eq!(run.summary["package"], "locutor");
    assert_eq!(run.summary["detector"], "locutor-faces");
    for (who, [own_lit, own, other_lit, other]) in &counts {
        assert!(*own > 100 && *other > 100, "{who}: {counts:?}");
        assert!(own_lit * 10 >= own * 8, "{who} is lit in {own_lit} of {own} own frames");
        assert!(other_lit * 10 <= other * 2, "{who} is lit in {other_lit} of {other} of another's");
    }
}

#[test]
fn what_a_phone_stored_on_its_side_is_seen_and_written_upright() {
    let Some((run, counts)) = lit_by_person("turned.mov") else { return };
    let film = probe(&run.film, 1);
    assert_eq!((film.width, film.height), (360, 640));
    let start = run.records.of("start");
    assert_eq!((&start[0]["width"], &start[0]["height"]), (&Value::from(360), &Value::from(640)));
    let ([own_lit, own, ..], [.., other_lit, other]) = (counts["turned_P1"], counts["turned_P2"]);
    assert!(own > 50 && own_lit * 10 >= own * 8, "{counts:?}");
    assert!(other > 50 && other_lit * 10 <= other * 2, "{counts:?}");
}
