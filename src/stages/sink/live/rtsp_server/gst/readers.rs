//! Counts and limits the readers: a slot for every session that plays.
//!
//! Takes the server's signals; counts readers by mount. A slot is taken at PLAY and freed when the
//! session ends: by TEARDOWN, a closed connection, or a minute of silence.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use gstreamer_rtsp_server as rtsp;
use rtsp::gst_rtsp::RTSPStatusCode;
use rtsp::prelude::*;

use super::media::Mount;

/// A connection without a session is closed after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections allowed beyond the readers: for requests before PLAY, and for refusals.
const EXTRA_CONNECTIONS: usize = 32;

type Client = rtsp::glib::WeakRef<rtsp::RTSPClient>;

/// All readers; clones are handles to the same readers.
#[derive(Clone)]
pub(super) struct Readers(Arc<Inner>);

struct Inner {
    max_readers: usize,
    mounts: Mutex<Vec<Arc<Mount>>>,
    slots: Mutex<HashMap<String, ReaderSlot>>,
    connections: Mutex<Vec<Connection>>,
}

struct ReaderSlot {
    mount: Weak<Mount>,
    client: Client,
}

struct Connection {
    client: Client,
    /// When it connected, or last had a session.
    since: Instant,
}

impl Readers {
    /// No readers yet, and never more than `max_readers`.
    pub(super) fn new(max_readers: usize) -> Self {
        let (mounts, slots, connections) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { max_readers, mounts, slots, connections }))
    }

    /// Current number of readers.
    pub(super) fn count(&self) -> usize {
        lock(&self.0.slots).len()
    }

    /// Adds a mount.
    pub(super) fn add(&self, mount: &Arc<Mount>) {
        lock(&self.0.mounts).push(Arc::clone(mount));
    }

    /// Removes a mount.
    pub(super) fn remove(&self, mount: &Arc<Mount>) {
        lock(&self.0.mounts).retain(|m| !Arc::ptr_eq(m, mount));
    }

    /// Connects to the signals of the server and its sessions.
    pub(super) fn watch(&self, server: &rtsp::RTSPServer, sessions: &rtsp::RTSPSessionPool) {
        let readers = self.clone();
        server.connect_client_connected(move |_, client| readers.on_connected(client));
        let readers = self.clone();
        sessions.connect_session_removed(move |_, session| {
            if let Some(id) = session.sessionid() {
                readers.on_session_removed(&id);
            }
        });
    }

    fn on_connected(&self, client: &rtsp::RTSPClient) {
        let connection = Connection { client: client.downgrade(), since: Instant::now() };
        lock(&self.0.connections).push(connection);
        let readers = self.clone();
        client.connect_pre_describe_request(move |_, _| match readers.has_room() {
            true => RTSPStatusCode::Ok,
            false => RTSPStatusCode::ServiceUnavailable,
        });
        let readers = self.clone();
        client.connect_pre_play_request(move |client, request| readers.on_play(client, request));
        let readers = self.clone();
        client.connect_play_request(move |_, request| {
            if let Some(mount) = readers.mount_of(request) {
                mount.reader_playing();
            }
        });
    }

    fn has_room(&self) -> bool {
        let mut connections = lock(&self.0.connections);
        // Closed ones take no room; the periodic cleanup would find them seconds later.
        connections.retain(|connection| connection.client.upgrade().is_some());
        let open = connections.len();
        drop(connections);
        self.count() < self.0.max_readers && open <= self.0.max_readers + EXTRA_CONNECTIONS
    }

    /// Takes a slot, if one is free.
    fn on_play(&self, client: &rtsp::RTSPClient, request: &rtsp::RTSPContext) -> RTSPStatusCode {
        // The library refuses a request without a session.
        let id = request.session().and_then(|s| s.sessionid());
        let Some((id, mount)) = id.zip(self.mount_of(request)) else {
            return RTSPStatusCode::Ok;
        };
        let mut slots = lock(&self.0.slots);
        if !slots.contains_key(id.as_str()) {
            if slots.len() >= self.0.max_readers {
                let max_readers = self.0.max_readers;
                tracing::warn!(mount = %mount.path, max_readers, "a reader was refused");
                return RTSPStatusCode::ServiceUnavailable;
            }
            let slot = ReaderSlot { mount: Arc::downgrade(&mount), client: client.downgrade() };
            slots.insert(id.to_string(), slot);
        }
        update_count(&slots, &mount);
        drop(slots);
        wait_for_keyframe(request, &mount);
        RTSPStatusCode::Ok
    }

    /// Frees the slot of the session.
    fn on_session_removed(&self, id: &str) {
        let mut slots = lock(&self.0.slots);
        let mount = slots.remove(id).and_then(|slot| slot.mount.upgrade());
        if let Some(mount) = mount {
            update_count(&slots, &mount);
        }
    }

    /// The mount of a request: the one with the longest path that its path starts with.
    fn mount_of(&self, request: &rtsp::RTSPContext) -> Option<Arc<Mount>> {
        let path = request.uri()?.decode_path_components();
        let path = path.iter().skip_while(|p| p.is_empty()).map(|p| p.as_str());
        let path = path.collect::<Vec<_>>().join("/");
        let mounts = lock(&self.0.mounts);
        let under = |m: &&Arc<Mount>| {
            let rest = path.strip_prefix(m.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        mounts.iter().filter(under).max_by_key(|m| m.path.len()).cloned()
    }

    /// Disconnects the readers of a mount.
    pub(super) fn disconnect(&self, server: &rtsp::RTSPServer, mount: &Arc<Mount>) {
        let of_mount = |slot: &&ReaderSlot| std::ptr::eq(slot.mount.as_ptr(), Arc::as_ptr(mount));
        let slots = lock(&self.0.slots);
        let clients: Vec<_> =
            slots.values().filter(of_mount).filter_map(|p| p.client.upgrade()).collect();
        drop(slots);
        remove(server, &clients);
    }

    /// Closes connections without a session after [`IDLE_TIMEOUT`], and those above the limit.
    pub(super) fn drop_idle(&self, server: &rtsp::RTSPServer) {
        let mut connections = lock(&self.0.connections);
        let mut idle = Vec::new();
        connections.retain_mut(|connection| {
            let Some(client) = connection.client.upgrade() else { return false };
            if has_session(&client) {
                connection.since = Instant::now();
            } else if connection.since.elapsed() >= IDLE_TIMEOUT {
                idle.push(client);
                return false;
            }
            true
        });
        let mut excess = connections.len().saturating_sub(self.0.max_readers + EXTRA_CONNECTIONS);
        connections.retain(|connection| {
            let client = connection.client.upgrade();
            let Some(client) = client.filter(|c| excess > 0 && !has_session(c)) else {
                return true;
            };
            excess -= 1;
            idle.push(client);
            false
        });
        drop(connections);
        remove(server, &idle);
    }
}

/// Waits for the keyframe that a reader starts with.
fn wait_for_keyframe(request: &rtsp::RTSPContext, mount: &Mount) {
    let mut medias = Vec::new();
    if let Some(session) = request.session() {
        let mut visit = |_: &rtsp::RTSPSession, media: &rtsp::RTSPSessionMedia| {
            medias.push(media.media());
            rtsp::RTSPFilterResult::Keep
        };
        session.filter(Some(&mut visit));
    }
    // The library holds the media's lock while it handles PLAY. It is released meanwhile, as a
    // waiting reader would block all others. With several medias it is not known which is locked.
    if let [Some(media)] = medias.as_slice() {
        media.unlock();
        mount.wait_for_keyframe();
        media.lock();
    }
}

fn has_session(client: &rtsp::RTSPClient) -> bool {
    let mut any = false;
    let mut visit = |_: &rtsp::RTSPClient, _: &rtsp::RTSPSession| {
        any = true;
        rtsp::RTSPFilterResult::Keep
    };
    client.session_filter(Some(&mut visit));
    any
}

fn remove(server: &rtsp::RTSPServer, clients: &[rtsp::RTSPClient]) {
    if clients.is_empty() {
        return;
    }
    let mut filter =
        |_: &rtsp::RTSPServer, client: &rtsp::RTSPClient| match clients.contains(client) {
            true => rtsp::RTSPFilterResult::Remove,
            false => rtsp::RTSPFilterResult::Keep,
        };
    server.client_filter(Some(&mut filter));
}

/// Updates the mount's number of readers.
fn update_count(slots: &HashMap<String, ReaderSlot>, mount: &Arc<Mount>) {
    let of_mount = |slot: &&ReaderSlot| std::ptr::eq(slot.mount.as_ptr(), Arc::as_ptr(mount));
    mount.set_readers(slots.values().filter(of_mount).count());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
