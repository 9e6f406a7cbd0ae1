//! Mel filters and the cepstral transform, with the reference's numbers.
//!
//! Takes a power spectrum of [`BINS`] values; gives log energies, and the matrix that turns
//! them into cepstra. Follows `python_speech_features` exactly: filter corners are rounded down to
//! whole FFT bins of a 513-bin raster, and digital silence has the energy `f64::EPSILON`.

use std::f64::consts::PI;

/// Sample rate of the features' audio.
pub(super) const SAMPLE_RATE_HZ: u32 = 16_000;
/// Points of the transform that gives the power spectrum.
pub(super) const FFT_POINTS: usize = 512;
/// Values of the power spectrum.
pub(super) const BINS: usize = FFT_POINTS / 2 + 1;
const LIFTER: f64 = 22.0;

/// Triangular filters, evenly spaced on the mel scale from 0 to 8000 Hz, on FFT bins.
pub(super) struct MelFilters {
    /// First bin and the weights from that bin on, for each filter.
    triangles: Vec<(usize, Vec<f64>)>,
}

impl MelFilters {
    /// Creates `filters` triangles.
    pub(super) fn new(filters: usize) -> Self {
        let rate = f64::from(SAMPLE_RATE_HZ);
        let highest_mel = 2595.0 * (1.0 + rate / 2.0 / 700.0).log10();
        let bin = |corner: usize| {
            let mel = highest_mel * corner as f64 / (filters + 1) as f64;
            let hz = 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
            ((FFT_POINTS + 1) as f64 * hz / rate).floor() as usize
        };
        let triangles = (0..filters)
            .map(|f| {
                let (low, peak, high) = (bin(f), bin(f + 1), bin(f + 2));
                let rising = (low..peak).map(|i| (i - low) as f64 / (peak - low) as f64);
                let falling = (peak..high).map(|i| (high - i) as f64 / (high - peak) as f64);
                (low, rising.chain(falling).collect())
            })
            .collect();
        Self { triangles }
    }

    /// Writes the logarithm of the energy under each triangle to `out`.
    pub(super) fn log_energies(&self, power: &[f64; BINS], out: &mut [f64]) {
        for (energy, (first, weights)) in out.iter_mut().zip(&self.triangles) {
            let sum = weights.iter().zip(&power[*first..]).map(|(w, p)| w * p).sum();
            *energy = log_of(sum);
        }
    }
}

/// The logarithm, with the reference's substitute for an energy of zero.
pub(super) fn log_of(energy: f64) -> f64 {
    if energy == 0.0 { f64::EPSILON.ln() } else { energy.ln() }
}

/// Orthonormal DCT-II with the cepstral lifter folded in; row-major, coefficients × filters.
pub(super) fn liftered_dct(coefficients: usize, filters: usize) -> Vec<f64> {
    let n = filters as f64;
    let mut matrix = Vec::with_capacity(coefficients * filters);
    for k in 0..coefficients {
        let norm = if k == 0 { (1.0 / n).sqrt() } else { (2.0 / n).sqrt() };
        let lift = 1.0 + LIFTER / 2.0 * (PI * k as f64 / LIFTER).sin();
        matrix.extend(
            (0..filters)
                .map(|i| norm * lift * (PI * k as f64 * (2 * i + 1) as f64 / (2.0 * n)).cos()),
        );
    }
    matrix
}
