//! Selects the window of a face's track to measure.
//!
//! Input: the package's own scores, one per tick. Output: the window with the most clear speech, or
//! the reason why there is none. Evidence for speaking exists only where the score is high.

/// A score above this is clear speech.
pub(crate) const CLEAR_SPEECH_P: f32 = 0.8;
/// Minimum tenths of a window's ticks with clear speech.
const MIN_CLEAR_TENTHS: usize = 9;

/// The result of the search in one track.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum TrackSpeech {
    /// A window of clear speech.
    Speaking(SpeechWindow),
    /// Windows exist, but none has clear speech.
    Silent,
    /// No window has a score at every tick: the track is too short, or its audio has gaps.
    TooShort,
}

/// A window of clear speech.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct SpeechWindow {
    /// The first tick, counted from the track's start.
    pub start: usize,
    /// Number of ticks with clear speech.
    pub clear_ticks: usize,
    /// The mean score.
    pub mean_p: f32,
}

impl SpeechWindow {
    /// Orders the clearest speech first.
    pub(crate) fn clearest_first(a: &Self, b: &Self) -> std::cmp::Ordering {
        b.clear_ticks.cmp(&a.clear_ticks).then(b.mean_p.total_cmp(&a.mean_p))
    }
}

/// The window of `ticks` ticks with the most clear speech; the first one on a tie.
pub(crate) fn find_speech_window(scores: &[Option<f32>], ticks: usize) -> TrackSpeech {
    let mut best: Option<SpeechWindow> = None;
    for (start, window) in scores.windows(ticks.max(1)).enumerate() {
        let Some(scores) = window.iter().copied().collect::<Option<Vec<f32>>>() else { continue };
        let clear_ticks = scores.iter().filter(|p| **p > CLEAR_SPEECH_P).count();
        let mean_p = scores.iter().sum::<f32>() / scores.len() as f32;
        if best.is_none_or(|best| clear_ticks > best.clear_ticks) {
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
    fn the_clearest_window_is_taken_and_the_first_on_a_tie() {
        let scores = scores(&[(30, Some(0.2)), (60, Some(0.9)), (30, Some(0.1))]);
        let TrackSpeech::Speaking(found) = find_speech_window(&scores, 50) else {
            panic!("there is speech")
        };
        assert_eq!((found.start, found.clear_ticks), (30, 50));
        assert!((found.mean_p - 0.9).abs() < 1e-6);
    }

    #[test]
    fn nine_tenths_are_enough_and_less_is_silent() {
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
    fn a_window_needs_a_score_at_every_tick() {
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
