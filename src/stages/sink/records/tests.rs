//! The records of a synthetic meeting, read back.

mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::ava_csv::AvaCsv;
use super::event::{Event, Start};
use super::fixtures::{evidence, scored, unknown};
use super::jsonl::Jsonl;
use super::rttm::Rttm;
use super::summary::SummaryBuilder;
use super::turns::TurnRules;
use super::vtt::Vtt;
use super::*;
use crate::core::evidence::TrackId;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn context() -> RecordContext {
    RecordContext {
        stream: "file".to_owned(),
        video_id: "own__my, \"first\" talk".to_owned(),
        frame_size: FrameSize { width: 320, height: 200 },
        turns: TurnRules::default(),
    }
}

/// Person 1 speaks in frames 0–49, person 2 in 40–89; person 3 is never scored.
fn sample_meeting() -> Vec<FrameEvidence> {
    (0..100)
        .map(|n| {
            let (one, two) = (n < 50, (40..90).contains(&n));
            // Scores that differ in the seventh digit only.
            let p = |speaks: bool| {
                if speaks { 0.9 + n as f32 * 1e-7 } else { 1e-6 * n as f32 }
            };
            let faces = vec![scored(1, p(one), one), scored(2, p(two), two), unknown(3)];
            let floor = if n < 55 { TrackId(1) } else { TrackId(2) };
            FrameEvidence { floor: (n >= 10).then_some(floor), ..evidence(n, faces) }
        })
        .collect()
}

fn write(mut record: Box<dyn Record>) -> String {
    let start = Start {
        source: "file:///talk.mp4".to_owned(),
        width: 320,
        height: 200,
        rate: Some("25/1".to_owned()),
        package: "light-asd 1".to_owned(),
        detector: "yunet 1".to_owned(),
        device: "cpu".to_owned(),
        threshold: 0.5,
        smoothing_ticks: 5,
        versions: BTreeMap::from([("locutor".to_owned(), "0.1.0".to_owned())]),
    };
    record.event(&Event::Start(start)).expect("start");
    let mut summary_builder = SummaryBuilder::new();
    for e in &sample_meeting() {
        record.write(e).expect("write");
        summary_builder.push(e);
    }
    let epoch = Event::Epoch { epoch: 1, width: 64, height: 64, reason: "jump".to_owned() };
    record.event(&epoch).expect("epoch");
    let what = "heatmaps at half rate".to_owned();
    record.event(&Event::Degraded { epoch: 0, pts_ns: None, what }).expect("degraded");
    let summary = summary_builder.finish();
    record.event(&Event::End { complete: true, summary }).expect("end");
    let path = record.close(Ending::Complete).expect("close");
    fs::read_to_string(path).expect("read")
}

