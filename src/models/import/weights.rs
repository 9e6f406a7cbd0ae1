//! A network's weights, with batch normalisation folded into the preceding layer.

use std::collections::BTreeSet;

use crate::models::checkpoint::Checkpoint;
use crate::models::error::ModelError;
use crate::models::tensor::Tensor;

/// The epsilon of every batch normalisation in both networks.
const BATCH_NORM_EPSILON: f64 = 1e-3;

/// Weights by their names in a checkpoint.
pub(crate) trait Weights {
    /// The tensor called `name`, of shape `dims`.
    fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<Tensor, ModelError>;

    /// Kernel and bias of a layer without bias, with the following batch normalisation folded in.
    /// The kernel's first dimension is the output channel.
    fn folded(
        &mut self,
        layer: &str,
        norm: &str,
        dims: &[usize],
    ) -> Result<(Tensor, Tensor), ModelError>;
}

/// A checkpoint that must hold exactly a network's tensors.
pub(super) struct CheckpointWeights {
    checkpoint: Checkpoint,
    expected: &'static str,
    used: BTreeSet<String>,
}

impl CheckpointWeights {
    /// `expected` is the network's name with its article, for errors.
    pub(super) fn new(checkpoint: Checkpoint, expected: &'static str) -> Self {
        Self { checkpoint, expected, used: BTreeSet::new() }
    }

    fn wrong_network(&self, problem: String) -> ModelError {
        ModelError::WrongNetwork {
            file: self.checkpoint.file().into(),
            expected: self.expected,
            problem,
        }
    }

    /// Checks that only `ignored` tensors are left over: a network with additional layers would be
    /// imported without them and silently give wrong scores.
    pub(super) fn finish(self, ignored: &[&str]) -> Result<(), ModelError> {
        let left = self.checkpoint.names().find(|name| {
            let counter = name.ends_with(".num_batches_tracked");
            !counter && !self.used.contains(*name) && !ignored.contains(name)
        });
        match left {
            None => Ok(()),
            Some(name) => Err(self.wrong_network(format!(
                "its tensor `{name}` belongs to no layer of that network; \
                 is it another network or a changed one?"
            ))),
        }
    }
}

impl Weights for CheckpointWeights {
    fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<Tensor, ModelError> {
        match self.checkpoint.dims(name) {
            None => {
                return Err(self.wrong_network(format!(
                    "it has no tensor `{name}`; is it the checkpoint of another network?"
                )));
            }
            Some(found) if found != dims => {
                return Err(
                    self.wrong_network(format!("`{name}` has shape {found:?}, not {dims:?}"))
                );
            }
            Some(_) => {}
        }
        let tensor = self.checkpoint.tensor(name);
        self.used.insert(name.to_owned());
        let file = self.checkpoint.file();
        tensor.map_err(|problem| ModelError::Checkpoint { file: file.into(), problem })
    }

    fn folded(
        &mut self,
        layer: &str,
        norm: &str,
        dims: &[usize],
    ) -> Result<(Tensor, Tensor), ModelError> {
        let kernel = self.tensor(&format!("{layer}.weight"), dims)?;
        let mut row = |part: &str| self.tensor(&format!("{norm}.{part}"), &dims[..1]);
        let (scale, shift) = (row("weight")?, row("bias")?);
        let (mean, variance) = (row("running_mean")?, row("running_var")?);
        // In double precision: the scale may be large if the variance is small.
        let factors: Vec<f64> = scale
            .values()
            .iter()
            .zip(variance.values())
            .map(|(&s, &v)| f64::from(s) / (f64::from(v) + BATCH_NORM_EPSILON).sqrt())
            .collect();
        let per_channel = kernel.values().len() / dims[0];
        let folded = Tensor::from_fn(dims, |i| {
            (f64::from(kernel.values()[i]) * factors[i / per_channel]) as f32
        });
        let bias = Tensor::from_fn(&dims[..1], |c| {
            (f64::from(shift.values()[c]) - f64::from(mean.values()[c]) * factors[c]) as f32
        });
        Ok((folded, bias))
    }
}
