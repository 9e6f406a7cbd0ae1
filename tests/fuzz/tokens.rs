//! Secrets for files that are made up: a token of its own at every place where a user may have
//! written one.

use locutor::core::rng::SeededRng;

/// Where a token was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// `scheme://eve:TOKEN@host`
    Password,
    /// `scheme://TOKEN@host`
    User,
    /// `scheme://host?pwd=TOKEN`: cameras want it there, so it is accepted.
    Query,
    /// `credentials = "eve:TOKEN"` instead of a credential's name.
    Credential,
    /// `password = "TOKEN"`, a key that no table has.
    UnknownKey,
}

impl Position {
    /// All, in order.
    pub const ALL: [Self; 5] =
        [Self::Password, Self::User, Self::Query, Self::Credential, Self::UnknownKey];
}

/// A secret, and where it was put.
#[derive(Debug)]
pub struct Token {
    pub position: Position,
    pub secret: String,
}

/// A text with a secret at every place that was chosen.
pub struct Planted {
    pub text: String,
    pub tokens: Vec<Token>,
}

impl Planted {
    /// The first token that `said` repeats.
    pub fn repeated_in(&self, said: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| said.contains(&token.secret))
    }

    fn token(&mut self, position: Position, rng: &mut SeededRng) -> String {
        // Longer than what may be shown as a key.
        let secret =
            format!("{:016x}{:016x}{:08x}", rng.next_u64(), rng.next_u64(), self.tokens.len());
        self.tokens.push(Token { position, secret: secret.clone() });
        secret
    }
}

/// `text` with tokens at about one of `every` places.
pub fn plant(text: &str, every: usize, rng: &mut SeededRng) -> Planted {
    let mut planted = Planted { text: String::new(), tokens: Vec::new() };
    for line in text.split_inclusive('\n') {
        let mut out = in_addresses(line, every, rng, &mut planted);
        if rng.next_below(every) == 0
            && let Some(at) = out.find("credentials = \"").map(|at| at + "credentials = \"".len())
        {
            out.insert_str(at, &format!("eve:{}", planted.token(Position::Credential, rng)));
        }
        planted.text += &out;
        if line.ends_with("]\n") && rng.next_below(every) == 0 {
            let secret = planted.token(Position::UnknownKey, rng);
            planted.text += &format!("password = \"{secret}\"\n");
        }
    }
    planted
}

/// The address `text` with a token, if it is written as one.
pub fn plant_in_address(text: &str, rng: &mut SeededRng) -> Planted {
    let mut planted = Planted { text: text.to_owned(), tokens: Vec::new() };
    if text.matches("://").count() == 1 && text.find(':') == text.find("://") {
        planted.text = in_addresses(text, 1, rng, &mut planted);
    }
    planted
}

/// A line with tokens in its addresses.
fn in_addresses(line: &str, every: usize, rng: &mut SeededRng, planted: &mut Planted) -> String {
    let mut pieces = line.split("://");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let scheme = out.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let before = out.strip_suffix(scheme).and_then(|rest| rest.chars().next_back());
        // `a:b://` is no address with a host, and nobody writes a user there.
        let is_address = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && before.is_none_or(|c| c == '"');
        out += "://";
        if !is_address {
            out += piece;
            continue;
        }
        let position = match rng.next_below(every * 3) {
            0 => Position::Password,
            1 => Position::User,
            2 => Position::Query,
            _ => {
                out += piece;
                continue;
            }
        };
        let secret = planted.token(position, rng);
        let end = piece.find(|c: char| "\"' \n".contains(c)).unwrap_or(piece.len());
        let (address, rest) = piece.split_at(end);
        match position {
            Position::Query => {
                let joint = if address.contains('?') { '&' } else { '?' };
                out += &format!("{address}{joint}pwd={secret}{rest}");
            }
            Position::User => out += &format!("{secret}@{piece}"),
            _ => out += &format!("eve:{secret}@{piece}"),
        }
    }
    out
}
