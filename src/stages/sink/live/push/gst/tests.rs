//! A real RECORD server (gstreamer-rtsp-server) receives what is pushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gstreamer_rtsp_server as server;
use server::prelude::*;

use super::*;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::live::context::{SinkContext, SinkHandle};
use crate::stages::sink::live::push::{Peer as To, open};
use crate::stages::sink::live::testing::gst::{LiveEncoder, wait_until};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::Status;

/// Numbers of decoded frames and audio buffers at the peer.
#[derive(Clone, Default)]
struct Arrived {
    frames: Arc<AtomicU64>,
    audios: Arc<AtomicU64>,
}

impl Arrived {
    fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    fn audios(&self) -> u64 {
        self.audios.load(Ordering::Relaxed)
    }
}

/// A RECORD server until it is dropped.
struct Peer {
    server: server::RTSPServer,
    main: gst::glib::MainLoop,
    source: Option<gst::glib::SourceId>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// The server identifies tracks by their position.
const LAUNCH: &str = "( rtph264depay name=depay0 ! avdec_h264 ! fakesink name=frames sync=false \
                     async=false rtpmp4gdepay name=depay1 ! avdec_aac ! fakesink name=audios \
                     sync=false async=false )";

impl Peer {
    fn start(port: u16, arrived: &Arrived) -> Self {
        gst::init().expect("GStreamer starts");
        let factory = server::RTSPMediaFactory::new();
        factory.set_launch(LAUNCH);
        factory.set_transport_mode(server::RTSPTransportMode::RECORD);
        let arrived = arrived.clone();
        factory.connect_media_configure(move |_, media| {
            let all = media.element().downcast::<gst::Bin>().expect("a bin");
            for (name, count) in [("frames", &arrived.frames), ("audios", &arrived.audios)] {
                let pad = all.by_name(name).and_then(|e| e.static_pad("sink")).expect("a pad");
                let count = Arc::clone(count);
                pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                    count.fetch_add(1, Ordering::Relaxed);
                    gst::PadProbeReturn::Ok
                });
            }
        });
        let server = server::RTSPServer::new();
        server.set_service(&port.to_string());
        server.set_address("127.0.0.1");
        server.mount_points().expect("mounts").add_factory("/cam", factory);
        let context = gst::glib::MainContext::new();
        let main = gst::glib::MainLoop::new(Some(&context), false);
        let source = server.attach(Some(&context)).expect("the port is free");
        let run = main.clone();
        let thread = std::thread::Builder::new().name("peer".into()).spawn(move || run.run());
        Self { server, main, source: Some(source), thread: thread.ok() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.server.client_filter(Some(&mut |_, _| server::RTSPFilterResult::Remove));
        if let (Some(source), context) = (self.source.take(), self.main.context())
            && let Some(source) = context.find_source_by_id(&source)
        {
            source.destroy();
        }
        self.main.quit();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the peer does not panic");
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

struct Stage {
    status: Status,
    handle: SinkHandle,
    encoder: LiveEncoder,
    fan_out: FanOut,
}

fn push_to(port: u16) -> Stage {
    let (fan_out, metrics, status) = (FanOut::default(), Metrics::new(), Status::new("cam"));
    let context = SinkContext {
        fan_out: &fan_out,
        status: &status,
        metrics: &metrics,
        request_keyframe: Arc::new(|| {}),
    };
    let uri = format!("rtsp://127.0.0.1:{port}/cam").parse().expect("an address");
    let peer = To { uri, login: None, tls_ca_file: None };
    let handle = open(peer, &context).expect("a thread");
    let encoder = LiveEncoder::start(&fan_out, 1.0);
    Stage { status, handle, encoder, fan_out }
}

impl Stage {
    fn end(self) {
        drop((self.encoder, self.fan_out));
        assert!(self.handle.join(Duration::from_secs(5)), "it ends with its queue");
    }
}

#[test]
fn a_record_server_gets_frames_and_audio_also_after_a_restart() {
    let (port, first) = (free_port(), Arrived::default());
    let peer = Peer::start(port, &first);
    let stage = push_to(port);
    wait_until("frames and audio arrive", || first.frames() > 75 && first.audios() > 140);
    let (began, before) = (Instant::now(), (first.frames(), first.audios()));
    std::thread::sleep(Duration::from_secs(4));
    let seconds = began.elapsed().as_secs_f64();
    let rates = [first.frames() - before.0, first.audios() - before.1].map(|n| n as f64 / seconds);
    println!("{:.1} frames and {:.1} audio buffers per second", rates[0], rates[1]);
    assert!((23.0..27.0).contains(&rates[0]) && (44.0..50.0).contains(&rates[1]), "{rates:?}");
    assert!(stage.status.sink_errors().is_empty());
    drop(peer);
    wait_until("the error is reported", || stage.status.sink_errors().contains_key("rtsp-push"));
    let errors = format!("{:?}", stage.status.sink_errors());
    assert!(errors.contains("cannot send to 127.0.0.1"), "{errors}");
    let (second, restarted) = (Arrived::default(), Instant::now());
    let peer = Peer::start(port, &second);
    wait_until("it arrives again", || second.frames() > 25 && second.audios() > 50);
    println!("again after {:?}", restarted.elapsed());
    wait_until("the error is cleared", || stage.status.sink_errors().is_empty());
    stage.end();
    drop(peer);
}
