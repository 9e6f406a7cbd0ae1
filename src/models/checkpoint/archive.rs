//! The zip archive around a checkpoint: `NAME/data.pkl` and `NAME/data/KEY` for every storage.

use std::fs::File;
use std::io::Read as _;

use zip::ZipArchive;
use zip::result::ZipError;

use super::view::Storage;

/// Bounds far above the networks imported here (4 MB), so that no file can ask for all memory.
const MAX_PICKLE_BYTES: u64 = 8 << 20;
const MAX_STORAGE_BYTES: u64 = 256 << 20;

pub(super) struct Archive {
    zip: ZipArchive<File>,
    /// What stands before `data.pkl`, with the slash.
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
            _ => return Err("it is no zip archive, which torch.save writes".into()),
        }
        let zip = ZipArchive::new(file).map_err(|error| match error {
            ZipError::Io(e) => e.to_string(),
            other => format!("its zip directory is missing or damaged, is it cut off? ({other})"),
        })?;
        let mut pickles = zip.file_names().filter_map(|name| {
            // A name that is no text is nobody's data.pkl.
            name.ok()?.strip_suffix("data.pkl").map(str::to_owned)
        });
        let root = match (pickles.next(), pickles.next()) {
            (Some(root), None) => root,
            (None, _) => return Err("the archive holds no data.pkl".into()),
            (Some(_), Some(_)) => return Err("the archive holds more than one data.pkl".into()),
        };
        drop(pickles);
        Ok(Self { zip, root })
    }

    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, String> {
        let name = format!("{}data.pkl", self.root);
        self.record(&name, MAX_PICKLE_BYTES)
    }

    /// The numbers of a storage; as many as the pickle says that there are.
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
            ZipError::FileNotFound => format!("the archive holds no {name}"),
            other => format!("{name} cannot be read: {other}"),
        })?;
        if record.size() > max_bytes {
            return Err(format!("{name} has {} bytes, more than {max_bytes}", record.size()));
        }
        let mut bytes = Vec::new();
        // The directory's size may lie: never read more than the bound.
        record.take(max_bytes).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
        Ok(bytes)
    }
}
