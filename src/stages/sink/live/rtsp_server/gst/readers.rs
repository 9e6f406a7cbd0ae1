//! Who reads what: a place for every session that plays, and no more of them than allowed.
//!
//! Takes the server's signals; counts readers by mount. A place is taken at PLAY and free again when
//! the session is gone, however that came: TEARDOWN, a closed connection, or silence for a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use gstreamer_rtsp_server as rtsp;
use rtsp::gst_rtsp::RTSPStatusCode;
use rtsp::prelude::*;

use super::lock;
use super::media::Mount;

/// Who connects and does not read is disconnected after this.
const SILENT: Duration = Duration::from_secs(30);
/// Connections beyond the readers: those that ask, or are about to be refused.
const CONNECTIONS_BESIDE: usize = 32;

type Client = rtsp::glib::WeakRef<rtsp::RTSPClient>;

/// All readers; clones are handles to the same.
#[derive(Clone)]
pub struct Readers(Arc<Inner>);

struct Inner {
    most: usize,
    mounts: Mutex<Vec<Arc<Mount>>>,
    places: Mutex<HashMap<String, Place>>,
    connections: Mutex<Vec<Connection>>,
}

struct Place {
    mount: Weak<Mount>,
    client: Client,
}

struct Connection {
    client: Client,
    /// When it connected, or last had a session.
    since: Instant,
}

impl Readers {
    /// No readers yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        let (mounts, places, connections) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { most, mounts, places, connections }))
    }

    /// Readers right now.
    pub fn count(&self) -> usize {
        lock(&self.0.places).len()
    }

    /// A mount whose readers are counted.
    pub fn add(&self, mount: &Arc<Mount>) {
        lock(&self.0.mounts).push(Arc::clone(mount));
    }

    /// The mount is gone.
    pub fn remove(&self, mount: &Arc<Mount>) {
        lock(&self.0.mounts).retain(|m| !Arc::ptr_eq(m, mount));
    }

    /// Listens to everyone who connects from now on.
    pub fn watch(&self, server: &rtsp::RTSPServer, sessions: &rtsp::RTSPSessionPool) {
        let readers = self.clone();
        server.connect_client_connected(move |_, client| readers.connected(client));
        let readers = self.clone();
        sessions.connect_session_removed(move |_, session| {
            if let Some(id) = session.sessionid() {
                readers.left(&id);
            }
        });
    }

    fn connected(&self, client: &rtsp::RTSPClient) {
        let connection = Connection { client: client.downgrade(), since: Instant::now() };
        lock(&self.0.connections).push(connection);
        let readers = self.clone();
        client.connect_pre_describe_request(move |_, _| match readers.has_room() {
            true => RTSPStatusCode::Ok,
            false => RTSPStatusCode::ServiceUnavailable,
        });
        let readers = self.clone();
        client.connect_pre_play_request(move |client, request| readers.plays(client, request));
        let readers = self.clone();
        client.connect_play_request(move |_, request| {
            if let Some(mount) = readers.mount_of(request) {
                mount.reader_plays();
            }
        });
    }

    fn has_room(&self) -> bool {
        let connections = lock(&self.0.connections).len();
        self.count() < self.0.most && connections <= self.0.most + CONNECTIONS_BESIDE
    }

    /// Takes a place, where there is one.
    fn plays(&self, client: &rtsp::RTSPClient, request: &rtsp::RTSPContext) -> RTSPStatusCode {
        // Without a session it is refused by the library itself.
        let id = request.session().and_then(|s| s.sessionid());
        let Some((id, mount)) = id.zip(self.mount_of(request)) else {
            return RTSPStatusCode::Ok;
        };
        let mut places = lock(&self.0.places);
        if !places.contains_key(id.as_str()) {
            if places.len() >= self.0.most {
                tracing::warn!(mount = %mount.path, most = self.0.most, "a reader was refused");
                return RTSPStatusCode::ServiceUnavailable;
            }
            let place = Place { mount: Arc::downgrade(&mount), client: client.downgrade() };
            places.insert(id.to_string(), place);
        }
        tell(&places, &mount);
        drop(places);
        wait_for_key(request, &mount);
        RTSPStatusCode::Ok
    }

    /// The session is gone.
    fn left(&self, id: &str) {
        let mut places = lock(&self.0.places);
        let mount = places.remove(id).and_then(|place| place.mount.upgrade());
        if let Some(mount) = mount {
            tell(&places, &mount);
        }
    }

    /// The mount that a request is about: the longest whose path its own begins with.
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
    pub fn disconnect(&self, server: &rtsp::RTSPServer, mount: &Arc<Mount>) {
        let of_mount = |place: &&Place| std::ptr::eq(place.mount.as_ptr(), Arc::as_ptr(mount));
        let places = lock(&self.0.places);
        let clients: Vec<_> =
            places.values().filter(of_mount).filter_map(|p| p.client.upgrade()).collect();
        drop(places);
        remove(server, &clients);
    }

    /// Disconnects who connected and has no session after a while, and whoever is too many.
    pub fn drop_silent(&self, server: &rtsp::RTSPServer) {
        let mut connections = lock(&self.0.connections);
        let mut silent = Vec::new();
        connections.retain_mut(|connection| {
            let Some(client) = connection.client.upgrade() else { return false };
            if has_session(&client) {
                connection.since = Instant::now();
            } else if connection.since.elapsed() >= SILENT {
                silent.push(client);
                return false;
            }
            true
        });
        let mut excess = connections.len().saturating_sub(self.0.most + CONNECTIONS_BESIDE);
        connections.retain(|connection| {
            let client = connection.client.upgrade();
            let Some(client) = client.filter(|c| excess > 0 && !has_session(c)) else {
                return true;
            };
            excess -= 1;
            silent.push(client);
            false
        });
        drop(connections);
        remove(server, &silent);
    }
}

/// Waits for the keyframe that a reader begins with.
fn wait_for_key(request: &rtsp::RTSPContext, mount: &Mount) {
    let mut medias = Vec::new();
    if let Some(session) = request.session() {
        let mut look = |_: &rtsp::RTSPSession, media: &rtsp::RTSPSessionMedia| {
            medias.push(media.media());
            rtsp::RTSPFilterResult::Keep
        };
        session.filter(Some(&mut look));
    }
    // The library holds the media's lock while it handles PLAY; it is let go meanwhile, or one who
    // waits would keep all others from asking. Whose lock it is must be certain.
    if let [Some(media)] = medias.as_slice() {
        media.unlock();
        mount.reader_waits();
        media.lock();
    }
}

fn has_session(client: &rtsp::RTSPClient) -> bool {
    let mut any = false;
    let mut look = |_: &rtsp::RTSPClient, _: &rtsp::RTSPSession| {
        any = true;
        rtsp::RTSPFilterResult::Keep
    };
    client.session_filter(Some(&mut look));
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

/// Tells how many read the mount now.
fn tell(places: &HashMap<String, Place>, mount: &Arc<Mount>) {
    let of_mount = |place: &&Place| std::ptr::eq(place.mount.as_ptr(), Arc::as_ptr(mount));
    mount.set_readers(places.values().filter(of_mount).count());
}
