//! A camera's TOML file: defaults, every key, every refusal, and that no password comes back.

use std::path::PathBuf;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::config::camera::Serve;
use crate::stages::sink::settings::SinkSettings;

fn read_text(text: &str) -> Result<Camera, String> {
    let path = Path::new("/etc/locutor/front-door.toml");
    parse(text, path, &Secrets::NotLookedUp).map_err(|e| e.to_string())
}

const MINIMAL: &str = "[source]\nuri = \"rtsp://camera.lan/1\"\n";

fn with(more: &str) -> Result<Camera, String> {
    read_text(&format!("{MINIMAL}{more}"))
}

#[test]
fn an_address_is_enough() {
    let camera = with("").expect("a camera");
    assert_eq!(camera.name, "front-door");
    let source = &camera.source;
    let times = [source.stall_timeout, source.retry_min, source.retry_max, source.jitter];
    assert_eq!(times.map(|t| t.as_millis()), [10_000, 1_000, 30_000, 100]);
    assert_eq!((source.transport, source.audio_track, source.looped), (Transport::Tcp, 1, false));
    assert_eq!((camera.lookahead, camera.hop_ticks), (LookaheadChoice::Live, 2));
    assert_eq!(camera.output_policy, OutputPolicy::Delay);
    let encoder = &camera.encoder;
    assert_eq!((encoder.kbit_per_second, encoder.audio_kbit_per_second), (2_500, 96));
    assert_eq!((encoder.preset.as_str(), encoder.keyframe_interval.as_secs()), ("veryfast", 1));
    assert!(camera.sinks.is_empty() && encoder.element.is_none());
    let Serve { rtsp, health } = &camera.serve;
    assert!(rtsp.is_none(), "nothing is to be served");
    assert_eq!(health.map(|h| h.to_string()).as_deref(), Some("127.0.0.1:9998"));
}

#[test]
fn sinks_have_defaults_and_paths_beside_the_file() {
    let text = "[[sink]]\ntype = \"rtsp-server\"\n[[sink]]\ntype = \"record\"\n\
                directory = \"kept\"\n[[sink]]\ntype = \"events\"\npath = \"/var/e.jsonl\"\n";
    let camera = with(text).expect("a camera");
    let [
        SinkSettings::RtspServer { mount },
        SinkSettings::Record(record),
        SinkSettings::Events { path, keep, .. },
    ] = &camera.sinks[..]
    else {
        panic!("{:?}", camera.sinks)
    };
    assert_eq!((mount.as_str(), *keep), ("front-door", 5));
    assert_eq!(record.directory, Path::new("/etc/locutor/kept"));
    assert_eq!((record.segment.as_secs(), record.min_free_bytes), (300, 1 << 30));
    assert_eq!((record.max_age, record.max_total_bytes), (None, None));
    assert_eq!(path, Path::new("/var/e.jsonl"));
    let rtsp = camera.serve.rtsp.expect("a stream is served");
    assert_eq!((rtsp.listen.to_string().as_str(), rtsp.max_readers), ("127.0.0.1:8554", 64));
}

#[test]
fn sizes_and_times_are_read_in_their_units() {
    let text = "[[sink]]\ntype = \"record\"\ndirectory = \"kept\"\nsegment_seconds = 60\n\
                max_age_seconds = 86400\nmax_size_gib = 0.5\nmin_free_gib = 2\n\
                [[sink]]\ntype = \"mqtt\"\nbroker = \"mqtt://b\"\nspool = \"s\"\nspool_mib = 1\n";
    let camera = with(text).expect("a camera");
    let [SinkSettings::Record(record), SinkSettings::Mqtt(mqtt)] = &camera.sinks[..] else {
        panic!("two sinks")
    };
    assert_eq!(record.max_age, Some(Duration::from_secs(86_400)));
    assert_eq!((record.max_total_bytes, record.min_free_bytes), (Some(1 << 29), 2 << 30));
    assert_eq!((mqtt.spool_bytes, mqtt.topic.as_str()), (1 << 20, "locutor"));
}

