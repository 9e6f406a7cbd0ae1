//! The graphs themselves, through ONNX Runtime: equal to the released networks, and streaming.
#![cfg(feature = "onnx")]

#[path = "models_graphs/batches.rs"]
mod batches;
#[path = "models_graphs/bound.rs"]
mod bound;
#[path = "models_graphs/detector.rs"]
mod detector;
#[path = "models_graphs/golden.rs"]
mod golden;
#[path = "support/needs.rs"]
mod needs;
#[path = "models_graphs/speaker.rs"]
mod speaker;

use std::path::Path;

use locutor::models::device::Device;
use locutor::models::import::{ImportKind, import};
use locutor::models::tiny::{self, TinyNetwork};
use locutor::models::{ModelError, Package};
use locutor::onnx::session::{self, SessionError, SessionOptions};
use speaker::{Speaker, far, noise};

pub(crate) const CPU: SessionOptions = SessionOptions { device: Device::Cpu, intra_threads: 1 };

const TINY: [TinyNetwork; 2] = [TinyNetwork::LightAsd, TinyNetwork::LrAsd];

fn tiny_speaker(network: TinyNetwork) -> (tempfile::TempDir, Package) {
    let folder = tempfile::tempdir().expect("a folder");
    let package = tiny::write_speaker(&folder.path().join("p"), network, 7).expect("a package");
    (folder, package)
}

