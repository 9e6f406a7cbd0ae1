//! The effect of a face channel: how much the score changes when the channel is removed.
//!
//! Takes a window of the head's inputs; gives, per tick and channel, z with the channel minus z
//! without it, the channel removed from the whole window. Exact for both kinds of encoder: where
//! the embedding is the map's maximum, a channel is one of its values; where it is a sum over
//! channels, the encoder reports each channel's contribution, which is subtracted.

use crate::models::speaker_model::{HeadJob, HeadResult, InferenceError, SpeakerModel};

/// Maximum number of windows in one run of the head; bounds the memory of ablation.
const MAX_ROWS: usize = 64;

/// A window of one track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadWindow<'a> {
    /// T.
    pub ticks: usize,
    /// T × embedding.
    pub audio: &'a [f32],
    /// T × embedding.
    pub face: &'a [f32],
    /// The head's forward state before the window.
    pub forward: &'a [f32],
    /// T × C × embedding: each channel's contribution to `face`; empty if the encoder has none.
    pub contributions: &'a [f32],
}

/// The signed effect of every face channel on the ticks `emit`: one row of C values per tick.
/// `whole` is the head's result for the same window; its first row counts.
///
/// # Errors
/// Where the model fails.
pub(crate) fn effects(
    model: &mut dyn SpeakerModel,
    window: HeadWindow<'_>,
    emit: std::ops::Range<usize>,
    whole: &HeadResult,
) -> Result<Vec<f32>, InferenceError> {
    let shape = model.shape();
    let (width, given) = (shape.embedding, shape.contributions);
    let channels = if given { shape.map_channels } else { shape.map_channels.min(width) };
    let mut effects = vec![0.0; emit.len() * channels];
    let all: Vec<usize> = (0..channels).collect();
    for some in all.chunks(MAX_ROWS) {
        let mut without = window.face.repeat(some.len());
        for (row, channel) in without.chunks_exact_mut(window.face.len()).zip(some) {
            remove_channel(row, *channel, (channels, width), window.contributions);
        }
        let result = model.run_head(HeadJob {
            rows: some.len(),
            ticks: window.ticks,
            audio: window.audio.repeat(some.len()),
            face: without,
            forward: window.forward.repeat(some.len()),
        })?;
        for (row, channel) in some.iter().enumerate() {
            for (at, t) in emit.clone().enumerate() {
                effects[at * channels + channel] =
                    whole.z(0, t, window.ticks) - result.z(row, t, window.ticks);
            }
        }
    }
    Ok(effects)
}

/// Removes `channel` from T embeddings.
fn remove_channel(
    face: &mut [f32],
    channel: usize,
    (channels, width): (usize, usize),
    contributions: &[f32],
) {
    if contributions.is_empty() {
        face.iter_mut().skip(channel).step_by(width).for_each(|v| *v = 0.0);
        return;
    }
    for (t, tick) in face.chunks_exact_mut(width).enumerate() {
        let share = &contributions[(t * channels + channel) * width..][..width];
        tick.iter_mut().zip(share).for_each(|(v, add)| *v -= add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_a_channel_zeroes_its_value_or_subtracts_its_contribution() {
        let mut face = vec![1.0, 2.0, 3.0, 4.0];
        remove_channel(&mut face, 1, (2, 2), &[]);
        assert_eq!(face, [1.0, 0.0, 3.0, 0.0]);
        // Two ticks, three channels, two values: channel 2 adds (5, 6) and then (11, 12).
        let contributions: Vec<f32> = (1..=12u8).map(f32::from).collect();
        let mut face = vec![20.0; 4];
        remove_channel(&mut face, 2, (3, 2), &contributions);
        assert_eq!(face, [15.0, 14.0, 9.0, 8.0]);
    }
}
