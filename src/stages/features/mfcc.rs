//! Spectral features of audio, row by row: MFCC and log-mel energies.
//!
//! Takes 16 kHz mono audio at int16 scale in pieces of any size; gives one row every 10 ms.
//! Row `i` covers the 400 samples from `160 · i` after the first sample.
//! Equals the Python package `python_speech_features` with its defaults (`mfcc`, and `logfbank`
//! with `nfilt=40`), on which the released active-speaker models were trained: rectangular window
//! of 25 ms, 512-point FFT, pre-emphasis 0.97, 26 mel filters, orthonormal DCT-II, lifter 22, log
//! energy in place of the first coefficient, zeros after the last sample until the last row is
//! full. The result does not depend on the pieces, bit for bit, and no row allocates.
//! Does not handle gaps in the audio; [`super::audio_features`] does.
//! Everything is computed in f64, as in the reference, which costs some 10 µs a row. Silence,
//! where the logarithm is steep, is therefore equal too.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::mel::{BINS, FFT_POINTS, MelFilters, liftered_dct, log_of};

/// Samples from the start of one row to the start of the next (10 ms).
pub const STEP_SAMPLES: usize = 160;
/// Samples in one row's window (25 ms).
pub const WINDOW_SAMPLES: usize = 400;

const PRE_EMPHASIS: f64 = 0.97;
const CEPSTRA: usize = 13;
const CEPSTRA_FILTERS: usize = 26;
const LOG_MEL_FILTERS: usize = 40;

/// 13 mel-frequency cepstral coefficients per row; the first is the log energy.
pub type Mfcc = SpectralRows<CEPSTRA>;

/// The logarithms of 40 mel-filter energies per row.
pub type LogMel = SpectralRows<LOG_MEL_FILTERS>;

/// A stream of rows of `N` values; use it as [`Mfcc`] or [`LogMel`].
pub struct SpectralRows<const N: usize> {
    framing: Framing,
    mel: MelFilters,
    log_energies: Vec<f64>,
    row_output: RowOutput,
}

/// How the log mel energies become a row.
enum RowOutput {
    /// Unchanged.
    LogMel,
    /// Row-major matrix (coefficients × filters): DCT and lifter in one.
    Cepstra(Vec<f64>),
}

impl Mfcc {
    /// Creates an empty stream of MFCC rows.
    pub fn new() -> Self {
        Self::with(CEPSTRA_FILTERS, RowOutput::Cepstra(liftered_dct(CEPSTRA, CEPSTRA_FILTERS)))
    }
}

impl LogMel {
    /// Creates an empty stream of log-mel rows.
    pub fn new() -> Self {
        Self::with(LOG_MEL_FILTERS, RowOutput::LogMel)
    }
}

impl Default for Mfcc {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for LogMel {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> SpectralRows<N> {
    fn with(filters: usize, row_output: RowOutput) -> Self {
        Self {
            framing: Framing::new(),
            mel: MelFilters::new(filters),
            log_energies: vec![0.0; filters],
            row_output,
        }
    }

    /// Pushes `samples` (16 kHz, int16 scale) and appends every completed row to `out`.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<[f32; N]>) {
        let mut rest = samples;
        while !rest.is_empty() {
            rest = self.framing.fill(rest);
            if self.framing.is_full() {
                out.push(self.row());
                self.framing.step();
            }
        }
    }

    /// Ends the audio: pads the last incomplete row, if there is one, with zeros, appends it to
    /// `out`, and resets the stream.
    ///
    /// `n` samples give 1 + ⌈(n − 400) / 160⌉ rows in all, at least one; no samples give none.
    pub fn finish(&mut self, out: &mut Vec<[f32; N]>) {
        if self.framing.has_unread() {
            self.framing.fill_with_zeros();
            out.push(self.row());
        }
        self.restart(None);
    }

    /// Resets the stream without emitting a row. `before_first` is the sample just before the next
    /// one, if it is known; pre-emphasis uses it.
    pub fn restart(&mut self, before_first: Option<i16>) {
        self.framing.restart(before_first);
    }

    fn row(&mut self) -> [f32; N] {
        let power = self.framing.power_spectrum();
        let total: f64 = power.iter().sum();
        self.mel.log_energies(power, &mut self.log_energies);
        let mut row = [0.0; N];
        match &self.row_output {
            RowOutput::LogMel => {
                for (value, energy) in row.iter_mut().zip(&self.log_energies) {
                    *value = *energy as f32;
                }
            }
            RowOutput::Cepstra(matrix) => {
                let weights = matrix.chunks_exact(self.log_energies.len());
                for (value, weights) in row.iter_mut().zip(weights) {
                    *value = weights.iter().zip(&self.log_energies).map(|(w, e)| w * e).sum::<f64>()
                        as f32;
                }
                row[0] = log_of(total) as f32;
            }
        }
        row
    }
}

/// Cuts audio into overlapping windows and gives their power spectra.
struct Framing {
    /// The sample before the next one, for pre-emphasis.
    previous: Option<i16>,
    /// Pre-emphasised samples of the window; the first `filled` are valid.
    window: [f64; WINDOW_SAMPLES],
    filled: usize,
    /// Samples of `filled` that are in no row yet; they make the padded last row.
    unread: usize,
    fft: Arc<dyn RealToComplex<f64>>,
    padded: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    power: [f64; BINS],
}

impl Framing {
    fn new() -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(FFT_POINTS);
        Self {
            previous: None,
            window: [0.0; WINDOW_SAMPLES],
            filled: 0,
            unread: 0,
            padded: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            power: [0.0; BINS],
        }
    }

