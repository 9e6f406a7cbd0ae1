//! Manifests: what is refused, and in which words.

use std::path::Path;

use locutor::models::explain::Mode;
use locutor::models::manifest::{Manifest, Model};
use locutor::models::tiny::{self, TinyNetwork};
use locutor::models::{ModelError, Package, PackageLocation};

fn speaker_text(network: TinyNetwork) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("p");
    tiny::write_speaker(&dir, network, 1).expect("a package");
    std::fs::read_to_string(dir.join("model.toml")).expect("its manifest")
}

fn detector_text() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("p");
    tiny::write_detector(&dir).expect("a package");
    std::fs::read_to_string(dir.join("model.toml")).expect("its manifest")
}

fn parse(text: &str) -> Result<Manifest, ModelError> {
    Manifest::parse(text, Path::new("p/model.toml"))
}

/// Each case: what is replaced in a good manifest, by what, and the whole error.
fn check_table(good: &str, table: &[(&str, &str, &str)]) {
    parse(good).expect("the unchanged manifest is good");
    for (from, to, wanted) in table {
        assert!(good.contains(from), "the manifest has no {from:?}");
        let error = parse(&good.replacen(from, to, 1)).expect_err(to);
        assert_eq!(error.to_string(), *wanted, "{from:?} replaced by {to:?}");
    }
}

const WRONG_SPEAKERS: &[(&str, &str, &str)] = &[
    (
        "kind = \"speaker-streaming\"",
        "kind = \"speaker-clip\"",
        "p/model.toml: `kind` is \"speaker-clip\"; \
                 it must be \"speaker-streaming\" or \"face-detector\"",
    ),
    (
        "kind = \"speaker-streaming\"",
        "",
        "p/model.toml: `kind` is \"\"; \
                 it must be \"speaker-streaming\" or \"face-detector\"",
    ),
    (
        "delay_ticks = 6",
        "delay_tick = 6",
        "p/model.toml line 24: unknown field `delay_tick`, expected one of `file`, \
                 `frames`, `valid`, `delay_ticks`, `gate`, `contributions`, `embedding`, `map`, \
                 `states`; \
                 correct it, or import the package again",
    ),
    (
        "delay_ticks = 6",
        "",
        "p/model.toml line 20: missing field `delay_ticks`; \
                 correct it, or import the package again",
    ),
    (
        "delay_ticks = 6",
        "delay_ticks = -1",
        "p/model.toml: `face.delay_ticks` is -1; \
                 it must be a whole number from 0 to 1048576",
    ),
    (
        "threshold = 0.5",
        "threshold = 1.5",
        "p/model.toml: `decision.threshold` is 1.5; it must be a probability from 0 to 1",
    ),
    (
        "threshold = 0.5",
        "threshold = nan",
        "p/model.toml: `decision.threshold` is NaN; it must be a probability from 0 to 1",
    ),
    (
        "smoothing_ticks = 1",
        "smoothing_ticks = 4",
        "p/model.toml: `decision.smoothing_ticks` is 4; \
                 it must be odd, so that the mean has a middle",
    ),
    (
        "crop_size_px = 112",
        "crop_size_px = 96",
        "p/model.toml: `features.crop_size_px` is 96; \
                 the recipe \"light-asd-112-grey\" gives 112",
    ),
    (
        "audio = \"mfcc-13\"",
        "audio = \"mfcc\"",
        "p/model.toml: `features.audio` is \"mfcc\"; \
                 it must be \"mfcc-13\" or \"log-mel-40\"",
    ),
    (
        "file = \"face.onnx\"",
        "file = \"../face.onnx\"",
        "p/model.toml: `face.file` is \"../face.onnx\"; it must be a plain file name \
                 (letters, digits, `.`, `_`, `-`) of a file beside model.toml",
    ),
    (
        "file = \"face.onnx\"",
        "file = \"other.onnx\"",
        "p/model.toml: `files.\"other.onnx\"` is missing, \
                 but a graph is read from that file",
    ),
    (
        "gate = \"gate\"",
        "",
        "p/model.toml: `explain.default_mode` needs a gate, but neither `face.gate` nor \
                 `head.gate` names one; name one, or use \"ablation\" or \"none\"",
    ),
    (
        "default_mode = \"gate-activation\"",
        "default_mode = \"grad-cam\"",
        "p/model.toml: `explain.default_mode` is \"grad-cam\"; it must be \"paper\" or \
                 \"gate-activation\" or \"ablation\" or \"none\"",
    ),
    (
        "shape = [4]",
        "shape = [0]",
        "p/model.toml: `face.states[0].shape` is 0; \
                 it must be a whole number from 1 to 1048576",
    ),
    (
        "licence = \"MIT OR Apache-2.0\"",
        "licence = \" \"",
        "p/model.toml: `package.licence` is empty; write something there",
    ),
    (
        "[package]",
        "[package",
        "p/model.toml line 3: unclosed table, expected `]`; \
                 correct it, or import the package again",
    ),
];

#[test]
fn a_wrong_speaker_manifest_is_refused_with_file_key_and_advice() {
    check_table(&speaker_text(TinyNetwork::LightAsd), WRONG_SPEAKERS);
}

