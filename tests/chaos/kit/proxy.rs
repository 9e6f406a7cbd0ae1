//! A TCP proxy that can reset its connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A proxy in front of a port of this machine; its threads end with the connections.
pub struct Proxy {
    pub port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = Arc::clone(&open);
        thread("proxy", move || {
            for here in listener.incoming().flatten() {
                let Ok(there) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let both = [&here, &there].map(|s| s.try_clone().expect("a handle"));
                kept.lock().expect("open").extend(both);
                let (up, down) = (here.try_clone().expect("a handle"), there.try_clone());
                let down = down.expect("a handle");
                thread("proxy-up", move || pass(&up, &there));
                thread("proxy-down", move || pass(&down, &here));
            }
        });
        Self { port, open }
    }

    /// Resets all connections: whoever reads gets an error, no end.
    pub fn reset(&self) {
        for stream in self.open.lock().expect("open").drain(..) {
            let at_once = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("linger");
            // The last handle's close sends the reset; the threads hold the others.
            let _ = rustix::net::shutdown(&stream, rustix::net::Shutdown::Read);
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name(name.into()).spawn(run).expect("a thread");
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(n) = from.read(&mut bytes) {
        if n == 0 || to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
}
