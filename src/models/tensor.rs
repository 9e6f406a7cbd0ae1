//! A plain array of numbers with a shape: weights between a checkpoint and a graph.

/// A row-major float array. The number of values is always the product of the dimensions.
#[derive(Clone, PartialEq, Default)]
pub struct Tensor {
    dims: Vec<usize>,
    values: Vec<f32>,
}

impl Tensor {
    /// An array of shape `dims`, or `None` where the number of values is another one.
    pub fn new(dims: &[usize], values: Vec<f32>) -> Option<Self> {
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        (count == values.len()).then(|| Self { dims: dims.to_vec(), values })
    }

    /// Becomes an array of shape `dims`, in the memory that it has; `false`, and empty, where the
    /// number of values is another one.
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

    /// An array of shape `dims` whose value at flat position `i` is `value(i)`.
    pub fn from_fn(dims: &[usize], value: impl FnMut(usize) -> f32) -> Self {
        let count = dims.iter().product();
        Self { dims: dims.to_vec(), values: (0..count).map(value).collect() }
    }

    /// A single row of values.
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

    /// The same values under another shape, or `None` where that holds another number of them.
    pub fn reshaped(self, dims: &[usize]) -> Option<Self> {
        Self::new(dims, self.values)
    }

    /// The array with rows and columns of its two dimensions exchanged, or `None` where it has
    /// another number of dimensions.
    pub fn transposed(&self) -> Option<Self> {
        let &[rows, columns] = self.dims.as_slice() else {
            return None;
        };
        Some(Self::from_fn(&[columns, rows], |i| self.values[i % rows * columns + i / rows]))
    }
}

impl std::fmt::Debug for Tensor {
    // Weights are left out: a tensor in a log is its shape.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor{:?}", self.dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        assert!(Tensor::new(&[2, 3], vec![0.0; 5]).is_none());
        assert!(Tensor::new(&[usize::MAX, 2], vec![]).is_none());
        let t = Tensor::from_fn(&[2, 3], |i| i as f32).transposed().expect("two dimensions");
        assert_eq!((t.dims(), t.values()), (&[3, 2][..], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0][..]));
    }
}
