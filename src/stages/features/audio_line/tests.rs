//! The sound's timeline, told as timelines.

use proptest::prelude::*;

use super::super::golden;
use super::*;
use crate::core::time::Span;

const T: fn(i64) -> Tick = Tick;

fn sound(samples: usize) -> Vec<i16> {
    (0..samples).map(|i| ((i * i / 7 + 31 * i) % 9001) as i16).collect()
}

fn at(sample: i64) -> Pts {
    Pts::from_ns(sample * 62_500)
}

/// The ticks of `0..until` that are gaps.
fn gaps(line: &AudioLine<13>, until: i64) -> Vec<i64> {
    (0..until).filter(|t| line.gap(T(*t))).collect()
}

#[test]
fn a_golden_clip_has_the_references_rows() {
    for clip in ["aoc_512", "debate_mexca"] {
        let Some(audio) = golden::array::<i16>(clip, "audio") else { continue };
        let Some(expected) = golden::array::<f32>(clip, "mfcc_rows") else { continue };
        let mut line = AudioLine::new();
        for (i, piece) in audio.chunks(1024).enumerate() {
            line.push(at(1024 * i as i64), piece);
        }
        line.finish();
        let rows = line.rows(T(0)..T(50)).expect("two seconds without a hole");
        let near = rows.as_flattened().iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 5e-3);
        assert!(near && rows.len() * 13 == expected.len(), "{clip}");
        assert_eq!(line.unbroken(T(20)), Some(T(0)..T(50)));
        assert!(line.gap(T(50)) && line.gap(T(-1)));
    }
}

#[test]
fn ticks_are_ready_as_soon_as_their_sound_was_heard() {
    let mut line = AudioLine::new();
    assert_eq!(line.ready_until(), T(i64::MIN));
    // The last row of tick 0 ends with sample 480 + 400.
    line.push(at(0), &sound(879));
    assert_eq!(line.ready_until(), T(0));
    line.push(at(879), &[5]);
    assert_eq!(line.ready_until(), T(1));
    assert_eq!(line.rows(T(0)..T(1)).map(<[_]>::len), Some(4));
    assert_eq!(line.rows(T(0)..T(2)), None);
    assert!(!line.gap(T(1)));
}

#[test]
fn sound_that_starts_later_leaves_gaps_before_it() {
    let mut line = AudioLine::new();
    line.push(at(1000), &sound(6400));
    assert_eq!(line.unbroken(T(5)), Some(T(2)..T(11)));
    assert_eq!(gaps(&line, 10), [0, 1]);
    // The rows are those of the whole sound: the sample before the first one is known.
    let mut cut = Mfcc::new();
    let mut rows = Vec::new();
    cut.restart(Some(sound(280)[279]));
    cut.push(&sound(6400)[280..], &mut rows);
    assert_eq!(line.rows(T(2)..T(5)), Some(&rows[..12]));
}

#[test]
fn a_start_up_to_five_milliseconds_late_loses_nothing() {
    let mut line = AudioLine::new();
    line.push(at(80), &sound(6400));
    assert_eq!(line.unbroken(T(5)).map(|run| run.start), Some(T(0)));
    let mut line = AudioLine::new();
    line.push(at(81), &sound(6400));
    assert_eq!(line.unbroken(T(5)).map(|run| run.start), Some(T(1)));
}

