//! The server: a thread `rtsp` with its own main loop, and one thread per connection, so that a
//! reader that waits for a slow camera does not block others.
//!
//! Takes [`RtspServerSettings`]; gives mounts ([`RtspServer::mount`]). It ends when the last handle
//! is dropped: readers are disconnected, the thread is joined.

mod access;
mod factory;
mod feed;
mod keyframe_gate;
mod media;
mod prepared_media;
mod readers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use gstreamer_rtsp_server as rtsp;
use rtsp::prelude::*;
use rtsp::{gio, glib};

use super::error::RtspError;
use crate::stages::sink::live::context::SinkHandle;
use crate::stages::sink::settings::RtspServerSettings;
use media::Mount;
pub(crate) use media::MountPlan;
use readers::Readers;

/// Interval at which sessions of disconnected readers are removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(2);

/// The RTSP server; clones are handles to the same server.
#[derive(Clone)]
pub(crate) struct RtspServer(Arc<Inner>);

struct Inner {
    server: rtsp::RTSPServer,
    /// The listening socket.
    source: glib::Source,
    main_loop: glib::MainLoop,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    address: SocketAddr,
    with_roles: bool,
    #[cfg(test)]
    tls: bool,
    mounts: Mutex<BTreeMap<String, Arc<Mount>>>,
    readers: Readers,
}

impl RtspServer {
    /// Starts to listen.
    ///
    /// # Errors
    /// Where it would be open to anyone, the port is taken, or the certificate cannot be used.
    pub(crate) fn start(serve: &RtspServerSettings) -> Result<Self, RtspError> {
        crate::gst::start()?;
        if serve.login.is_none() && !serve.allow_anonymous && !serve.listen.ip().is_loopback() {
            return Err(RtspError::Unprotected(serve.listen));
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
            glib::timeout_source_new(CLEANUP_INTERVAL, None, glib::Priority::DEFAULT, move || {
                sessions.cleanup();
                if let Some(server) = watched.upgrade() {
                    idle.drop_idle(&server);
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
        // The library requires a role also with TLS and no login.
        let with_roles = tls || login;
        let (thread, mounts) = (Some(thread), Mutex::default());
        let inner = Inner {
            server,
            source,
            main_loop,
            thread,
            #[cfg(test)]
            address,
            with_roles,
            #[cfg(test)]
            tls,
            mounts,
            readers,
        };
        Ok(Self(Arc::new(inner)))
    }

    #[cfg(test)]
    /// The address it listens on, with the actual port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    #[cfg(test)]
    /// The URL of a mount.
    pub(crate) fn url(&self, mount: &str) -> String {
        let scheme = if self.0.tls { "rtsps" } else { "rtsp" };
        format!("{scheme}://{}/{mount}", self.0.address)
    }

    #[cfg(test)]
    /// Current number of readers of all mounts.
    pub(crate) fn readers(&self) -> usize {
        self.0.readers.count()
    }

    /// Serves a stream until its queue ends or [`RtspServer::unmount`]. Readers are accepted from
    /// its first keyframe on.
    ///
    /// # Errors
    /// Where the mount is taken, or no thread can be started.
    pub(crate) fn mount(&self, plan: MountPlan) -> Result<SinkHandle, RtspError> {
        let mount = Arc::new(Mount::new(&plan, self.0.with_roles));
        {
            let mut mounts = self.0.lock();
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

    /// Stops serving the stream and disconnects its readers.
    pub(crate) fn unmount(&self, mount: &str) {
        let Some(mount) = self.0.lock().remove(mount) else { return };
        mount.close();
        self.unpublish(&mount);
        self.0.readers.remove(&mount);
    }

    /// Creates the mount's media with its current tracks, and publishes it once it runs.
    fn publish(&self, mount: &Arc<Mount>) {
        if !self.serves(mount) {
            return;
        }
        let factory = mount.factory();
        let (server, published) = (Arc::downgrade(&self.0), Arc::downgrade(mount));
        let media_factory = factory.clone();
        mount.open(&factory, move || {
            let server = server.upgrade().map(RtspServer);
            if let Some((server, mount)) = server.zip(published.upgrade())
                && server.serves(&mount)
                && let Some(points) = server.0.server.mount_points()
            {
                points.add_factory(&format!("/{}", mount.path), media_factory);
            }
        });
    }

    fn serves(&self, mount: &Arc<Mount>) -> bool {
        self.0.lock().get(&mount.path).is_some_and(|m| Arc::ptr_eq(m, mount))
    }

    /// A handle that does not keep the server alive.
    fn downgrade(&self) -> WeakServer {
        WeakServer(Arc::downgrade(&self.0))
    }

    /// Removes the mount point and disconnects its readers.
    fn unpublish(&self, mount: &Arc<Mount>) {
        if let Some(points) = self.0.server.mount_points() {
            points.remove_factory(&format!("/{}", mount.path));
        }
        self.0.readers.disconnect(&self.0.server, mount);
    }
}

/// A handle that does not keep the server alive.
#[derive(Clone)]
struct WeakServer(Weak<Inner>);

impl WeakServer {
    fn upgrade(&self) -> Option<RtspServer> {
        self.0.upgrade().map(RtspServer)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Mount>>> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Releases the port.
        self.source.destroy();
        let mounts = std::mem::take(&mut *self.lock());
        mounts.values().for_each(|mount| mount.close());
        let mut all = |_: &rtsp::RTSPServer, _: &rtsp::RTSPClient| rtsp::RTSPFilterResult::Remove;
        self.server.client_filter(Some(&mut all));
        // From inside the loop: a quit before the loop runs has no effect.
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
            tracing::error!("the RTSP server's main loop is owned by another thread");
        }
    };
    let thread = std::thread::Builder::new().name("rtsp".into()).spawn(work);
    thread.map_err(RtspError::Thread)
}

fn cannot_listen(address: SocketAddr, why: &glib::Error) -> RtspError {
    match why.kind::<gio::IOErrorEnum>() {
        Some(gio::IOErrorEnum::AddressInUse) => RtspError::PortInUse { address },
        _ => RtspError::Listen { address, reason: why.message().to_owned() },
    }
}
