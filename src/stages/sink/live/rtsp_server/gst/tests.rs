//! Readers of the RTSP server: real ones (rtspsrc), and one that never reads.

mod tls;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::*;
use crate::core::credentials::Login;
use crate::stages::sink::fan_out::FanOut;
use crate::stages::sink::live::testing::gst::{LiveEncoder, RATE, wait_until};
use crate::telemetry::metrics::{Metrics, stream_labels};
use crate::telemetry::status::Status;

fn serve(login: Option<(&str, &str)>, max_readers: usize) -> RtspServerSettings {
    let login = login.map(|(user, password)| Login {
        user: user.to_owned(),
        password: password.to_owned().into(),
    });
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    RtspServerSettings { listen, login, tls: None, allow_anonymous: false, max_readers }
}

struct Stage {
    server: RtspServer,
    fan_out: FanOut,
    metrics: Metrics,
    handle: SinkHandle,
    encoder: LiveEncoder,
}

fn stage(serve: &RtspServerSettings) -> Stage {
    let server = RtspServer::start(serve).expect("the server starts");
    let (fan_out, metrics) = (FanOut::default(), Metrics::new());
    let (packets, _) = fan_out.add("rtsp", 8 << 20);
    let plan = MountPlan {
        mount: "cam".into(),
        packets,
        status: Status::new("cam"),
        metrics: metrics.clone(),
        on_new_reader: Arc::new(|| {}),
    };
    let handle = server.mount(plan).expect("mounted");
    let encoder = LiveEncoder::start(&fan_out, 1.0);
    Stage { server, fan_out, metrics, handle, encoder }
}

/// A reader by rtspsrc that counts what comes.
struct Reader {
    pipeline: gst::Pipeline,
    frames: Arc<AtomicU64>,
    audios: Arc<AtomicU64>,
}

impl Reader {
    fn open(url: &str, protocols: &str) -> Self {
        let line = format!("rtspsrc name=src location={url} protocols={protocols} latency=0");
        let pipeline = gst::parse::launch(&line).expect("rtspsrc");
        // A launch line of one element gives that element, not a pipeline.
        let source = pipeline;
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source).expect("added");
        let (frames, audios) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (p, s) = (Arc::clone(&frames), Arc::clone(&audios));
        let weak = pipeline.downgrade();
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            // Caps may not be set yet; the track number is in the pad's name.
            let is_frame = pad.name().starts_with("recv_rtp_src_0_");
            let sink = gst::ElementFactory::make("fakesink").property("sync", false);
            let sink = sink.property("async", false).build().expect("fakesink");
            pipeline.add(&sink).expect("added");
            sink.sync_state_with_parent().expect("plays");
            let into = sink.static_pad("sink").expect("sink");
            let count = Arc::clone(if is_frame { &p } else { &s });
            into.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                // The last RTP packet of a frame has the marker bit in its header.
                let marker = |b: &gst::Buffer| b.map_readable().is_ok_and(|m| m[1] & 0x80 != 0);
                if !is_frame || info.buffer().is_some_and(marker) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                gst::PadProbeReturn::Ok
            });
            pad.link(&into).expect("linked");
        });
        pipeline.set_state(gst::State::Playing).expect("plays");
        Self { pipeline, frames, audios }
    }

    fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    fn audios(&self) -> u64 {
        self.audios.load(Ordering::Relaxed)
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
}

/// Sends one request on a new connection; returns the head of the answer.
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
fn readers_get_frames_and_audio_by_tcp_and_udp_and_are_counted() {
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let (tcp, udp) = (
        Reader::open(&stage.server.url("cam"), "tcp"),
        Reader::open(&stage.server.url("cam"), "udp"),
    );
    wait_until("both read", || {
        [&tcp, &udp].iter().all(|r| r.frames() > 2 * RATE && r.audios() > 50)
    });
    let gauge = || stage.metrics.readers.get_or_create(&stream_labels("cam")).get();
    assert_eq!((gauge(), stage.server.readers()), (2, 2));
    drop((tcp, udp));
    wait_until("all readers are gone", || gauge() == 0);
    drop(stage.encoder);
    drop(stage.fan_out);
    assert!(stage.handle.join(Duration::from_secs(10)), "the feed has not ended with its queue");
}