#[test]
fn a_hole_is_a_gap_around_itself() {
    let mut line = AudioLine::new();
    line.push(at(0), &sound(6400));
    line.push(at(9700), &sound(6400));
    // The sound stops at tick 10, so that tick 9's last row is not full; it comes back in 15.
    assert_eq!(gaps(&line, 20), [9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(line.rows(T(8)..T(17)), None);
    assert_eq!(line.unbroken(T(3)), Some(T(0)..T(9)));
    assert_eq!(line.unbroken(T(16)), Some(T(16)..T(24)));
}

#[test]
fn jitter_moves_nothing() {
    let (mut steady, mut jittery) = (AudioLine::new(), AudioLine::new());
    for (i, piece) in sound(16_000).chunks(320).enumerate() {
        let pts = at(320 * i as i64);
        steady.push(pts, piece);
        let off = Span::from_ms([0, 4, -4, 19, -19][i % 5]);
        jittery.push(pts + off, piece);
    }
    assert_eq!(jittery.rows(T(0)..T(23)), steady.rows(T(0)..T(23)));
    assert!(steady.rows(T(0)..T(23)).is_some());
}

#[test]
fn a_drifting_clock_is_anchored_anew() {
    let mut line = AudioLine::new();
    // One part in a hundred: 20 ms have added up after two seconds.
    for (i, piece) in sound(48_000).chunks(320).enumerate() {
        line.push(at(i as i64 * 323 + 3), piece);
    }
    assert_eq!(gaps(&line, 70), [53]);
}

#[test]
fn what_is_heard_twice_is_dropped() {
    let mut line = AudioLine::new();
    line.push(at(0), &sound(6400));
    line.push(at(3200), &sound(3200));
    assert_eq!(line.ready_until(), T(9));
    line.push(at(3200), &sound(9600));
    assert_eq!(gaps(&line, 18), [9]);
    assert_eq!(line.unbroken(T(12)).map(|run| run.start), Some(T(10)));
}

#[test]
fn a_watermark_turns_missing_sound_into_a_gap() {
    let mut line = AudioLine::new();
    line.advance_to(Pts::from_seconds(1.0));
    assert_eq!((line.ready_until(), line.gap(T(24)), line.gap(T(25))), (T(25), true, false));
    line.push(Pts::from_seconds(0.5), &sound(16_000));
    assert_eq!(line.unbroken(T(30)), Some(T(25)..T(37)));
    line.advance_to(Pts::from_seconds(1.51));
    assert_eq!(line.unbroken(T(30)), Some(T(25)..T(37)), "within the jitter");
    line.advance_to(Pts::from_seconds(3.0));
    assert_eq!(line.ready_until(), T(75));
    assert!(line.gap(T(37)) && !line.gap(T(36)));
}

#[test]
fn a_last_tick_counts_if_half_of_it_was_sound() {
    for (samples, ticks) in [(640 + 320, 2), (640 + 319, 1), (320, 1), (319, 0), (6400, 10)] {
        let mut line = AudioLine::new();
        line.push(at(0), &sound(samples));
        line.finish();
        assert_eq!(gaps(&line, 20).first(), Some(&ticks), "{samples} samples");
        line.push(at(samples as i64), &sound(6400));
        assert_eq!(line.ready_until(), T(i64::MAX));
    }
}

#[test]
fn forgetting_bounds_memory_and_answers() {
    let mut line = AudioLine::new();
    for i in 0..2000 {
        line.push(at(640 * i), &sound(640));
        line.forget_before(T(i - 50));
        let held: usize = line.runs.iter().map(|run| run.rows.len()).sum();
        assert!(held <= 2 * 4 * 53, "{held} rows");
    }
    assert_eq!(line.unbroken(T(1990)), Some(T(1949)..T(1999)));
    assert!(line.rows(T(1948)..T(1950)).is_none() && !line.gap(T(1948)));
    line.forget_before(T(5000));
    line.push(at(640 * 2000), &sound(64_000));
    assert_eq!(line.ready_until(), T(2099));
    line.finish();
    line.forget_before(T(5000));
    assert!(line.runs.is_empty());
}

#[test]
fn absurd_times_do_no_harm() {
    let mut line = AudioLine::new();
    for ns in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
        line.push(Pts::from_ns(ns), &sound(2000));
        line.advance_to(Pts::from_ns(ns));
    }
    line.finish();
}

proptest! {
    /// However the sound is cut and wherever it has holes: answers never change, rows and gaps
    /// fill the line without overlap, and rows are those of the sound at that place.
    #[test]
    fn every_tick_has_one_answer(
        pieces in prop::collection::vec((1usize..3000, prop::bool::weighted(0.2), 400i64..5000), 1..25),
        start in 0i64..3000,
    ) {
        let total: usize = pieces.iter().map(|p| p.0 + p.2 as usize).sum();
        let everything = sound(total + 3000);
        let (mut line, mut next) = (AudioLine::new(), start);
        let (mut ready, mut answers) = (T(0), Vec::new());
        for (length, hole, hole_length) in pieces {
            next += if hole { hole_length } else { 0 };
            let piece = &everything[next as usize..][..length];
            line.push(at(next), piece);
            next += length as i64;
            prop_assert!(line.ready_until() >= ready);
            ready = line.ready_until();
            while (answers.len() as i64) < ready.0 {
                let tick = T(answers.len() as i64);
                let rows = line.rows(tick..tick.offset(1)).map(<[_]>::to_vec);
                prop_assert_eq!(rows.is_none(), line.gap(tick));
                answers.push(rows);
            }
        }
        let mut whole = Vec::new();
        Mfcc::new().push(&everything, &mut whole);
        for (tick, answer) in answers.iter().enumerate() {
            let tick = T(tick as i64);
            let rows = line.rows(tick..tick.offset(1));
            prop_assert_eq!(rows, answer.as_deref());
            let padded = line.unbroken(tick).is_some_and(|run| run.start == tick);
            if let Some(rows) = rows.filter(|_| !padded) {
                prop_assert_eq!(rows, &whole[tick.0 as usize * 4..][..4]);
            }
        }
    }
}
