//! `model.toml`: a package's manifest.
//!
//! Takes the file's text; gives a [`Manifest`] of checked types, or an error that names the file,
//! the line or key, and what to do. Two kinds: `speaker-streaming` (face encoder, audio encoder
//! and temporal head as separate graphs, so that every frame is encoded once) and `face-detector`.
//!
//! A `Manifest` is valid by construction. An unknown key is an error. The graphs are not checked
//! here; `contracts` lists what they must match.

mod check;
mod detector;
pub(crate) mod raw;
mod speaker;
mod speaker_check;
pub(crate) mod values;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

pub use detector::{DetectorFamily, DetectorManifest, InputSize};
pub use speaker::{
    AudioGraph, AudioRecipe, CropRecipe, CrossFaceGraph, Decision, Explain, FaceGraph, Features,
    HeadGate, HeadGraph, Lookahead, MapArea, MapOutput, OddTicks, SpeakerManifest, State,
    WidthTensor,
};
pub use values::{FileName, Sha256, TensorName};

use super::contract::GraphContract;
use super::error::ModelError;
use check::Checker;
use raw::{RawDetector, RawKind, RawPackage, RawSpeaker};

/// The name of the manifest within a package.
pub const MANIFEST_FILE: &str = "model.toml";
/// Kind of a package that scores speakers frame by frame, streaming.
pub const SPEAKER_KIND: &str = "speaker-streaming";
/// Kind of a package that finds faces.
pub const DETECTOR_KIND: &str = "face-detector";

/// The keys of every package.
#[derive(Clone, Debug)]
pub struct Common {
    /// The package's display name.
    pub name: String,
    /// The licence of its weights.
    pub licence: String,
    /// Its origin: repository, file, commit.
    pub origin: String,
    /// Its files and their checksums, including every graph's file.
    pub files: BTreeMap<FileName, Sha256>,
    /// Notes for the user; may be empty.
    pub notes: String,
}

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The keys of every package.
    pub common: Common,
    /// The keys of this kind of package.
    pub model: Model,
}

/// The part of a manifest that depends on the kind of package.
#[derive(Clone, Debug)]
pub enum Model {
    /// Scores speakers.
    Speaker(Box<SpeakerManifest>),
    /// Finds faces.
    Detector(DetectorManifest),
}

impl Model {
    /// The kind's name in manifests.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Speaker(_) => SPEAKER_KIND,
            Self::Detector(_) => DETECTOR_KIND,
        }
    }

    /// The contracts of the package's graphs.
    pub fn contracts(&self) -> Vec<GraphContract> {
        match self {
            Self::Speaker(speaker) => speaker.contracts(),
            Self::Detector(detector) => vec![detector.contract()],
        }
    }
}

impl Manifest {
    /// Parses a manifest; `file` is its path, for errors only.
    ///
    /// # Errors
    /// [`ModelError::Syntax`] with the line, or [`ModelError::Key`] with the key.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ModelError> {
        let check = Checker::new(file);
        let kinds = [(SPEAKER_KIND, true), (DETECTOR_KIND, false)];
        let kind = read::<RawKind>(text, file)?.kind.unwrap_or_default();
        let (common, model) = if check.one_of("kind", &kind, &kinds)? {
            let raw: RawSpeaker = read(text, file)?;
            let model = SpeakerManifest::check(&raw, &check)?;
            (common(&raw.package, &raw.files, &check)?, Model::Speaker(Box::new(model)))
        } else {
            let raw: RawDetector = read(text, file)?;
            let model = DetectorManifest::check(&raw.detector, &check)?;
            (common(&raw.package, &raw.files, &check)?, Model::Detector(model))
        };
        for contract in model.contracts() {
            if !common.files.contains_key(&contract.file) {
                let key = format!("files.\"{}\"", contract.file);
                return Err(check.invalid(key, "is missing, but a graph is read from that file"));
            }
        }
        Ok(Self { common, model })
    }
}

fn common(
    raw: &RawPackage,
    files: &BTreeMap<String, String>,
    check: &Checker<'_>,
) -> Result<Common, ModelError> {
    let files = files.iter().map(|(name, sum)| {
        let key = format!("files.\"{name}\"");
        let sum = Sha256::from_hex(sum).ok_or_else(|| {
            check.invalid(&key, format!("is \"{sum}\"; it must be a SHA-256 of 64 hex digits"))
        })?;
        Ok((check.file_name(&key, name)?, sum))
    });
    Ok(Common {
        name: check.non_empty("package.name", &raw.name)?,
        licence: check.non_empty("package.licence", &raw.licence)?,
        origin: check.non_empty("package.origin", &raw.origin)?,
        files: files.collect::<Result<_, ModelError>>()?,
        notes: raw.notes.clone(),
    })
}

fn read<T: DeserializeOwned>(text: &str, file: &Path) -> Result<T, ModelError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count();
        ModelError::Syntax { file: file.into(), line, problem: error.message().replace('\n', ", ") }
    })
}