#[test]
fn released_networks_are_matched_on_real_faces_fed_in_any_pieces() {
    let networks = [
        (ImportKind::LightAsd, "asd/lightasd_pretrain_AVA_CVPR.model", "light_ava"),
        (ImportKind::LrAsd, "asd/lrasd_pretrain_AVA.model", "lr_ava"),
    ];
    for (kind, file, name) in networks {
        let Some(file) = needs::shared(&format!("models/{file}")) else {
            return;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let package = import(kind, &[file], &folder.path().join("p")).expect("imported");
        let mut speaker = Speaker::open(&package);
        for clip in ["debate_mexca", "aoc_512"] {
            let Some(golden) = golden::Golden::read(clip, name) else {
                return;
            };
            let pieces = [3, 1, 11, 5, 7, 2];
            let face = speaker.encode_faces(&golden.crops, 50, &pieces);
            assert!(far(&face.embeddings, &golden.face_embedding) <= 1e-4, "{name} {clip}: face");
            let audio = speaker.encode_audio(&golden.rows);
            assert!(far(&audio, &golden.audio_embedding) <= 1e-4, "{name} {clip}: audio");
            let head = speaker.head(&audio, &face.embeddings, None);
            assert!(far(&head.probabilities(), &golden.prob) <= 1e-4, "{name} {clip}: p");
            let raw: Vec<f32> = head.logits.chunks(2).map(|z| z[1]).collect();
            assert!(far(&raw, &golden.raw_score) <= 1e-4, "{name} {clip}: logits");

            let whole = speaker.encode_faces(&golden.crops, 50, &[64]);
            assert!(far(&face.embeddings, &whole.embeddings) <= 1e-5, "{name} {clip}: pieces");
            assert!(far(&face.maps, &whole.maps) <= 1e-5, "{name} {clip}: maps in pieces");
        }
    }
}

#[test]
fn a_track_in_pieces_equals_the_track_as_a_whole() {
    for network in TINY {
        let (_folder, package) = tiny_speaker(network);
        let mut speaker = Speaker::open(&package);
        let crops = noise(1, 17 * 112 * 112, 255.0);
        let whole = speaker.encode_faces(&crops, 17, &[64]);
        for pieces in [&[1][..], &[5], &[2, 9, 1], &[16, 1]] {
            let parts = speaker.encode_faces(&crops, 17, pieces);
            assert!(far(&parts.embeddings, &whole.embeddings) <= 1e-5, "{network:?} {pieces:?}");
            assert!(far(&parts.maps, &whole.maps) <= 1e-5, "{network:?} {pieces:?}");
        }
        // The delay is what the manifest says, and the ends matter: a shorter track differs at
        // its own end only.
        let shorter = speaker.encode_faces(&crops[..16 * 112 * 112], 16, &[4]);
        let width = whole.embeddings.len() / 17;
        let reach = speaker.manifest.face.delay_ticks;
        let same = (16 - reach) * width;
        assert!(far(&shorter.embeddings[..same], &whole.embeddings[..same]) <= 1e-5);
        assert!(far(&shorter.embeddings[same..], &whole.embeddings[same..16 * width]) > 1e-5);
    }
}

#[test]
fn tracks_of_a_batch_do_not_touch_each_other() {
    for network in TINY {
        let (_folder, package) = tiny_speaker(network);
        let mut speaker = Speaker::open(&package);
        let tracks = [noise(2, 6 * 112 * 112, 255.0), noise(3, 6 * 112 * 112, 255.0)];
        let both = speaker.run_faces(&tracks.concat(), &[1.0; 12], 2, speaker.fresh(2));
        for (n, track) in tracks.iter().enumerate() {
            let alone = speaker.run_faces(track, &[1.0; 6], 1, speaker.fresh(1));
            let half = both.embeddings.len() / 2;
            assert!(far(&both.embeddings[n * half..(n + 1) * half], &alone.embeddings) <= 1e-5);
            for (batch, one) in both.states.iter().zip(&alone.states) {
                let half = batch.len() / 2;
                assert!(far(&batch[n * half..(n + 1) * half], one) <= 1e-5, "{network:?} state");
            }
        }
    }
}

#[test]
fn the_inserted_gate_changes_nothing_and_scales_what_it_gates() {
    let (_folder, package) = tiny_speaker(TinyNetwork::LightAsd);
    let mut speaker = Speaker::open(&package);
    let face = speaker.run_faces(&noise(4, 9 * 112 * 112, 255.0), &[1.0; 9], 1, speaker.fresh(1));
    let gate = face.gate.expect("Light-ASD gets a gate");
    assert_eq!(gate.len(), face.embeddings.len());
    assert!(gate.iter().all(|&g| g == 1.0), "identity to the last bit");
    let map = &speaker.manifest.face.map;
    let peaks: Vec<f32> = face
        .maps
        .chunks(map.height * map.width)
        .map(|cells| cells.iter().copied().fold(0.0, f32::max))
        .collect();
    assert_eq!(peaks, face.embeddings, "the embedding is the map's maximum");
    assert!(peaks.iter().any(|&p| p > 0.0), "the map says something");
}

#[test]
fn the_forward_state_is_carried_exactly() {
    for network in TINY {
        let (_folder, package) = tiny_speaker(network);
        let mut speaker = Speaker::open(&package);
        let width = speaker.manifest.face.embedding.width;
        let (audio, face) = (noise(5, 20 * width, 1.0), noise(6, 20 * width, 1.0));
        let whole = speaker.head(&audio, &face, None);
        let state = speaker.manifest.head.forward_state.width;
        let carried = &whole.forward_states[7 * state..8 * state];
        let rest = speaker.head(&audio[8 * width..], &face[8 * width..], Some(carried));
        assert!(far(&rest.logits, &whole.logits[16..]) <= 1e-5, "{network:?}");
        assert!(far(&rest.forward_states, &whole.forward_states[8 * state..]) <= 1e-5);
        let fresh = speaker.head(&audio[8 * width..], &face[8 * width..], None);
        assert!(far(&fresh.logits, &whole.logits[16..]) > 1e-5, "the state matters");
        let gate = network == TinyNetwork::LrAsd;
        assert_eq!(whole.gate.map(|g| g.len()), gate.then_some(20 * 2 * width));
    }
}

#[test]
fn audio_reaches_as_far_as_the_manifest_says() {
    for network in TINY {
        let (_folder, package) = tiny_speaker(network);
        let mut speaker = Speaker::open(&package);
        let (reach, width) =
            (speaker.manifest.audio.reach_ticks, speaker.manifest.audio.embedding.width);
        let rows = noise(7, 40 * 4 * 13, 20.0);
        let whole = speaker.encode_audio(&rows);
        // The middle tick from a window of `context` ticks on each side.
        let from = |speaker: &mut Speaker, context: usize| {
            let part = speaker.encode_audio(&rows[(20 - context) * 52..(21 + context) * 52]);
            far(&part[context * width..][..width], &whole[20 * width..][..width])
        };
        assert!(from(&mut speaker, reach) <= 1e-5, "{network:?}: enough");
        assert!(from(&mut speaker, reach - 1) > 1e-5, "{network:?}: no more than needed");
    }
}

/// What is replaced in the manifest, by what, and a part of what either side then says.
const MISMATCHES: [(&str, &str, &str, &str); 4] = [
    (
        "shape = [4]",
        "shape = [5]",
        "input `valid_state` float32[N,5]",
        "input `valid_state` float32[free,4]",
    ),
    (
        "name = \"map\"",
        "name = \"maps\"",
        "output `maps` float32[N,T,8,14,14]",
        "outputs `valid_state_next`, ",
    ),
    ("channels = 8", "channels = 9", "output `embedding` float32[N,T,9]", "[free,free,8]"),
    (
        "[[face.states]]\ninput = \"block1_t_3_state\"\noutput = \"block1_t_3_state_next\"\n\
             shape = [4, 3, 3136]\n",
        "",
        "inputs `frames`, ",
        "a further input `block1_t_3_state` float32[free,4,3,3136]",
    ),
];
#[test]
fn a_graph_that_differs_from_its_manifest_is_refused_with_both_sides() {
    let (_folder, package) = tiny_speaker(TinyNetwork::LightAsd);
    let path = package.location().path("model.toml");
    let good = std::fs::read_to_string(&path).expect("the manifest");
    for (from, to, ours, theirs) in MISMATCHES {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from:?} is in the manifest");
        // A map of 9 channels must be told to the embedding, or the manifest contradicts itself.
        let text = if to == "channels = 9" {
            text.replacen("name = \"embedding\"\nwidth = 8", "name = \"embedding\"\nwidth = 9", 1)
        } else {
            text
        };
        std::fs::write(&path, text).expect("written");
        let changed = Package::open_at(package.location()).expect("the manifest alone is good");
        let face = &changed.speaker().expect("a speaker").face.file;
        let error = session::open(&changed, face, &CPU).expect_err("refused");
        assert!(matches!(&error, SessionError::Model(ModelError::Contract { .. })), "{error}");
        let error = error.to_string();
        let start = format!("{}: model.toml has ", changed.path(face).display());
        assert!(error.starts_with(&start), "{error}");
        let (said, found) =
            error[start.len()..].split_once(", but the graph has ").expect("both sides are told");
        assert!(said.contains(ours), "{said}");
        assert!(found.contains(theirs), "{found}");
    }
}

