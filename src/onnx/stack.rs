//! Jobs of several tracks and streams as one run of a graph, and its answers taken apart again.
//!
//! Every graph of a speaker package leaves its first dimension N open, so that jobs of equal length
//! lie one behind the other in one tensor. On a GPU that is what keeps it busy; on a CPU more rows
//! gain nothing and cost copies of every state, so that each job is run by itself.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::session::Provider;

/// As many as a graph has inputs or outputs, or a CPU's run has jobs, need no memory of their own.
pub type Few<T> = SmallVec<[T; 8]>;

/// Jobs in one run at most on a GPU: beyond it a batch saves little and makes others wait.
const GPU_JOBS: usize = 512;

/// How many jobs go through a graph in one run at most.
pub const fn jobs_at_once(provider: Provider) -> usize {
    match provider {
        Provider::Cpu => 1,
        Provider::Cuda { .. } | Provider::TensorRt { .. } => GPU_JOBS,
    }
}

/// Runs jobs of equal `key` together, at most `most` at once, and gives the answers in the jobs' own
/// order. `run` gives one answer for each job, in their order.
///
/// # Errors
/// The first that `run` gives.
pub fn together<J, A, K: Ord, R: IntoIterator<Item = A>, E>(
    jobs: Vec<J>,
    most: usize,
    key: impl Fn(&J) -> K,
    mut run: impl FnMut(&mut [J]) -> Result<R, E>,
) -> Result<Vec<A>, E> {
    let mut answers: Vec<Option<A>> = jobs.iter().map(|_| None).collect();
    let mut groups: BTreeMap<K, (Vec<usize>, Vec<J>)> = BTreeMap::new();
    for (place, job) in jobs.into_iter().enumerate() {
        let (places, group) = groups.entry(key(&job)).or_default();
        places.push(place);
        group.push(job);
    }
    let most = most.max(1);
    for (places, group) in groups.values_mut() {
        for (places, jobs) in places.chunks(most).zip(group.chunks_mut(most)) {
            for (place, answer) in places.iter().zip(run(jobs)?) {
                answers[*place] = Some(answer);
            }
        }
    }
    Ok(answers.into_iter().flatten().collect())
}

/// The values of several jobs one behind the other; those of a single one as they are.
pub fn joined<'a>(mut parts: impl Iterator<Item = &'a [f32]>) -> Cow<'a, [f32]> {
    let Some(first) = parts.next() else { return Cow::Borrowed(&[]) };
    let Some(second) = parts.next() else { return Cow::Borrowed(first) };
    let mut all = [first, second].concat();
    parts.for_each(|part| all.extend_from_slice(part));
    Cow::Owned(all)
}

/// Memory of one track's states for those that follow them: they are megabytes, and as much again
/// with every call would cost more than copying them does.
#[derive(Debug, Default)]
pub struct Spare(Few<Vec<f32>>);

impl Spare {
    /// `values` in the memory of the state at `place`, where it is kept.
    pub fn fill(&mut self, place: usize, values: &[f32]) -> Vec<f32> {
        let mut own = self.0.get_mut(place).map(std::mem::take).unwrap_or_default();
        own.clear();
        own.extend_from_slice(values);
        own
    }

    /// Keeps the memory of states that were read.
    pub fn keep(&mut self, states: Vec<Vec<f32>>) {
        self.0 = states.into();
    }
}

/// Takes the answer to several jobs apart by the rows of each; `None` where it cannot be shared
/// out evenly.
pub fn split(values: &[f32], rows: &[usize]) -> Option<Few<Vec<f32>>> {
    let all = rows.iter().sum::<usize>().max(1);
    if !values.len().is_multiple_of(all) {
        return None;
    }
    let (row, mut rest) = (values.len() / all, values);
    let mut parts = Few::with_capacity(rows.len());
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
        let answers = together(
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
        let failed = together(jobs, 9, |job| job.len(), |_| Err::<Vec<()>, _>("no"));
        assert_eq!(failed, Err("no"));
        let none = together(Vec::<&str>::new(), 9, |_| 0, |_| Ok::<Vec<()>, ()>(Vec::new()));
        assert_eq!(none, Ok(Vec::new()));
    }

    #[test]
    fn what_is_joined_comes_apart_again() {
        let parts: [&[f32]; 3] = [&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0], &[7.0, 8.0]];
        let all = joined(parts.into_iter());
        assert_eq!(*all, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let apart = split(&all, &[1, 2, 1]).expect("four rows of two");
        assert_eq!(apart.to_vec(), parts);
        assert!(matches!(joined(parts.into_iter().take(1)), Cow::Borrowed([1.0, 2.0])));
        assert_eq!(split(&[1.0, 2.0], &[1]).expect("one row").to_vec(), [[1.0, 2.0]]);
        assert_eq!(split(&[], &[1, 1]).map(|parts| parts.len()), Some(2));
        assert_eq!(split(&[1.0, 2.0, 3.0], &[1, 1]), None);
    }

    #[test]
    fn states_come_in_the_memory_of_those_that_were_read() {
        let mut spare = Spare::default();
        assert_eq!(spare.fill(1, &[1.0]), [1.0]);
        let read = vec![vec![0.0; 9], vec![0.0; 2]];
        let memory = read[0].as_ptr();
        spare.keep(read);
        let filled = spare.fill(0, &[1.0, 2.0]);
        assert_eq!((filled.as_slice(), filled.as_ptr()), (&[1.0, 2.0][..], memory));
        let another = spare.fill(0, &[3.0]);
        assert_ne!(another.as_ptr(), memory, "not given twice");
    }

    #[test]
    fn only_a_gpu_gains_from_more_rows() {
        assert_eq!(jobs_at_once(Provider::Cpu), 1);
        assert_eq!(jobs_at_once(Provider::Cuda { gpu: 0, tf32: false }), 512);
        assert_eq!(jobs_at_once(Provider::TensorRt { gpu: 1, half: true }), 512);
    }
}
