//! Reads PyTorch checkpoints without PyTorch and without running code in them.
//!
//! Takes a `.model`/`.pt`/`.pth` file by `torch.save` (a zip archive of a pickle and raw numbers);
//! gives its tensors by name. A pickle is a program: this reader supports only the few instructions
//! of a state dictionary, builds tensors only, and rejects all others by name. All sizes are
//! bounded before memory is allocated.
//!
//! Pickled modules, optimizer states and the formats of PyTorch before 1.6 are not supported.

mod archive;
mod pickle;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::ModelError;
use super::tensor::Tensor;
use archive::Archive;
use view::{Element, TensorView};

/// The tensors of a checkpoint, by name.
pub(crate) struct Checkpoint {
    file: PathBuf,
    views: BTreeMap<String, TensorView>,
    archive: Archive,
}

impl Checkpoint {
    /// Opens a checkpoint and reads the names and shapes of its tensors.
    ///
    /// # Errors
    /// [`ModelError::Read`], or [`ModelError::Checkpoint`] if it is not a checkpoint, is truncated,
    /// or holds something other than tensors.
    pub(crate) fn open(file: &Path) -> Result<Self, ModelError> {
        let invalid = |problem| ModelError::Checkpoint { file: file.into(), problem };
        let reader = std::fs::File::open(file).map_err(ModelError::read(file))?;
        let mut archive = Archive::open(reader).map_err(invalid)?;
        let views = pickle::state_dict(&archive.pickle().map_err(invalid)?).map_err(invalid)?;
        Ok(Self { file: file.into(), views, archive })
    }

    /// The file that was opened.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.views.keys().map(String::as_str)
    }

    /// The shape of a tensor, if it exists.
    pub(crate) fn dims(&self, name: &str) -> Option<&[usize]> {
        self.views.get(name).map(|view| view.dims.as_slice())
    }

    /// Reads a tensor of 32-bit floats.
    ///
    /// # Errors
    /// A message if the tensor is missing, has another type, or its numbers are missing from the
    /// file.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<Tensor, String> {
        let view = self.views.get(name).ok_or_else(|| format!("there is no tensor `{name}`"))?;
        if view.storage.element != Element::Float {
            return Err(format!("`{name}` holds {:?}, not 32-bit floats", view.storage.element));
        }
        let bytes = self.archive.storage(&view.storage).map_err(|e| format!("`{name}`: {e}"))?;
        let float = |index: usize| {
            let at = bytes.get(index * 4..index * 4 + 4)?;
            Some(f32::from_le_bytes(at.try_into().ok()?))
        };
        let values: Option<Vec<f32>> = view.positions().map(float).collect();
        let values = values.ok_or_else(|| format!("`{name}` reaches beyond its numbers"))?;
        if !values.iter().all(|v| v.is_finite()) {
            return Err(format!("`{name}` holds values that are not finite"));
        }
        Ok(Tensor::new(&view.dims, values).expect("a view has as many positions as its shape"))
    }
}