/// What is appended to the least file, and what the error says.
const INVALID: &[(&str, &str)] = &[
    ("jiter_ms = 1", "line 3: unknown field `jiter_ms`, expected one of `uri`"),
    ("jiter_ms = 1", "did you mean `jitter_ms`?"),
    ("audio_track = 0", "source.audio_track: tracks are counted from 1"),
    ("loop = true", "source.loop: only a file can be played in a loop"),
    ("stall_timeout_seconds = 0", "it must be from 0.5 to 3600 seconds"),
    ("stall_timeout_seconds = nan", "source.stall_timeout_seconds: is NaN"),
    ("retry_min_seconds = 60", "source.retry_max_seconds: is less than retry_min_seconds"),
    ("transport = \"tpc\"", "unknown variant `tpc`, expected one of `auto`, `tcp`, `udp`; did you"),
    ("[models]\nlookahead = \"file\"", "models.lookahead: `file` is for recordings"),
    ("[models]\nhop_ticks = 26", "models.hop_ticks: is 26; it must be from 1 to 25"),
    ("[models]\ndevice = \"gpu\"", "models.device: `gpu` is not a device"),
    ("[encoder]\npreset = \"quick\"", "encoder.preset: `quick` is not one of ultrafast"),
    ("[encoder]\nkbit_per_second = 1", "encoder.kbit_per_second: is 1; it must be from 50"),
    ("[[sink]]\nmount = \"a\"", "sink 1.type: is missing; write one of rtsp-server"),
    ("[[sink]]\ntype = \"rtmp\"", "sink 1.type: is not one of rtsp-server"),
    ("[[sink]]\ntype = \"rtsp-server\"\nmount = \"../a\"", "sink 1 (rtsp-server).mount: is not"),
    ("[[sink]]\ntype = \"record\"", "sink 1 (record): missing field `directory`"),
    ("[[sink]]\ntype = \"file\"\npath = \"a.avi\"", "sink 1 (file).path: is not a video file name"),
    ("[[sink]]\ntype = \"events\"\npath = \"a/../../b\"", "sink 1 (events).path: has `..`"),
    ("[[sink]]\ntype = \"events\"\npath = \"a\"\nrotate_mib = 0", "rotate_mib: is 0; write a size"),
    ("[[sink]]\ntype = \"events\"\npath = \"a\"\nrotat_mib = 1", "did you mean `rotate_mib`?"),
    ("[[sink]]\ntype = \"record\"\ndirectory = \"a\"\nname = \"/%s\"", "name: is an absolute path"),
    (
        "[[sink]]\ntype = \"record\"\ndirectory = \"a\"\nmax_age_seconds = 9",
        "is shorter than one segment",
    ),
    ("[[sink]]\ntype = \"mqtt\"\nbroker = \"http://b\"\nspool = \"s\"", "broker: begins with none"),
    (
        "[[sink]]\ntype = \"mqtt\"\nbroker = \"mqtt://b\"\nspool = \"s\"\ntopic = \"a/#\"",
        "topic: is not an MQTT topic",
    ),
    (
        "[[sink]]\ntype = \"events\"\npath = \"a\"\n[[sink]]\ntype = \"events\"\npath = \"a\"",
        "sink 2 (events): writes to /etc/locutor/a, as sink 1 does",
    ),
    (
        "[serve]\nrtsp = \"0.0.0.0:8554\"",
        "serve.rtsp: listens on 0.0.0.0:8554, beyond this machine",
    ),
    ("[serve]\nrtsp = \"0.0.0.0:8554\"", "allow_anonymous = true"),
    ("[serve]\nhealth = \"0.0.0.0:9998\"", "serve.health: listens on 0.0.0.0:9998"),
    ("[serve]\nhealth = \"9998\"", "serve.health: is not an address to listen on; write an IP"),
    ("[serve]\nrtsp_tls_cert = \"c\"", "serve.rtsp_tls_key: is missing"),
    ("[serve]\nrtsp = \"127.0.0.1:9998\"", "as serve.health is"),
    ("[serve]\nrtsp_max_readers = 0", "serve.rtsp_max_readers: is 0"),
];

#[test]
fn errors_name_the_invalid_key() {
    for (more, why) in INVALID {
        let said = with(more).expect_err(more);
        assert!(said.starts_with("/etc/locutor/front-door.toml: "), "{said}");
        assert!(said.contains(why), "{more}: {said}");
    }
}

#[test]
fn listening_beyond_this_machine_requires_a_login_or_permission() {
    let allow_anonymous = "[serve]\nrtsp = \"0.0.0.0:8554\"\nallow_anonymous = true\n";
    assert!(with(allow_anonymous).is_ok());
    let login = "[serve]\nrtsp = \"[::]:8554\"\nrtsp_credentials = \"readers\"\n";
    let rtsp = with(login).expect("a login").serve.rtsp.expect("served");
    assert!(rtsp.login.is_some());
    assert!(with("[serve]\nhealth = \"off\"\n").expect("off").serve.health.is_none());
}

#[test]
fn a_name_is_checked_wherever_it_comes_from() {
    let said = read_text("name = \"a b\"\n[source]\nuri = \"test:\"").expect_err("a blank");
    assert!(said.contains(": name: is not a valid stream name"), "{said}");
    let path = Path::new("/etc/locutor/my door.toml");
    let said = parse(MINIMAL, path, &Secrets::NotLookedUp).expect_err("a blank").to_string();
    assert!(said.contains("the file's name is not a stream name"), "{said}");
}

#[test]
fn credentials_come_from_where_the_system_has_them() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("door"), "eve:hunter2\n").expect("written");
    let secrets = Secrets::Directory(folder.path().into());
    let read = |name: &str| {
        let text = format!("{MINIMAL}credentials = \"{name}\"\n");
        parse(&text, Path::new("door.toml"), &secrets)
    };
    let login = read("door").expect("there").source.login.expect("a login");
    assert_eq!(login.password.expose_secret(), "hunter2");
    let said = read("window").expect_err("not there").to_string();
    assert!(said.starts_with("door.toml: source.credentials: "), "{said}");
    assert!(!format!("{:?}", read("door").expect("there")).contains("hunter2"));
}

