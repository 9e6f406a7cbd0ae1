//! The outputs of a run, under temporary names until they are complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::RunError;
use crate::config::{FileSinkOptions, Pipeline};
use crate::gst::container::Container;
use crate::gst::encoder::EncoderOptions;
use crate::stages::sink::atomic_file::{AtomicPath, incomplete_name};
use crate::stages::sink::gst::{FileSink, FileSinkPlan};
use crate::stages::sink::records::ava_csv::AvaCsv;
use crate::stages::sink::records::jsonl::Jsonl;
use crate::stages::sink::records::rttm::Rttm;
use crate::stages::sink::records::summary::Summary;
use crate::stages::sink::records::turns::TurnRules;
use crate::stages::sink::records::vtt::Vtt;
use crate::stages::sink::records::{Ending, FrameSize, Record, RecordContext};
use crate::stages::sink::stage::Records;
use crate::stages::source::gst::Recording;

/// The annotated video and its final name.
pub(crate) struct NamedOutput {
    /// The annotated video being written.
    pub output: FileSink,
    file: AtomicPath,
}

/// All outputs of a run.
pub(crate) struct Outputs {
    /// The annotated video, where one is wanted.
    pub output: Option<NamedOutput>,
    /// The records.
    pub records: Records,
    written: BTreeMap<&'static str, PathBuf>,
}

impl Outputs {
    /// Opens all outputs of `pipeline`.
    ///
    /// # Errors
    /// Where an output cannot be written; no file is left behind then.
    pub(crate) fn create(pipeline: &Pipeline, recording: &Recording) -> Result<Self, RunError> {
        let stem = pipeline.input.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let video = recording.shape().video;
        let context = RecordContext {
            stream: stem.clone(),
            video_id: stem,
            frame_size: FrameSize { width: video.width, height: video.height },
            turns: TurnRules::default(),
        };
        let mut open: Vec<Box<dyn Record>> = Vec::new();
        let mut written = BTreeMap::new();
        let records = &pipeline.records;
        if let Some(path) = &records.events {
            open.push(Box::new(Jsonl::create(path, &context)?));
            written.insert("events", path.clone());
        }
        if let Some(path) = &records.rttm {
            open.push(Box::new(Rttm::create(path, &context)?));
            written.insert("rttm", path.clone());
        }
        if let Some(path) = &records.ava_csv {
            open.push(Box::new(AvaCsv::create(path, &context)?));
            written.insert("ava_csv", path.clone());
        }
        if let Some(path) = &records.vtt {
            open.push(Box::new(Vtt::create(path, &context)?));
            written.insert("vtt", path.clone());
        }
        let output = pipeline.output.as_ref().map(|f| output(f, recording)).transpose()?;
        if let Some(options) = &pipeline.output {
            written.insert("video", options.path.clone());
        }
        Ok(Self { output, records: Records::new(open), written })
    }

    /// Finishes all outputs and gives every file its final name.
    ///
    /// # Errors
    /// Where an output cannot be finished.
    pub(crate) fn close(
        self,
        ending: Ending,
    ) -> Result<(Summary, BTreeMap<&'static str, PathBuf>), RunError> {
        // The video first: it takes longest and can still fail.
        if let Some(NamedOutput { output, file }) = self.output {
            if ending == Ending::Stopped {
                output.trim_audio_to_frames();
            }
            output.finish()?;
            match ending {
                Ending::Complete => file.commit()?,
                Ending::Stopped => {
                    let kept = incomplete_name(file.path());
                    file.commit_as(kept)?;
                }
            }
        }
        let summary = self.records.close(ending)?;
        let named = |path: PathBuf| match ending {
            Ending::Complete => path,
            Ending::Stopped => incomplete_name(&path),
        };
        Ok((summary, self.written.into_iter().map(|(role, path)| (role, named(path))).collect()))
    }
}

fn output(options: &FileSinkOptions, recording: &Recording) -> Result<NamedOutput, RunError> {
    let container = Container::from_path(&options.path).map_err(|e| {
        RunError::Config(crate::config::ConfigError::Invalid {
            key: "-o".into(),
            problem: e.to_string(),
        })
    })?;
    let file = AtomicPath::create(&options.path)?;
    let output = FileSink::create(FileSinkPlan {
        path: temporary_path(&file),
        container,
        encoder: EncoderOptions {
            element: options.encoder.clone(),
            crf: options.crf,
            preset: options.preset.clone(),
        },
        frames: recording.frame_caps().ok_or(RunError::NoFormat("frames"))?,
        packets: recording.packet_caps(),
    })?;
    Ok(NamedOutput { output, file })
}

fn temporary_path(file: &AtomicPath) -> PathBuf {
    let path: &Path = file.temp();
    path.to_owned()
}
