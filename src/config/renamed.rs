//! Former names of configuration keys, so that an error can name the present one.

/// Former and present names of keys and tables.
const RENAMED: [(&str, &str); 16] = [
    ("discovery", "discovery_prefix"),
    ("film", "output"),
    ("hop", "hop_ticks"),
    ("keep_free_gib", "min_free_gib"),
    ("keep_gib", "max_size_gib"),
    ("keep_seconds", "max_age_seconds"),
    ("key_every_seconds", "keyframe_interval_seconds"),
    ("open", "allow_anonymous"),
    ("picture_budget_mib", "frame_budget_mib"),
    ("retry_first_seconds", "retry_min_seconds"),
    ("retry_most_seconds", "retry_max_seconds"),
    ("rtsp_most_readers", "rtsp_max_readers"),
    ("show", "output"),
    ("sound_kbit_per_second", "audio_kbit_per_second"),
    ("stall_after_seconds", "stall_timeout_seconds"),
    ("tls_trust", "tls_ca_file"),
];

/// The present name of the key or table that was called `former`.
pub(super) fn present_name(former: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == former).map(|(_, new)| *new)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::any::parse_any;
    use crate::config::camera::secret::Secrets;

    /// Files with KEY in place of a former key.
    const FILES: [(&str, &[&str]); 8] = [
        ("[source]\nuri = \"test:\"\n[KEY]\n", &["show"]),
        ("[source]\nfile = \"a.mp4\"\n[KEY]\n", &["film"]),
        ("[source]\nfile = \"a.mp4\"\n[limits]\nKEY = 1\n", &["picture_budget_mib"]),
        (
            "[source]\nuri = \"test:\"\nKEY = 1\n",
            &["retry_first_seconds", "retry_most_seconds", "stall_after_seconds", "tls_trust"],
        ),
        ("source.uri = \"test:\"\n[models]\nKEY = 1\n", &["hop"]),
        (
            "source.uri = \"test:\"\n[encoder]\nKEY = 1\n",
            &["key_every_seconds", "sound_kbit_per_second"],
        ),
        ("source.uri = \"test:\"\n[serve]\nKEY = 1\n", &["open", "rtsp_most_readers"]),
        (
            "source.uri = \"test:\"\n[[sink]]\ntype = \"TYPE\"\nKEY = 1\n",
            &["discovery", "keep_free_gib", "keep_gib", "keep_seconds"],
        ),
    ];

    #[test]
    fn errors_name_the_present_key() {
        let mut count = 0;
        for (file, former) in FILES {
            for old in former {
                let sink = if *old == "discovery" { "mqtt" } else { "record" };
                let text = file.replace("KEY", old).replace("TYPE", sink);
                let read = parse_any(&text, Path::new("a.toml"), &Secrets::NotLookedUp);
                let said = read.expect_err(old).to_string();
                let new = present_name(old).expect(old);
                assert!(said.contains(&format!("unknown field `{old}`")), "{said}");
                assert!(said.ends_with(&format!("; did you mean `{new}`?")), "{said}");
                count += 1;
            }
        }
        assert_eq!(count, RENAMED.len(), "a renamed key has no test");
    }
}
