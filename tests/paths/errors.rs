//! What can go wrong: what the user did, the exit code, the words, and that nothing is left behind.

use std::path::Path;

use crate::ffprobe::times;
use crate::kit::{Said, TIME_TOLERANCE, leftovers, locutor, tiny_models, worst_shift};
use crate::media::{AAC, H264, MONO_16K, Media, PLAIN, launch};
use crate::needs;
use crate::probe::probe;
use crate::records;

/// One mistake.
struct Mistake {
    what: &'static str,
    /// What is typed after `locutor`; FILM stands for `-o film.mp4 --events e.jsonl`.
    typed: &'static str,
    code: i32,
    /// What standard error must hold.
    said: &'static [&'static str],
}

const fn mistake(
    what: &'static str,
    typed: &'static str,
    code: i32,
    said: &'static [&'static str],
) -> Mistake {
    Mistake { what, typed, code, said }
}

const FILM: &str = "-o film.mp4 --events e.jsonl";

const INPUTS: &[Mistake] = &[
    mistake("missing file", "annotate gone.mp4 FILM", 66, &["gone.mp4", "no such file"]),
    mistake("empty file", "annotate empty.mp4 FILM", 65, &["empty.mp4", "is empty"]),
    mistake("text", "annotate text.mp4 FILM", 65, &["text.mp4", "not a media file"]),
    mistake("a folder", "annotate folder FILM", 65, &["folder", "not a file"]),
    mistake(
        "cut short, index lost",
        "annotate cut.mp4 FILM",
        65,
        &["cut.mp4", "damaged or truncated"],
    ),
    mistake("audio only", "annotate audio.m4a FILM", 65, &["audio.m4a", "audio but no video"]),
    mistake(
        "no such track",
        "annotate good.mp4 FILM --audio-track 9",
        2,
        &["good.mp4", "1 audio track", "--audio-track 9"],
    ),
];

const OUTPUTS: &[Mistake] = &[
    mistake("no outputs", "annotate good.mp4", 2, &["nothing to write", "--events"]),
    mistake("container", "annotate good.mp4 -o film.flv", 2, &["film.flv", ".mkv"]),
    mistake("no extension", "annotate good.mp4 -o film", 2, &["film", ".mp4"]),
    mistake("there already", "annotate good.mp4 -o there.mp4", 73, &["there.mp4", "--overwrite"]),
    mistake(
        "record there already",
        "annotate good.mp4 FILM --vtt there.mp4",
        73,
        &["there.mp4", "--overwrite"],
    ),
    mistake("no folder", "annotate good.mp4 -o gone/film.mp4", 73, &["gone/film.mp4"]),
    mistake("no folder for a record", "annotate good.mp4 FILM --rttm gone/t", 73, &["gone/t"]),
    mistake("over itself", "annotate good.mp4 -o good.mp4 --overwrite", 2, &["recording itself"]),
    mistake("one name twice", "annotate good.mp4 --vtt x --rttm x", 2, &["two outputs"]),
];

const SETTINGS: &[Mistake] = &[
    mistake("package", "annotate good.mp4 FILM --package nobody", 69, &["nobody", "models list"]),
    mistake("device", "annotate good.mp4 FILM --device toaster", 2, &["toaster", "cuda"]),
    mistake("encoder", "annotate good.mp4 FILM --encoder toastenc", 69, &["toastenc"]),
    mistake("mode", "annotate good.mp4 FILM --explain guess", 2, &["guess", "gate-activation"]),
    mistake("floor", "annotate good.mp4 FILM --floor 1,2", 2, &["--floor", "300,500,1000"]),
    mistake("pipeline gone", "run gone.toml", 66, &["gone.toml"]),
    mistake("pipeline no TOML", "run text.mp4", 78, &["text.mp4"]),
    mistake("unknown key", "run unknown.toml", 78, &["unknown.toml", "wrong_key"]),
    mistake("bad value", "run value.toml", 78, &["toaster"]),
];

/// A folder with everything that the tables name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    Media { frames: 10, ..PLAIN }.make(&at("good.mp4"));
    std::fs::write(at("empty.mp4"), "").unwrap();
    std::fs::write(at("text.mp4"), "not a film, just words, \n".repeat(100)).unwrap();
    std::fs::write(at("there.mp4"), "mine").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let good = std::fs::read(at("good.mp4")).unwrap();
    std::fs::write(at("cut.mp4"), &good[..good.len() / 2]).unwrap();
    launch(&format!(
        "audiotestsrc num-buffers=20 ! {AAC} ! mp4mux ! filesink location={}",
        at("audio.m4a").display()
    ));
    let pipeline = "[source]\nfile = \"good.mp4\"\n[records]\nevents = \"e.jsonl\"\n";
    std::fs::write(at("unknown.toml"), format!("{pipeline}wrong_key = 1\n")).unwrap();
    let toaster = format!("{pipeline}[models]\ndevice = \"toaster\"\n");
    std::fs::write(at("value.toml"), toaster).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn say(models: &Path, folder: &Path, typed: &str) -> Said {
    let typed = typed.replace("FILM", FILM);
    let mut command = locutor(models, folder);
    command.args(typed.split_whitespace()).output().unwrap().into()
}

