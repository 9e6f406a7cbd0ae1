//! Which stretch of a face's track is measured.
//!
//! Takes the package's own scores, a tick each; gives the stretch in which it says *speaking* most,
//! or why there is none. Evidence for speaking can only be looked for where the score says so.

/// A score above it is clear speech.
pub const CLEAR_SPEECH_P: f32 = 0.8;
/// Of a window's ticks so many tenths are clear speech, at least.
const MIN_CLEAR_TENTHS: usize = 9;

/// What a track is good for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum TrackSpeech {
    /// A window of clear speech.
    Speaking(SpeechWindow),
    /// Windows, but none of clear speech.
    Silent,
    /// No window with a score at every tick: too short, or its audio has gaps.
    TooShort,
}

/// A window of clear speech.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SpeechWindow {
    /// Its first tick, counted from the track's start.
    pub start: usize,
    /// Ticks of it with clear speech.
    pub clear_ticks: usize,
    /// The mean score in it.
    pub mean_p: f32,
}

impl SpeechWindow {
    /// Orders the clearest speech first.
    pub fn clearest_first(a: &Self, b: &Self) -> std::cmp::Ordering {
        b.clear_ticks.cmp(&a.clear_ticks).then(b.mean_p.total_cmp(&a.mean_p))
    }
}

/// The window of `ticks` ticks with the most clear speech, the first of several.
pub fn find_speech_window(scores: &[Option<f32>], ticks: usize) -> TrackSpeech {
    let mut best: Option<SpeechWindow> = None;
    for (start, window) in scores.windows(ticks.max(1)).enumerate() {
        let Some(scores) = window.iter().copied().collect::<Option<Vec<f32>>>() else { continue };
        let clear_ticks = scores.iter().filter(|p| **p > CLEAR_SPEECH_P).count();
        let mean_p = scores.iter().sum::<f32>() / scores.len() as f32;
        if best.is_none_or(|known| clear_ticks > known.clear_ticks) {
            best = Some(SpeechWindow { start, clear_ticks, mean_p });
        }
    }
    match best {
        None => TrackSpeech::TooShort,
        Some(speech) if speech.clear_ticks * 10 >= ticks * MIN_CLEAR_TENTHS => {
            TrackSpeech::Speaking(speech)
        }
        Some(_) => TrackSpeech::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(parts: &[(usize, Option<f32>)]) -> Vec<Option<f32>> {
        parts.iter().flat_map(|(n, p)| vec![*p; *n]).collect()
    }

    #[test]
    fn the_clearest_window_is_taken_and_the_first_of_several() {
        let scores = scores(&[(30, Some(0.2)), (60, Some(0.9)), (30, Some(0.1))]);
        let TrackSpeech::Speaking(found) = find_speech_window(&scores, 50) else {
            panic!("there is speech")
        };
        assert_eq!((found.start, found.clear_ticks), (30, 50));
        assert!((found.mean_p - 0.9).abs() < 1e-6);
    }

    #[test]
    fn nine_tenths_are_enough_and_less_is_silence() {
        let with = |clear_ticks| {
            find_speech_window(
                &scores(&[(clear_ticks, Some(0.9)), (50 - clear_ticks, Some(0.5))]),
                50,
            )
        };
        assert!(matches!(with(45), TrackSpeech::Speaking(_)));
        assert_eq!(with(44), TrackSpeech::Silent);
    }

    #[test]
    fn a_window_without_a_score_at_every_tick_is_none() {
        assert_eq!(find_speech_window(&[Some(0.9); 49], 50), TrackSpeech::TooShort);
        let gap = scores(&[(49, Some(0.9)), (1, None), (49, Some(0.9))]);
        assert_eq!(find_speech_window(&gap, 50), TrackSpeech::TooShort);
        let after = scores(&[(49, Some(0.9)), (1, None), (50, Some(0.9))]);
        assert!(matches!(
            find_speech_window(&after, 50),
            TrackSpeech::Speaking(SpeechWindow { start: 50, .. })
        ));
        assert_eq!(find_speech_window(&[], 50), TrackSpeech::TooShort);
    }
}