#[test]
fn every_json_line_fits_the_published_schema() {
    let schema = fs::read_to_string(Path::new(ROOT).join("docs/records.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let dir = tempfile::tempdir().expect("temp");
    let path = dir.path().join("a.jsonl");
    let text = write(Box::new(Jsonl::create(&path, &context()).expect("create")));
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    for line in &lines {
        schema::check(line, &schema, &schema).unwrap_or_else(|e| panic!("{line}\n{e}"));
    }
    let events: Vec<&str> = lines.iter().filter_map(|l| l["event"].as_str()).collect();
    assert_eq!(events, ["start", "turn", "turn", "epoch", "degraded", "end"]);
    let frames: Vec<&Value> = lines.iter().filter(|l| l.get("faces").is_some()).collect();
    assert_eq!(frames.len(), 100);
    let [scored, _, unknown] = frames[3]["faces"].as_array().expect("faces").as_slice() else {
        panic!("three faces")
    };
    assert_eq!(scored["box"], serde_json::json!([0.03125, 0.1, 0.1875, 0.4]));
    assert_eq!((&scored["audio_share"], &scored["speaking"]), (&0.75.into(), &true.into()));
    assert_eq!((&unknown["score"], &unknown["speaking"]), (&Value::Null, &Value::Null));
    assert_eq!(unknown["unknown"], "no-audio");
    // The schema rejects invalid lines.
    let mut wrong = frames[3].clone();
    wrong["faces"][0]["score"] = 1.5.into();
    assert!(schema::check(&wrong, &schema, &schema).is_err());
    wrong = frames[3].clone();
    wrong["extra"] = 1.into();
    assert!(schema::check(&wrong, &schema, &schema).is_err());
}

/// One of each of the events that only live streams have.
fn live_events() -> [Event; 9] {
    let text = || "hall".to_owned();
    [
        Event::SourceLost { since: text(), why: text(), next_try: text() },
        Event::SourceRestored { lost_seconds: 37.4 },
        Event::SinkFailed { sink: text(), why: text() },
        Event::SinkRecovered { sink: text(), failed_seconds: 0.0 },
        Event::OverloadBegin { level: 1, reason: text() },
        Event::OverloadEnd { level: 0, reason: text() },
        Event::Encoder { element: text(), instead_of: Some(text()), why: None },
        Event::Reload { accepted: false, what: text() },
        Event::Dropped { sink: text(), lines: 3, why: text() },
    ]
}

#[test]
fn live_lines_fit_the_published_schema_and_have_a_time() {
    let schema = fs::read_to_string(Path::new(ROOT).join("docs/records.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let when = "2026-11-24T16:35:29.120Z";
    let utc = Some(when);
    for event in &live_events() {
        let line = serde_json::to_value(jsonl::EventLine::new("hall", utc, event)).expect("JSON");
        schema::check(&line, &schema, &schema).unwrap_or_else(|e| panic!("{line}\n{e}"));
        assert_eq!(line["utc"], when);
        let mut wrong = line.clone();
        wrong["event"] = "unheard-of".into();
        assert!(schema::check(&wrong, &schema, &schema).is_err());
    }
    let frame = jsonl::FrameLine::new("hall", utc, &sample_meeting()[3], context().frame_size);
    let line = serde_json::to_value(&frame).expect("JSON");
    schema::check(&line, &schema, &schema).unwrap_or_else(|e| panic!("{line}\n{e}"));
    assert_eq!(line["utc"], when);
}

#[test]
fn the_examples_in_the_document_fit_the_schema() {
    let read = |name: &str| fs::read_to_string(Path::new(ROOT).join("docs").join(name));
    let schema: Value =
        serde_json::from_str(&read("records.schema.json").expect("schema")).expect("JSON");
    let text = read("records.md").expect("document");
    let examples: Vec<&str> = text.lines().filter(|l| l.starts_with("{\"schema\"")).collect();
    assert!(examples.len() >= 6, "an example of every kind of line");
    for line in examples {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}\n{e}"));
        schema::check(&value, &schema, &schema).unwrap_or_else(|e| panic!("{line}\n{e}"));
    }
}

#[test]
fn rttm_lines_have_ten_fields_for_any_file_name() {
    let dir = tempfile::tempdir().expect("temp");
    let path = dir.path().join("a.rttm");
    let text = write(Box::new(Rttm::create(&path, &context()).expect("create")));
    let want = "SPEAKER own__my,_\"first\"_talk 1 0.000 2.000 <NA> <NA> Person_1 <NA> <NA>\n\
                SPEAKER own__my,_\"first\"_talk 1 1.600 2.000 <NA> <NA> Person_2 <NA> <NA>\n";
    assert_eq!(text, want);
    assert!(text.lines().all(|l| l.split(' ').count() == 10));
}

#[test]
fn webvtt_has_a_cue_per_turn_and_overlaps() {
    let dir = tempfile::tempdir().expect("temp");
    let path = dir.path().join("a.vtt");
    let text = write(Box::new(Vtt::create(&path, &context()).expect("create")));
    let want = "WEBVTT\n\
                \n00:00:00.000 --> 00:00:02.000\n<v Person 1>[speaking]</v>\n\
                \n00:00:01.600 --> 00:00:03.600\n<v Person 2>[speaking]</v>\n";
    assert_eq!(text, want);
}

#[test]
fn csv_rows_read_back_and_scores_do_not_tie() {
    let dir = tempfile::tempdir().expect("temp");
    let path = dir.path().join("a.csv");
    let text = write(Box::new(AvaCsv::create(&path, &context()).expect("create")));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().expect("header").iter().collect::<Vec<_>>(), ava_csv::HEADER);
    let rows: Vec<csv::StringRecord> = reader.records().map(|r| r.expect("row")).collect();
    assert_eq!(rows.len(), 200, "two scored faces a frame, none for the unknown one");
    let faces: Vec<f32> = sample_meeting()
        .iter()
        .flat_map(|e| e.faces.iter().filter_map(|f| f.verdict.p()).collect::<Vec<_>>())
        .collect();
    for (row, want) in rows.iter().zip(&faces) {
        assert_eq!(row[8].parse::<f32>().expect("a number"), *want);
        assert_eq!((&row[0], &row[6]), ("own__my, \"first\" talk", "SPEAKING_AUDIBLE"));
    }
    assert_eq!(&rows[2][1], "0.040000");
    assert_eq!(&rows[3][7], "own__my, \"first\" talk:2");
}

#[test]
fn the_scoring_tool_reads_the_csv() {
    let Some(tool) = crate::needs::shared("tools/score_speakers.py") else { return };
    let dir = tempfile::tempdir().expect("temp");
    let (labels, predictions) = (dir.path().join("labels.csv"), dir.path().join("p.csv"));
    let text = write(Box::new(AvaCsv::create(&predictions, &context()).expect("create")));
    // The labels are those of `sample_meeting`: the score must be perfect.
    let truth = text.lines().enumerate().map(|(n, line)| {
        // Line 0 is the header; then person 1 and person 2 alternate.
        let (frame, two) = (n.saturating_sub(1) / 2, n % 2 == 0);
        let speaks = if two { (40..90).contains(&frame) } else { frame < 50 };
        if speaks { line.to_owned() } else { line.replace("SPEAKING_AUDIBLE", "NOT_SPEAKING") }
    });
    fs::write(&labels, truth.collect::<Vec<_>>().join("\n")).expect("labels");
    let out =
        Command::new("python3").arg(tool).args([&labels, &predictions]).arg("--json").output();
    let Ok(out) = out else {
        crate::needs::skip("python3");
        return;
    };
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let got: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    for (key, want) in [("matched", 1.0), ("ap", 1.0), ("accuracy", 1.0)] {
        assert_eq!(got["own"][key], want, "{key}: {got}");
    }
}

#[test]
fn a_dropped_record_leaves_no_file_and_a_stopped_one_is_marked_incomplete() {
    let dir = tempfile::tempdir().expect("temp");
    let path = dir.path().join("meeting.rttm");
    let mut record = Rttm::create(&path, &context()).expect("create");
    record.write(&sample_meeting()[0]).expect("write");
    drop(record);
    assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 0);
    let mut record = Box::new(Rttm::create(&path, &context()).expect("create"));
    for e in &sample_meeting()[..30] {
        record.write(e).expect("write");
    }
    let kept = record.close(Ending::Stopped).expect("close");
    assert_eq!(kept, dir.path().join("meeting.incomplete.rttm"));
    assert!(fs::read_to_string(kept).expect("read").contains(" 0.000 1.200 "));
    assert!(!path.exists());
}

#[test]
fn a_full_disk_error_names_the_file() {
    for make in [
        |p: &Path| Jsonl::create(p, &context()).map(|r| Box::new(r) as Box<dyn Record>),
        |p: &Path| AvaCsv::create(p, &context()).map(|r| Box::new(r) as Box<dyn Record>),
        |p: &Path| Rttm::create(p, &context()).map(|r| Box::new(r) as Box<dyn Record>),
        |p: &Path| Vtt::create(p, &context()).map(|r| Box::new(r) as Box<dyn Record>),
    ] {
        let mut record = make(Path::new("/dev/full")).expect("open");
        let wrote = sample_meeting().iter().try_for_each(|e| record.write(e));
        let error = wrote.and_then(|()| record.finish()).expect_err("the device is full");
        assert!(error.is_no_space() && error.to_string().contains("/dev/full"), "{error}");
    }
}
