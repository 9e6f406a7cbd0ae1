//! Reads the records that a run wrote, and fails where one is not what its format is.

use std::path::Path;

use serde_json::Value;

/// The records of a run.
pub struct Records {
    /// The JSON lines about frames, as text.
    pub frames: Vec<String>,
    /// The JSON lines about events.
    pub events: Vec<Value>,
    /// Rows of the AVA CSV.
    pub rows: usize,
}

impl Records {
    /// Every face of every frame.
    pub fn faces(&self) -> Vec<Value> {
        let frames = self.frames.iter().map(|l| serde_json::from_str::<Value>(l).unwrap());
        frames.flat_map(|f| f["faces"].as_array().unwrap().clone()).collect()
    }

    /// Frame times since the first frame, in seconds.
    pub fn since_first(&self) -> impl Iterator<Item = f64> {
        let time = |line: &String| {
            let frame: Value = serde_json::from_str(line).unwrap();
            frame["pts_ns"].as_i64().unwrap()
        };
        let first = self.frames.first().map_or(0, time);
        self.frames.iter().map(move |line| (time(line) - first) as f64 / 1e9)
    }

    /// The events of a kind.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|e| e["event"] == kind).collect()
    }
}

/// Reads all four records in `folder`.
pub fn read(folder: &Path) -> Records {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let records = json_lines(&text("events.jsonl"));
    check_rttm(&text("turns.rttm"));
    check_vtt(&text("turns.vtt"));
    let rows = csv_rows(&text("faces.csv"));
    Records { rows, ..records }
}

fn json_lines(text: &str) -> Records {
    let (mut frames, mut events) = (Vec::new(), Vec::new());
    let mut last = i64::MIN;
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        match value["schema"].as_str().unwrap() {
            "locutor.frame/1" => {
                assert_eq!(value["seq"].as_u64(), Some(frames.len() as u64), "{line}");
                let pts = value["pts_ns"].as_i64().unwrap();
                assert!(pts > last, "time goes on: {line}");
                last = pts;
                value["faces"].as_array().unwrap().iter().for_each(check_face);
                frames.push(line.to_owned());
            }
            "locutor.event/1" => events.push(value),
            other => panic!("unknown schema {other}"),
        }
    }
    assert_eq!(events.first().map(|e| &e["event"]), Some(&"start".into()));
    assert_eq!(events.last().map(|e| &e["event"]), Some(&"end".into()));
    Records { frames, events, rows: 0 }
}

fn check_face(face: &Value) {
    let corners: Vec<f64> =
        face["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(corners.len() == 4 && corners[0] < corners[2] && corners[1] < corners[3], "{face}");
    match face["score"].as_f64() {
        Some(p) => assert!((0.0..=1.0).contains(&p) && face["unknown"].is_null(), "{face}"),
        None => assert!(face["unknown"].is_string() && face["speaking"].is_null(), "{face}"),
    }
}

fn csv_rows(text: &str) -> usize {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap().len(), 9);
    let mut rows = 0;
    for row in reader.records() {
        let row = row.unwrap();
        // Time, box and score.
        for column in [1, 2, 3, 4, 5, 8] {
            assert!(row[column].parse::<f64>().is_ok(), "column {column} of {row:?}");
        }
        rows += 1;
    }
    rows
}

fn check_rttm(text: &str) {
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        assert_eq!(fields.len(), 10, "{line}");
        assert_eq!(fields[0], "SPEAKER");
        assert!(fields[3].parse::<f64>().is_ok(), "{line}");
        assert!(fields[4].parse::<f64>().is_ok_and(|length| length > 0.0), "{line}");
    }
}

fn check_vtt(text: &str) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("WEBVTT"));
    for line in lines.filter(|l| !l.is_empty()) {
        let voice = line.starts_with("<v Person ") && line.ends_with("</v>");
        assert!(voice || line.contains(" --> "), "{line}");
    }
}
