//! Colours that are safe for colour-blind viewers.
//!
//! Three states have colours from the set by Okabe and Ito (2008): bright yellow for speaking, sky
//! blue for silent, and grey for unknown. They stay at least 30 ΔE*ab apart for normal sight and
//! for all three kinds of dichromacy (Machado et al. 2009, severity 1). Speaking is by far the
//! lightest, so that it stands out in black and white too. A test computes all of this. Colour is
//! never the only cue: line width, fill and a `?` repeat it. The heatmap's colour map is viridis
//! (Smith, van der Walt and Firing, matplotlib, CC0): its lightness rises evenly and its middle is
//! green, unlike any skin. The middle of inferno and of plasma is hard to see on a face.

/// A colour in sRGB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Rgb(pub u8, pub u8, pub u8);

/// Okabe–Ito yellow.
pub(crate) const SPEAKING: Rgb = Rgb(0xF0, 0xE4, 0x42);
/// Okabe–Ito sky blue.
pub(crate) const SILENT: Rgb = Rgb(0x56, 0xB4, 0xE9);
/// Grey.
pub(crate) const UNKNOWN: Rgb = Rgb(0x99, 0x99, 0x99);
/// Text on a bright background, the background of white text, and the rim of every line.
pub(crate) const DARK: Rgb = Rgb(0x10, 0x10, 0x14);
/// Text on a dark background.
pub(crate) const LIGHT: Rgb = Rgb(0xFF, 0xFF, 0xFF);
/// The audio's share of a decision (Okabe–Ito blue); the face's share is [`LIGHT`].
pub(crate) const AUDIO: Rgb = Rgb(0x00, 0x72, 0xB2);

impl Rgb {
    /// Premultiplied B, G, R, A at `opacity` 0..=1.
    pub(super) fn premultiplied(self, opacity: f32) -> [u8; 4] {
        let alpha = opacity.clamp(0.0, 1.0);
        let under = |c: u8| (f32::from(c) * alpha).round() as u8;
        [under(self.2), under(self.1), under(self.0), (alpha * 255.0).round() as u8]
    }

    /// The colour for tiny-skia at `opacity` 0..=1.
    pub(super) fn skia(self, opacity: f32) -> tiny_skia::Color {
        let alpha = (opacity.clamp(0.0, 1.0) * 255.0).round() as u8;
        tiny_skia::Color::from_rgba8(self.0, self.1, self.2, alpha)
    }
}

/// Every 16th colour of viridis, in sRGB; linear interpolation stays within 6/255 of it.
const VIRIDIS: [Rgb; 17] = [
    Rgb(68, 1, 84),
    Rgb(72, 24, 106),
    Rgb(71, 45, 123),
    Rgb(66, 64, 134),
    Rgb(59, 82, 139),
    Rgb(51, 99, 141),
    Rgb(44, 114, 142),
    Rgb(38, 130, 142),
    Rgb(33, 145, 140),
    Rgb(31, 159, 136),
    Rgb(39, 173, 129),
    Rgb(61, 188, 116),
    Rgb(92, 200, 99),
    Rgb(129, 211, 77),
    Rgb(170, 220, 50),
    Rgb(213, 226, 26),
    Rgb(253, 231, 37),
];

/// The colour map at `value` 0..=1; values outside are clamped, NaN counts as 0.
pub(crate) fn ramp(value: f32) -> Rgb {
    let steps = VIRIDIS.len() - 1;
    let at = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) * steps as f32 };
    let low = (at as usize).min(steps - 1);
    let (a, b, t) = (VIRIDIS[low], VIRIDIS[low + 1], at - low as f32);
    let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * t).round() as u8;
    Rgb(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Matrix = [[f64; 3]; 3];

    const NORMAL: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    /// Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
    const PROTANOPIA: Matrix = [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ];
    const DEUTERANOPIA: Matrix = [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ];
    const TRITANOPIA: Matrix = [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ];
    /// Linear sRGB to XYZ (IEC 61966-2-1).
    const XYZ: Matrix = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ];

    fn times(m: Matrix, v: [f64; 3]) -> [f64; 3] {
        m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
    }

    fn linear(c: Rgb) -> [f64; 3] {
        [c.0, c.1, c.2].map(|v| {
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// CIE 1976 L*a*b* under D65 of `c` as this kind of eye sees it.
    fn lab(c: Rgb, eye: Matrix) -> [f64; 3] {
        let perceived = times(eye, linear(c)).map(|v| v.clamp(0.0, 1.0));
        let [x, y, z] = times(XYZ, perceived);
        let f = |t: f64| {
            if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 }
        };
        let (x, y, z) = (f(x / 0.95047), f(y), f(z / 1.08883));
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    fn delta_e(a: Rgb, b: Rgb, eye: Matrix) -> f64 {
        let (a, b) = (lab(a, eye), lab(b, eye));
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn states_differ_for_every_kind_of_sight() {
        for (eye, name) in [
            (NORMAL, "normal"),
            (PROTANOPIA, "protanopia"),
            (DEUTERANOPIA, "deuteranopia"),
            (TRITANOPIA, "tritanopia"),
        ] {
            for (a, b) in [(SPEAKING, SILENT), (SPEAKING, UNKNOWN), (SILENT, UNKNOWN)] {
                let apart = delta_e(a, b, eye);
                assert!(apart >= 30.0, "{name}: {a:?} and {b:?} are only {apart:.1} apart");
            }
            let parts = delta_e(AUDIO, LIGHT, eye);
            assert!(parts >= 50.0, "{name}: {parts:.1}");
        }
        // The test can fail: to a deuteranope this orange and this green look alike.
        assert!(delta_e(Rgb(0xC0, 0x60, 0x20), Rgb(0x70, 0x80, 0x20), DEUTERANOPIA) < 20.0);
    }

    #[test]
    fn speaking_is_the_lightest_even_without_colour() {
        let lightness = |c| lab(c, NORMAL)[0];
        assert!(lightness(SPEAKING) > lightness(SILENT) + 15.0);
        assert!(lightness(SPEAKING) > lightness(UNKNOWN) + 15.0);
    }

    #[test]
    fn text_has_the_contrast_that_wcag_asks_for() {
        let luminance = |c| times(XYZ, linear(c))[1];
        let contrast = |a, b| (luminance(a) + 0.05) / (luminance(b) + 0.05);
        assert!(contrast(SPEAKING, DARK) >= 7.0);
        assert!(contrast(LIGHT, DARK) >= 7.0);
        assert!(contrast(SILENT, DARK) >= 3.0 && contrast(UNKNOWN, DARK) >= 3.0);
    }

    #[test]
    fn the_ramp_gets_lighter_all_the_way_for_every_eye() {
        for eye in [NORMAL, PROTANOPIA, DEUTERANOPIA, TRITANOPIA] {
            let lightness: Vec<f64> =
                (0..=64).map(|i| lab(ramp(i as f32 / 64.0), eye)[0]).collect();
            assert!(lightness.windows(2).all(|w| w[1] > w[0] - 0.3), "{lightness:?}");
            assert!(lightness[64] - lightness[0] > 70.0);
        }
        assert_eq!(ramp(f32::NAN), ramp(-1.0));
        assert_eq!(ramp(f32::INFINITY), ramp(1.0));
    }
}
