//! Stores evidence on disk between the two passes over a recording.
//!
//! The file has no name, so it is gone when the program ends, even after a crash. It grows by about
//! 1 kB per face and frame; memory does not grow.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::records::event::Event;
use super::records::{Ending, Record, RecordError};
use crate::core::evidence::FrameEvidence;

/// The name of the file in error messages.
const NAME: &str = "the temporary file for evidence between the two passes";

fn write_error(reason: std::io::Error) -> RecordError {
    RecordError::new(Path::new(NAME), reason)
}

/// The writer; one of the records of a run.
pub(crate) struct EvidenceWriter(Arc<Mutex<BufWriter<File>>>);

/// The file, until it is read.
pub(crate) struct EvidenceFile(Arc<Mutex<BufWriter<File>>>);

impl EvidenceFile {
    /// An empty file and its writer.
    ///
    /// # Errors
    /// If no temporary file can be created.
    pub(crate) fn create() -> Result<(Self, EvidenceWriter), RecordError> {
        let file = tempfile::tempfile().map_err(write_error)?;
        let shared = Arc::new(Mutex::new(BufWriter::new(file)));
        Ok((Self(Arc::clone(&shared)), EvidenceWriter(shared)))
    }

    /// A reader that starts at the first frame.
    ///
    /// # Errors
    /// If the file cannot be written or read.
    pub(crate) fn read(self) -> Result<EvidenceReader, RecordError> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.flush().map_err(write_error)?;
        let mut file = writer.get_ref().try_clone().map_err(write_error)?;
        file.rewind().map_err(write_error)?;
        Ok(EvidenceReader(BufReader::new(file)))
    }
}

impl Record for EvidenceWriter {
    fn write(&mut self, evidence: &FrameEvidence) -> Result<(), RecordError> {
        let bytes =
            postcard::to_allocvec(evidence).map_err(|e| write_error(std::io::Error::other(e)))?;
        let length =
            u32::try_from(bytes.len()).map_err(|e| write_error(std::io::Error::other(e)))?;
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&length.to_le_bytes()).map_err(write_error)?;
        file.write_all(&bytes).map_err(write_error)
    }

    fn event(&mut self, _event: &Event) -> Result<(), RecordError> {
        Ok(())
    }

    fn close(self: Box<Self>, _ending: Ending) -> Result<PathBuf, RecordError> {
        Ok(PathBuf::from(NAME))
    }
}

/// Reads the evidence in the order in which it was written.
pub(crate) struct EvidenceReader(BufReader<File>);

impl EvidenceReader {
    /// The next frame's evidence; `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read or its content is damaged.
    pub(crate) fn next_frame(&mut self) -> Result<Option<FrameEvidence>, RecordError> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(write_error(e)),
        }
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut bytes).map_err(write_error)?;
        postcard::from_bytes(&bytes).map(Some).map_err(|e| write_error(std::io::Error::other(e)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::evidence::{Heatmap, PlacedHeatmap, TrackId, Unknown, Verdict};
    use crate::core::geometry::Rect;
    use crate::core::time::{Epoch, FrameRef, Pts};

    #[test]
    fn evidence_reads_back_as_written() {
        let (evidence_file, mut writer) = EvidenceFile::create().expect("a temporary file");
        let map = Arc::new(Heatmap::new(2, 1, vec![0.25, 1.0].into()).expect("two cells"));
        for seq in 0..3 {
            let face = crate::core::evidence::FaceEvidence {
                track: TrackId(7),
                rect: Rect::new(1.0, 2.0, 3.0, 4.0),
                landmarks: Default::default(),
                detected: true,
                verdict: Verdict::Unknown(Unknown::AudioGap),
                heat: Some(PlacedHeatmap { map: Arc::clone(&map), over: Rect::default() }),
                talk_seconds: 1.5,
            };
            let frame = FrameRef { epoch: Epoch(1), seq, pts: Pts::from_ns(-5) };
            let floor = Some(TrackId(7));
            let evidence = FrameEvidence { frame, faces: vec![face], floor };
            writer.write(&evidence).expect("room on the disk");
        }
        let mut reader = evidence_file.read().expect("it can be read");
        for seq in 0..3 {
            let evidence = reader.next_frame().expect("whole").expect("three frames");
            assert_eq!((evidence.frame.seq, evidence.floor), (seq, Some(TrackId(7))));
            let heat = evidence.faces[0].heat.as_ref().expect("a map");
            assert_eq!(heat.map.values(), [0.25, 1.0]);
        }
        assert!(reader.next_frame().expect("the end is no error").is_none());
    }
}
