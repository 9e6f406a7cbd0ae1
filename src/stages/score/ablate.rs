//! What a face channel is worth: how much the score changes when the channel is taken out.
//!
//! Takes a window as the head is given it; gives, per tick and channel, z with the channel minus z
//! without it, the channel gone from the whole window. Exact for both kinds of encoder: where the
//! embedding is the map's maximum, a channel is one of its values; where it is a sum over channels,
//! the encoder says what each one adds, and that is taken off.

use super::model::{HeadJob, HeadResult, InferenceError, SpeakerModel};

/// Runs of the head in one call at most: bounds the memory that ablation takes.
const MAX_ROWS: usize = 64;

/// A window of one track.
#[derive(Clone, Copy, Debug)]
pub struct HeadWindow<'a> {
    /// T.
    pub ticks: usize,
    /// T × embedding.
    pub audio: &'a [f32],
    /// T × embedding.
    pub face: &'a [f32],
    /// The head's forward state before the window.
    pub forward: &'a [f32],
    /// T × C × embedding: what each channel adds to `face`; empty for an encoder that does not say.
    pub contributions: &'a [f32],
}

/// The signed effect of every face channel on the ticks `emit`: as many rows of C values. `whole`
/// is the head's answer to the same window; its first row counts.
///
/// # Errors
/// Where the model fails.
pub fn effects(
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

/// Takes `channel` out of T embeddings.
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
    fn a_channel_is_one_value_of_each_embedding_or_what_it_adds() {
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
