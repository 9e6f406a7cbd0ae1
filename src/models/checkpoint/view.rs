//! A checkpoint's tensors: views into storages.

/// The type of the numbers in a storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Element {
    Float,
    Double,
    Half,
    BFloat16,
    Long,
    Int,
    Short,
    Char,
    Byte,
    Bool,
}

impl Element {
    pub(super) fn from_storage(name: &str) -> Option<Self> {
        Some(match name {
            "FloatStorage" => Self::Float,
            "DoubleStorage" => Self::Double,
            "HalfStorage" => Self::Half,
            "BFloat16Storage" => Self::BFloat16,
            "LongStorage" => Self::Long,
            "IntStorage" => Self::Int,
            "ShortStorage" => Self::Short,
            "CharStorage" => Self::Char,
            "ByteStorage" => Self::Byte,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    pub(super) const fn byte_size(self) -> usize {
        match self {
            Self::Double | Self::Long => 8,
            Self::Float | Self::Int => 4,
            Self::Half | Self::BFloat16 | Self::Short => 2,
            Self::Char | Self::Byte | Self::Bool => 1,
        }
    }
}

/// A contiguous array of numbers in the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Storage {
    pub element: Element,
    /// The name of its record under `data/`.
    pub key: String,
    /// The count of numbers.
    pub count: usize,
}

/// A tensor as a view into a storage; all its positions are in bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TensorView {
    pub storage: Storage,
    pub offset: usize,
    pub dims: Vec<usize>,
    pub strides: Vec<usize>,
}

impl TensorView {
    pub(super) fn new(
        storage: &Storage,
        offset: usize,
        dims: Vec<usize>,
        strides: Vec<usize>,
    ) -> Option<Self> {
        if dims.len() != strides.len() || dims.len() > 8 {
            return None;
        }
        // At most the storage's count of values, so that a stride of 0 cannot exhaust memory.
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        let last = dims.iter().zip(&strides).try_fold(offset, |at, (&dim, &stride)| {
            at.checked_add(dim.saturating_sub(1).checked_mul(stride)?)
        })?;
        let fits = count <= storage.count && (count == 0 || last < storage.count);
        fits.then(|| Self { storage: storage.clone(), offset, dims, strides })
    }

    /// The position of every value in the storage, last dimension fastest.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> {
        let count: usize = self.dims.iter().product();
        (0..count).map(|flat| {
            let axes = self.dims.iter().zip(&self.strides).rev();
            let (_, at) = axes.fold((flat, self.offset), |(rest, at), (&dim, &stride)| {
                (rest / dim, at + rest % dim * stride)
            });
            at
        })
    }
}
