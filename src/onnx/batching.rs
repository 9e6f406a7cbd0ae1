//! Batching: jobs of several tracks and streams in one run of a graph, and its results split again.
//!
//! The first dimension N of every speaker graph is free, so that jobs of equal length share one
//! tensor. A GPU needs batches to be busy. On a CPU a batch gains nothing and costs copies of every
//! state, so each job runs alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::providers::Provider;

/// A list without heap memory up to 8 elements: a graph's inputs or outputs, or a CPU's jobs.
pub(super) type InlineVec<T> = SmallVec<[T; 8]>;

/// The largest batch on a GPU: a larger one saves little and delays other jobs.
const GPU_MAX_BATCH_SIZE: usize = 512;

/// The largest number of jobs in one run.
pub(super) const fn max_batch_size(provider: Provider) -> usize {
    match provider {
        Provider::Cpu => 1,
        Provider::Cuda { .. } | Provider::TensorRt { .. } => GPU_MAX_BATCH_SIZE,
    }
}

/// Runs jobs of equal `key` in batches of up to `max_batch_size`. Returns the answers in the order
/// of `jobs`. `run` returns one answer for each job, in order.
///
/// # Errors
/// The first error of `run`.
pub(super) fn run_batched<J, A, K: Ord, R: IntoIterator<Item = A>, E>(
    jobs: Vec<J>,
    max_batch_size: usize,
    key: impl Fn(&J) -> K,
    mut run: impl FnMut(&mut [J]) -> Result<R, E>,
) -> Result<Vec<A>, E> {
    let mut answers: Vec<Option<A>> = jobs.iter().map(|_| None).collect();
    let mut groups: BTreeMap<K, (Vec<usize>, Vec<J>)> = BTreeMap::new();
    for (index, job) in jobs.into_iter().enumerate() {
        let (indices, group) = groups.entry(key(&job)).or_default();
        indices.push(index);
        group.push(job);
    }
    let max_batch_size = max_batch_size.max(1);
    for (indices, group) in groups.values_mut() {
        let batches = indices.chunks(max_batch_size).zip(group.chunks_mut(max_batch_size));
        for (indices, jobs) in batches {
            for (index, answer) in indices.iter().zip(run(jobs)?) {
                answers[*index] = Some(answer);
            }
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// The values of several jobs, concatenated; a single job's values are borrowed.
pub(super) fn concatenate<'a>(mut parts: impl Iterator<Item = &'a [f32]>) -> Cow<'a, [f32]> {
    let Some(first) = parts.next() else { return Cow::Borrowed(&[]) };
    let Some(second) = parts.next() else { return Cow::Borrowed(first) };
    let mut all = [first, second].concat();
    parts.for_each(|part| all.extend_from_slice(part));
    Cow::Owned(all)
}

/// Buffers of one track's old states, reused for its next ones: they are megabytes, and allocating
/// them for every call would cost more than copying them.
#[derive(Debug, Default)]
pub(super) struct SpareStates(InlineVec<Vec<f32>>);

impl SpareStates {
    /// Copies `values` into the kept buffer at `index`, or a new one.
    pub(super) fn fill(&mut self, index: usize, values: &[f32]) -> Vec<f32> {
        let mut own = self.0.get_mut(index).map(std::mem::take).unwrap_or_default();
        own.clear();
        own.extend_from_slice(values);
        own
    }

    /// Keeps the buffers of used states.
    pub(super) fn keep(&mut self, states: Vec<Vec<f32>>) {
        self.0 = states.into();
    }
}

/// Splits a batch's values by the rows of each job; `None` if they do not divide evenly.
pub(super) fn split_rows(values: &[f32], rows: &[usize]) -> Option<InlineVec<Vec<f32>>> {
    let all = rows.iter().sum::<usize>().max(1);
    if !values.len().is_multiple_of(all) {
        return None;
    }
    let (row, mut rest) = (values.len() / all, values);
    let mut parts = InlineVec::with_capacity(rows.len());
    for rows in rows {
        let (part, after) = rest.split_at_checked(rows * row)?;
        parts.push(part.to_vec());
        rest = after;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_one_length_run_together_and_answers_keep_their_order() {
        let jobs = vec!["aa", "b", "cc", "dd", "e"];
        let mut runs = Vec::new();
        let answers = run_batched(
            jobs.clone(),
            2,
            |job| job.len(),
            |jobs| {
                runs.push(jobs.to_vec());
                Ok::<Vec<_>, ()>(jobs.iter().map(|job| job.to_uppercase()).collect())
            },
        );
        assert_eq!(answers, Ok(jobs.iter().map(|job| job.to_uppercase()).collect()));
        assert_eq!(runs, [vec!["b", "e"], vec!["aa", "cc"], vec!["dd"]]);
        let failed = run_batched(jobs, 9, |job| job.len(), |_| Err::<Vec<()>, _>("no"));
        assert_eq!(failed, Err("no"));
        let none = run_batched(Vec::<&str>::new(), 9, |_| 0, |_| Ok::<Vec<()>, ()>(Vec::new()));
        assert_eq!(none, Ok(Vec::new()));
    }

    #[test]
    fn concatenated_values_are_split_again() {
        let parts: [&[f32]; 3] = [&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0], &[7.0, 8.0]];
        let all = concatenate(parts.into_iter());
        assert_eq!(*all, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let apart = split_rows(&all, &[1, 2, 1]).expect("four rows of two");
        assert_eq!(apart.to_vec(), parts);
        assert!(matches!(concatenate(parts.into_iter().take(1)), Cow::Borrowed([1.0, 2.0])));
        assert_eq!(split_rows(&[1.0, 2.0], &[1]).expect("one row").to_vec(), [[1.0, 2.0]]);
        assert_eq!(split_rows(&[], &[1, 1]).map(|parts| parts.len()), Some(2));
        assert_eq!(split_rows(&[1.0, 2.0, 3.0], &[1, 1]), None);
    }

    #[test]
    fn new_states_reuse_the_buffers_of_used_ones() {
        let mut spare = SpareStates::default();
        assert_eq!(spare.fill(1, &[1.0]), [1.0]);
        let read = vec![vec![0.0; 9], vec![0.0; 2]];
        let memory = read[0].as_ptr();
        spare.keep(read);
        let filled = spare.fill(0, &[1.0, 2.0]);
        assert_eq!((filled.as_slice(), filled.as_ptr()), (&[1.0, 2.0][..], memory));
        let another = spare.fill(0, &[3.0]);
        assert_ne!(another.as_ptr(), memory, "not reused twice");
    }

    #[test]
    fn only_a_gpu_batches() {
        assert_eq!(max_batch_size(Provider::Cpu), 1);
        assert_eq!(max_batch_size(Provider::Cuda { gpu: 0, tf32: false }), 512);
        assert_eq!(max_batch_size(Provider::TensorRt { gpu: 1, half: true }), 512);
    }
}
