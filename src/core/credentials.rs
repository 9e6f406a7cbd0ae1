//! Credentials of a connection.

use secrecy::SecretString;

/// A user and a password.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password; `Debug` does not show it.
    pub password: SecretString,
}
