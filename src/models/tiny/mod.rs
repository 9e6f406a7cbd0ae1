//! Generated packages for tests without a download.
//!
//! Takes a seed; gives packages with the same contracts as the real ones. The speakers are the real
//! networks with 8 channels and random weights: scores are meaningless, but every state, delay and
//! shape is there. The detector has YuNet's outputs and detects bright squares as faces.
//!
//! Promises the same bytes for the same seed on every machine, but no accuracy.

mod detector;

use std::path::Path;

use super::error::ModelError;
use super::import::random::{Random, RandomWeights};
use super::import::speaker::{self, SpeakerGraphs};
use super::import::{light_asd, lr_asd, metadata};
use super::manifest::raw::RawPackage;
use super::package::Package;

/// Output channels of the three blocks.
const WIDTHS: [usize; 3] = [4, 8, 8];

/// The network that a tiny speaker reproduces.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TinyNetwork {
    /// Light-ASD: the gate is an identity SE block on the face.
    LightAsd,
    /// LR-ASD: the gate is in the head, over audio and face channels.
    LrAsd,
}

/// A speaker and a detector.
#[derive(Clone, Debug)]
pub struct TinyPackages {
    /// A small Light-ASD.
    pub speaker: Package,
    /// Detects bright squares as faces.
    pub detector: Package,
}

/// Writes a speaker package into `dir/speaker` and a detector package into `dir/detector`.
///
/// # Errors
/// As [`super::import::import`] while writing.
pub fn write(dir: &Path, seed: u64) -> Result<TinyPackages, ModelError> {
    Ok(TinyPackages {
        speaker: write_speaker(&dir.join("speaker"), TinyNetwork::LightAsd, seed)?,
        detector: write_detector(&dir.join("detector"))?,
    })
}

/// Writes a speaker package into `dir`.
///
/// # Errors
/// As [`super::import::import`] while writing.
pub fn write_speaker(dir: &Path, network: TinyNetwork, seed: u64) -> Result<Package, ModelError> {
    let mut weights = RandomWeights(Random::new(seed));
    let (name, graphs): (_, SpeakerGraphs) = match network {
        TinyNetwork::LightAsd => ("tiny-light", light_asd::graphs(&mut weights, WIDTHS)?),
        TinyNetwork::LrAsd => ("tiny-lr", lr_asd::graphs(&mut weights, WIDTHS)?),
    };
    speaker::write(
        dir,
        graphs,
        metadata(package_info(name, "Random weights: for tests of paths only.")),
    )
}

/// Writes a detector package into `dir`. Its faces are bright squares of 8 to 220 px on a dark
/// frame, at least about their own side apart.
///
/// # Errors
/// As [`super::import::import`] while writing.
pub fn write_detector(dir: &Path) -> Result<Package, ModelError> {
    detector::write(
        dir,
        package_info("tiny-detector", "Sees bright squares: for tests of paths only."),
    )
}

fn package_info(name: &str, notes: &str) -> RawPackage {
    RawPackage {
        name: name.into(),
        licence: "MIT OR Apache-2.0".into(),
        origin: "made by this program".into(),
        notes: notes.into(),
    }
}
