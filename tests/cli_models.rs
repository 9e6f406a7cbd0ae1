//! `locutor models`, as a user runs it: what it prints, where, and with which exit code.
#![allow(clippy::unwrap_used, reason = "a test's helpers may panic, too")]

#[path = "support/needs.rs"]
mod needs;

use std::path::PathBuf;
use std::process::{Command, Output};

use locutor::models::tiny::{self, TinyNetwork};

/// A user with nothing but what a test puts into `data/locutor/models`.
struct User {
    home: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn registry(&self) -> PathBuf {
        self.home.path().join("data/locutor/models")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_locutor"));
        command.current_dir(self.home.path()).arg("models").args(args);
        command.env("HOME", self.home.path()).env("XDG_DATA_HOME", self.home.path().join("data"));
        command.env_remove("LOCUTOR_MODELS");
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::from(self.command(args).output().unwrap())
    }

    fn write_tiny(&self) {
        tiny::write_speaker(&self.registry().join("tiny"), TinyNetwork::LightAsd, 1).unwrap();
        tiny::write_detector(&self.registry().join("squares")).unwrap();
    }
}

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

fn upstream(file: &str) -> Option<String> {
    let path = needs::shared(&format!("models/{file}"))?;
    Some(path.canonicalize().unwrap().to_str().unwrap().to_owned())
}

/// Whether graphs can be opened here: then verification must have opened them.
fn has_runtime() -> bool {
    #[cfg(feature = "onnx")]
    let here = locutor::onnx::runtime::load().is_ok();
    #[cfg(not(feature = "onnx"))]
    let here = false;
    if !here {
        needs::skip("the feature onnx and ONNX Runtime");
    }
    here
}