/// The program's own model has what the imported ones have not.
#[test]
fn a_map_area_must_lie_within_the_crop_and_a_sum_must_be_told_apart() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/locutor/model.toml");
    let good = std::fs::read_to_string(own).expect("a committed file");
    check_table(
        &good,
        &[
            (
                "left = 8",
                "left = 20",
                "p/model.toml: `face.map.area_px` reaches beyond the crop, which has 112 px a side",
            ),
            (
                "contributions = \"shares\"",
                "",
                "p/model.toml: `face.embedding.width` is 128; it must be `face.map.channels`, 64, \
                 as without `face.contributions` the embedding is the map's maximum",
            ),
            (
                "rival = \"rival\"",
                "rival = \"\"",
                "p/model.toml: `cross_face.rival` is empty; write something there",
            ),
        ],
    );
    let manifest = parse(&good).expect("good");
    let Model::Speaker(speaker) = &manifest.model else { panic!("it is a speaker") };
    assert_eq!(speaker.contracts().len(), 4);
    assert!(speaker.head.past_ticks > 0 && speaker.cross_face.is_some());
}

#[test]
fn a_head_gate_must_cover_both_embeddings() {
    check_table(
        &speaker_text(TinyNetwork::LrAsd),
        &[
            (
                "channels = 16",
                "channels = 8",
                "p/model.toml: `head.gate.channels` is 8; \
                 it must be audio and face embedding together, 16",
            ),
            (
                "layout = \"audio-face\"",
                "layout = \"face-audio\"",
                "p/model.toml: `head.gate.layout` is \"face-audio\"; it must be \"audio-face\"",
            ),
        ],
    );
}

#[test]
fn a_wrong_detector_manifest_is_refused_with_file_key_and_advice() {
    check_table(
        &detector_text(),
        &[
            (
                "family = \"yunet\"",
                "family = \"yolo\"",
                "p/model.toml: `detector.family` is \"yolo\"; it must be \"yunet\"",
            ),
            (
                "strides = [8, 16, 32]",
                "strides = [8, 32, 16]",
                "p/model.toml: `detector.strides` is [8, 32, 16]; \
                 it must name rising strides, as [8, 16, 32]",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = 0.3\nmax_long_side_px = 100",
                "p/model.toml: `detector.max_long_side_px` is 100; it must be a whole number from 320 to \
                 1048576",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = -0.3",
                "p/model.toml: `detector.nms_iou` is -0.3; it must be a probability from 0 to 1",
            ),
            (
                "nms_iou = 0.3",
                "nms_iou = 0.3\nlandmarks = 5",
                "p/model.toml line 19: unknown field `landmarks`, expected one of `family`, \
                 `file`, `input`, `input_size_px`, `strides`, `score_threshold`, `nms_iou`, \
                 `reliable_face_px`, `max_long_side_px`; correct it, or import the package again",
            ),
        ],
    );
}

#[test]
fn a_sum_that_is_none_is_refused() {
    let good = detector_text();
    let sum = good.split("onnx\" = \"").nth(1).and_then(|rest| rest.get(..64)).expect("a sum");
    let error = parse(&good.replace(sum, &sum[1..])).expect_err("63 digits").to_string();
    let wanted = format!(
        "p/model.toml: `files.\"squares.onnx\"` is \"{}\"; \
         it must be a SHA-256 of 64 hex digits",
        &sum[1..]
    );
    assert_eq!(error, wanted);
}

#[test]
fn the_checked_values_are_those_of_the_file() {
    let manifest = parse(&speaker_text(TinyNetwork::LrAsd)).expect("good");
    let Model::Speaker(speaker) = &manifest.model else { panic!("a speaker was written") };
    assert_eq!(manifest.common.name, "tiny-lr");
    assert_eq!(speaker.face.delay_ticks, 9);
    assert_eq!(speaker.face.states.len(), 7);
    assert_eq!(speaker.face.states[1].shape, [4, 4, 56 * 56]);
    assert_eq!(speaker.explain.default_mode, Mode::GateActivation);
    assert_eq!(speaker.explain.default_mode.name(), "gate-activation");
    assert_eq!(speaker.head.gate.as_ref().map(|gate| gate.channels), Some(16));
    assert!(speaker.face.gate.is_none());
}

#[test]
fn a_package_is_opened_only_if_its_files_are_the_ones_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("p");
    let missing = Package::open(&dir).expect_err("nothing is there").to_string();
    assert!(missing.starts_with(&format!("cannot read {}: ", dir.display())), "{missing}");
    std::fs::create_dir(&dir).expect("a folder");
    assert_eq!(
        Package::open(&dir).expect_err("an empty folder").to_string(),
        format!(
            "{} is not a model package: it has no model.toml; \
             make one with `locutor models import`",
            dir.display()
        )
    );

    let package = tiny::write_detector(&dir).expect("an empty folder may be filled");
    let wrong = package.speaker().expect_err("it is a detector").to_string();
    assert_eq!(
        wrong,
        format!(
            "{} is a `face-detector` package, but a `speaker-streaming` package is needed here",
            dir.display()
        )
    );
    let file = package.path(&package.detector().expect("a detector").file);
    let mut bytes = std::fs::read(&file).expect("the graph");
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    let error = Package::open(&dir).expect_err("one bit differs").to_string();
    assert!(error.starts_with(&format!("{} has sha256 ", file.display())), "{error}");
    assert!(error.ends_with("it was changed or damaged: import the package again"), "{error}");
    Package::open_unverified(&PackageLocation::Dir(dir.clone()))
        .expect("the manifest itself is good");
    std::fs::remove_file(&file).expect("removed");
    let error = Package::open(&dir).expect_err("a file is missing").to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", file.display())), "{error}");
}