fn check(table: &[Mistake]) {
    let folder = folder();
    let before = names(folder.path());
    let mut wrong = Vec::new();
    for Mistake { what, typed, code, said } in table {
        let heard = say(tiny_models(), folder.path(), typed);
        let after = names(folder.path());
        let words = said.iter().all(|word| heard.err.contains(word));
        if heard.code != Some(*code) || !words || after != before {
            wrong.push(format!(
                "{what}: wanted {code} and {said:?}, got {:?} and {after:?}, said:\n{}",
                heard.code, heard.err
            ));
        }
        for left in after.iter().filter(|name| !before.contains(name)) {
            let _ = std::fs::remove_file(folder.path().join(left));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(std::fs::read_to_string(folder.path().join("there.mp4")).unwrap(), "mine");
}

#[test]
fn recordings_that_cannot_be_read() {
    check(INPUTS);
}

#[test]
fn outputs_that_cannot_be_written() {
    check(OUTPUTS);
}

#[test]
fn settings_that_make_no_sense() {
    check(SETTINGS);
}

#[test]
fn a_recording_that_may_not_be_read() {
    let folder = folder();
    let file = folder.path().join("good.mp4");
    let nobody = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o000);
    std::fs::set_permissions(&file, nobody).unwrap();
    if std::fs::File::open(&file).is_ok() {
        needs::skip_on_this_machine("a user who is not root");
        return;
    }
    let said = say(tiny_models(), folder.path(), "annotate good.mp4 FILM");
    assert_eq!(said.code, Some(77), "{}", said.err);
    assert!(said.err.contains("no permission"), "{}", said.err);
}

#[test]
fn a_broken_package_that_stands_before_the_built_in_one() {
    let (folder, models) = (folder(), tempfile::tempdir().unwrap());
    let manifest = models.path().join("locutor/model.toml");
    std::fs::create_dir(models.path().join("locutor")).unwrap();
    std::fs::write(&manifest, "kind = 1").unwrap();
    let said = say(models.path(), folder.path(), "annotate good.mp4 FILM");
    assert_eq!(said.code, Some(65), "{}", said.err);
    let named = format!("locutor: {} line 1: ", manifest.display());
    assert!(said.err.starts_with(&named), "{}", said.err);
    assert!(!folder.path().join("film.mp4").exists() && leftovers(folder.path()).is_empty());
}

#[test]
fn a_device_that_is_not_here() {
    if Path::new("/dev/nvidiactl").exists() {
        needs::skip_on_this_machine("a machine without an NVIDIA GPU");
        return;
    }
    let folder = folder();
    let said = say(tiny_models(), folder.path(), "annotate good.mp4 FILM --device cuda");
    assert_eq!(said.code, Some(69), "{}", said.err);
    assert!(said.err.to_lowercase().contains("cuda"), "{}", said.err);
    assert!(!folder.path().join("film.mp4").exists() && leftovers(folder.path()).is_empty());
}

/// Zeroes a fifth of the bytes in the middle.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let (from, to) = (bytes.len() * 2 / 5, bytes.len() * 3 / 5);
    bytes[from..to].fill(0);
    std::fs::write(path, bytes).unwrap();
}

/// What can be read is annotated, the damage is told, and the exit code says so.
fn damaged_in_the_middle(muxer: &'static str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    let media = Media { frames: 250, muxer, image: H264, audio: &[(MONO_16K, AAC)], ..PLAIN };
    media.make(&file);
    damage(&file);
    let typed = format!(
        "annotate {name} -o film.mp4 --events events.jsonl --rttm turns.rttm --vtt turns.vtt \
         --ava-csv faces.csv"
    );
    let said = say(tiny_models(), folder.path(), &typed);
    assert_eq!(said.code, Some(3), "{}{}", said.out, said.err);
    let records = records::read(folder.path());
    let frames = records.frames.len();
    assert!((100..=250).contains(&frames), "{frames} of 250 frames are left");
    let notes = records.of("degraded");
    assert!(!notes.is_empty());
    let [hurt, film] = [&file, &folder.path().join("film.mp4")].map(|f| probe(f, 1));
    assert_eq!((film.frames, hurt.frames), (frames, frames));
    let shown = times(&folder.path().join("film.mp4"), 1);
    assert_eq!(shown.frames.len(), frames, "by ffprobe");
    assert!(worst_shift(shown.since_first(), records.since_first()) <= TIME_TOLERANCE);
    // A gap stays a gap: closing it would part frame and audio.
    assert!((film.length() - hurt.length()).abs() < 0.05, "{hurt:?} became {film:?}");
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
}

#[test]
fn an_mp4_damaged_in_the_middle() {
    damaged_in_the_middle("mp4mux faststart=true", "hurt.mp4");
}

#[test]
fn an_mkv_damaged_in_the_middle() {
    damaged_in_the_middle("matroskamux", "hurt.mkv");
}

#[test]
fn a_stream_cut_short_is_annotated_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.mkv");
    Media { frames: 250, muxer: "matroskamux", ..PLAIN }.make(&file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let said = say(tiny_models(), folder.path(), "annotate cut.mkv FILM");
    assert_eq!(said.code, Some(3), "{}{}", said.out, said.err);
    let film = probe(&folder.path().join("film.mp4"), 1);
    assert!((80..=200).contains(&film.frames), "{} frames", film.frames);
}