#[test]
fn an_empty_shelf_still_holds_what_is_built_in() {
    let user = User::new();
    let said = user.run(&["list"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let rows: Vec<Vec<&str>> =
        said.out.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let row = |name, kind| vec![name, kind, "MIT", "OR", "Apache-2.0", "yes", "(built", "in)"];
    let wanted = [row("locutor", "speaker-streaming"), row("locutor-faces", "face-detector")];
    assert_eq!(rows, wanted, "{}", said.out);
    let said = user.run(&["verify"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("ok locutor: 4 checksums correct"), "{}", said.out);
}

#[test]
fn a_broken_package_of_a_built_in_name_is_not_passed_over_in_silence() {
    let user = User::new();
    let dir = user.registry().join("locutor");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("model.toml"), "kind = 1").unwrap();
    let said = user.run(&["list"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("model.toml line 1: "), "{}", said.err);
    assert_eq!(user.run(&["verify"]).code, Some(65));
}

#[test]
fn what_cannot_be_imported_is_refused_with_its_own_code() {
    let user = User::new();
    let text = user.home.path().join("text.model");
    std::fs::write(&text, "not a model").unwrap();
    std::fs::write(user.home.path().join("file"), "in the way").unwrap();
    let photos = user.home.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    std::fs::write(photos.join("a.jpg"), "x").unwrap();
    let table: [(&[&str], i32, &str); 6] = [
        (&["import", "resnet", "x"], 2, "error: `resnet` cannot be imported; use light-asd,"),
        (&["import", "yunet"], 2, "error: the following required arguments were not provided"),
        (&["import", "yunet", "a", "b"], 2, "error: importing yunet takes one file (onnx/yunet_n"),
        (&["import", "light-asd", "none.model"], 66, "error: cannot read none.model: No such file"),
        (&["import", "yunet", "photos"], 65, "error: cannot read photos: Is a directory"),
        (
            &["import", "light-asd", "text.model"],
            65,
            "error: text.model is not a checkpoint that can be read: it is not a zip archive",
        ),
    ];
    for (args, code, words) in table {
        let said = user.run(args);
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
        assert!(said.err.starts_with(words), "{args:?}: {}", said.err);
        assert_eq!(said.out, "", "{args:?}");
    }
    let said = user.run(&["import", "resnet", "x"]);
    let kinds = [
        "\n  light-asd  weight/pretrain_AVA_CVPR.model of github.com/Junhua-Liao/Light-ASD\n",
        "\n  lr-asd     weight/pretrain_AVA.model of github.com/Junhua-Liao/LR-ASD\n",
        "\n  yunet      onnx/yunet_n_dynamic.onnx of github.com/ShiqiYu/libfacedetection.train\n",
    ];
    for kind in kinds {
        assert!(said.err.contains(kind), "{kind:?} in {}", said.err);
    }
    assert!(!user.registry().exists(), "nothing was left behind");

    let Some(yunet) = upstream("face/yunet_n_dynamic.onnx") else { return };
    for (into, words) in [
        ("file/package", "error: cannot write file/"),
        ("photos", "error: photos exists and is not a model package, so it is not replaced;"),
    ] {
        let said = user.run(&["import", "yunet", &yunet, "--into", into]);
        assert_eq!(said.code, Some(73), "{said:?}");
        assert!(said.err.starts_with(words), "{}", said.err);
    }
    assert_eq!(std::fs::read(photos.join("a.jpg")).unwrap(), b"x");
}

#[test]
fn imported_weights_are_listed_and_verified() {
    let files = [
        ("lr-asd", "asd/lrasd_pretrain_AVA.model"),
        ("light-asd", "asd/lightasd_pretrain_AVA_CVPR.model"),
        ("yunet", "face/yunet_n_dynamic.onnx"),
    ];
    let user = User::new();
    for (kind, file) in files {
        let Some(file) = upstream(file) else { return };
        let said = user.run(&["import", kind, &file]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let place = user.registry().join(kind);
        let licence = if kind == "yunet" { "Apache-2.0" } else { "MIT" };
        let start = format!("imported {kind} (licence: {licence}, ");
        assert!(said.out.starts_with(&start), "{}", said.out);
        assert!(said.out.contains(&format!("iB) in {}\n", place.display())), "{}", said.out);
        let next = if kind == "yunet" {
            "  next     locutor annotate meeting.mp4 -o meeting.annotated.mp4\n"
        } else {
            "  next     `locutor` stays the default; to use this one: locutor annotate meeting.mp4 "
        };
        assert!(said.out.contains(next), "{}", said.out);
    }
    let again = user.run(&["import", "lr-asd", &upstream(files[0].1).unwrap()]);
    assert!(again.out.starts_with("replaced lr-asd "), "{}", again.out);
    assert!(again.out.contains("`locutor` stays the default"), "{}", again.out);
    assert!(again.out.contains("--package lr-asd\n"), "{}", again.out);

    let listed = user.run(&["list"]);
    let words: Vec<Vec<&str>> =
        listed.out.lines().map(|l| l.split_whitespace().take(4).collect()).collect();
    assert_eq!(words[0], ["NAME", "KIND", "LICENCE", "DEFAULT"]);
    assert_eq!(words[1][..3], ["light-asd", "speaker-streaming", "MIT"]);
    assert_eq!(words[2][..3], ["lr-asd", "speaker-streaming", "MIT"]);
    assert_eq!(words[3], ["yunet", "face-detector", "Apache-2.0", "yes"]);
    assert_eq!(words[4][..2], ["locutor", "speaker-streaming"]);
    assert_eq!((words.len(), listed.err.as_str()), (6, ""), "{listed:?}");

    let said = user.run(&["verify"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out.lines().filter(|l| l.starts_with("ok ")).count(), 5, "{}", said.out);
    if has_runtime() {
        let wanted = "ok light-asd: 3 checksums correct, 3 graphs match their manifest (";
        assert!(said.out.contains(wanted), "{}", said.out);
        assert_eq!(said.err, "");
    }
}

#[test]
fn a_package_elsewhere_is_used_by_its_directory() {
    let Some(yunet) = upstream("face/yunet_n_320_320.onnx") else { return };
    let user = User::new();
    user.write_tiny();
    let said = user.run(&["import", "yunet", &yunet, "--into", "here/fixed"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains(" --detector here/fixed\n"), "{}", said.out);
    let said = user.run(&["verify", "here/fixed"]);
    assert!(said.out.starts_with("ok here/fixed: 1 checksum correct, "), "{said:?}");
}

#[test]
fn the_list_is_machine_readable_and_marks_the_broken() {
    let user = User::new();
    user.write_tiny();
    let broken = user.registry().join("older");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("model.toml"), "kind = \"hmm\"\n").unwrap();
    let said = user.run(&["list", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let rows: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let keys = |key: &str| rows.as_array().unwrap().iter().map(|r| r[key].clone()).collect();
    let names: Vec<serde_json::Value> = keys("name");
    assert_eq!(names, ["older", "squares", "tiny", "locutor", "locutor-faces"]);
    let kinds: Vec<serde_json::Value> = keys("kind");
    assert_eq!(kinds[1..3], ["face-detector", "speaker-streaming"]);
    let defaults: Vec<serde_json::Value> = keys("default");
    assert_eq!(defaults, [false, false, false, true, true]);
    assert!(rows[0]["problem"].as_str().unwrap().contains("`kind` is \"hmm\""), "{rows}");
    assert_eq!(rows[1]["licence"], "MIT OR Apache-2.0");
    let said = user.run(&["list"]);
    let older = said.out.lines().find(|line| line.starts_with("older ")).unwrap_or_default();
    assert_eq!(older.split_whitespace().nth(1), Some("broken"), "{}", said.out);
    assert!(said.err.contains("`kind` is \"hmm\""), "{}", said.err);
    let said = user.run(&["verify"]);
    assert_eq!(said.code, Some(65), "{said:?}");
    assert_eq!(said.out.lines().count(), 4, "the others are verified all the same: {said:?}");
}

#[test]
fn a_damaged_file_is_told_with_both_sums() {
    let user = User::new();
    user.write_tiny();
    let file = user.registry().join("tiny/head.onnx");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let said = user.run(&["verify", "tiny"]);
    assert_eq!(said.code, Some(65), "{said:?}");
    let start = format!("error: {} has sha256 ", file.display());
    assert!(said.err.starts_with(&start), "{}", said.err);
    assert!(said.err.contains(", but model.toml has "), "{}", said.err);
    std::fs::remove_file(&file).unwrap();
    let said = user.run(&["verify", "tiny"]);
    assert_eq!(said.code, Some(65), "a package without one of its files is damaged: {said:?}");
    assert_eq!(user.run(&["verify", "squares"]).code, Some(0));
}

#[test]
fn a_graph_that_differs_from_its_manifest_is_told_with_both_sides() {
    if !has_runtime() {
        return;
    }
    let user = User::new();
    user.write_tiny();
    let path = user.registry().join("tiny/model.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let other = good.replacen("shape = [4]", "shape = [5]", 1);
    assert_ne!(good, other);
    std::fs::write(&path, other).unwrap();
    let said = user.run(&["verify"]);
    assert_eq!(said.code, Some(65), "{said:?}");
    let wanted = "model.toml has input `valid_state` float32[N,5], but the graph has input \
                  `valid_state` float32[free,4]";
    assert!(said.err.contains(wanted), "{}", said.err);
    assert!(said.out.starts_with("ok squares: 1 checksum correct, 1 graph"), "{}", said.out);
}

#[test]
fn without_a_runtime_checksums_are_compared_and_graphs_are_not() {
    let user = User::new();
    user.write_tiny();
    let nowhere = user.home.path().join("nowhere");
    let output = user.command(&["verify"]).env("ORT_DYLIB_PATH", nowhere).output().unwrap();
    let said = Said::from(output);
    assert_eq!(said.code, Some(0), "{said:?}");
    let wanted = "ok tiny: 3 checksums correct, graphs not checked (";
    assert!(said.out.contains(wanted), "{}", said.out);
    let wanted = "note: graphs were not compared with their manifests: ";
    assert!(said.err.starts_with(wanted), "{}", said.err);
}

#[test]
fn a_name_that_is_not_there_and_a_folder_that_is_no_package_are_told_apart() {
    let user = User::new();
    let said = user.run(&["verify", "wavlm"]);
    assert_eq!(said.code, Some(66), "{said:?}");
    assert!(said.err.starts_with("error: there is no model package `wavlm` (looked in "));
    let said = user.run(&["verify", "./"]);
    assert_eq!(said.code, Some(65), "{said:?}");
    assert!(said.err.contains("is not a model package: it has no model.toml"), "{}", said.err);
}
