//! Exit codes after sysexits.h, by which a shell or systemd can distinguish errors. A run that
//! finished with losses ends with 3, not with sysexits' 75 (`EX_TEMPFAIL`): that asks to try again,
//! and scripts that do would loop.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// All done.
    Done,
    /// The command line is wrong (clap uses the same number).
    Usage,
    /// The input is invalid.
    BadData,
    /// The input does not exist.
    NoInput,
    /// Something the program needs is missing: a plugin, a library, a model, a device.
    Unavailable,
    /// A bug in this program.
    Internal,
    /// The output cannot be created.
    CannotCreate,
    /// Reading or writing failed midway.
    InputOutput,
    /// Finished with losses, which the report lists. Trying again does not help.
    Degraded,
    /// Not permitted.
    NoPermission,
    /// A configuration file is wrong.
    Config,
    /// Stopped by Ctrl-C, as shells report it.
    Interrupted,
}

impl Exit {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Usage,
        Self::Degraded,
        Self::BadData,
        Self::NoInput,
        Self::Unavailable,
        Self::Internal,
        Self::CannotCreate,
        Self::InputOutput,
        Self::NoPermission,
        Self::Config,
        Self::Interrupted,
    ];

    /// What the code means to a user: docs/cli.md and the manual pages list it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "all done",
            Self::Usage => "the command line is wrong",
            Self::BadData => {
                "the input is not usable: no media file, no frame in it, nothing that can be \
                 decoded, a table with a bad row, no window in which anyone speaks"
            }
            Self::NoInput => "the input does not exist",
            Self::Unavailable => "something is missing: a plug-in, ONNX Runtime, a model, a device",
            Self::Internal => "a fault in the program itself",
            Self::CannotCreate => "an output cannot be created",
            Self::InputOutput => "reading or writing failed midway, for instance on a full disk",
            Self::Degraded => "finished with losses: the report says what was lost",
            Self::NoPermission => "permission denied",
            Self::Config => "a configuration file is wrong",
            Self::Interrupted => "stopped by Ctrl-C",
        }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Degraded => 3,
            Self::BadData => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::CannotCreate => 73,
            Self::InputOutput => 74,
            Self::NoPermission => 77,
            Self::Config => 78,
            Self::Interrupted => 130,
        }
    }

    /// The exit code of an I/O error on an input file.
    pub fn from_input_error(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NoInput,
            std::io::ErrorKind::PermissionDenied => Self::NoPermission,
            _ => Self::InputOutput,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
