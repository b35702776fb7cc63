//! What a file is, as far as its first bytes tell.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SourceKind {
    /// Comma-, semicolon- or tab-separated, with a header.
    Csv,
    /// An array of objects.
    Json,
    /// An object per line.
    Ndjson,
}

impl SourceKind {
    /// Every word of it.
    pub const WORDS: &'static [&'static str] = &["csv", "json", "ndjson"];

    /// Reads a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The kind that a media type names.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/csv" | "application/csv" | "text/tab-separated-values" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The kind that the first character tells.
    pub(super) fn of_content(head: &[u8]) -> Self {
        match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => Self::Json,
            Some(b'{') => Self::Ndjson,
            Some(_) | None => Self::Csv,
        }
    }
}

/// Why a file cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Stable word.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl FileError {
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub(super) fn encoding(what: &str) -> Self {
        Self::new("wrong_encoding", format!("{what} Save the file as UTF-8 and send it again."))
    }
}

/// The mark that some programs put in front of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the text begins, or why it is none.
pub(super) fn begin(head: &[u8]) -> Result<usize, FileError> {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(FileError::encoding("This file is UTF-16."));
    }
    let start = if head.starts_with(MARK) { MARK.len() } else { 0 };
    let text = head.get(start..head.len().min(4_096)).unwrap_or_default();
    if text.iter().filter(|byte| **byte == 0).count() * 5 > text.len() {
        return Err(FileError::encoding("This file looks like UTF-16 or is no text."));
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(FileError::new("empty_file", "There is nothing in the file."));
    }
    Ok(start)
}

/// Whether bytes that come in pieces are UTF-8. A character may span pieces.
#[derive(Default)]
pub(super) struct Utf8 {
    held: Vec<u8>,
}

impl Utf8 {
    /// Takes the next piece; the answer is the place in it where it is no UTF-8.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut rest = piece;
        while !self.held.is_empty() {
            let Some((first, tail)) = rest.split_first() else { return Ok(()) };
            self.held.push(*first);
            rest = tail;
            match std::str::from_utf8(&self.held) {
                Ok(_) => self.held.clear(),
                Err(error) if error.error_len().is_some() => return Err(0),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                self.held = rest.get(error.valid_up_to()..).unwrap_or_default().to_vec();
                Ok(())
            }
            Err(error) => Err(piece.len() - rest.len() + error.valid_up_to()),
        }
    }

    /// Whether the last character is whole.
    pub(super) const fn is_whole(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_utf_8_is_said_so() {
        let utf16: Vec<u8> = "email,name".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for head in [b"\xff\xfee\0".as_slice(), &utf16] {
            assert_eq!(begin(head).unwrap_err().code, "wrong_encoding");
        }
        assert_eq!(begin(b"\xef\xbb\xbfemail"), Ok(3));
        assert_eq!(begin(b"\xef\xbb\xbf \n").unwrap_err().code, "empty_file");
        assert!(Utf8::default().take(b"M\xfcller").is_err());
    }

    proptest! {
        #[test]
        fn pieces_are_judged_like_the_whole(bytes in prop_oneof![any::<String>().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..20)],
                                            size in 1_usize..5) {
            let mut judge = Utf8::default();
            let good = bytes.chunks(size).all(|piece| judge.take(piece).is_ok()) && judge.is_whole();
            prop_assert_eq!(good, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
