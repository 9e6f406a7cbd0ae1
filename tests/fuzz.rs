//! Random bytes at everything that reads what others wrote: stream files, model manifests, addresses,
//! and SE maps of any tensor. Nothing may panic, hang, or repeat a secret.
//!
//! Each target starts from the corpus in `tests/fuzz/corpus/` and changes it at random. All that is
//! random comes from a seed, 1 or `FUZZ_SEED`, so that the n-th input is the same in every run; a
//! failure names both. Two seconds each here; `make fuzz` takes ten minutes each (`FUZZ_SECONDS`).
#![cfg(all(feature = "gst", feature = "onnx"))]

#[path = "fuzz/tokens.rs"]
mod tokens;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use locutor::config::any::{AnyPipeline, parse_any};
use locutor::config::camera::Camera;
use locutor::config::camera::secret::Secrets;
use locutor::core::address;
use locutor::core::rng::SeededRng;
use locutor::core::time::Span;
use locutor::live::check::render;
use locutor::models::explain::Mode;
use locutor::models::explain::ScaleRule;
use locutor::models::manifest::Manifest;
use locutor::stages::explain::scale::RunningScale;
use locutor::stages::explain::upsample::Bicubic;
use locutor::stages::explain::{FeatureMap, raw_map};
use locutor::stages::sink::settings::SinkSettings;

use tokens::{Planted, Position, plant, plant_in_address};

fn seconds() -> Duration {
    let asked = std::env::var("FUZZ_SECONDS").ok();
    Duration::from_secs(asked.map_or(2, |s| s.parse().expect("FUZZ_SECONDS is a whole number")))
}

fn seed() -> u64 {
    std::env::var("FUZZ_SEED").ok().map_or(1, |s| s.parse().expect("FUZZ_SEED is a whole number"))
}

/// Names the input at work, should the test fail.
struct Input<'a> {
    target: &'a str,
    number: u64,
    bytes: Vec<u8>,
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (target, number, seed) = (self.target, self.number, seed());
            eprintln!("{target}: input {number} of FUZZ_SEED={seed} failed:");
            eprintln!("{}", String::from_utf8_lossy(&self.bytes));
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = std::fs::read_dir(folder).expect("a corpus");
    let mut all: Vec<_> = files.map(|f| f.expect("a file").path()).collect();
    all.sort();
    all.iter().map(|f| std::fs::read(f).expect("its bytes")).collect()
}

/// Runs `target` on the members of the corpus, then on changed ones until the time is over. It gets
/// random numbers of its own for each input.
fn fuzz(name: &str, mut target: impl FnMut(&[u8], &mut SeededRng)) {
    let corpus = corpus(name);
    let (mut chance, begun) = (SeededRng::new(seed()), Instant::now());
    let mut input = Input { target: name, number: 0, bytes: Vec::new() };
    while begun.elapsed() < seconds() || input.number <= corpus.len() as u64 {
        input.bytes = match corpus.get(usize::try_from(input.number).unwrap_or(usize::MAX)) {
            Some(whole) => whole.clone(),
            None => corpus[chance.next_below(corpus.len())].clone(),
        };
        if input.number >= corpus.len() as u64 {
            for _ in 0..=chance.next_below(6) {
                change(&mut input.bytes, &corpus, &mut chance);
            }
        }
        target(&input.bytes, &mut SeededRng::new(chance.next_u64()));
        input.number += 1;
    }
    println!("{name}: {} inputs from seed {}, no finding", input.number, seed());
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

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `f`, which is to log to `log` at every level.
fn logged<T>(log: &Log, f: impl FnOnce() -> T) -> T {
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, f)
}

/// What a camera that was accepted holds, whatever its file says.
fn check_accepted(camera: &Camera, planted: &Planted) {
    let mut urls = vec![&camera.source.uri];
    urls.extend(camera.sinks.iter().filter_map(|sink| match sink {
        SinkSettings::RtspPush { uri, .. } | SinkSettings::Webhook { uri, .. } => Some(uri),
        SinkSettings::Mqtt(mqtt) => Some(&mqtt.broker),
        _ => None,
    }));
    for url in urls {
        assert!(url.password().is_none() && url.username().is_empty(), "a login in an address");
    }
    assert!((1..=25).contains(&camera.hop_ticks) && camera.source.audio_track >= 1);
    assert!(camera.source.retry_min <= camera.source.retry_max);
    let shown = render(camera, None);
    assert!(shown.contains(&camera.name), "{shown}");
    let repeated = planted.repeated_in(&shown);
    assert!(repeated.is_none(), "{repeated:?} is shown: {shown}");
    // A secret that can be refused was refused: what is left are addresses' queries.
    let held = format!("{camera:?}");
    let kept = planted.tokens.iter().find(|t| held.contains(&t.secret));
    assert!(kept.is_none_or(|t| t.position == Position::Query), "{kept:?} is accepted: {held}");
}

