//! Looks up credentials (`user:password`) by name, so that no password is in a camera file.
//!
//! Looks in `$CREDENTIALS_DIRECTORY` (systemd's `LoadCredential=`), then in the environment
//! variable `LOCUTOR_CREDENTIAL_NAME`. Promises: no error repeats a credential, and no name leaves
//! the directory.

use std::path::PathBuf;

use secrecy::SecretString;

use super::name::is_name;
use crate::core::credentials::Login;

/// Maximum size of a credential in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Where credentials are looked for.
#[derive(Clone, Debug)]
pub enum Secrets {
    /// In systemd's directory, then in environment variables.
    System,
    /// In this directory only.
    Directory(PathBuf),
    /// Nowhere: every name gives an empty login. For checking a file without its secrets.
    NotLookedUp,
}

impl Secrets {
    /// The login of the credential `name`.
    ///
    /// # Errors
    /// A message without the secret, if the credential does not exist or is not `user:password`.
    pub fn login(&self, name: &str) -> Result<Login, String> {
        if !is_name(name) {
            // Not shown: it may be the secret itself.
            return Err("is not a credential name (letters, digits, `-`, `_`, `.`; no dot in \
                        front); put `user:password` into a file of its own, hand it to the \
                        service with LoadCredential=NAME:FILE, and write NAME here"
                .into());
        }
        match self {
            Self::NotLookedUp => {
                Ok(Login { user: String::new(), password: SecretString::from(String::new()) })
            }
            Self::Directory(directory) => parse(name, &read(name, directory.clone())?),
            Self::System => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
                match directory.filter(|d| d.join(name).exists()) {
                    Some(directory) => parse(name, &read(name, directory)?),
                    None => parse(name, &from_environment(name)?),
                }
            }
        }
    }
}

/// The environment variable that may hold the credential `name`.
pub fn environment_variable(name: &str) -> String {
    format!("LOCUTOR_CREDENTIAL_{}", name.to_uppercase().replace(['-', '.'], "_"))
}

fn from_environment(name: &str) -> Result<String, String> {
    let environment_variable = environment_variable(name);
    std::env::var(&environment_variable).map_err(|_| {
        format!(
            "there is no credential `{name}`: hand it to the service with LoadCredential=\
             {name}:FILE, or set {environment_variable} to user:password"
        )
    })
}

fn read(name: &str, directory: PathBuf) -> Result<String, String> {
    let file = directory.join(name);
    let shown = file.display();
    let length = std::fs::metadata(&file).map_err(|e| format!("{shown}: {e}"))?.len();
    if length > MAX_BYTES {
        return Err(format!("{shown} has {length} bytes; write only user:password into it"));
    }
    std::fs::read_to_string(&file).map_err(|e| format!("{shown}: {e}"))
}

/// `user:password`; the first colon splits. A line break at the end is not part of the password.
fn parse(name: &str, text: &str) -> Result<Login, String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let Some((user, password)) = text.split_once(':') else {
        return Err(format!("the credential `{name}` has no colon; write user:password into it"));
    };
    if text.contains(['\n', '\r', '\0']) {
        let problem = "has several lines; write one, user:password, into it";
        return Err(format!("the credential `{name}` {problem}"));
    }
    if user.is_empty() {
        return Err(format!("the credential `{name}` has no user; write user:password into it"));
    }
    Ok(Login { user: user.to_owned(), password: SecretString::from(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_credential_is_a_user_and_a_password() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("door"), "eve:a:b \n").expect("written");
        std::fs::write(folder.path().join("none"), "hunter2\n").expect("written");
        std::fs::write(folder.path().join("two"), "eve:x\nhunter2\n").expect("written");
        std::fs::write(folder.path().join("nobody"), ":hunter2").expect("written");
        let secrets = Secrets::Directory(folder.path().into());
        let login = secrets.login("door").expect("there");
        assert_eq!((login.user.as_str(), login.password.expose_secret()), ("eve", "a:b "));
        assert!(!format!("{login:?}").contains("a:b"), "{login:?}");
        for name in ["none", "two", "nobody", "missing"] {
            let said = secrets.login(name).expect_err(name);
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn invalid_names_leave_no_directory_and_are_not_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("in")).expect("made");
        std::fs::write(folder.path().join("out"), "eve:hunter2").expect("written");
        let secrets = Secrets::Directory(folder.path().join("in"));
        for name in ["../out", "..", ".", "", "a/b", "eve:hunter2"] {
            let said = secrets.login(name).expect_err(name);
            assert!(said.starts_with("is not a credential name"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn the_error_names_the_environment_variable() {
        assert_eq!(environment_variable("front-door.2"), "LOCUTOR_CREDENTIAL_FRONT_DOOR_2");
        let said = Secrets::System.login("none-of-this-name").expect_err("not set");
        assert!(said.contains("LOCUTOR_CREDENTIAL_NONE_OF_THIS_NAME"), "{said}");
        assert!(said.contains("LoadCredential=none-of-this-name:FILE"), "{said}");
    }
}
