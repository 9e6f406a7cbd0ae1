//! The server itself: a thread called `rtsp` with a main loop of its own, and one more for every
//! connection, so that a reader who waits for a slow camera keeps nobody else waiting.
//!
//! Takes [`ServeRtsp`]; gives mounts ([`RtspServer::mount`]). It ends when the last handle is
//! dropped: readers are disconnected, the thread is joined.

mod access;
mod factory;
mod feed;
mod gate;
mod hold;
mod media;
mod readers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use gstreamer_rtsp_server as rtsp;
use rtsp::prelude::*;
use rtsp::{gio, glib};

use super::error::RtspError;
use crate::core::queue::Receiver;
use crate::gst::packet::Packet;
use crate::stages::sink::live::context::SinkHandle;
use crate::stages::sink::settings::RtspServerSettings;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;
use media::Mount;
use readers::Readers;

/// How often sessions are looked through for those whose reader is gone.
const CLEAN_EVERY: Duration = Duration::from_secs(2);

/// The RTSP server; clones are handles to the same.
#[derive(Clone)]
pub struct RtspServer(Arc<Inner>);

struct Inner {
    server: rtsp::RTSPServer,
    /// What listens.
    source: glib::Source,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
    with_roles: bool,
    tls: bool,
    mounts: Mutex<BTreeMap<String, Arc<Mount>>>,
    readers: Readers,
}

/// A stream that is to be served.
pub struct MountPlan {
    /// The path, without the slash in front.
    pub mount: String,
    /// Its packets.
    pub packets: Receiver<Packet>,
    /// The stream's status.
    pub status: Status,
    /// Where readers are counted.
    pub metrics: Metrics,
    /// Called when a reader waits for a keyframe; must not block.
    pub on_new_reader: Arc<dyn Fn() + Send + Sync>,
}

impl RtspServer {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where it would be open to everyone, the port is taken, or the certificate cannot be used.
    pub fn start(serve: &RtspServerSettings) -> Result<Self, RtspError> {
        crate::gst::start()?;
        if serve.login.is_none() && !serve.allow_anonymous && !serve.listen.ip().is_loopback() {
            return Err(RtspError::Open(serve.listen));
        }
        let server = rtsp::RTSPServer::new();
        server.set_address(&serve.listen.ip().to_string());
        server.set_service(&serve.listen.port().to_string());
        server.set_auth(access::auth(serve)?.as_ref());
        let threads = rtsp::RTSPThreadPool::new();
        threads.set_max_threads(-1);
        server.set_thread_pool(Some(&threads));
        let sessions = server.session_pool().unwrap_or_default();
        let readers = Readers::new(serve.max_readers);
        readers.watch(&server, &sessions);

        let context = glib::MainContext::new();
        let source = server.create_source(gio::Cancellable::NONE);
        let source = source.map_err(|e| cannot_listen(serve.listen, &e))?;
        source.attach(Some(&context));
        let idle = readers.clone();
        let watched = server.downgrade();
        let clean =
            glib::timeout_source_new(CLEAN_EVERY, None, glib::Priority::DEFAULT, move || {
                sessions.cleanup();
                if let Some(server) = watched.upgrade() {
                    idle.drop_silent(&server);
                }
                glib::ControlFlow::Continue
            });
        clean.attach(Some(&context));
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let thread = run(&context, &main_loop)?;
        let port = u16::try_from(server.bound_port()).unwrap_or(serve.listen.port());
        let address = SocketAddr::new(serve.listen.ip(), port);
        let (login, tls) = (serve.login.is_some(), serve.tls.is_some());
        let scheme = if tls { "rtsps" } else { "rtsp" };
        tracing::info!(login, tls, "{scheme}://{address}");
        // With TLS alone, too, the library asks everyone for a role.
        let with_roles = tls || login;
        let (thread, mounts) = (Some(thread), Mutex::default());
        let inner =
            Inner { server, source, main_loop, thread, address, with_roles, tls, mounts, readers };
        Ok(Self(Arc::new(inner)))
    }

    /// Where it listens; the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What a reader asks for.
    pub fn url(&self, mount: &str) -> String {
        let scheme = if self.0.tls { "rtsps" } else { "rtsp" };
        format!("{scheme}://{}/{mount}", self.0.address)
    }

    /// Readers of all mounts right now.
    pub fn readers(&self) -> usize {
        self.0.readers.count()
    }

