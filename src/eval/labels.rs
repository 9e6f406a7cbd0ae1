//! Tables of labelled or predicted faces in the AVA-ActiveSpeaker format.
//!
//! Input: CSV, with or without a header: video_id, frame_timestamp (seconds), entity_box_x1, _y1,
//! _x2, _y2 (fractions of the frame), label, entity_id, and in predictions score. With a header
//! the columns may have any order, and other columns are ignored; without one they have this
//! order. A repeated header (files joined by `cat`) is skipped.
//!
//! Either every row is read, or reading fails with the file, line and column of the first bad value
//! and with what to write instead.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::exit::Exit;

/// The columns, in AVA's order.
const COLUMNS: [&str; 9] = [
    "video_id",
    "frame_timestamp",
    "entity_box_x1",
    "entity_box_y1",
    "entity_box_x2",
    "entity_box_y2",
    "label",
    "entity_id",
    "score",
];
const VIDEO: usize = 0;
const TIME: usize = 1;
const BOX: usize = 2;
const LABEL: usize = 6;
const SCORE: usize = 8;

/// A box by its corners, in fractions of the frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct FractionBox {
    /// Left edge.
    pub x1: f64,
    /// Top edge.
    pub y1: f64,
    /// Right edge.
    pub x2: f64,
    /// Bottom edge.
    pub y2: f64,
}

impl FractionBox {
    /// Intersection over union, 0..=1; 0 where the boxes do not overlap.
    pub(crate) fn iou(self, other: Self) -> f64 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let shared = width * height;
        shared / (self.area() + other.area() - shared)
    }

    fn area(self) -> f64 {
        (self.x2 - self.x1) * (self.y2 - self.y1)
    }
}

/// The label of a face.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Label {
    /// Speaks audibly: the positive class.
    Audible,
    /// The lips speak, but another voice or none is heard.
    NotAudible,
    /// Does not speak.
    Silent,
}

impl Label {
    /// All labels, in the order in which they are reported.
    pub(crate) const ALL: [Self; 3] = [Self::Audible, Self::NotAudible, Self::Silent];

    /// The label's name in AVA.
    pub(crate) const fn ava_name(self) -> &'static str {
        match self {
            Self::Audible => "SPEAKING_AUDIBLE",
            Self::NotAudible => "SPEAKING_NOT_AUDIBLE",
            Self::Silent => "NOT_SPEAKING",
        }
    }
}

/// One labelled face.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LabelledFace {
    /// Which video.
    pub video: Arc<str>,
    /// When, in seconds.
    pub seconds: f64,
    /// Where.
    pub bbox: FractionBox,
    /// The truth.
    pub label: Label,
}

/// One predicted face.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PredictedFace {
    /// Which video.
    pub video: Arc<str>,
    /// When, in seconds.
    pub seconds: f64,
    /// Where.
    pub bbox: FractionBox,
    /// P(speaking), 0..=1.
    pub score: f64,
}

/// An error in a table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A line is invalid.
    #[error("{}, line {line}, {column}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column.
        column: Column,
        /// The problem, and what to write instead.
        problem: String,
    },
    /// The file has no rows.
    #[error("{}: has no rows; write one line for each face and frame", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl TableError {
    /// The program's exit code for this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } if source.kind() == std::io::ErrorKind::IsADirectory => {
                Exit::BadData
            }
            Self::Read { source, .. } => Exit::from_input_error(source),
            Self::Line { .. } | Self::Empty { .. } => Exit::BadData,
        }
    }
}

/// A column of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Column {
    /// Its number, counted from 1; `None` if it is missing.
    pub number: Option<usize>,
    /// Its name.
    pub name: &'static str,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "column {number} ({})", self.name),
            None => write!(f, "column {}", self.name),
        }
    }
}

/// The labelled faces of `path`.
///
/// # Errors
/// If the file cannot be read, has no rows, or has an invalid row.
pub(crate) fn read_labels(path: &Path) -> Result<Vec<LabelledFace>, TableError> {
    let mut faces = Vec::new();
    Table::open(path, false)?.for_each_row(|row| {
        let (video, seconds, bbox) = row.face()?;
        faces.push(LabelledFace { video, seconds, bbox, label: row.label()? });
        Ok(())
    })?;
    Ok(faces)
}

/// The predicted faces of `path`.
///
/// # Errors
/// If the file cannot be read, has no rows, or has an invalid row. A header alone is valid: no face
/// was detected.
pub(crate) fn read_predictions(path: &Path) -> Result<Vec<PredictedFace>, TableError> {
    let mut faces = Vec::new();
    Table::open(path, true)?.for_each_row(|row| {
        let (video, seconds, bbox) = row.face()?;
        faces.push(PredictedFace { video, seconds, bbox, score: row.score()? });
        Ok(())
    })?;
    Ok(faces)
}

/// A file being read.
struct Table<'a> {
    path: &'a Path,
    rows: csv::Reader<File>,
    /// Whether the score column is required.
    needs_score: bool,
    /// The index of each of [`COLUMNS`] in the file.
    column_index: [Option<usize>; COLUMNS.len()],
    /// The video ids so far, so that each is stored once.
    videos: HashSet<Arc<str>>,
}

