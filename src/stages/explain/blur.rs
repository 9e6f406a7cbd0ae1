//! Gaussian blur of float images, for measuring heatmaps.
//!
//! Takes and gives square images of the crop's size (112 × 112, row by row). The blur equals
//! OpenCV's `GaussianBlur` with an automatic kernel size for floats (radius round(4σ), border
//! `BORDER_REFLECT_101`) within rounding. It runs once per measured clip, so the code is plain and
//! not optimised.

/// Side of a face crop in pixels, as in the face encoder's input.
pub(crate) const SIDE: usize = 112;

/// Pixels of a face crop.
pub(crate) const PIXELS: usize = SIDE * SIDE;

/// Blurs `image` ([`PIXELS`] values) by a Gaussian of `sigma` pixels; unchanged if `sigma` is not
/// positive.
///
/// # Panics
/// Where `image` does not hold [`PIXELS`] values.
pub(crate) fn gaussian_blur(image: &[f32], sigma: f32) -> Vec<f32> {
    assert_eq!(image.len(), PIXELS, "an image of {SIDE}x{SIDE}");
    if sigma.is_nan() || sigma <= 0.0 {
        return image.to_vec();
    }
    let kernel = gaussian(sigma);
    transposed_blur(&transposed_blur(image, &kernel), &kernel)
}

/// Half a kernel: the weights at distance 0, 1, 2 …; the whole kernel sums to 1.
fn gaussian(sigma: f32) -> Vec<f32> {
    let radius = ((4.0 * sigma).round() as usize).clamp(1, SIDE - 1);
    let gauss = |i: usize| (-0.5 * (i as f64 / f64::from(sigma)).powi(2)).exp();
    let sum = 1.0 + 2.0 * (1..=radius).map(gauss).sum::<f64>();
    (0..=radius).map(|i| (gauss(i) / sum) as f32).collect()
}

/// Blurs the rows and transposes the image; two calls blur both axes.
fn transposed_blur(image: &[f32], kernel: &[f32]) -> Vec<f32> {
    let reflect = |i: isize| {
        let i = i.unsigned_abs();
        if i < SIDE { i } else { 2 * (SIDE - 1) - i }
    };
    let mut out = vec![0.0; PIXELS];
    for (y, row) in image.chunks_exact(SIDE).enumerate() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blurred_point_is_the_gaussian() {
        let mut image = vec![0.0; PIXELS];
        image[50 * SIDE + 60] = 1.0;
        let out = gaussian_blur(&image, 2.0);
        assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        // 1 / (2 π σ²), and e^(−½ (3² + 1²) / σ²) of it three across and one down.
        let peak = 1.0 / (2.0 * std::f32::consts::PI * 4.0);
        assert!((out[50 * SIDE + 60] - peak).abs() < 1e-4);
        assert!((out[51 * SIDE + 63] - peak * (-10.0f32 / 8.0).exp()).abs() < 1e-4);
    }

    #[test]
    fn a_flat_image_stays_flat_to_the_edge() {
        let out = gaussian_blur(&[7.0; PIXELS], 10.0);
        assert!(out.iter().all(|v| (v - 7.0).abs() < 1e-4));
        assert_eq!(gaussian_blur(&[7.0; PIXELS], 0.0), [7.0; PIXELS]);
        assert_eq!(gaussian_blur(&[7.0; PIXELS], f32::NAN), [7.0; PIXELS]);
        let wide = gaussian_blur(&[7.0; PIXELS], 1e9);
        assert!(wide.iter().all(|v| (v - 7.0).abs() < 1e-3));
    }
}
