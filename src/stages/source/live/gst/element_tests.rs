//! Sources against real senders: SRT with a passphrase, MPEG-TS by UDP, RTMP from nginx.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::core::credentials::Login;
use crate::stages::source::live::gst::intake::{LiveGraph, Taps, build};

const SENDS: &str = "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=25/1 ! \
                     x264enc tune=zerolatency key-int-max=25 speed-preset=ultrafast ! h264parse ! ";

/// Sends to `sink` until it is dropped; `None` where an element is missing.
struct Sender(gst::Pipeline);

impl Sender {
    fn start(mux: &str, sink: &str) -> Option<Self> {
        crate::gst::start().expect("GStreamer starts");
        match gst::parse::launch(&format!("{SENDS} {mux} ! {sink}")) {
            Ok(pipeline) => {
                pipeline.set_state(gst::State::Playing).expect("plays");
                Some(Self(pipeline.downcast().expect("a pipeline")))
            }
            Err(e) => {
                crate::needs::skip(format_args!("gstreamer1.0-plugins-bad and -ugly: {e}"));
                None
            }
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("an address").port()
}

/// Reads until one second of frames has arrived, or gives the error.
fn read(uri: &str, passphrase: Option<&str>) -> Result<(), String> {
    let mut source = SourceSettings::with_defaults(uri.parse().expect("an address"));
    source.login = passphrase.map(|p| Login { user: "x".into(), password: p.to_owned().into() });
    let (taps, frames) = Taps::counting();
    let graph: LiveGraph = build(&source, taps).expect("elements");
    let _ = graph.play();
    let begun = Instant::now();
    let end = loop {
        if let Some(fault) = graph.bus.log().error {
            break Err(fault.source_error(
                &source.uri,
                source.login.is_some(),
                source.tls_ca_file.as_deref(),
            ));
        }
        if frames.load(Ordering::Relaxed) > 25 {
            break Ok(());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            break Err("no frames arrived".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    graph.stop_within(Duration::from_secs(5));
    end
}

/// Retries for up to 30 s.
fn read_soon(uri: &str, passphrase: Option<&str>) {
    let begun = Instant::now();
    while let Err(why) = read(uri, passphrase) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{why}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn srt_is_read_with_its_passphrase_and_reports_a_wrong_one() {
    let uri = format!("srt://127.0.0.1:{}", free_port());
    let sink = format!(
        "srtsink uri={uri}?mode=listener passphrase=correct-horse wait-for-connection=false"
    );
    let Some(_sender) = Sender::start("mpegtsmux alignment=7", &sink) else { return };
    read_soon(&uri, Some("correct-horse"));
    for (passphrase, word) in [
        (Some("another-horse"), "another passphrase"),
        (None, "wants a passphrase"),
        (Some("short"), "10 to 79 characters"),
    ] {
        let error = read(&uri, passphrase).expect_err("it is refused");
        println!("{error}");
        assert!(error.contains(word) && error.contains("`credentials`"), "{error}");
    }
}

#[test]
fn mpeg_ts_by_udp_is_read() {
    let port = free_port();
    let sink = format!("udpsink host=127.0.0.1 port={port} sync=false");
    let Some(_sender) = Sender::start("mpegtsmux alignment=7", &sink) else { return };
    read_soon(&format!("udp://127.0.0.1:{port}"), None);
}

/// Stops the process when the test ends.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

#[test]
fn rtmp_is_read_from_nginx() {
    if !Path::new(MODULE).exists() || Command::new("nginx").arg("-v").output().is_err() {
        crate::needs::skip("nginx with RTMP (packages nginx, libnginx-mod-rtmp)");
        return;
    }
    let (port, dir) = (free_port(), tempfile::tempdir().expect("temp"));
    let at = dir.path().display();
    let config = dir.path().join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/log; load_module {MODULE}; \
         events {{}} rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} \
         }} }}"
    );
    std::fs::write(&config, text).expect("written");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir.path()).arg("-c").arg(&config);
    let _nginx = KillOnDrop(command.stderr(Stdio::null()).spawn().expect("nginx starts"));
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "nginx does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    let uri = format!("rtmp://127.0.0.1:{port}/live/hall");
    let sink = format!("rtmp2sink location={uri}");
    let Some(_sender) = Sender::start("flvmux streamable=true", &sink) else { return };
    read_soon(&uri, None);
    let error = read(&format!("rtmp://127.0.0.1:{port}/other/hall"), None).expect_err("refused");
    println!("{error}");
    assert!(error.contains("does not take /other/hall"), "{error}");
}

#[test]
fn the_test_source_gives_frames() {
    crate::gst::start().expect("GStreamer");
    assert_eq!(read("test:", None), Ok(()));
}