#[test]
fn a_file_that_is_no_graph_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = tiny::write_detector(&folder.path().join("p")).expect("a package");
    let file = package.detector().expect("a detector").file.clone();
    std::fs::write(package.path(&file), b"no graph").expect("written");
    let error = session::open(&package, &file, &CPU).expect_err("refused").to_string();
    let wanted = format!("{} cannot be opened: ", package.path(&file).display());
    assert!(error.starts_with(&wanted), "{error}");
}

#[test]
fn a_device_is_had_or_refused_but_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = tiny::write_detector(&folder.path().join("p")).expect("a package");
    let file = &package.detector().expect("a detector").file;
    let cuda = Device::Cuda { gpu: 99, tf32: false };
    for device in [cuda, Device::TensorRt { gpu: 99, half: true }] {
        let options = SessionOptions { device, intra_threads: 1 };
        let error = session::open(&package, file, &options).expect_err("no such GPU").to_string();
        let wanted = format!("device {device} cannot be used: ");
        assert!(error.starts_with(&wanted), "{error}");
    }
    let cpu = session::open(&package, file, &CPU).expect("every machine has a CPU");
    assert_eq!(cpu.provider.to_string(), "cpu");
}

#[test]
fn packages_are_the_same_bytes_for_the_same_seed() {
    let folder = tempfile::tempdir().expect("a folder");
    let read = |dir: &Path| std::fs::read(dir.join("model.toml")).expect("the manifest");
    let write = |name: &str, seed: u64| {
        let dir = folder.path().join(name);
        tiny::write_speaker(&dir, TinyNetwork::LrAsd, seed).expect("a package");
        read(&dir)
    };
    assert_eq!(write("a", 1), write("b", 1));
    assert_ne!(write("a", 1), write("c", 2));
}
