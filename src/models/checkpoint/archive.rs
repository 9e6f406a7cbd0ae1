//! A checkpoint's zip archive: `NAME/data.pkl` and `NAME/data/KEY` for every storage.

use std::fs::File;
use std::io::Read as _;

use zip::ZipArchive;
use zip::result::ZipError;

use super::view::Storage;

/// Limits far above the imported networks (4 MB), so that no file can exhaust memory.
const MAX_PICKLE_BYTES: u64 = 8 << 20;
const MAX_STORAGE_BYTES: u64 = 256 << 20;

pub(super) struct Archive {
    zip: ZipArchive<File>,
    /// The path before `data.pkl`, with the slash.
    root: String,
}

impl Archive {
    pub(super) fn open(mut file: File) -> Result<Self, String> {
        let mut magic = [0; 4];
        let read = file.read(&mut magic).map_err(|e| e.to_string())?;
        match &magic[..read] {
            [] => return Err("the file is empty".into()),
            b"PK\x03\x04" => {}
            [0x80, 2, ..] => {
                return Err("it is in PyTorch's format before 1.6; \
                            save it again with a newer torch.save"
                    .into());
            }
            _ => return Err("it is not a zip archive as torch.save writes".into()),
        }
        let zip = ZipArchive::new(file).map_err(|error| match error {
            ZipError::Io(e) => e.to_string(),
            other => format!("its zip directory is missing or damaged, is it truncated? ({other})"),
        })?;
        let mut pickles = zip.file_names().filter_map(|name| {
            // A name that is not UTF-8 is not data.pkl.
            name.ok()?.strip_suffix("data.pkl").map(str::to_owned)
        });
        let root = match (pickles.next(), pickles.next()) {
            (Some(root), None) => root,
            (None, _) => return Err("the archive has no data.pkl".into()),
            (Some(_), Some(_)) => return Err("the archive has more than one data.pkl".into()),
        };
        drop(pickles);
        Ok(Self { zip, root })
    }

    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, String> {
        let name = format!("{}data.pkl", self.root);
        self.record(&name, MAX_PICKLE_BYTES)
    }

    /// The numbers of a storage; their count must match the pickle.
    pub(super) fn storage(&mut self, storage: &Storage) -> Result<Vec<u8>, String> {
        let name = format!("{}data/{}", self.root, storage.key);
        let bytes = self.record(&name, MAX_STORAGE_BYTES)?;
        let expected = storage.count.checked_mul(storage.element.byte_size());
        if expected != Some(bytes.len()) {
            let Storage { count, element, .. } = storage;
            return Err(format!("{name} has {} bytes, not {count} {element:?}", bytes.len()));
        }
        Ok(bytes)
    }

    fn record(&mut self, name: &str, max_bytes: u64) -> Result<Vec<u8>, String> {
        let record = self.zip.by_name(name).map_err(|error| match error {
            ZipError::FileNotFound => format!("the archive has no {name}"),
            other => format!("{name} cannot be read: {other}"),
        })?;
        if record.size() > max_bytes {
            return Err(format!("{name} has {} bytes, more than {max_bytes}", record.size()));
        }
        let mut bytes = Vec::new();
        // The directory's size may be wrong: never read more than the limit.
        record.take(max_bytes).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
        Ok(bytes)
    }
}
