//! File mode against one pass of the head over each whole track: what the finite lookahead costs.
//!
//! Needs ../shared (weights, composites); skipped loudly without it.

#![cfg(all(feature = "gst", feature = "onnx"))]

#[path = "support/needs.rs"]
mod needs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use locutor::config::{Pipeline, RecordPaths, parse_floor};
use locutor::core::progress::Progress;
use locutor::models::device::Device;
use locutor::models::import::{ImportKind, import};
use locutor::models::{ModelError, Package};
use locutor::onnx::engine::Engine;
use locutor::onnx::session::SessionOptions;
use locutor::pipeline::recording::run_pass;
use locutor::pipeline::settings::LookaheadChoice;
use locutor::run::settings;
use locutor::stages::overlay::Style;
use locutor::stages::score::window::Window;
use locutor::stages::sink::records::ava_csv::AvaCsv;
use locutor::stages::sink::records::turns::TurnRules;
use locutor::stages::sink::records::{Ending, FrameSize, RecordContext};
use locutor::stages::sink::stage::Records;
use locutor::stages::source::gst::Recording;

/// Turn taking, both mouths moving, and one talker: where the future matters and where not.
const CLIPS: [&str; 3] =
    ["sbsturn__vr_face1__vr_face2.mp4", "sbsboth__aoc_512__hill_512.mp4", "own__aoc_512.mp4"];

fn shared() -> Option<PathBuf> {
    needs::shared("models/asd")?;
    needs::shared("composites")?;
    needs::shared("")
}

fn packages(shared: &Path, into: &Path) -> Result<(Package, Package), ModelError> {
    let weights = shared.join("models/asd/lightasd_pretrain_AVA_CVPR.model");
    let faces = shared.join("models/face/yunet_n_dynamic.onnx");
    let speaker = import(ImportKind::LightAsd, &[weights], &into.join("light-asd"))?;
    Ok((speaker, import(ImportKind::YuNet, &[faces], &into.join("yunet"))?))
}

type Scores = BTreeMap<(String, String), f64>;

/// Scores of every face by time and track, with the head over `window`, or the package's own.
fn scores(
    clip: &Path,
    (speaker, detector): &(Package, Package),
    window: Option<Window>,
    csv: &Path,
) -> Scores {
    let pipeline = Pipeline {
        input: clip.into(),
        audio_track: 1,
        output: None,
        records: RecordPaths::default(),
        package: None,
        detector: None,
        device: Device::Cpu,
        lookahead: LookaheadChoice::File,
        explain: Some(locutor::models::explain::Mode::None),
        floor: parse_floor("300,500,1000").expect("the test's own set-up"),
        style: Style::default(),
        frame_budget_bytes: 0,
        overwrite: true,
    };
    let recording = Recording::open(clip, 1).expect("the test's own set-up");
    let video = recording.shape().video;
    let mut settings =
        settings(&pipeline, (speaker, detector), &video).expect("the test's own set-up");
    settings.schedule.window = window.unwrap_or(settings.schedule.window);
    let options = SessionOptions { device: Device::Cpu, intra_threads: 2 };
    let engine = Engine::start(detector, speaker, &options).expect("the test's own set-up");
    let context = RecordContext {
        stream: "clip".into(),
        video_id: "clip".into(),
        frame_size: FrameSize { width: video.width, height: video.height },
        turns: TurnRules::default(),
    };
    let mut records =
        Records::new(vec![Box::new(AvaCsv::create(csv, &context).expect("the test's own set-up"))]);
    let how = (&Progress::default(), &AtomicBool::new(false));
    run_pass(&settings, &recording, &engine, None, &mut records, how)
        .expect("the test's own set-up");
    records.close(Ending::Complete).expect("the test's own set-up");
    let mut reader = csv::Reader::from_path(csv).expect("the test's own set-up");
    let rows = reader.records().map(|row| {
        let row = row.expect("the test's own set-up");
        ((row[1].to_owned(), row[7].to_owned()), row[8].parse().expect("the test's own set-up"))
    });
    rows.collect()
}

#[test]
fn the_lookahead_of_files_is_as_good_as_all_the_future() {
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().expect("the test's own set-up");
    let models = packages(&shared, dir.path()).expect("the test's own set-up");
    // Longer than any clip: the whole track is one window.
    let whole = Window { hop: 1_000_000, lookahead: 0 };
    let (mut faces, mut off, mut flips) = (0_usize, 0.0, 0_usize);
    for clip in CLIPS {
        let clip = shared.join("composites").join(clip);
        let file = scores(&clip, &models, None, &dir.path().join("file.csv"));
        let all = scores(&clip, &models, Some(whole), &dir.path().join("whole.csv"));
        assert_eq!(file.len(), all.len());
        for (face, p) in &file {
            let q = all[face];
            off += (p - q).abs();
            flips += usize::from((*p > 0.5) != (q > 0.5));
        }
        faces += file.len();
    }
    let mean = off / faces as f64;
    println!("{faces} face-frames: mean |Δp| {mean:.5}, {flips} decisions flipped");
    assert!(faces > 500 && mean <= 0.01, "mean |Δp| is {mean}");
    assert!(flips as f64 <= 0.005 * faces as f64, "{flips} of {faces} decisions flipped");
}
