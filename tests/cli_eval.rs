//! `locutor eval`, as a user runs it: its figures against those of the reference script, what it
//! prints, and what it says of tables that cannot be used.
#![allow(clippy::unwrap_used, reason = "a test's helpers may panic, too")]

#[path = "support/needs.rs"]
mod needs;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locutor::core::rng::SeededRng;
use serde_json::Value;

const HEADER: &str = "video_id,frame_timestamp,entity_box_x1,entity_box_y1,entity_box_x2,\
                      entity_box_y2,label,entity_id";

#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs `locutor eval` in `folder`.
fn eval(folder: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
    command.current_dir(folder).env_remove("LOCUTOR_LOG").arg("eval").args(args);
    command.output().unwrap().into()
}

/// The reference script and the composites' labels, where they are here.
fn reference() -> Option<(PathBuf, PathBuf)> {
    let script = needs::shared("tools/score_speakers.py")?;
    let labels = needs::shared("composites/labels.csv")?;
    if !Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success()) {
        needs::skip("python3");
        return None;
    }
    Some((script, labels))
}

/// Predictions that a poor detector and a fair model could have made of `labels`: faces missed,
/// boxes and times that wobble, scores that are often equal.
fn made_up(labels: &str, seed: u64) -> String {
    let mut seeded = SeededRng::new(seed);
    let mut out = format!("{HEADER},score\n");
    for line in labels.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if seeded.next_f32() < 0.1 {
            continue;
        }
        let mut wobble = |size: f32| f64::from((seeded.next_f32() - 0.5) * size);
        let seconds = cells[1].parse::<f64>().unwrap() + wobble(0.05);
        let apart = [wobble(0.12), wobble(0.12)];
        let boxes = [2, 3, 4, 5].map(|i| cells[i].parse::<f64>().unwrap() + apart[i % 2]);
        let truth = if cells[6] == "SPEAKING_AUDIBLE" { 0.6 } else { 0.4 };
        let score = (truth + wobble(0.8)).clamp(0.0, 1.0);
        let score = (score * 40.0).round() / 40.0;
        let [x1, y1, x2, y2] = boxes;
        let id = format!("{},SPEAKING_AUDIBLE,{}", cells[0], cells[7]);
        let (video, rest) = id.split_once(',').unwrap();
        writeln!(out, "{video},{seconds:.6},{x1:.6},{y1:.6},{x2:.6},{y2:.6},{rest},{score}")
            .unwrap();
    }
    out
}

/// Every number of both trees is the same to 1e-6.
fn assert_same(ours: &Value, theirs: &Value, at: &str) {
    match theirs {
        Value::Object(map) => {
            assert_eq!(ours.as_object().unwrap().len(), map.len(), "{at}: {ours}");
            map.iter().for_each(|(key, v)| assert_same(&ours[key], v, &format!("{at}/{key}")));
        }
        Value::Number(_) => {
            let (a, b) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-6, "{at}: {a} and not {b}");
        }
        other => assert_eq!(ours, other, "{at}"),
    }
}

#[test]
fn its_figures_are_those_of_the_reference_script() {
    let Some((script, labels)) = reference() else { return };
    let folder = tempfile::tempdir().unwrap();
    let predictions = folder.path().join("predictions.csv");
    let text = std::fs::read_to_string(&labels).unwrap();
    for (seed, more) in [
        (1, &[][..]),
        (2, &["--min-iou", "0.7", "--max-dt", "0.01", "--threshold", "0.55"]),
        (3, &["--min-iou", "0", "--max-dt", "0"]),
    ] {
        std::fs::write(&predictions, made_up(&text, seed)).unwrap();
        let files = [labels.to_str().unwrap(), predictions.to_str().unwrap()];
        let mut theirs = Command::new("python3");
        let theirs = script_output(theirs.arg(&script).args(files).args(more).arg("--json"));
        let ours =
            [&["--labels", files[0], "--predictions", files[1], "--json"][..], more].concat();
        let said = eval(folder.path(), &ours);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        let ours: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(theirs.as_object().unwrap().len(), 7, "all groups");
        assert_same(&ours, &theirs, "");
    }
}

fn script_output(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with two videos' labels and predictions, the latter a file a video: one with a header,
/// one as AVA publishes them.
fn meeting() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let (mut labels, mut one, mut two) =
        (String::new(), format!("{HEADER},score\n"), String::new());
    for tick in 0..50 {
        let at = f64::from(tick) * 0.04;
        let speaks = tick < 25;
        let word = if speaks { "SPEAKING_AUDIBLE" } else { "NOT_SPEAKING" };
        let score = if speaks { 0.8 } else { 0.2 };
        for (video, file) in [("one", &mut one), ("two", &mut two)] {
            writeln!(labels, "{video},{at:.2},0.1,0.1,0.3,0.4,{word},{video}:1").unwrap();
            writeln!(file, "{video},{at:.6},0.1,0.1,0.3,0.4,SPEAKING_AUDIBLE,{video}:1,{score}")
                .unwrap();
        }
    }
    write("labels.csv", labels);
    write("one.csv", one);
    write("two.csv", two);
    folder
}

