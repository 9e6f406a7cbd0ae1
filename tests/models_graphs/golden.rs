//! Reference results of the released networks, where the shared folder is at hand.

use std::io::{Cursor, Read as _};

use crate::needs::shared;

/// One clip of 50 ticks and what a released network makes of it.
pub(crate) struct Golden {
    /// Grey levels 0..255.
    pub(crate) crops: Vec<f32>,
    /// MFCC, 4 rows a tick.
    pub(crate) rows: Vec<f32>,
    pub(crate) face_embedding: Vec<f32>,
    pub(crate) audio_embedding: Vec<f32>,
    pub(crate) raw_score: Vec<f32>,
    pub(crate) prob: Vec<f32>,
}

impl Golden {
    pub(crate) fn read(clip: &str, network: &str) -> Option<Self> {
        let file = shared(&format!("reference/golden/{clip}.npz"))?;
        let mut zip =
            zip::ZipArchive::new(std::fs::File::open(file).expect("readable")).expect("an archive");
        let mut bytes = |name: &str| {
            let mut bytes = Vec::new();
            let mut record = zip.by_name(&format!("{name}.npy")).expect("the array is there");
            record.read_to_end(&mut bytes).expect("its bytes");
            bytes
        };
        let crops = array::<u8>(&bytes("crops"));
        let rows = array(&bytes("mfcc_rows"));
        let mut result = |name: &str| array::<f32>(&bytes(&format!("{network}.{name}")));
        Some(Self {
            crops: crops.into_iter().map(f32::from).collect(),
            rows,
            face_embedding: result("face_embedding"),
            audio_embedding: result("audio_embedding"),
            raw_score: result("raw_score"),
            prob: result("prob"),
        })
    }
}

fn array<T: npyz::Deserialize>(bytes: &[u8]) -> Vec<T> {
    npyz::NpyFile::new(Cursor::new(bytes)).and_then(npyz::NpyFile::into_vec).expect("its type")
}
