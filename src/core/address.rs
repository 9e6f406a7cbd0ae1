//! Addresses of sources and targets, without secrets.
//!
//! Takes the text from a camera file; gives a URL of a known scheme with everything that the scheme
//! needs, or an error. The error never repeats the address, as it may hold a password.

use std::path::Path;

use url::Url;

/// Schemes of sources.
const SOURCES: [&str; 11] =
    ["rtsp", "rtsps", "http", "https", "srt", "rtmp", "udp", "v4l2", "file", "fd", "test"];

/// Parses a source's address; `file:clip.mp4` is relative to `folder`.
///
/// # Errors
/// A message without the address.
pub fn source(text: &str, folder: &Path) -> Result<Url, String> {
    if let Some(path) = text.strip_prefix("file:").filter(|rest| !rest.starts_with("//")) {
        if path.is_empty() {
            return Err("names no file; write file:clip.mp4 or file:///dir/clip.mp4".into());
        }
        let path = std::path::absolute(folder.join(path)).map_err(|e| e.to_string())?;
        return Url::from_file_path(path).map_err(|()| "is no path of a file".to_owned());
    }
    let url = known(text, &SOURCES)?;
    match url.scheme() {
        "fd" => match (url.host_str().unwrap_or_default(), url.path()) {
            ("" | "0", "" | "0") => {}
            _ => return Err("is no standard input; write fd://0".into()),
        },
        "v4l2" | "file"
            if url.path().len() < 2 || url.host_str().is_some_and(|h| !h.is_empty()) =>
        {
            let example =
                if url.scheme() == "v4l2" { "v4l2:///dev/video0" } else { "file:clip.mp4" };
            return Err(format!("names no {} of this machine; write e.g. {example}", url.scheme()));
        }
        "udp" | "srt" | "rtmp" if url.port().is_none() && url.scheme() != "rtmp" => {
            return Err(format!("names no port; write {}://host:port", url.scheme()));
        }
        _ => {}
    }
    Ok(url)
}

/// Advice where HLS comes from a server that is not trusted. The elements that fetch its segments are
/// created inside GStreamer, where no certificate can be set.
pub const HLS_CA_HINT: &str = "HLS takes the system's certificates only: put the CA's into \
                               /usr/local/share/ca-certificates/NAME.crt and run \
                               update-ca-certificates";

/// Whether an address is an HLS playlist, by its ending.
pub fn is_playlist(url: &Url) -> bool {
    url.path().ends_with(".m3u8")
}

/// Parses an address to send to, of one of `schemes`.
///
/// # Errors
/// A message without the address.
pub fn target(text: &str, schemes: &[&str]) -> Result<Url, String> {
    known(text, schemes)
}

fn known(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let Ok(url) = Url::parse(text) else {
        return Err(format!(
            "is no address; write one that begins with {} (and mind spaces, and `#`, `?` and `/` \
             that belong to a name: write them as %23, %3F and %2F)",
            list(schemes)
        ));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has a user or a password in it, which would end up in logs; take them out, \
                    put user:password into a credential, and name it: credentials = \"NAME\""
            .into());
    }
    let scheme = url.scheme();
    if !schemes.contains(&scheme) {
        return Err(format!(
            "begins with none of the schemes that can be used here: {}",
            list(schemes)
        ));
    }
    if scheme == "srt" && url.query_pairs().any(|(key, _)| key == "passphrase") {
        return Err("has a passphrase in it, which would end up in logs; take it out, put \
                    any-user:passphrase into a credential, and name it: credentials = \"NAME\""
            .into());
    }
    let needs_host = !["v4l2", "file", "fd", "test"].contains(&scheme);
    if needs_host && url.host_str().is_none_or(str::is_empty) {
        return Err(format!("names no host; write {scheme}://host/…"));
    }
    Ok(url)
}

fn list(schemes: &[&str]) -> String {
    schemes.iter().map(|s| format!("{s}:")).collect::<Vec<_>>().join(", ")
}

/// The address without its query, as cameras take passwords in queries.
pub fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    if url.query().is_some() {
        url.set_query(Some("…"));
    }
    url.set_fragment(None);
    // `known` refuses both; an address without a host can hold neither.
    let _ = (url.set_password(None), url.set_username(""));
    url.to_string().replace("%E2%80%A6", "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        source(text, Path::new("/etc/locutor")).map(|url| url.to_string())
    }

    #[test]
    fn addresses_of_every_scheme_are_accepted() {
        for text in [
            "rtsp://camera.lan:554/stream1",
            "rtsps://camera.lan/stream1",
            "http://camera.lan/video.mjpg",
            "https://camera.lan/live.m3u8",
            "srt://camera.lan:8890?mode=listener",
            "rtmp://camera.lan/live/key",
            "udp://239.1.2.3:5004",
            "v4l2:///dev/video0",
            "file:///srv/clip.mp4",
            "fd://0",
            "test://ball",
            "test:",
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
        assert_eq!(read("file:a b.mp4").as_deref(), Ok("file:///etc/locutor/a%20b.mp4"));
    }

    #[test]
    fn errors_do_not_repeat_the_address() {
        for (text, why) in [
            ("rtsp://eve:hunter2@camera/1", "credential"),
            ("rtsp://hunter2@camera/1", "credential"),
            ("rtsp://eve:hunter#2@camera/1", "no address"),
            ("eve:hunter2@camera", "none of the schemes"),
            ("ftp://hunter2/", "none of the schemes"),
            ("srt://h:1?passphrase=hunter2", "any-user:passphrase"),
            ("udp://hunter2", "no port"),
            ("rtsp:///hunter2", "no host"),
            ("fd://hunter2", "fd://0"),
            ("v4l2://hunter2", "v4l2:///dev/video0"),
            ("file:", "no file"),
            ("", "no address"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn queries_are_not_shown() {
        let url = Url::parse("http://camera/v?user=eve&pwd=hunter2#x").expect("an address");
        assert_eq!(redacted(&url), "http://camera/v?…");
        assert_eq!(redacted(&Url::parse("fd://0").expect("an address")), "fd://0");
    }
}
