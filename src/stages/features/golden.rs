//! Reads the reference arrays for tests; they lie beside the checkout and are not part of it.

use std::fs::File;
use std::io::{Cursor, Read};

/// One array of a golden archive, flattened, in C order.
///
/// `None`, with a message, where the references are missing.
pub(crate) fn array<T: npyz::Deserialize>(clip: &str, name: &str) -> Option<Vec<T>> {
    let path = crate::needs::shared(&format!("reference/golden/{clip}.npz"))?;
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
    Some(npyz::NpyFile::new(Cursor::new(bytes)).unwrap().into_vec().unwrap())
}