/// Sets up these tracks, plays, and never reads again.
fn stuck_reader(address: SocketAddr, tracks: &[u32]) -> TcpStream {
    let mut stuck = TcpStream::connect(address).expect("connects");
    let answer = request(&mut stuck, address, "DESCRIBE", "/cam", 1, "");
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let mut session = String::new();
    for track in tracks {
        let (rtp, rtcp) = (2 * track, 2 * track + 1);
        let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}\r\n");
        let path = format!("/cam/stream={track}");
        let more = format!("{transport}{session}");
        let answer = request(&mut stuck, address, "SETUP", &path, 2 + track, &more);
        assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
        let name = answer.lines().find_map(|l| l.strip_prefix("Session: ")).expect("a session");
        session = format!("Session: {}\r\n", name.split(';').next().expect("its name"));
    }
    let answer = request(&mut stuck, address, "PLAY", "/cam/", 9, &session);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    stuck
}

/// Also with only the video set up, as recorders do: the shared audio is then not linked until
/// another reader sets it up.
#[test]
fn a_reader_that_never_reads_does_not_slow_others() {
    for tracks in [&[0][..], &[0, 1]] {
        let stage = stage(&serve(None, 10));
        ready(&stage);
        let stuck = stuck_reader(stage.server.address(), tracks);
        let reader = Reader::open(&stage.server.url("cam"), "tcp");
        wait_until("the reader reads", || reader.frames() > 0 && reader.audios() > 0);
        let (began, before) = (Instant::now(), (reader.frames(), reader.audios()));
        std::thread::sleep(Duration::from_secs(10));
        let expected = began.elapsed().as_secs_f64() * RATE as f64;
        let got = (reader.frames() - before.0) as f64;
        assert!(got > expected * 0.95 - 5.0, "{got} of {expected} frames beside {tracks:?}");
        let heard = (reader.audios() - before.1) as f64;
        assert!(heard > expected, "{heard} audio packets beside {tracks:?}");
        drop(stuck);
    }
}

/// Runs ffmpeg on the stream for `seconds`; returns its warnings.
fn ffmpeg(url: &str, seconds: u32, to: &[&str]) -> String {
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "warning", "-nostdin", "-y"]);
    command.args(["-rtsp_transport", "tcp", "-i", url, "-t", &seconds.to_string()]).args(to);
    let out = command.output().expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    // This ffmpeg sets no timestamp on the first frame of any RTSP stream.
    let mut lines: Vec<_> = said.lines().collect();
    if let Some(first) = lines.iter().position(|l| l.contains("Timestamps are unset")) {
        lines.remove(first);
    }
    lines.join("\n")
}

#[test]
fn ffmpeg_finds_nothing_wrong_with_copies_and_frames() {
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let url = stage.server.url("cam");
    let dir = tempfile::tempdir().expect("temp");
    let copy = dir.path().join("copy.mp4").to_string_lossy().into_owned();
    // A reader starts with a keyframe, whenever it connects.
    for _ in 0..3 {
        assert_eq!(ffmpeg(&url, 4, &["-c", "copy", &copy]), "");
        assert_eq!(ffmpeg(&url, 1, &["-f", "null", "-"]), "");
        std::thread::sleep(Duration::from_millis(230));
    }
}

#[test]
fn odd_paths_do_not_create_a_second_stream() {
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let reader = Reader::open(&stage.server.url("cam"), "tcp");
    wait_until("the reader reads", || reader.frames() > 0);
    for path in ["/cam/", "/cam?x=1", "/cam/x", "//cam"] {
        let began = Instant::now();
        let answer = ask(stage.server.address(), "DESCRIBE", path, "");
        println!(
            "{path}: {} after {:?}",
            answer.lines().next().unwrap_or_default(),
            began.elapsed()
        );
        assert!(began.elapsed() < Duration::from_secs(5), "the answer to {path} took too long");
    }
    let before = reader.frames();
    wait_until("the reader continues", || reader.frames() > before + 2 * RATE);
}

#[test]
fn dropping_the_server_frees_the_port_and_disconnects_readers() {
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let reader = Reader::open(&stage.server.url("cam"), "tcp");
    wait_until("the reader reads", || reader.frames() > 0);
    let address = stage.server.address();
    // The feed's thread still runs: its queue has not ended.
    drop(stage.server);
    assert!(TcpStream::connect(address).is_err(), "the port is still in use");
    let again = RtspServer::start(&RtspServerSettings { listen: address, ..serve(None, 1) });
    assert!(again.is_ok(), "the port is taken");
    wait_until("the feed ends by itself", || stage.handle.is_finished());
    let at = reader.frames();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(reader.frames(), at, "the reader still receives packets");
    drop(stage.encoder);
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
    wait_until("the right password reads", || right.frames() > RATE);
    assert_eq!(wrong.frames(), 0);
    assert_eq!(stage.server.readers(), 1);
}

