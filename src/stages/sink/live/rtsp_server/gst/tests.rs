//! Readers of the RTSP server: real ones (rtspsrc), and one that never reads.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::*;
use crate::config::camera::Login;
use crate::live::meters::of_stream;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::live::testing::gst::{LiveEncoder, RATE, wait_until};

fn serve(login: Option<(&str, &str)>, most_readers: usize) -> ServeRtsp {
    let login = login.map(|(user, password)| Login {
        user: user.to_owned(),
        password: password.to_owned().into(),
    });
    ServeRtsp { listen: SocketAddr::from(([127, 0, 0, 1], 0)), login, tls: None, most_readers }
}

struct Stage {
    server: RtspServer,
    fan_out: FanOut,
    meters: Meters,
    handle: SinkHandle,
    encoder: LiveEncoder,
}

fn stage(serve: &ServeRtsp) -> Stage {
    let server = RtspServer::start(serve).expect("the server starts");
    let (fan_out, meters) = (FanOut::default(), Meters::new());
    let (packets, _) = fan_out.add("rtsp", 8 << 20);
    let plan = MountPlan {
        mount: "cam".into(),
        packets,
        status: Status::new("cam"),
        meters: meters.clone(),
        on_new_reader: Arc::new(|| {}),
    };
    let handle = server.mount(plan).expect("mounted");
    let encoder = LiveEncoder::start(&fan_out, 1.0);
    Stage { server, fan_out, meters, handle, encoder }
}

/// A reader by rtspsrc that counts what comes.
struct Reader {
    pipeline: gst::Pipeline,
    pictures: Arc<AtomicU64>,
    sounds: Arc<AtomicU64>,
}