#[test]
fn stream_files() {
    let log = Log::default();
    let (mut accepted, mut rejected) = (0_u64, 0_u64);
    // Secrets by position, in accepted and in rejected files.
    let mut secrets = [[0_u64; 2]; Position::ALL.len()];
    logged(&log, || {
        fuzz("camera", |bytes, rng| {
            let every = [1, 4, 1_000][rng.next_below(3)];
            let planted = plant(&String::from_utf8_lossy(bytes), every, rng);
            let read = parse_any(&planted.text, Path::new("fuzz.toml"), &Secrets::NotLookedUp);
            let is_rejected = read.is_err();
            match read {
                Ok(AnyPipeline::Camera(camera)) => check_accepted(&camera, &planted),
                Ok(AnyPipeline::Recording(recording)) => {
                    assert!(recording.audio_track >= 1, "{recording:?}");
                }
                Err(e) => {
                    let said = e.to_string();
                    assert!(said.starts_with("fuzz.toml: "), "the file is not named: {said}");
                    let repeated = planted.repeated_in(&said);
                    assert!(repeated.is_none(), "{repeated:?} is repeated: {said}");
                }
            }
            let said = log.take();
            assert!(planted.repeated_in(&said).is_none(), "a secret is logged: {said}");
            *if is_rejected { &mut rejected } else { &mut accepted } += 1;
            for token in &planted.tokens {
                secrets[token.position as usize][usize::from(is_rejected)] += 1;
            }
        });
    });
    println!("{accepted} accepted, {rejected} rejected; secrets: {:?} {secrets:?}", Position::ALL);
    assert!(accepted > 0 && rejected > 0, "{accepted} accepted, {rejected} rejected");
    assert!(secrets.iter().all(|[_, rejected]| *rejected > 0), "no secret there: {secrets:?}");
    assert!(secrets[Position::Query as usize][0] > 0, "no query was accepted: {secrets:?}");
}

/// The corpus itself is accepted; with one secret at one place it is refused, without a word of it.
#[test]
fn one_secret_in_a_good_file() {
    let mut rng = SeededRng::new(seed());
    let read = |text: &str| parse_any(text, Path::new("fuzz.toml"), &Secrets::NotLookedUp);
    let mut refused = 0;
    for file in corpus("camera") {
        let text = String::from_utf8(file).expect("a text");
        let AnyPipeline::Camera(_) = read(&text).expect("a good file") else { continue };
        for _ in 0..200 {
            let planted = plant(&text, 10, &mut rng);
            let [token] = &planted.tokens[..] else { continue };
            let line =
                planted.text.lines().find(|l| l.contains(&token.secret)).expect("it is there");
            let is_comment = line.find('#').is_some_and(|at| line.find(&token.secret) > Some(at));
            match read(&planted.text) {
                Ok(_) => {
                    let is_fine = is_comment || token.position == Position::Query;
                    assert!(is_fine, "FUZZ_SEED={}: accepted: {line}", seed());
                }
                Err(e) => {
                    assert!(!is_comment, "FUZZ_SEED={}: a comment is read: {line}: {e}", seed());
                    assert_ne!(token.position, Position::Query, "{line}: {e}");
                    assert!(planted.repeated_in(&e.to_string()).is_none(), "{e}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 20, "{refused} were refused");
}

#[test]
fn manifests() {
    fuzz("manifest", |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        let _ = Manifest::parse(&text, Path::new("model.toml"));
    });
}

#[test]
fn addresses() {
    let (mut accepted, mut rejected) = (0_u64, 0_u64);
    fuzz("address", |bytes, rng| {
        let text = String::from_utf8_lossy(bytes);
        let planted = plant_in_address(&text, rng);
        match address::source(&planted.text, Path::new("/folder")) {
            Ok(url) => {
                accepted += 1;
                assert!(url.password().is_none() && url.username().is_empty(), "{url}");
                let shown = address::redacted(&url);
                // Cameras take passwords in queries: none is shown.
                let query = shown.split_once('?').map(|(_, query)| query);
                assert!(query.is_none_or(|query| query == "…"), "{shown}");
                assert!(planted.repeated_in(&shown).is_none(), "{shown}");
            }
            Err(said) => {
                rejected += 1;
                assert!(planted.repeated_in(&said).is_none(), "{said}");
            }
        }
    });
    assert!(accepted > 0 && rejected > 0, "{accepted} accepted, {rejected} rejected");
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
    let (mut chance, begun, mut maps) = (SeededRng::new(seed()), Instant::now(), 0_u64);
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
    println!("{maps} maps from seed {}, no finding", seed());
    assert!(maps > 0);
}