#[test]
fn a_password_with_a_line_break_is_not_repeated_either() {
    for place in SECRET_POSITIONS {
        let text = place.replace("SECRET", "hunter2\\n");
        let said = read_text(&text).err().unwrap_or_default();
        assert!(!said.contains("hunter2"), "{text}: {said}");
    }
}

/// Places where somebody may write a password, right or wrong.
const SECRET_POSITIONS: &[&str] = &[
    "[source]\nuri = \"rtsp://eve:SECRET@camera/1\"\n",
    "[source]\nuri = \"rtsp://camera/1?p=SECRET\"\nstall_timeout_seconds = 0\n",
    "[source]\nuri = \"SECRET\"\n",
    "[source]\nuri = \"rtsp://camera/1\"\ncredentials = \"eve:SECRET\"\n",
    "[source]\nuri = \"rtsp://camera/1\"\npassword = \"SECRET\"\n",
    "[source]\nuri = \"rtsp://camera/1\"\ntransport = \"eve:SECRET\"\n",
    "[source]\nuri = \"rtsp://camera/1\"\ntransport = \"SECRET\"\n",
    "[source]\nuri = \"test:\"\n\"eve:SECRET\" = 1\n",
    "[source]\nuri = \"rtsp://camera/1\"\njitter_ms = \"SECRET\"\n",
    "[source]\nuri = \"rtsp://eve:SECRET@camera/1\n",
    "[source]\nuri = \"rtsp://eve:SECRET@camera/1\" x\n",
    "[source]\nuri = \"srt://camera:1?passphrase=SECRET\"\n",
    "[source]\nuri = \"test:\"\n[[sink]]\ntype = \"webhook\"\nuri = \"http://e:SECRET@h\"\n",
    "[source]\nuri = \"test:\"\n[[sink]]\ntype = \"eve:SECRET\"\n",
    "[source]\nuri = \"test:\"\n[[sink]]\ntype = \"events\"\npath = 1\npassword = \"SECRET\"\n",
    "[source]\nuri = \"test:\"\n[serve]\nhealth = \"SECRET\"\n",
    "[source]\nuri = \"test:\"\n[serve]\nrtsp_credentials = \"a:SECRET\"\n",
    "[source]\nuri = \"test:\"\n[source]\nuri = \"rtsp://eve:SECRET@camera/1\"\n",
    "rtsp://eve:SECRET@camera/1\n",
];

proptest! {
    #[test]
    fn no_error_repeats_a_password(
        place in 0..SECRET_POSITIONS.len(),
        secret in "hunter2[ -~]{0,12}",
    ) {
        // As somebody would write it who knows TOML, and as somebody who does not.
        for written in [toml_escaped(&secret), secret.clone()] {
            let text = SECRET_POSITIONS[place].replace("SECRET", &written);
            if let Err(said) = read_text(&text) {
                prop_assert!(!said.contains("hunter2"), "{}: {}", text, said);
            }
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC*") {
        let _ = read_text(&text);
        let _ = with(&text);
    }

    #[test]
    fn no_value_panics(
        key in "(source|encoder|serve|models)\\.[a-z_]{1,20}",
        value in "(-?[0-9]{1,22}(\\.[0-9]{0,20})?(e[0-9]{1,3})?|inf|nan|\"[ -!#-\\[\\]-~]{0,40}\")",
    ) {
        let _ = read_text(&format!("source.uri = \"test:\"\n{key} = {value}\n"));
    }

    #[test]
    fn a_pattern_never_leads_out(pattern in "[%a-zA-Z0-9./_-]{0,12}") {
        if super::super::name::check_pattern(&pattern, Duration::from_secs(60)).is_ok() {
            prop_assert!(!pattern.starts_with('/') && !pattern.split('/').any(|p| p == ".."));
        }
    }
}

fn toml_escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[test]
fn certificates_are_named_where_there_is_tls_and_they_count() {
    let source = |uri: &str| {
        let text = format!("[source]\nuri = \"{uri}\"\ntls_ca_file = \"camera.pem\"\n");
        read_text(&text).map(|camera| camera.source.tls_ca_file)
    };
    let beside = Some(PathBuf::from("/etc/locutor/camera.pem"));
    assert_eq!(source("rtsps://camera.lan/1"), Ok(beside.clone()));
    assert_eq!(source("https://camera.lan/1.ts"), Ok(beside));
    let said = source("rtsp://camera.lan/1").expect_err("no TLS");
    assert!(said.contains("source.tls_ca_file") && said.contains("rtsps:"), "{said}");
    let said = source("https://camera.lan/live.m3u8").expect_err("HLS");
    assert!(said.contains("update-ca-certificates"), "{said}");
    let broker = "[[sink]]\ntype = \"mqtt\"\nbroker = \"mqtt://b\"\nspool = \"s\"\n\
                  tls_ca_file = \"ca.pem\"\n";
    let said = with(broker).expect_err("no TLS");
    assert!(said.contains("sink 1 (mqtt).tls_ca_file"), "{said}");
}
