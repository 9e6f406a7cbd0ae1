//! The pipeline's bus, read as it is written: errors, damage and missing plugins are noted where
//! any thread can look them up, so that no thread has to run a main loop.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_pbutils as pbutils;

/// What a pipeline has said so far.
#[derive(Clone, Debug, Default)]
pub struct Spoken {
    /// The first error: what ended the pipeline.
    pub error: Option<Fault>,
    /// Warnings, the first few, and how many there were.
    pub warnings: Vec<Fault>,
    /// How many warnings were posted.
    pub warning_count: u64,
    /// Plugins that the pipeline asked for and did not find, in the library's words.
    pub missing: Vec<String>,
}

/// One error or warning of an element.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The element that spoke.
    pub element: String,
    /// What it said, with the library's debug text where that adds something.
    pub text: String,
    /// Whether the library counts it as "this is not a media stream that I know".
    pub unknown_type: bool,
    /// Whether there was no space left to write to.
    pub no_space: bool,
    /// Whether the other side wants to know who asks, or does not believe it.
    pub unauthorized: bool,
    /// Whether there is nothing under that address.
    pub not_found: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.element, self.text)
    }
}

impl Fault {
    /// What the library says of the source at `uri`, as people say it. Asks a web server once more where the
    /// library does not say what was wrong.
    pub fn of_source(&self, uri: &url::Url, has_login: bool, ca_file: Option<&Path>) -> String {
        let host = uri.host_str().unwrap_or_default();
        let at = uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let says = |words: &str| self.text.contains(words);
        match uri.scheme() {
            _ if self.unauthorized => {
                format!("{at} does not take this user and password; check `credentials`")
            }
            _ if self.not_found => format!("{at} has nothing at {}", uri.path()),
            "srt" if says("set passphrase") => {
                "a passphrase of SRT has 10 to 79 characters; check `credentials`".to_owned()
            }
            "srt" if says("authenticate") || says("SRT socket") => {
                let first = match says("authenticate") {
                    true => String::new(),
                    false => format!("no connection to {at}, or "),
                };
                match has_login {
                    true => format!("{first}{at} has another passphrase; check `credentials`"),
                    false => format!("{first}{at} wants a passphrase; name one by `credentials`"),
                }
            }
            "rtmp" if says("cmd failed") => {
                format!("{at} does not take {}; is its first part right?", uri.path())
            }
            "http" | "https" if says("Internal data stream error") => {
                let why = super::tls::why_not(uri, ca_file);
                why.unwrap_or_else(|| self.text.clone())
            }
            _ if says("Failed to connect") || says("Could not connect") => {
                format!("no connection to {at}")
            }
            _ => self.text.clone(),
        }
    }
}

/// Warnings kept word for word; the rest are only counted.
const WARNINGS_KEPT: usize = 8;

/// A listener on one pipeline's bus.
#[derive(Clone, Default)]
pub struct BusListener {
    spoken: Arc<Mutex<Spoken>>,
}

impl BusListener {
    /// Listens to `pipeline` from now on.
    pub fn attach(pipeline: &gst::Pipeline) -> Self {
        let listener = Self::default();
        let Some(bus) = pipeline.bus() else {
            return listener;
        };
        let spoken = Arc::clone(&listener.spoken);
        bus.set_sync_handler(move |_, message| {
            note(&mut spoken.lock().unwrap_or_else(PoisonError::into_inner), message);
            // Only what somebody waits for is kept: nobody pops the rest, and it would pile up.
            match message.type_() {
                gst::MessageType::Eos | gst::MessageType::Error => gst::BusSyncReply::Pass,
                _ => gst::BusSyncReply::Drop,
            }
        });
        listener
    }

    /// What was said up to now.
    pub fn spoken(&self) -> Spoken {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an error ended the pipeline.
    pub fn failed(&self) -> bool {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner).error.is_some()
    }
}

fn note(spoken: &mut Spoken, message: &gst::Message) {
    let element = message.src().map(|s| s.name().to_string()).unwrap_or_default();
    match message.view() {
        gst::MessageView::Error(e) => {
            let debug = e.debug().map(|d| d.to_string());
            let fault = fault(element, &e.error(), debug);
            tracing::debug!(%fault, "pipeline error");
            spoken.error.get_or_insert(fault);
        }
        gst::MessageView::Warning(w) => {
            spoken.warning_count += 1;
            let debug = w.debug().map(|d| d.to_string());
            let fault = fault(element, &w.error(), debug);
            tracing::debug!(%fault, "pipeline warning");
            if spoken.warnings.len() < WARNINGS_KEPT {
                spoken.warnings.push(fault);
            }
        }
        gst::MessageView::Element(_) => {
            if let Ok(missing) = pbutils::MissingPluginMessage::parse(message) {
                spoken.missing.push(missing.description().to_string());
            }
        }
        _ => {}
    }
}

fn fault(element: String, error: &gst::glib::Error, debug: Option<String>) -> Fault {
    let unknown_type = matches!(
        error.kind::<gst::StreamError>(),
        Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType)
    );
    let resource = error.kind::<gst::ResourceError>();
    let no_space = resource == Some(gst::ResourceError::NoSpaceLeft);
    let unauthorized = resource == Some(gst::ResourceError::NotAuthorized);
    let not_found = resource == Some(gst::ResourceError::NotFound);
    // The debug text starts with file and line of the library's source; what follows is the reason.
    let reason = debug
        .as_deref()
        .and_then(|d| d.split_once(":\n"))
        .map(|(_, reason)| reason.trim().to_owned())
        .filter(|r| !r.is_empty());
    let text = match reason {
        Some(reason) => format!("{} ({reason})", error.message()),
        None => error.message().to_owned(),
    };
    Fault { element, text, unknown_type, no_space, unauthorized, not_found }
}