#[test]
fn several_files_are_one_set_and_headers_may_be_missing() {
    let folder = meeting();
    let args = ["--labels", "labels.csv", "--predictions", "one.csv", "two.csv"];
    let said = eval(folder.path(), &args);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let wanted = "all        100    1.000  0.50  1.000  1.000  1.000  1.00 /   -  / 0.00\n";
    assert!(said.out.ends_with(wanted), "{}", said.out);
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);

    // Joined by `cat`, with the header in the middle, a byte order mark and Windows' line ends.
    let [one, two] =
        ["one.csv", "two.csv"].map(|f| std::fs::read_to_string(folder.path().join(f)).unwrap());
    let joined = format!("\u{feff}{one}{HEADER},score\n{two}").replace('\n', "\r\n");
    std::fs::write(folder.path().join("joined.csv"), joined).unwrap();
    let again = eval(folder.path(), &["--labels", "labels.csv", "--predictions", "joined.csv"]);
    assert_eq!(again.out, said.out, "{}", again.err);

    let more = ["--bootstrap", "100", "--seed", "3"];
    let said = eval(folder.path(), &[&args[..], &more].concat());
    assert!(said.out.contains("all          2  1.000..1.000"), "{}", said.out);
    let json = eval(folder.path(), &[&args[..], &more, &["--json"]].concat());
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["all"]["interval_90"]["ap"], serde_json::json!([1.0, 1.0]));
    assert_eq!(json["all"]["called_speaking"]["SPEAKING_NOT_AUDIBLE"], Value::Null);
}

#[test]
fn a_video_without_predictions_is_told() {
    let folder = meeting();
    let args = ["--labels", "labels.csv", "--predictions", "two.csv"];
    let said = eval(folder.path(), &args);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.starts_with("note: 1 labelled video has no prediction"), "{}", said.err);
    assert!(said.err.contains("one first"), "{}", said.err);
    assert!(said.out.contains("    0.500  0.50"), "half is matched: {}", said.out);
}

/// What stands in the predictions, the exit code, and what standard error must hold.
const BAD: &[(&str, &str)] = &[
    (
        "one,0.0,0.1,0.1,0.3,0.4,X,one:1,0.5\none,zero,0.1,0.1,0.3,0.4,X,one:1,0.5\n",
        "p.csv, line 2, column 2 (frame_timestamp): `zero` is not a number; write seconds",
    ),
    (
        "one,0.0,0.1,0.1,0.3,0.4,X,one:1\n",
        "p.csv, line 1, column 9 (score): is empty or missing; the line has 8 values",
    ),
    (
        "one,0.0,0.1,0.1,0.3,0.4,X,one:1,3.2\n",
        "line 1, column 9 (score): 3.2 is not a probability; write P(speaking) between 0 and 1",
    ),
    ("one,0.0,0.1,0.1,0.3,0.4,X,one:1,NaN\n", "column 9 (score): `NaN` is not a number"),
    (
        "one,0.0,64,0.1,0.3,0.4,X,one:1,0.5\n",
        "column 3 (entity_box_x1): 64 is not a fraction of the frame; divide pixels",
    ),
    ("one,0.0,0.3,0.1,0.1,0.4,X,one:1,0.5\n", "column 5 (entity_box_x2): 0.1 lies before 0.3"),
    (
        "video_id,frame_timestamp,entity_box_x1,entity_box_y1,entity_box_x2,entity_box_y2\n",
        "line 1, column score: is missing from the header",
    ),
    (
        "score,video_id,frame_timestamp,entity_box_x1,entity_box_y1,entity_box_x2,entity_box_y2\n\
      high,one,0.0,0.1,0.1,0.3,0.4\n",
        "line 2, column 1 (score): `high` is not a number",
    ),
    ("", "p.csv: has no rows; write one line for each face and frame"),
];

#[test]
fn a_bad_row_is_told_with_its_file_line_and_column() {
    let folder = meeting();
    let path = folder.path().join("p.csv");
    for (text, words) in BAD {
        std::fs::write(&path, text).unwrap();
        let said = eval(folder.path(), &["--labels", "labels.csv", "--predictions", "p.csv"]);
        assert_eq!(said.code, Some(65), "{text}: {said:?}");
        assert!(said.err.starts_with("error: ") && said.err.contains(words), "{}", said.err);
        assert_eq!(said.out, "");
    }
    std::fs::write(&path, "one,0.0,0.1,0.1,0.3,0.4,SPEAKS,one:1\n").unwrap();
    let said = eval(folder.path(), &["--labels", "p.csv", "--predictions", "one.csv"]);
    assert_eq!(said.code, Some(65), "{said:?}");
    let words =
        "p.csv, line 1, column 7 (label): `SPEAKS` is not a label; write one of SPEAKING_AUD";
    assert!(said.err.contains(words), "{}", said.err);
}

#[test]
fn a_run_that_found_nobody_is_a_run_all_the_same() {
    let folder = meeting();
    std::fs::write(folder.path().join("none.csv"), format!("{HEADER},score\n")).unwrap();
    let said = eval(folder.path(), &["--labels", "labels.csv", "--predictions", "none.csv"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("all        100    0.000  0.50  0.500  0.500"), "{}", said.out);
    assert!(said.err.starts_with("note: 2 labelled videos have no prediction"), "{}", said.err);
}

#[test]
fn wrong_files_and_words_have_their_own_codes() {
    let folder = meeting();
    let table: [(&[&str], i32, &str); 5] = [
        (
            &["--labels", "gone.csv", "--predictions", "one.csv"],
            66,
            "cannot read gone.csv: No such",
        ),
        (&["--labels", "labels.csv", "--predictions", "."], 65, "cannot read .: Is a directory"),
        (&["--labels", "labels.csv"], 2, "--predictions <FILE>"),
        (&["--labels", "a", "--predictions", "b", "--min-iou", "2"], 2, "between 0 and 1"),
        (&["--labels", "a", "--predictions", "b", "--max-dt=-1"], 2, "seconds, 0 or more"),
    ];
    for (args, code, words) in table {
        let said = eval(folder.path(), args);
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
        assert!(said.err.contains(words), "{args:?}: {}", said.err);
    }
}
