//! Bytes by lot at everything that reads what others wrote: stream files, model manifests, addresses,
//! and SE maps of any tensor. Nothing may panic, hang, or repeat a password.
//!
//! Each target starts from the corpus in `tests/fuzz/corpus/` and changes it at random, from a seed
//! that is told. Two seconds each here; `make fuzz` takes ten minutes each (`FUZZ_SECONDS`).
#![cfg(all(feature = "gst", feature = "onnx"))]

use std::path::Path;
use std::time::{Duration, Instant};

use locutor::config::any::parse_any;
use locutor::config::camera::secret::Secrets;
use locutor::core::address;
use locutor::core::rng::SeededRng;
use locutor::core::time::Span;
use locutor::models::explain::Mode;
use locutor::models::explain::ScaleRule;
use locutor::models::manifest::Manifest;
use locutor::stages::explain::scale::RunningScale;
use locutor::stages::explain::upsample::Bicubic;
use locutor::stages::explain::{FeatureMap, raw_map};

/// What no error may repeat.
const SECRET: &str = "hunter2-hunter2";

fn seconds() -> Duration {
    let asked = std::env::var("FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(asked.unwrap_or(2))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = std::fs::read_dir(folder).expect("a corpus");
    let mut all: Vec<_> = files.map(|f| f.expect("a file").path()).collect();
    all.sort();
    all.iter().map(|f| std::fs::read(f).expect("its bytes")).collect()
}

/// Runs `target` on changed members of the corpus until the time is over.
fn fuzz(name: &str, mut target: impl FnMut(&[u8])) {
    let corpus = corpus(name);
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let (mut chance, begun, mut runs) = (SeededRng::new(seed), Instant::now(), 0_u64);
    corpus.iter().for_each(|whole| target(whole));
    while begun.elapsed() < seconds() {
        let mut bytes = corpus[chance.next_below(corpus.len())].clone();
        for _ in 0..=chance.next_below(6) {
            change(&mut bytes, &corpus, &mut chance);
        }
        target(&bytes);
        runs += 1;
    }
    println!("{name}: {runs} inputs from seed {seed}, no finding");
    assert!(runs > 0);
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], chance: &mut SeededRng) {
    const WORDS: [&str; 14] = [
        "\"",
        "'",
        "=",
        "[",
        "]]",
        "\n",
        "..",
        "/",
        "\u{0}",
        "99999999999999999999",
        "-1",
        "nan",
        "@",
        "%",
    ];
    let at = chance.next_below(bytes.len() + 1);
    match chance.next_below(6) {
        0 if !bytes.is_empty() => {
            let at = at.min(bytes.len() - 1);
            bytes[at] = chance.next_u64() as u8;
        }
        1 => drop(bytes.drain(at..(at + chance.next_below(12)).min(bytes.len()))),
        2 => {
            let word = WORDS[chance.next_below(WORDS.len())];
            bytes.splice(at..at, word.bytes());
        }
        3 => {
            let other = &corpus[chance.next_below(corpus.len())];
            let from = chance.next_below(other.len() + 1);
            let until = (from + chance.next_below(80)).min(other.len());
            bytes.splice(at..at, other[from..until].iter().copied());
        }
        4 => bytes.truncate(at),
        _ => {
            let until = (at + chance.next_below(40)).min(bytes.len());
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

#[test]
fn stream_files() {
    let mut taken = 0;
    fuzz("camera", |bytes| {
        let text = String::from_utf8_lossy(bytes).replace("camera.lan", SECRET);
        let text = text.replacen("rtsp://", &format!("rtsp://u:{SECRET}@"), 1);
        match parse_any(&text, Path::new("fuzz.toml"), &Secrets::NotLookedUp) {
            Ok(_) => taken += 1,
            Err(e) => {
                let said = e.to_string();
                assert!(!said.contains(&format!("u:{SECRET}")), "a password is repeated: {said}");
            }
        }
    });
    println!("{taken} were taken");
}

#[test]
fn manifests() {
    fuzz("manifest", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = Manifest::parse(&text, Path::new("model.toml"));
    });
}

#[test]
fn addresses() {
    fuzz("address", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(url) = address::source(&text, Path::new("/folder")) {
            assert!(url.password().is_none() && url.username().is_empty(), "{url}");
            let shown = address::redacted(&url);
            // Cameras take passwords in queries: none is shown.
            let query = shown.split_once('?').map(|(_, query)| query);
            assert!(query.is_none_or(|query| query == "…"), "{shown}");
        }
    });
}

#[test]
fn maps_of_any_tensor() {
    const ODD: [f32; 9] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        -0.0,
        0.0,
        1e30,
    ];
    let (mut chance, begun, mut maps) = (SeededRng::new(1), Instant::now(), 0_u64);
    while begun.elapsed() < seconds() {
        let (channels, height, width) =
            (chance.next_below(9), chance.next_below(9), chance.next_below(9));
        let mut value = || match chance.next_below(3) {
            0 => ODD[chance.next_below(ODD.len())],
            _ => chance.next_f32() * 4.0 - 2.0,
        };
        let values: Vec<f32> = (0..channels * height * width).map(|_| value()).collect();
        let gate: Vec<f32> = (0..channels).map(|_| value()).collect();
        let Some(map) = FeatureMap::new(&values, channels, height, width) else { continue };
        for mode in Mode::ALL {
            let mut out = vec![0.0; map.cells()];
            if raw_map(mode, &map, &gate, Some(&gate), &mut out).is_err() {
                continue;
            }
            let mut scale = RunningScale::new(ScaleRule::new(1.0).expect("a rule"));
            scale.update(&out, Span::from_ms(40));
            if let Some(heat) = scale.heatmap(out.into(), width, height) {
                assert!(heat.values().iter().all(|v| (0.0..=1.0).contains(v)), "{heat:?}");
                if let Some(mut up) = Bicubic::new((width, height), (28, 28)) {
                    let drawn = up.evidence(heat.values());
                    // Bicubic overshoots upwards; the painter cuts that off.
                    assert!(drawn.iter().all(|v| v.is_finite() && *v >= 0.0), "{drawn:?}");
                }
            }
            maps += 1;
        }
    }
    println!("{maps} maps from seed 1, no finding");
    assert!(maps > 0);
}