impl Reader {
    fn open(url: &str, protocols: &str) -> Self {
        let line = format!("rtspsrc name=src location={url} protocols={protocols} latency=0");
        let pipeline = gst::parse::launch(&line).expect("rtspsrc");
        // A row of one element is no pipeline.
        let source = pipeline;
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source).expect("added");
        let (pictures, sounds) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (p, s) = (Arc::clone(&pictures), Arc::clone(&sounds));
        let weak = pipeline.downgrade();
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let media: String = caps.structure(0).expect("caps").get("media").expect("media");
            let sink = gst::ElementFactory::make("fakesink").property("sync", false);
            let sink = sink.property("async", false).build().expect("fakesink");
            pipeline.add(&sink).expect("added");
            sink.sync_state_with_parent().expect("plays");
            let into = sink.static_pad("sink").expect("sink");
            let (is_picture, count) = (media == "video", if media == "video" { &p } else { &s });
            let count = Arc::clone(count);
            into.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                // The last RTP packet of a picture has the marker bit in its header.
                let marker = |b: &gst::Buffer| b.map_readable().is_ok_and(|m| m[1] & 0x80 != 0);
                if !is_picture || info.buffer().is_some_and(marker) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                gst::PadProbeReturn::Ok
            });
            pad.link(&into).expect("linked");
        });
        pipeline.set_state(gst::State::Playing).expect("plays");
        Self { pipeline, pictures, sounds }
    }

    fn pictures(&self) -> u64 {
        self.pictures.load(Ordering::Relaxed)
    }

    fn sounds(&self) -> u64 {
        self.sounds.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn ready(stage: &Stage) {
    wait_until("the mount is there", || {
        ask(stage.server.address(), "DESCRIBE", "/cam", "").starts_with("RTSP/1.0 200")
    });
    // The media that was described goes with its connection; who comes meanwhile gets a 503.
    std::thread::sleep(Duration::from_secs(1));
}

/// One request on a connection of its own; the answer's head.
fn ask(address: SocketAddr, method: &str, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connects");
    request(&mut stream, address, method, path, 1, more)
}

fn request(
    stream: &mut TcpStream,
    address: SocketAddr,
    method: &str,
    path: &str,
    number: u32,
    more: &str,
) -> String {
    let text = format!("{method} rtsp://{address}{path} RTSP/1.0\r\nCSeq: {number}\r\n{more}\r\n");
    stream.write_all(text.as_bytes()).expect("sent");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        answer.push(byte[0]);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let length = answer.lines().find_map(|l| l.strip_prefix("Content-Length: "));
    let length = length.and_then(|l| l.trim().parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).expect("the body");
    answer
}

#[test]
fn readers_get_pictures_and_sound_by_tcp_and_udp_and_are_counted() {
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let (tcp, udp) = (
        Reader::open(&stage.server.url("cam"), "tcp"),
        Reader::open(&stage.server.url("cam"), "udp"),
    );
    wait_until("both read", || {
        [&tcp, &udp].iter().all(|r| r.pictures() > 2 * RATE && r.sounds() > 50)
    });
    let gauge = || stage.meters.readers.get_or_create(&of_stream("cam")).get();
    assert_eq!((gauge(), stage.server.readers()), (2, 2));
    drop((tcp, udp));
    wait_until("nobody reads", || gauge() == 0);
    drop(stage.encoder);
    drop(stage.fan_out);
    assert!(stage.handle.join(Duration::from_secs(10)), "the feed ends with the edge");
}

#[test]
fn a_reader_that_never_reads_slows_nobody() {
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let address = stage.server.address();
    let mut stuck = TcpStream::connect(address).expect("connects");
    let answer = request(&mut stuck, address, "DESCRIBE", "/cam", 1, "");
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let answer = request(&mut stuck, address, "SETUP", "/cam/stream=0", 2, transport);
    let session = answer.lines().find_map(|l| l.strip_prefix("Session: ")).expect("a session");
    let session = session.split(';').next().expect("its name");
    let more = format!("Transport: RTP/AVP/TCP;unicast;interleaved=2-3\r\nSession: {session}\r\n");
    let answer = request(&mut stuck, address, "SETUP", "/cam/stream=1", 3, &more);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let answer =
        request(&mut stuck, address, "PLAY", "/cam/", 3, &format!("Session: {session}\r\n"));
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let reader = Reader::open(&stage.server.url("cam"), "tcp");
    wait_until("the reader reads", || reader.pictures() > 0);
    let (began, before) = (Instant::now(), reader.pictures());
    std::thread::sleep(Duration::from_secs(15));
    let expected = began.elapsed().as_secs_f64() * RATE as f64;
    let got = (reader.pictures() - before) as f64;
    assert!(got > expected * 0.95 - 5.0, "{got} of {expected} pictures came beside a stuck reader");
    drop(stuck);
}

#[test]
fn a_wrong_password_is_refused_and_the_right_one_reads() {
    let stage = stage(&serve(Some(("ann", "right")), 10));
    let address = stage.server.address();
    wait_until("the mount is there", || {
        ask(address, "DESCRIBE", "/cam", "").starts_with("RTSP/1.0 401")
    });
    assert!(ask(address, "DESCRIBE", "/cam", "").contains("Digest"));
    let url = |login: &str| format!("rtsp://{login}@{address}/cam");
    let wrong = Reader::open(&url("ann:wrong"), "tcp");
    let right = Reader::open(&url("ann:right"), "tcp");
    wait_until("the right password reads", || right.pictures() > RATE);
    assert_eq!(wrong.pictures(), 0);
    assert_eq!(stage.server.readers(), 1);
}

#[test]
fn no_more_readers_than_allowed() {
    let stage = stage(&serve(None, 1));
    ready(&stage);
    let first = Reader::open(&stage.server.url("cam"), "tcp");
    wait_until("the first reads", || first.pictures() > 0);
    let second = ask(stage.server.address(), "DESCRIBE", "/cam", "");
    assert!(second.starts_with("RTSP/1.0 503"), "{second}");
    drop(first);
    wait_until("there is room again", || {
        ask(stage.server.address(), "DESCRIBE", "/cam", "").starts_with("RTSP/1.0 200")
    });
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let first = RtspServer::start(&serve(None, 1)).expect("starts");
    let taken = ServeRtsp { listen: first.address(), ..serve(None, 1) };
    let error = RtspServer::start(&taken).err().expect("taken").to_string();
    assert!(error.contains(&first.address().to_string()) && error.contains("taken"), "{error}");
    let open = ServeRtsp { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..serve(None, 1) };
    assert!(matches!(RtspServer::start(&open), Err(RtspError::Open(_))));
    let pair = Some(("no/such.crt".into(), "no/such.key".into()));
    let tls = ServeRtsp { tls: pair, ..serve(None, 1) };
    let error = RtspServer::start(&tls).err().expect("no certificate").to_string();
    assert!(error.contains("no/such.crt"), "{error}");
}

/// Threads, open files and kilobytes of this process.
fn held() -> (usize, usize, u64) {
    let count = |dir: &str| std::fs::read_dir(dir).expect("Linux").count();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("memory");
    let rss = rss.trim().trim_end_matches(" kB").parse().expect("a number");
    (count("/proc/self/task"), count("/proc/self/fd"), rss)
}

/// As many readers as `LOCUTOR_READERS` says, 20 by default, one after the other.
#[test]
fn readers_that_come_and_go_leave_nothing_behind() {
    let readers = std::env::var("LOCUTOR_READERS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let visit = || {
        let reader = Reader::open(&stage.server.url("cam"), "tcp");
        wait_until("it reads", || reader.pictures() > 2);
        drop(reader);
        wait_until("it is gone", || stage.server.readers() == 0);
        // The media goes with its last reader; who comes meanwhile gets a 503.
        std::thread::sleep(Duration::from_millis(300));
    };
    let settled = || {
        wait_until("nobody reads", || stage.server.readers() == 0);
        std::thread::sleep(Duration::from_secs(3));
        held()
    };
    (0..5).for_each(|_| visit());
    let before = settled();
    (0..readers).for_each(|_| visit());
    let after = settled();
    println!("{readers} readers: threads, files, kB before {before:?}, after {after:?}");
    assert!(after.0 <= before.0 + 3, "threads: {before:?} → {after:?}");
    assert!(after.1 <= before.1 + 6, "files: {before:?} → {after:?}");
    assert!(after.2 < before.2 + 30_000, "memory: {before:?} → {after:?}");
}
