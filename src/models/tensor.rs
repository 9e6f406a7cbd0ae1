//! A float array with a shape, for weights and results.

/// A row-major float array. The number of values is always the product of the dimensions.
#[derive(Clone, PartialEq, Default)]
pub struct Tensor {
    dims: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    /// An array of shape `dims`, or `None` if the number of values differs.
    pub fn new(dims: &[usize], values: Vec<f32>) -> Option<Self> {
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        (count == values.len()).then(|| Self { dims: dims.to_vec(), values })
    }

    /// Replaces shape and values and keeps the memory; `false`, and empty, if the number of values
    /// does not fit.
    pub fn refill(&mut self, dims: impl Iterator<Item = usize>, values: &[f32]) -> bool {
        self.dims.clear();
        self.values.clear();
        self.dims.extend(dims);
        let count = self.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count != Some(values.len()) {
            self.dims.clear();
            self.dims.push(0);
            return false;
        }
        self.values.extend_from_slice(values);
        true
    }

    /// An array of shape `dims` with the value `value(i)` at flat index `i`.
    pub fn from_fn(dims: &[usize], value: impl FnMut(usize) -> f32) -> Self {
        let count = dims.iter().product();
        Self { dims: dims.to_vec(), values: (0..count).map(value).collect() }
    }

    /// A one-dimensional array.
    pub fn vector(values: Vec<f32>) -> Self {
        Self { dims: vec![values.len()], values }
    }

    /// The size of each dimension.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The values, last dimension fastest.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, without the shape.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// The same values in another shape, or `None` if their number differs.
    pub fn reshaped(self, dims: &[usize]) -> Option<Self> {
        Self::new(dims, self.values)
    }

    /// The transposed array, or `None` if it does not have two dimensions.
    pub fn transposed(&self) -> Option<Self> {
        let &[rows, columns] = self.dims.as_slice() else {
            return None;
        };
        Some(Self::from_fn(&[columns, rows], |i| self.values[i % rows * columns + i / rows]))
    }
}

impl std::fmt::Debug for Tensor {
    // Only the shape: values would flood a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor{:?}", self.dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_does_not_fit_is_rejected() {
        assert!(Tensor::new(&[2, 3], vec![0.0; 5]).is_none());
        assert!(Tensor::new(&[usize::MAX, 2], vec![]).is_none());
        let t = Tensor::from_fn(&[2, 3], |i| i as f32).transposed().expect("two dimensions");
        assert_eq!((t.dims(), t.values()), (&[3, 2][..], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0][..]));
    }
}