    /// Serves a stream until its edge ends or [`RtspServer::unmount`]. It can be read from its first
    /// keyframe on.
    ///
    /// # Errors
    /// Where the mount is taken, or there is no thread for it.
    pub fn mount(&self, plan: MountPlan) -> Result<SinkHandle, RtspError> {
        let mount = Arc::new(Mount::new(&plan, self.0.with_roles));
        {
            let mut mounts = lock(&self.0.mounts);
            if mounts.contains_key(&plan.mount) {
                return Err(RtspError::MountTaken(plan.mount));
            }
            mounts.insert(plan.mount.clone(), Arc::clone(&mount));
        }
        self.0.readers.add(&mount);
        let path = plan.mount.clone();
        feed::start(self.downgrade(), mount, plan.packets, &plan.status).map_err(|e| {
            self.unmount(&path);
            RtspError::Thread(e)
        })
    }

    /// Serves the stream no longer; its readers are disconnected.
    pub fn unmount(&self, mount: &str) {
        let Some(gone) = lock(&self.0.mounts).remove(mount) else { return };
        gone.close();
        self.hide(&gone);
        self.0.readers.remove(&gone);
    }

    /// Makes the mount's media, with its tracks as they are now, and lets it be found once it runs.
    fn show(&self, mount: &Arc<Mount>) {
        if !self.serves(mount) {
            return;
        }
        let factory = mount.factory();
        let (server, shown) = (Arc::downgrade(&self.0), Arc::downgrade(mount));
        let found = factory.clone();
        mount.open(&factory, move || {
            let server = server.upgrade().map(RtspServer);
            if let Some((server, mount)) = server.zip(shown.upgrade())
                && server.serves(&mount)
                && let Some(points) = server.0.server.mount_points()
            {
                points.add_factory(&format!("/{}", mount.path), found);
            }
        });
    }

    fn serves(&self, mount: &Arc<Mount>) -> bool {
        lock(&self.0.mounts).get(&mount.path).is_some_and(|m| Arc::ptr_eq(m, mount))
    }

    /// A handle that does not keep the server.
    fn downgrade(&self) -> WeakServer {
        WeakServer(Arc::downgrade(&self.0))
    }

    /// Nobody finds the mount any more, and who reads it is disconnected.
    fn hide(&self, mount: &Arc<Mount>) {
        if let Some(points) = self.0.server.mount_points() {
            points.remove_factory(&format!("/{}", mount.path));
        }
        self.0.readers.disconnect(&self.0.server, mount);
    }
}

/// The server, as long as somebody else keeps it.
#[derive(Clone)]
struct WeakServer(Weak<Inner>);

impl WeakServer {
    fn upgrade(&self) -> Option<RtspServer> {
        self.0.upgrade().map(RtspServer)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The port is free from here on.
        self.source.destroy();
        let mounts = std::mem::take(&mut *lock(&self.mounts));
        mounts.values().for_each(|mount| mount.close());
        let mut all = |_: &rtsp::RTSPServer, _: &rtsp::RTSPClient| rtsp::RTSPFilterResult::Remove;
        self.server.client_filter(Some(&mut all));
        // From inside the loop: told before it runs, it would run for ever.
        let main_loop = self.main_loop.clone();
        let quit = glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
            main_loop.quit();
            glib::ControlFlow::Break
        });
        quit.attach(Some(&self.main_loop.context()));
        let here = std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(|t| t.thread().id() != here) {
            let _ = thread.join();
        }
    }
}

fn run(
    context: &glib::MainContext,
    main_loop: &glib::MainLoop,
) -> Result<JoinHandle<()>, RtspError> {
    let (context, main_loop) = (context.clone(), main_loop.clone());
    let work = move || {
        if context.with_thread_default(|| main_loop.run()).is_err() {
            tracing::error!("the RTSP server's main loop belongs to another thread");
        }
    };
    let thread = std::thread::Builder::new().name("rtsp".into()).spawn(work);
    thread.map_err(RtspError::Thread)
}

fn cannot_listen(address: SocketAddr, why: &glib::Error) -> RtspError {
    match why.kind::<gio::IOErrorEnum>() {
        Some(gio::IOErrorEnum::AddressInUse) => RtspError::Taken { address },
        _ => RtspError::Listen { address, reason: why.message().to_owned() },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
