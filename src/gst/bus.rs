//! Records the errors, warnings and missing plugins that a pipeline posts on its bus. Any thread
//! can read them, and no thread has to run a main loop.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_pbutils as pbutils;

/// The bus messages of a pipeline so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct BusLog {
    /// The first error, which ended the pipeline.
    pub error: Option<BusMessage>,
    /// The first few warnings.
    pub warnings: Vec<BusMessage>,
    /// Number of all warnings.
    pub warning_count: u64,
    /// Descriptions of missing plugins, as GStreamer gives them.
    pub missing: Vec<String>,
}

/// One error or warning of an element.
#[derive(Clone, Debug)]
pub(crate) struct BusMessage {
    /// The element that posted it.
    pub element: String,
    /// The message, with the debug text if that adds something.
    pub text: String,
    /// The stream's type is unknown.
    pub unknown_type: bool,
    /// No space is left on the device.
    pub no_space: bool,
    /// The peer asks for credentials, or refuses those given.
    pub unauthorized: bool,
    /// The resource does not exist.
    pub not_found: bool,
}

impl std::fmt::Display for BusMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.element, self.text)
    }
}

impl BusMessage {
    /// A readable message for an error of the source at `uri`. Connects to a web server once more
    /// if GStreamer does not give the reason.
    pub(crate) fn source_error(
        &self,
        uri: &url::Url,
        has_login: bool,
        ca_file: Option<&Path>,
    ) -> String {
        let host = uri.host_str().unwrap_or_default();
        let at = uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mentions = |words: &str| self.text.contains(words);
        match uri.scheme() {
            _ if self.unauthorized => {
                format!("{at} rejects this user name and password; check `credentials`")
            }
            _ if self.not_found => format!("{at} has nothing at {}", uri.path()),
            "srt" if mentions("set passphrase") => {
                "an SRT passphrase has 10 to 79 characters; check `credentials`".to_owned()
            }
            "srt" if mentions("authenticate") || mentions("SRT socket") => {
                let first = match mentions("authenticate") {
                    true => String::new(),
                    false => format!("no connection to {at}, or "),
                };
                match has_login {
                    true => format!("{first}{at} has another passphrase; check `credentials`"),
                    false => format!("{first}{at} wants a passphrase; name one by `credentials`"),
                }
            }
            "rtmp" if mentions("cmd failed") => {
                format!("{at} does not take {}; is its first part right?", uri.path())
            }
            "http" | "https" if mentions("Internal data stream error") => {
                let why = super::tls::connection_error(uri, ca_file);
                why.unwrap_or_else(|| self.text.clone())
            }
            _ if mentions("Failed to connect") || mentions("Could not connect") => {
                format!("no connection to {at}")
            }
            _ => self.text.clone(),
        }
    }
}

/// Warnings that are kept; the rest are only counted.
const MAX_WARNINGS: usize = 8;

/// A listener on one pipeline's bus.
#[derive(Clone, Default)]
pub(crate) struct BusListener {
    log: Arc<Mutex<BusLog>>,
}

impl BusListener {
    /// Listens to `pipeline`.
    pub(crate) fn attach(pipeline: &gst::Pipeline) -> Self {
        Self::attach_with(pipeline, || {})
    }

    /// Listens to `pipeline`; calls `noted` after every message, on the thread that posted it.
    pub(crate) fn attach_with(
        pipeline: &gst::Pipeline,
        noted: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let listener = Self::default();
        let Some(bus) = pipeline.bus() else {
            return listener;
        };
        let log = Arc::clone(&listener.log);
        bus.set_sync_handler(move |_, message| {
            record_message(&mut log.lock().unwrap_or_else(PoisonError::into_inner), message);
            noted();
            // Only messages that are popped stay on the bus; the rest would pile up.
            match message.type_() {
                gst::MessageType::Eos | gst::MessageType::Error => gst::BusSyncReply::Pass,
                _ => gst::BusSyncReply::Drop,
            }
        });
        listener
    }

    /// The messages so far.
    pub(crate) fn log(&self) -> BusLog {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an error ended the pipeline.
    pub(crate) fn failed(&self) -> bool {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).error.is_some()
    }
}

fn record_message(log: &mut BusLog, message: &gst::Message) {
    let element = message.src().map(|s| s.name().to_string()).unwrap_or_default();
    match message.view() {
        gst::MessageView::Error(e) => {
            let debug = e.debug().map(|d| d.to_string());
            let bus_message = bus_message(element, &e.error(), debug);
            tracing::debug!(%bus_message, "pipeline error");
            log.error.get_or_insert(bus_message);
        }
        gst::MessageView::Warning(w) => {
            log.warning_count += 1;
            let debug = w.debug().map(|d| d.to_string());
            let bus_message = bus_message(element, &w.error(), debug);
            tracing::debug!(%bus_message, "pipeline warning");
            if log.warnings.len() < MAX_WARNINGS {
                log.warnings.push(bus_message);
            }
        }
        gst::MessageView::Element(_) => {
            if let Ok(missing) = pbutils::MissingPluginMessage::parse(message) {
                log.missing.push(missing.description().to_string());
            }
        }
        _ => {}
    }
}

fn bus_message(element: String, error: &gst::glib::Error, debug: Option<String>) -> BusMessage {
    let unknown_type = matches!(
        error.kind::<gst::StreamError>(),
        Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType)
    );
    let resource = error.kind::<gst::ResourceError>();
    let no_space = resource == Some(gst::ResourceError::NoSpaceLeft);
    let unauthorized = resource == Some(gst::ResourceError::NotAuthorized);
    let not_found = resource == Some(gst::ResourceError::NotFound);
    // The debug text starts with file and line of GStreamer's source; the reason follows.
    let reason = debug
        .as_deref()
        .and_then(|d| d.split_once(":\n"))
        .map(|(_, reason)| reason.trim().to_owned())
        .filter(|r| !r.is_empty());
    let text = match reason {
        Some(reason) => format!("{} ({reason})", error.message()),
        None => error.message().to_owned(),
    };
    BusMessage { element, text, unknown_type, no_space, unauthorized, not_found }
}
