//! Rank correlation.

/// Spearman's correlation of two lists of the same length, −1..=1; equal values share their mean
/// rank. `None` if one list is constant or the lengths differ.
pub(crate) fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    pearson(&ranks(a), &ranks(b))
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for same in order.chunk_by(|i, j| values[*i] == values[*j]) {
        let mean = first as f64 + (same.len() as f64 - 1.0) / 2.0;
        same.iter().for_each(|i| ranks[*i] = mean);
        first += same.len();
    }
    ranks
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        let up = [1.0, 2.0, 3.0, 10.0];
        assert_eq!(spearman(&up, &[0.1, 0.2, 0.3, 0.4]), Some(1.0));
        assert_eq!(spearman(&up, &[4.0, 3.0, 2.0, 1.0]), Some(-1.0));
        // Ranks 1, 2½, 2½, 4, 5 and 2, 1, 5, 3½, 3½: 3.5 / 9.5.
        let found = spearman(&[1.0, 2.0, 2.0, 3.0, 5.0], &[2.0, 1.0, 4.0, 3.0, 3.0]);
        assert!((found.expect("not constant") - 7.0 / 19.0).abs() < 1e-9, "{found:?}");
        assert_eq!(spearman(&up, &[7.0; 4]), None);
        assert_eq!(spearman(&up, &up[..3]), None);
        assert_eq!(spearman(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn only_the_order_counts(values in prop::collection::vec((-5_i32..5, -5_i32..5), 2..30)) {
            let (a, b): (Vec<f64>, Vec<f64>) =
                values.iter().map(|(a, b)| (f64::from(*a), f64::from(*b))).unzip();
            let bent: Vec<f64> = a.iter().map(|v| v.powi(3) + 7.0).collect();
            prop_assert_eq!(spearman(&a, &b), spearman(&bent, &b));
            let turned: Vec<f64> = a.iter().map(|v| -v).collect();
            match (spearman(&a, &b), spearman(&turned, &b)) {
                (Some(r), Some(s)) => prop_assert!((r + s).abs() < 1e-9 && r.abs() <= 1.0 + 1e-9),
                (r, s) => prop_assert!(r.is_none() && s.is_none()),
            }
        }
    }
}
