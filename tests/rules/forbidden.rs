//! Words that no file holds, and files that are not stored here.

use std::path::Path;

use crate::tree::{files, none_of, root, text};

/// Bytes of one stored file, at most.
const FILE_BYTES: u64 = 4 << 20;

/// Files that hold weights.
const WEIGHTS: [&str; 9] =
    ["onnx", "model", "pt", "pth", "ckpt", "safetensors", "tflite", "engine", "ort"];

/// Whether `text` has the absolute path `folder/…`: the folder of someone's own machine.
fn has_path(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        // Behind a letter, a dot or a brace it goes on from another folder or a variable.
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}*".contains(c))
    })
}

/// Every line of every text for which `breaks` holds.
fn lines(breaks: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files() {
        // The lock file names the registry by its protocol; this file names what it forbids.
        if file == Path::new("Cargo.lock") || file == Path::new("tests/rules/forbidden.rs") {
            continue;
        }
        let Some(text) = text(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            if breaks(&file, line) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn nothing_is_left_to_be_done() {
    let words = ["todo!(", "unimplemented!(", "TODO(", "FIXME", "XXX"];
    none_of(
        "nothing is left to be done in what is stored",
        &lines(|_, line| words.iter().any(|word| line.contains(word))),
    );
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let folders = ["work", "root", "home", "Users"].map(|name| format!("/{name}/"));
    none_of(
        "paths are relative to the repository, or the user's own",
        &lines(|_, line| folders.iter().any(|folder| has_path(line, folder))),
    );
}

#[test]
fn no_file_names_a_registrys_host() {
    let hosts = [
        "index.crates.io",
        "static.crates.io",
        "pypi.org",
        "pythonhosted.org",
        "deb.debian.org",
        "security.debian.org",
        "registry.npmjs.org",
        "proxy.golang.org",
    ];
    none_of(
        "packages are asked for by name; where they come from is the machine's own setting",
        &lines(|_, line| hosts.iter().any(|host| line.contains(host))),
    );
}

#[test]
fn no_large_file_is_stored() {
    let mut large = Vec::new();
    for file in files() {
        let bytes = std::fs::metadata(root().join(&file)).expect("a listed file is there").len();
        if bytes > FILE_BYTES {
            large.push(format!("{}: {bytes} bytes", file.display()));
        }
    }
    none_of(&format!("a stored file has at most {FILE_BYTES} bytes"), &large);
}

#[test]
fn no_weights_but_our_own_are_stored() {
    let mut foreign = Vec::new();
    for file in files() {
        let weights = file.extension().is_some_and(|e| WEIGHTS.iter().any(|w| e == *w));
        if weights && !is_ours(&file) {
            foreign.push(file.display().to_string());
        }
    }
    none_of(
        "weights lie in a package of our own whose manifest says `licence = \"MIT OR \
         Apache-2.0\"`: those of others are imported, not stored",
        &foreign,
    );
}

/// Where packages of this project's own lie: those that ship, and those that may one day.
const OURS: [&str; 2] = ["models", "training/candidates"];

/// Whether the file lies in a package of this project's own.
fn is_ours(file: &Path) -> bool {
    let package = file.parent().filter(|_| OURS.iter().any(|dir| file.starts_with(dir)));
    let manifest = package.map(|package| package.join("model.toml"));
    let manifest = manifest.filter(|file| root().join(file).is_file());
    manifest
        .and_then(|file| text(&file))
        .is_some_and(|text| text.lines().any(|l| l == "licence = \"MIT OR Apache-2.0\""))
}

#[test]
fn a_machines_paths_are_told_from_others() {
    assert!(has_path("see /home/me/x", "/home/") && has_path("\"/home/x\"", "/home/"));
    assert!(!has_path("https://example.org/home/x", "/home/"));
    assert!(!has_path("../home/x", "/home/") && !has_path("${HOME}/home/", "/home/"));
}