impl<'a> Table<'a> {
    fn open(path: &'a Path, needs_score: bool) -> Result<Self, TableError> {
        let read = |source| TableError::Read { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(read)?;
        let rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(file);
        let column_index = std::array::from_fn(Some);
        Ok(Self { path, rows, needs_score, column_index, videos: HashSet::new() })
    }

    fn error(&self, line: u64, column: Column, problem: impl Into<String>) -> TableError {
        TableError::Line { path: self.path.to_path_buf(), line, column, problem: problem.into() }
    }

    fn read_error(&self, error: csv::Error) -> TableError {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => {
                TableError::Read { path: self.path.to_path_buf(), source }
            }
            csv::ErrorKind::Utf8 { err, .. } => {
                let number = err.field() + 1;
                let name = COLUMNS.get(err.field()).copied().unwrap_or("another");
                let column = Column { number: Some(number), name };
                self.error(line, column, "is not UTF-8 text; save the table as UTF-8")
            }
            other => TableError::Read {
                path: self.path.to_path_buf(),
                source: std::io::Error::other(format!("{other:?}")),
            },
        }
    }

    /// Calls `take` with every row.
    fn for_each_row(
        mut self,
        mut take: impl FnMut(&mut Row<'_, 'a>) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut record = csv::StringRecord::new();
        let (mut rows, mut has_header) = (0_u64, false);
        while self.rows.read_record(&mut record).map_err(|e| self.read_error(e))? {
            let line = record.position().map_or(0, csv::Position::line);
            if record.iter().any(|cell| cell == COLUMNS[VIDEO] || cell == COLUMNS[TIME]) {
                has_header = true;
                self.read_header(&record, line)?;
                continue;
            }
            rows += 1;
            take(&mut Row { table: &mut self, record: &record, line })?;
        }
        // A run without faces writes a header alone.
        if rows == 0 && !(has_header && self.needs_score) {
            return Err(TableError::Empty { path: self.path.to_path_buf() });
        }
        Ok(())
    }

    fn read_header(&mut self, header: &csv::StringRecord, line: u64) -> Result<(), TableError> {
        for (at, name) in self.column_index.iter_mut().zip(COLUMNS) {
            *at = header.iter().position(|cell| cell == name);
        }
        for (index, name) in COLUMNS.into_iter().enumerate() {
            let needed = index < LABEL
                || index == LABEL && !self.needs_score
                || index == SCORE && self.needs_score;
            if needed && self.column_index[index].is_none() {
                let problem = "is missing from the header; predictions need video_id, \
                               frame_timestamp, the four entity_box columns and score, labels \
                               need label in place of score";
                return Err(self.error(line, Column { number: None, name }, problem));
            }
        }
        Ok(())
    }
}

/// One row of a table.
struct Row<'r, 'a> {
    table: &'r mut Table<'a>,
    record: &'r csv::StringRecord,
    line: u64,
}

impl Row<'_, '_> {
    fn error(&self, column: usize, problem: impl Into<String>) -> TableError {
        let number = self.table.column_index[column].map(|at| at + 1);
        self.table.error(self.line, Column { number, name: COLUMNS[column] }, problem)
    }

    fn cell(&self, column: usize) -> Result<&str, TableError> {
        let cell = self.table.column_index[column].and_then(|at| self.record.get(at));
        cell.filter(|cell| !cell.is_empty()).ok_or_else(|| {
            let cells = self.record.len();
            self.error(column, format!("is empty or missing; the line has {cells} values"))
        })
    }

    fn number(&self, column: usize, meaning: &str) -> Result<f64, TableError> {
        let cell = self.cell(column)?;
        let number = cell.parse::<f64>().ok().filter(|v| v.is_finite());
        number
            .ok_or_else(|| self.error(column, format!("`{cell}` is not a number; write {meaning}")))
    }

    /// Video, time and box.
    fn face(&mut self) -> Result<(Arc<str>, f64, FractionBox), TableError> {
        let seconds = self.number(TIME, "seconds, e.g. 12.04")?;
        let mut sides = [0.0; 4];
        for (i, side) in sides.iter_mut().enumerate() {
            *side = self.number(BOX + i, "a fraction of the frame, e.g. 0.25")?;
            if !(-1.0..=2.0).contains(side) {
                let problem = format!(
                    "{side} is not a fraction of the frame; divide pixels by the frame's width \
                     or height, so that 0 is one edge and 1 the other"
                );
                return Err(self.error(BOX + i, problem));
            }
        }
        let [x1, y1, x2, y2] = sides;
        for (low, high, column) in [(x1, x2, BOX + 2), (y1, y2, BOX + 3)] {
            if high < low {
                let problem = format!(
                    "{high} lies before {low}, the same box's first corner; write the upper left \
                     corner first, then the lower right one"
                );
                return Err(self.error(column, problem));
            }
        }
        let id = self.cell(VIDEO)?;
        let video = match self.table.videos.get(id) {
            Some(video) => Arc::clone(video),
            None => {
                let video: Arc<str> = id.into();
                self.table.videos.insert(Arc::clone(&video));
                video
            }
        };
        Ok((video, seconds, FractionBox { x1, y1, x2, y2 }))
    }

    fn label(&self) -> Result<Label, TableError> {
        let cell = self.cell(LABEL)?;
        Label::ALL.into_iter().find(|label| label.ava_name() == cell).ok_or_else(|| {
            let words = Label::ALL.map(Label::ava_name).join(", ");
            self.error(LABEL, format!("`{cell}` is not a label; write one of {words}"))
        })
    }

    fn score(&self) -> Result<f64, TableError> {
        let score = self.number(SCORE, "P(speaking) between 0 and 1")?;
        if !(0.0..=1.0).contains(&score) {
            let problem = format!(
                "{score} is not a probability; write P(speaking) between 0 and 1; apply a sigmoid \
                 to logits"
            );
            return Err(self.error(SCORE, problem));
        }
        Ok(score)
    }
}
