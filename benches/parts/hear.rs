//! Rows of sound: one second, 100 rows, a call.

use divan::{Bencher, black_box};
use locutor::stages::features::mfcc::{LogMel, Mfcc};

use crate::kit::second_of_sound;

/// 13 cepstra a row, as Light-ASD hears.
#[divan::bench(max_time = 1)]
fn mfcc_second(bencher: Bencher<'_, '_>) {
    let (sound, mut stream, mut rows) = (second_of_sound(), Mfcc::new(), Vec::new());
    bencher.bench_local(|| {
        rows.clear();
        stream.push(black_box(&sound), &mut rows);
        rows.len()
    });
}

/// 40 log-mel energies a row, as the built-in model hears.
#[divan::bench(max_time = 1)]
fn log_mel_second(bencher: Bencher<'_, '_>) {
    let (sound, mut stream, mut rows) = (second_of_sound(), LogMel::new(), Vec::new());
    bencher.bench_local(|| {
        rows.clear();
        stream.push(black_box(&sound), &mut rows);
        rows.len()
    });
}