#[test]
fn no_more_readers_than_allowed() {
    let stage = stage(&serve(None, 1));
    ready(&stage);
    let first = Reader::open(&stage.server.url("cam"), "tcp");
    wait_until("the first reads", || first.frames() > 0);
    let second = ask(stage.server.address(), "DESCRIBE", "/cam", "");
    assert!(second.starts_with("RTSP/1.0 503"), "{second}");
    drop(first);
    wait_until("there is room again", || {
        ask(stage.server.address(), "DESCRIBE", "/cam", "").starts_with("RTSP/1.0 200")
    });
}

#[test]
fn closed_connections_take_no_room() {
    let stage = stage(&serve(None, 1));
    ready(&stage);
    for n in 0..100 {
        let answer = ask(stage.server.address(), "DESCRIBE", "/cam", "");
        assert!(answer.starts_with("RTSP/1.0 200"), "connection {n}: {answer}");
    }
}

#[test]
fn invalid_settings_are_refused_at_start() {
    let first = RtspServer::start(&serve(None, 1)).expect("starts");
    let taken = RtspServerSettings { listen: first.address(), ..serve(None, 1) };
    let error = RtspServer::start(&taken).err().expect("taken").to_string();
    assert!(error.contains(&first.address().to_string()) && error.contains("taken"), "{error}");
    let open = RtspServerSettings { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..serve(None, 1) };
    assert!(matches!(RtspServer::start(&open), Err(RtspError::Unprotected(_))));
    RtspServer::start(&RtspServerSettings { allow_anonymous: true, ..open })
        .expect("open to anyone, as configured");
    let pair = Some(("no/such.crt".into(), "no/such.key".into()));
    let tls = RtspServerSettings { tls: pair, ..serve(None, 1) };
    let error = RtspServer::start(&tls).err().expect("no certificate").to_string();
    assert!(error.contains("no/such.crt"), "{error}");
}

/// Threads, open files and memory in kB of this process.
fn resources() -> (usize, usize, u64) {
    let count = |dir: &str| std::fs::read_dir(dir).expect("Linux").count();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("memory");
    let rss = rss.trim().trim_end_matches(" kB").parse().expect("a number");
    (count("/proc/self/task"), count("/proc/self/fd"), rss)
}

/// With `LOCUTOR_READERS` readers (default 20), four at a time.
#[test]
fn readers_that_connect_and_disconnect_leak_nothing() {
    let readers = std::env::var("LOCUTOR_READERS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let stage = stage(&serve(None, 10));
    ready(&stage);
    let url = stage.server.url("cam");
    let slowest = Mutex::new(Duration::ZERO);
    let visit = &|| {
        let began = Instant::now();
        let reader = Reader::open(&url, "tcp");
        wait_until("it reads", || reader.frames() > 0);
        let mut slowest = slowest.lock().expect("not poisoned");
        *slowest = began.elapsed().max(*slowest);
    };
    let visits = |count: usize| {
        std::thread::scope(|scope| {
            (0..4).for_each(|n| {
                drop(scope.spawn(move || (n..count).step_by(4).for_each(|_| visit())))
            });
        });
    };
    let settled = || {
        wait_until("all readers are gone", || stage.server.readers() == 0);
        std::thread::sleep(Duration::from_secs(3));
        resources()
    };
    visits(12);
    let before = settled();
    let began = Instant::now();
    visits(readers);
    let (took, after) = (began.elapsed(), settled());
    println!(
        "{readers} readers in {took:?}, the slowest saw a frame after {:?}; threads, files, kB \
         before {before:?}, after {after:?}",
        slowest.lock().expect("not poisoned")
    );
    assert!(after.0 <= before.0 + 3, "threads: {before:?} → {after:?}");
    assert!(after.1 <= before.1 + 6, "files: {before:?} → {after:?}");
    assert!(after.2 < before.2 + 30_000, "memory: {before:?} → {after:?}");
}
