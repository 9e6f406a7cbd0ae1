//! Rows of audio: one second, 100 rows, a call.

use divan::{Bencher, black_box};
use locutor::stages::features::mfcc::{LogMel, Mfcc};

use crate::kit::second_of_audio;

/// 13 cepstra a row, as Light-ASD hears.
#[divan::bench(max_time = 1)]
fn mfcc_second(bencher: Bencher<'_, '_>) {
    let (audio, mut stream, mut rows) = (second_of_audio(), Mfcc::new(), Vec::new());
    bencher.bench_local(|| {
        rows.clear();
        stream.push(black_box(&audio), &mut rows);
        rows.len()
    });
}

/// 40 log-mel energies a row, as the built-in model hears.
#[divan::bench(max_time = 1)]
fn log_mel_second(bencher: Bencher<'_, '_>) {
    let (audio, mut stream, mut rows) = (second_of_audio(), LogMel::new(), Vec::new());
    bencher.bench_local(|| {
        rows.clear();
        stream.push(black_box(&audio), &mut rows);
        rows.len()
    });
}
