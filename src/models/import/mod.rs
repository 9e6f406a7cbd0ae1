//! Imports upstream files as packages, in Rust alone.
//!
//! Takes a checkpoint (Light-ASD, LR-ASD) or an ONNX file (YuNet) from the upstream repository;
//! gives a package in a directory, or an error that says what is wrong with the file. The networks
//! are rebuilt layer by layer and filled with the checkpoint's weights. A checkpoint with other or
//! additional tensors is rejected.
//!
//! Promises that no partial package stays behind, and that the graphs equal the released code on
//! whole tracks to float precision. Ships no weights: the user downloads them under their own
//! licence, which the manifest names.

mod audio;
mod face;
mod head;
pub(crate) mod light_asd;
pub(crate) mod lr_asd;
pub(crate) mod random;
pub(crate) mod speaker;
pub(crate) mod weights;
pub(crate) mod yunet;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::checkpoint::Checkpoint;
use super::error::ModelError;
use super::manifest::Sha256;
use super::manifest::raw::{RawDecision, RawExplain, RawLookahead, RawPackage};
use super::package::Package;
use speaker::{SpeakerGraphs, SpeakerMetadata};
use weights::CheckpointWeights;

/// A network that can be imported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImportKind {
    /// Light-ASD checkpoints.
    LightAsd,
    /// LR-ASD checkpoints.
    LrAsd,
    /// YuNet ONNX files.
    YuNet,
}

impl ImportKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::LightAsd, Self::LrAsd, Self::YuNet];

    /// The kind's name, also the default name of its package's directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LightAsd => "light-asd",
            Self::LrAsd => "lr-asd",
            Self::YuNet => "yunet",
        }
    }

    /// The file to download, and its repository.
    pub const fn expected_file(self) -> &'static str {
        match self {
            Self::LightAsd => "weight/pretrain_AVA_CVPR.model of github.com/Junhua-Liao/Light-ASD",
            Self::LrAsd => "weight/pretrain_AVA.model of github.com/Junhua-Liao/LR-ASD",
            Self::YuNet => "onnx/yunet_n_dynamic.onnx of github.com/ShiqiYu/libfacedetection.train",
        }
    }
}

impl fmt::Display for ImportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of an import kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` cannot be imported; use light-asd, lr-asd or yunet")]
pub struct UnknownImportKind(String);

impl FromStr for ImportKind {
    type Err = UnknownImportKind;

    fn from_str(text: &str) -> Result<Self, UnknownImportKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownImportKind(text.to_owned()))
    }
}

/// Imports an upstream file as a package. `out_dir` is created; an older package there is replaced.
///
/// # Errors
/// A wrong, damaged or truncated file; a directory with other content; a failed write. Then no
/// files are left behind.
pub fn import(kind: ImportKind, files: &[PathBuf], out_dir: &Path) -> Result<Package, ModelError> {
    let [file] = files else {
        let expected = kind.expected_file();
        return Err(ModelError::FileCount { kind: kind.name(), expected, given: files.len() });
    };
    let (expected, origin, notes) = match kind {
        ImportKind::YuNet => return yunet::import(file, out_dir),
        ImportKind::LightAsd => {
            ("a Light-ASD checkpoint", "github.com/Junhua-Liao/Light-ASD", LIGHT_ASD_NOTES)
        }
        ImportKind::LrAsd => {
            ("an LR-ASD checkpoint", "github.com/Junhua-Liao/LR-ASD", LR_ASD_NOTES)
        }
    };
    let mut weights = CheckpointWeights::new(Checkpoint::open(file)?, expected);
    let (graphs, explain, decision): (SpeakerGraphs, RawExplain, RawDecision) = match kind {
        ImportKind::LightAsd => (
            light_asd::graphs(&mut weights, light_asd::WIDTHS)?,
            light_asd::explain(),
            light_asd::decision(),
        ),
        ImportKind::LrAsd | ImportKind::YuNet => {
            (lr_asd::graphs(&mut weights, lr_asd::WIDTHS)?, lr_asd::explain(), lr_asd::decision())
        }
    };
    // The face-only classifier, used in training only.
    weights.finish(&["lossV.FC.weight", "lossV.FC.bias"])?;
    let package = RawPackage {
        name: kind.name().into(),
        licence: "MIT".into(),
        origin: origin_of(origin, file),
        notes: notes.into(),
    };
    speaker::write(out_dir, graphs, SpeakerMetadata { decision, explain, ..metadata(package) })
}

const LIGHT_ASD_NOTES: &str = "Mostly visual: another person's voice over moving lips is scored as \
    speaking in most frames. The gate is an SE block inserted as identity.";
const LR_ASD_NOTES: &str = "Mostly visual: another person's voice over moving lips is scored as \
    speaking in most frames. The gate is the network's own, over audio and face channels.";

/// Metadata defaults of a speaker package without measurements.
pub(crate) fn metadata(package: RawPackage) -> SpeakerMetadata {
    SpeakerMetadata {
        package,
        decision: RawDecision {
            threshold: 0.5,
            smoothing_ticks: 1,
            why: "the middle; nothing was measured on this package".into(),
        },
        explain: RawExplain {
            default_mode: "gate-activation".into(),
            why: "ranks channels by gate times activation, which needs no further run of the \
                  network; not measured on this one"
                .into(),
            typical: std::collections::BTreeMap::new(),
        },
        // Light-ASD on the labelled composites with 150, 75 and 50: average precision .677, .672,
        // .679, accuracy .763, .764, .765. Each lookahead tick goes through the head again with
        // every hop. With 50, half a per cent of decisions differ from those with all the future.
        lookahead_ticks: RawLookahead { file: 75, live: 12 },
    }
}

/// A package's origin, with the checksum of its file.
fn origin_of(repository: &str, file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match std::fs::read(file) {
        Ok(bytes) => format!("{repository}, {name}, sha256 {}", Sha256::of(&bytes)),
        Err(_) => format!("{repository}, {name}"),
    }
}