    /// Takes as many samples as the window still has room for; returns the rest.
    fn fill<'a>(&mut self, samples: &'a [i16]) -> &'a [i16] {
        let take = samples.len().min(WINDOW_SAMPLES - self.filled);
        let (now, rest) = samples.split_at(take);
        for (slot, &sample) in self.window[self.filled..].iter_mut().zip(now) {
            let previous = self.previous.map_or(0.0, f64::from);
            *slot = f64::from(sample) - PRE_EMPHASIS * previous;
            self.previous = Some(sample);
        }
        self.filled += take;
        self.unread += take;
        rest
    }

    fn fill_with_zeros(&mut self) {
        self.window[self.filled..].fill(0.0);
        self.filled = WINDOW_SAMPLES;
    }

    const fn is_full(&self) -> bool {
        self.filled == WINDOW_SAMPLES
    }

    const fn has_unread(&self) -> bool {
        self.unread > 0
    }

    fn step(&mut self) {
        self.window.copy_within(STEP_SAMPLES.., 0);
        self.filled -= STEP_SAMPLES;
        self.unread = 0;
    }

    fn restart(&mut self, before_first: Option<i16>) {
        self.previous = before_first;
        self.filled = 0;
        self.unread = 0;
    }

    /// |FFT|² / 512 of the full window.
    fn power_spectrum(&mut self) -> &[f64; BINS] {
        self.padded[..WINDOW_SAMPLES].copy_from_slice(&self.window);
        self.padded[WINDOW_SAMPLES..].fill(0.0);
        self.fft
            .process_with_scratch(&mut self.padded, &mut self.spectrum, &mut self.scratch)
            .expect("this transform made the buffers");
        for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr() / FFT_POINTS as f64;
        }
        &self.power
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use proptest::prelude::*;

    use super::super::golden;
    use super::*;

    fn one_shot(samples: &[i16]) -> Vec<[f32; CEPSTRA]> {
        let (mut stream, mut rows) = (Mfcc::new(), Vec::new());
        stream.push(samples, &mut rows);
        stream.finish(&mut rows);
        rows
    }

    /// A tone with a little noise, so that no two windows are alike.
    fn test_audio(samples: usize) -> Vec<i16> {
        let mut noise = 1u32;
        (0..samples)
            .map(|i| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let tone = (i as f64 * (0.05 + i as f64 * 1e-6)).sin() * 9000.0;
                (tone + f64::from(noise >> 24)) as i16
            })
            .collect()
    }

    #[test]
    fn golden_clips_have_the_reference_numbers() {
        for clip in ["aoc_512", "debate_mexca"] {
            let Some(audio) = golden::array::<i16>(clip, "audio") else {
                continue;
            };
            let Some(mfcc) = golden::array::<f32>(clip, "mfcc") else {
                continue;
            };
            let rows = one_shot(&audio);
            assert_eq!(rows.len() * CEPSTRA, mfcc.len());
            let differences = rows.as_flattened().iter().zip(&mfcc).map(|(a, b)| (a - b).abs());
            let worst = differences.max_by(f32::total_cmp).unwrap();
            eprintln!("{clip}: max |d| {worst:e}");
            assert!(worst <= 5e-3, "{clip}: {worst}");
        }
    }

    #[test]
    fn the_number_of_rows_equals_the_reference() {
        for (samples, rows) in
            [(0, 0), (1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (32_000, 199), (720, 3)]
        {
            assert_eq!(one_shot(&test_audio(samples)).len(), rows, "{samples} samples");
        }
    }

    #[test]
    fn silence_is_finite() {
        let rows = one_shot(&[0; 1000]);
        assert!(rows.as_flattened().iter().all(|v| v.is_finite()));
        assert_eq!(rows[0][0], f64::EPSILON.ln() as f32);
    }

    #[test]
    fn log_mel_of_a_tone_peaks_in_its_own_filter() {
        let tone: Vec<i16> = (0..400)
            .map(|i| ((2.0 * PI * 1000.0 * f64::from(i) / 16_000.0).sin() * 8000.0) as i16)
            .collect();
        let (mut stream, mut rows) = (LogMel::new(), Vec::new());
        stream.push(&tone, &mut rows);
        assert_eq!(rows.len(), 1);
        let loudest = (0..40).max_by(|&a, &b| rows[0][a].total_cmp(&rows[0][b])).unwrap();
        // 1000 Hz is mel 1000; 41 steps reach mel 2840, so filter 14.4 peaks there.
        assert!((13..=14).contains(&loudest), "{loudest}");
    }

    #[test]
    fn a_restart_with_the_sample_before_continues_the_audio() {
        let samples = test_audio(2000);
        let whole = one_shot(&samples);
        let (mut stream, mut rows) = (Mfcc::new(), Vec::new());
        stream.restart(Some(samples[319]));
        stream.push(&samples[320..], &mut rows);
        stream.finish(&mut rows);
        assert_eq!(rows, whole[2..]);
    }

    proptest! {
        #[test]
        fn piece_sizes_do_not_change_the_result(
            length in 0usize..6000,
            pieces in prop::collection::vec(1usize..900, 1..12),
        ) {
            let samples = test_audio(length);
            let (mut stream, mut rows) = (Mfcc::new(), Vec::new());
            let mut rest = &samples[..];
            for piece in pieces.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                stream.push(now, &mut rows);
                rest = later;
            }
            stream.finish(&mut rows);
            prop_assert_eq!(rows, one_shot(&samples));
        }
    }
}
