//! Who a connection is made as; the password is never shown.

use secrecy::SecretString;

/// A user and the password, never shown.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password; `Debug` does not show it.
    pub password: SecretString,
}
