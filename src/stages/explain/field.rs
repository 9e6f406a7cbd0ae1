//! Pictures of floats and the Gaussian blur, for measuring heatmaps.
//!
//! Takes and gives square fields of the crop's size (112 × 112, row by row). The blur equals
//! OpenCV's `GaussianBlur` with an automatic kernel size for floats (radius round(4σ), border
//! `BORDER_REFLECT_101`) within rounding. It runs once per measured clip, so it is plain code and
//! not fast.

/// Side of a face crop in pixels, as the face encoders take it.
pub const SIDE: usize = 112;

/// Pixels of a face crop.
pub const PIXELS: usize = SIDE * SIDE;

/// `field` ([`PIXELS`] values) blurred by a Gaussian of `sigma` pixels; unchanged where `sigma` is
/// not positive.
///
/// # Panics
/// Where `field` does not hold [`PIXELS`] values.
pub fn blurred(field: &[f32], sigma: f32) -> Vec<f32> {
    assert_eq!(field.len(), PIXELS, "a field of {SIDE}x{SIDE}");
    if sigma.is_nan() || sigma <= 0.0 {
        return field.to_vec();
    }
    let kernel = gaussian(sigma);
    transposed_blur(&transposed_blur(field, &kernel), &kernel)
}

/// Half a kernel: the weight at distance 0, 1, 2 …; the whole adds up to 1.
fn gaussian(sigma: f32) -> Vec<f32> {
    let radius = ((4.0 * sigma).round() as usize).clamp(1, SIDE - 1);
    let bell = |i: usize| (-0.5 * (i as f64 / f64::from(sigma)).powi(2)).exp();
    let sum = 1.0 + 2.0 * (1..=radius).map(bell).sum::<f64>();
    (0..=radius).map(|i| (bell(i) / sum) as f32).collect()
}

/// Rows blurred, then the picture mirrored on its diagonal: twice gives both axes.
fn transposed_blur(field: &[f32], kernel: &[f32]) -> Vec<f32> {
    let reflect = |i: isize| {
        let i = i.unsigned_abs();
        if i < SIDE { i } else { 2 * (SIDE - 1) - i }
    };
    let mut out = vec![0.0; PIXELS];
    for (y, row) in field.chunks_exact(SIDE).enumerate() {
        for x in 0..SIDE {
            let mut sum = kernel[0] * row[x];
            for (d, weight) in kernel.iter().enumerate().skip(1) {
                let (x, d) = (x as isize, d as isize);
                sum += weight * (row[reflect(x - d)] + row[reflect(x + d)]);
            }
            out[x * SIDE + y] = sum;
        }
    }
    out
}

/// Seeded random numbers (SplitMix64, Steele et al. 2014), for controls that must be the same on
/// every machine. Not for secrets.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number within 0..1.
    pub fn next_unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// `values` in a random order (Fisher–Yates; the bias of the modulus is below 2⁻⁴⁰ here).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, (self.next_u64() % (i as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blurred_point_is_the_bell_itself() {
        let mut field = vec![0.0; PIXELS];
        field[50 * SIDE + 60] = 1.0;
        let out = blurred(&field, 2.0);
        assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        // 1 / (2 π σ²), and e^(−½ (3² + 1²) / σ²) of it three across and one down.
        let peak = 1.0 / (2.0 * std::f32::consts::PI * 4.0);
        assert!((out[50 * SIDE + 60] - peak).abs() < 1e-4);
        assert!((out[51 * SIDE + 63] - peak * (-10.0f32 / 8.0).exp()).abs() < 1e-4);
    }

    #[test]
    fn a_flat_field_stays_flat_to_the_edge() {
        let out = blurred(&[7.0; PIXELS], 10.0);
        assert!(out.iter().all(|v| (v - 7.0).abs() < 1e-4));
        assert_eq!(blurred(&[7.0; PIXELS], 0.0), [7.0; PIXELS]);
        assert_eq!(blurred(&[7.0; PIXELS], f32::NAN), [7.0; PIXELS]);
        let wide = blurred(&[7.0; PIXELS], 1e9);
        assert!(wide.iter().all(|v| (v - 7.0).abs() < 1e-3));
    }

    #[test]
    fn the_sequence_is_the_published_one() {
        // First outputs of SplitMix64 for the seed 1234567.
        let mut seeded = Seeded::new(1_234_567);
        assert_eq!(seeded.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(seeded.next_u64(), 3_203_168_211_198_807_973);
        let mut values: Vec<u32> = (0..50).collect();
        seeded.shuffle(&mut values);
        assert_ne!(values, (0..50).collect::<Vec<_>>());
        values.sort_unstable();
        assert_eq!(values, (0..50).collect::<Vec<_>>());
    }
}
