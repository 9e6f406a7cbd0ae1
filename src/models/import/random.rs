//! Random weights, reproducible from a seed on every machine.

use super::weights::Weights;
use crate::models::error::ModelError;
use crate::models::tensor::Tensor;

/// A small random generator (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0 (inclusive) to 1 (exclusive).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal values of variance 2/`fan_in`, which keep the scale of ReLU activations.
    pub(crate) fn he_normal(&mut self, dims: &[usize], fan_in: usize) -> Tensor {
        let deviation = (2.0 / fan_in as f64).sqrt();
        Tensor::from_fn(dims, |_| {
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            let angle = std::f64::consts::TAU * self.uniform();
            (deviation * radius * angle.cos()) as f32
        })
    }
}

/// Weights of an untrained network.
pub(crate) struct RandomWeights(pub(crate) Random);

impl Weights for RandomWeights {
    fn tensor(&mut self, _name: &str, dims: &[usize]) -> Result<Tensor, ModelError> {
        let fan_in = dims[1..].iter().product::<usize>().max(1);
        // A one-dimensional tensor is a bias: keep it small compared with the signal.
        let fan_in = if dims.len() == 1 { 200 } else { fan_in };
        Ok(self.0.he_normal(dims, fan_in))
    }

    fn folded(
        &mut self,
        layer: &str,
        norm: &str,
        dims: &[usize],
    ) -> Result<(Tensor, Tensor), ModelError> {
        Ok((self.tensor(layer, dims)?, self.tensor(norm, &dims[..1])?))
    }
}
