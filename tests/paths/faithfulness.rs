//! `locutor faithfulness` on recordings and models that the repository makes itself, and on real
//! ones where they are here.

use std::path::Path;
use std::sync::OnceLock;

use locutor::models::tiny::{self, TinyNetwork};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::{Said, locutor, real_models};
use crate::media::{Media, PLAIN};
use crate::needs::shared;

/// A small network with random weights that happens to call the ball a speaker, and a detector.
fn talkative() -> &'static Path {
    static MODELS: OnceLock<TempDir> = OnceLock::new();
    let folder = MODELS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        tiny::write_speaker(&at("talker"), TinyNetwork::LrAsd, 4).unwrap();
        tiny::write_detector(&at("squares")).unwrap();
        folder
    });
    folder.path()
}

/// A folder with a ball of four seconds in `ball.mp4`, and the same without audio.
fn balls() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    Media { frames: 100, ..PLAIN }.make(&at("ball.mp4"));
    Media { frames: 100, audio: &[], ..PLAIN }.make(&at("mute.mp4"));
    std::fs::write(at("text.mp4"), "not a film, just words, \n".repeat(100)).unwrap();
    folder
}

const TINY: [&str; 4] = ["--package", "talker", "--detector", "squares"];

fn faithfulness(models: &Path, folder: &Path, args: &[&str]) -> Said {
    locutor(models, folder).arg("faithfulness").args(args).output().unwrap().into()
}

fn find<'a>(report: &'a Value, map: &str) -> &'a Value {
    let maps = report["maps"].as_array().unwrap();
    maps.iter().find(|m| m["map"] == map).unwrap_or_else(|| panic!("no {map} in {report}"))
}

#[test]
fn every_map_and_control_is_measured_and_the_same_again() {
    let folder = balls();
    let args = [&["ball.mp4", "mute.mp4", "--json", "--seed", "5"][..], &TINY].concat();
    let said = faithfulness(talkative(), folder.path(), &args);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.err.starts_with("note: only 1 windows, where reliable figures need 30"),
        "{}",
        said.err
    );
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&report["package"], &report["detector"]),
        (&"tiny-lr".into(), &"tiny-detector".into())
    );
    assert_eq!(report["window_seconds"], 2.0);
    let clips = report["clips"].as_array().unwrap();
    assert_eq!((&clips[0]["tracks"], &clips[0]["windows"]), (&1.into(), &1.into()));
    assert!(clips[1]["note"].as_str().unwrap().contains("no audio"), "{report}");
    let window = &report["windows"][0];
    assert!(window["mean_p"].as_f64().unwrap() > 0.8, "{window}");
    assert!((0.0..=2.0).contains(&window["start_seconds"].as_f64().unwrap()), "{window}");
    for map in ["paper", "gate-activation", "ablation"] {
        let found = find(&report, map);
        assert_eq!(found["control"], false);
        assert_eq!(found["windows"].as_u64().unwrap() + found["empty"].as_u64().unwrap(), 1);
    }
    for control in ["mean of all channels", "fixed mouth box", "random blob"] {
        let found = find(&report, control);
        assert_eq!((&found["control"], &found["windows"]), (&true.into(), &1.into()));
        let mean = |of: &str| {
            let areas = found[of].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
            areas.sum::<f64>() / 3.0
        };
        let gap = found["gap"]["mean"].as_f64().unwrap();
        assert!((gap - (mean("insertion") - mean("deletion"))).abs() < 1e-4, "{found}");
        assert!((gap - window["gaps"][control].as_f64().unwrap()).abs() < 1e-6, "{found}");
    }
    for control in
        ["paper, permuted gates", "gate-activation, permuted choice", "ablation, permuted effects"]
    {
        find(&report, control);
    }
    let again = faithfulness(talkative(), folder.path(), &args);
    assert_eq!(again.out, said.out, "the same seed gives the same figures");
}

#[test]
fn the_table_tells_the_same_as_words_and_modes_can_be_chosen() {
    let folder = balls();
    let more =
        ["ball.mp4", "--explain", "gate-activation", "--seconds", "1", "--substrate", "still"];
    let said = faithfulness(talkative(), folder.path(), &[&more[..], &TINY].concat());
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    for words in [
        "tiny-lr on cpu, faces by tiny-detector; 1 windows of 1 s, substrate still, seed 0\n",
        "clip      tracks  windows  silent too short    skipped\n",
        "ball.mp4       1        1       0         0          0\n",
        "\nfixed mouth box (control) ",
        "\ngate-activation, permuted choice (control) ",
    ] {
        assert!(said.out.contains(words), "{words:?} in\n{}", said.out);
    }
    assert!(!said.out.contains("\nablation") && !said.out.contains("\npaper"), "{}", said.out);
}

#[test]
fn what_cannot_be_measured_is_told() {
    let folder = balls();
    let table: [(&[&str], i32, &str); 7] = [
        (&["gone.mp4"], 66, "gone.mp4: no such file"),
        (&["text.mp4"], 65, "text.mp4: not a media file"),
        (&["mute.mp4"], 65, "(it has no audio, so no face can be scored)"),
        (&["ball.mp4", "--seconds", "20"], 65, "of 1 tracks 0 are silent and 1 too short"),
        (&["ball.mp4", "--explain", "paper,none"], 2, "write paper, gate-activation or ablation"),
        (&["ball.mp4", "--windows", "0"], 2, "a whole number above 0"),
        (&["ball.mp4", "--device", "toaster"], 2, "toaster"),
    ];
    for (args, code, words) in table {
        let said = faithfulness(talkative(), folder.path(), &[args, &TINY].concat());
        assert_eq!(said.code, Some(code), "{args:?}: {}{}", said.out, said.err);
        assert!(said.err.contains(words), "{args:?}: {}", said.err);
        assert_eq!(said.out, "", "{args:?}");
    }
}

#[test]
fn on_a_real_face_maps_of_the_released_model_beat_noise() {
    let (Some(clips), Some(models)) = (shared("clips"), real_models()) else { return };
    let clip = clips.join("vr_face2.mp4").canonicalize().unwrap();
    let home = tempfile::tempdir().unwrap();
    let more = ["--package", "light-asd", "--detector", "yunet", "--json"];
    let args = [&[clip.to_str().unwrap()][..], &more].concat();
    let said = faithfulness(models, home.path(), &args);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let gap = |map: &str| find(&report, map)["gap"]["mean"].as_f64().unwrap();
    // Its gate is the identity, which singles out no channel.
    assert_eq!(find(&report, "paper")["empty"], 1, "{report}");
    for mode in ["gate-activation", "ablation"] {
        assert!(gap(mode) > gap("random blob") + 1.0, "{mode}: {report}");
    }
    let z = |of: &str| report[of]["mean"].as_f64().unwrap();
    assert!(z("z_full") > z("z_masked") + 2.0, "{report}");
}
