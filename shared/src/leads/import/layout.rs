//! Which column is what.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    FileError, ImportRequest, SourceKind,
    source::{Utf8, begin},
    split::{Cut, Splitter},
};
use crate::{
    export::csv::restore,
    leads::{ConsentPurpose, Definitions, NewConsent},
    messages::Channel,
};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    FirstName,
    LastName,
    Name,
    Email,
    Phone,
    OtherEmails,
    OtherPhones,
    ExternalIds,
    Source,
    Status,
    Tags,
    Owner,
    Stage,
    WonReason,
    LostReason,
    Value,
    Currency,
    Timezone,
    Locale,
    FirstTouch,
    LastTouch,
    CreatedAt,
    LastActivityAt,
    Consents,
    Consent(Option<Channel>, ConsentPurpose),
    Custom(String),
    CustomFields,
    /// What only the system writes: nothing is lost by leaving it out.
    System,
    Ignored,
}

/// The API's words.
const WORDS: [(&str, Field); 33] = [
    ("id", Field::Id),
    ("firstName", Field::FirstName),
    ("lastName", Field::LastName),
    ("name", Field::Name),
    ("email", Field::Email),
    ("phone", Field::Phone),
    ("otherEmails", Field::OtherEmails),
    ("otherPhones", Field::OtherPhones),
    ("externalIds", Field::ExternalIds),
    ("externalId", Field::ExternalIds),
    ("source", Field::Source),
    ("status", Field::Status),
    ("tags", Field::Tags),
    ("ownerId", Field::Owner),
    ("owner", Field::Owner),
    ("stageId", Field::Stage),
    ("stage", Field::Stage),
    ("wonReason", Field::WonReason),
    ("lostReason", Field::LostReason),
    ("value", Field::Value),
    ("currency", Field::Currency),
    ("timezone", Field::Timezone),
    ("locale", Field::Locale),
    ("firstTouch", Field::FirstTouch),
    ("lastTouch", Field::LastTouch),
    ("createdAt", Field::CreatedAt),
    ("lastActivityAt", Field::LastActivityAt),
    ("consents", Field::Consents),
    ("customFields", Field::CustomFields),
    ("score", Field::System),
    ("updatedAt", Field::System),
    ("deletedAt", Field::System),
    ("mergedIntoId", Field::System),
];

/// What other programs and people call them, letters and digits only.
const USUAL: [(&str, &[&str]); 11] = [
    ("firstName", &["givenname", "forename", "vorname", "first", "fname"]),
    ("lastName", &["familyname", "surname", "nachname", "last", "lname"]),
    ("name", &["fullname", "contact", "contactname", "kunde", "customername"]),
    ("email", &["mail", "emailaddress", "emailadresse", "mailaddress", "primaryemail"]),
    (
        "phone",
        &[
            "telephone",
            "tel",
            "telefon",
            "phonenumber",
            "mobile",
            "mobilephone",
            "mobil",
            "handy",
            "cell",
            "telefonnummer",
        ],
    ),
    ("otherEmails", &["email2", "secondemail", "secondaryemail", "furtheremails"]),
    ("otherPhones", &["phone2", "secondphone", "secondaryphone", "workphone", "furtherphones"]),
    ("source", &["leadsource", "origin", "quelle", "herkunft"]),
    ("tags", &["tag", "labels", "schlagworte"]),
    ("timezone", &["zone", "tz", "zeitzone"]),
    ("locale", &["language", "sprache"]),
];

impl Field {
    /// The field that a word of the API names.
    pub(super) fn named(word: &str) -> Option<Self> {
        if let Some(key) = word.strip_prefix("cf.").or_else(|| word.strip_prefix("customFields.")) {
            return (!key.is_empty()).then(|| Self::Custom(key.to_owned()));
        }
        if let Some(said) = word.strip_prefix("consent.") {
            return consent(said);
        }
        match word {
            "ignore" => Some(Self::Ignored),
            "stageEnteredAt" => Some(Self::System),
            _ => WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, field)| field),
        }
    }

    /// The field that a column's name usually means.
    fn usual(header: &str, definitions: &Definitions) -> Option<Self> {
        let header = header.trim();
        if let Some(field) = Self::named(header).filter(|field| *field != Self::Ignored) {
            return Some(field);
        }
        let plain: String = header.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        let known = WORDS.iter().find(|(word, _)| word.to_lowercase() == plain).map(|(word, _)| *word);
        let called =
            || USUAL.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(word, _)| *word);
        known
            .or_else(called)
            .and_then(Self::named)
            .or_else(|| definitions.key_of_label(header).map(|key| Self::Custom(key.to_owned())))
    }

    /// Whether many columns may hold it.
    const fn may_repeat(&self) -> bool {
        matches!(
            self,
            Self::System
                | Self::Ignored
                | Self::OtherEmails
                | Self::OtherPhones
                | Self::ExternalIds
                | Self::Tags
        )
    }
}

/// `email.marketing`, `sms.transactional`, `health`.
fn consent(said: &str) -> Option<Field> {
    if said == "health" {
        return Some(Field::Consent(None, ConsentPurpose::Health));
    }
    let (channel, purpose) = said.split_once('.')?;
    let purpose = match purpose {
        "marketing" => ConsentPurpose::Marketing,
        "transactional" => ConsentPurpose::Transactional,
        _ => return None,
    };
    Channel::parse(channel).map(|channel| Field::Consent(Some(channel), purpose))
}

/// Whether a word names a field that a column can be.
#[must_use]
pub fn knows_field(word: &str) -> bool {
    Field::named(word).is_some()
}

/// How a file is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) kind: SourceKind,
    pub(super) delimiter: u8,
    /// Names and meanings of the columns; none in JSON, whose rows bring their own.
    pub(super) columns: Vec<(String, Field)>,
    /// The bytes in front of the first row.
    pub(super) begins: usize,
    /// The line of the first row.
    pub(super) line: i64,
    map: BTreeMap<String, Field>,
}

/// So much of a file is looked at to find its header.
pub(super) const HEAD_BYTES: usize = 512 * 1024;

impl Layout {
    /// Reads the layout from the beginning of a file, which holds the whole header.
    ///
    /// # Errors
    /// What is wrong with the file as a whole.
    pub fn of(head: &[u8], request: &ImportRequest, definitions: &Definitions) -> Result<Self, FileError> {
        let mark = begin(head)?;
        let text = head.get(mark..).unwrap_or_default();
        let kind = request.format.unwrap_or_else(|| SourceKind::of_content(text));
        let map = request.map.iter().filter_map(|(column, word)| Some((column.clone(), Field::named(word)?)));
        let mut layout =
            Self { kind, delimiter: b',', columns: Vec::new(), begins: mark, line: 1, map: map.collect() };
        if kind == SourceKind::Csv {
            layout.read_header(text, definitions)?;
        }
        Ok(layout)
    }

    fn read_header(&mut self, text: &[u8], definitions: &Definitions) -> Result<(), FileError> {
        let (skipped, told) = separator_line(text);
        let text = text.get(skipped..).unwrap_or_default();
        self.delimiter = told.unwrap_or_else(|| delimiter(text));
        let line = if skipped > 0 { 2 } else { 1 };
        let mut splitter = Splitter::at(SourceKind::Csv, self.delimiter, line, true);
        let (mut used, mut at_end) = (0, false);
        let header = loop {
            let piece = if at_end { &[] } else { text.get(used..).unwrap_or_default() };
            let (cut, eaten) = splitter.cut(piece)?;
            used += eaten;
            match cut {
                Cut::Row(row) => break row,
                Cut::More if !at_end => at_end = true,
                Cut::More | Cut::End => {
                    return Err(FileError::new("empty_file", "There is no header in the file."));
                }
            }
        };
        let mut judge = Utf8::default();
        if header.cells.iter().any(|cell| judge.take(cell).is_err()) || !judge.is_whole() {
            return Err(FileError::encoding("The header is not UTF-8."));
        }
        let names: Vec<String> = header
            .cells
            .iter()
            .map(|cell| restore(&String::from_utf8_lossy(cell)).trim().to_owned())
            .collect();
        self.columns = self.meanings(names, definitions)?;
        self.begins += skipped + used;
        self.line = splitter.line();
        Ok(())
    }

    fn meanings(
        &self,
        names: Vec<String>,
        definitions: &Definitions,
    ) -> Result<Vec<(String, Field)>, FileError> {
        let (mut seen, mut columns) = (BTreeSet::new(), Vec::<(String, Field)>::new());
        if let Some(column) = self.map.keys().find(|column| !names.contains(*column)) {
            let detail = format!("The file has no column `{column}`.");
            return Err(FileError::new("unknown_column", detail));
        }
        for name in names {
            if name.contains('\0') {
                return Err(FileError::new("invalid_text", "The header holds the NUL character."));
            }
            if !name.is_empty() && !seen.insert(name.clone()) {
                let detail = format!("The column `{name}` is there twice.");
                return Err(FileError::new("duplicate_column", detail));
            }
            let field = match self.map.get(&name) {
                Some(field) => field.clone(),
                None => Field::usual(&name, definitions).unwrap_or(Field::Ignored),
            };
            if let Some((other, _)) = columns.iter().find(|(_, known)| *known == field && !field.may_repeat())
            {
                let detail = format!("The columns `{other}` and `{name}` mean the same field.");
                return Err(FileError::new("duplicate_column", detail));
            }
            columns.push((name, field));
        }
        if columns.iter().all(|(_, field)| matches!(field, Field::Ignored | Field::System)) {
            let detail =
                "No column has a name that is known; say what the columns are by `map.<column>=<field>`.";
            return Err(FileError::new("no_known_column", detail));
        }
        Ok(columns)
    }

    /// The meaning of a member of a JSON row.
    pub(super) fn member(&self, name: &str) -> Option<Field> {
        self.map.get(name).cloned().or_else(|| Field::named(name).filter(|field| *field != Field::Ignored))
    }

    /// Columns that nobody reads.
    pub(super) fn ignored(&self) -> Vec<&str> {
        let unread = self.columns.iter().filter(|(_, field)| *field == Field::Ignored);
        unread.map(|(name, _)| name.as_str()).filter(|name| !name.is_empty()).collect()
    }

    /// Whether any consent is read.
    pub(super) fn has_consents(&self) -> bool {
        self.kind != SourceKind::Csv
            || self.columns.iter().any(|(_, field)| matches!(field, Field::Consents | Field::Consent(..)))
    }
}

/// Spreadsheet programs write `sep=;` in front of the header. The answer is its length and what it says.
fn separator_line(text: &[u8]) -> (usize, Option<u8>) {
    match text {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator, rest @ ..]
            if rest.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) =>
        {
            let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count().min(2);
            (5 + ends, Some(*separator))
        }
        _ => (0, None),
    }
}

/// The sign that stands most often in the header, quoted names apart.
fn delimiter(text: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in text {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            _ if !quoted => {
                for (sign, count) in &mut counts {
                    *count += usize::from(sign == byte);
                }
            }
            _ => {}
        }
    }
    // The first of equals is the comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(sign, _)| sign)
}

/// A consent as an import writes it down.
pub(super) fn entry(
    channel: Option<Channel>,
    purpose: ConsentPurpose,
    state: crate::leads::ConsentState,
) -> NewConsent {
    let source = crate::values::Word::try_from("import".to_owned()).ok();
    NewConsent { channel, purpose, state, source, reason: None, proof: None, effective_at: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(head: &str, map: &[(&str, &str)]) -> Result<Layout, FileError> {
        let map = map.iter().map(|(column, word)| ((*column).to_owned(), (*word).to_owned())).collect();
        let request = ImportRequest { map, ..ImportRequest::default() };
        Layout::of(head.as_bytes(), &request, &Definitions::none())
    }

    #[test]
    fn usual_names_are_known_in_any_spelling_and_with_any_separator() {
        for head in [
            "E-Mail,Vorname,cf.goal\r\n",
            "E-Mail;Vorname;cf.goal\n",
            "\u{feff}E-Mail\tVorname\tcf.goal",
            "sep=;\nE-Mail;Vorname;cf.goal\n",
        ] {
            let found = layout(head, &[]).unwrap();
            let fields: Vec<Field> = found.columns.into_iter().map(|(_, field)| field).collect();
            assert_eq!(fields, [Field::Email, Field::FirstName, Field::Custom("goal".to_owned())], "{head}");
        }
        let mapped = layout("Kontakt,x\n", &[("Kontakt", "email")]).unwrap();
        assert_eq!((mapped.ignored(), mapped.begins), (vec!["x"], 10));
    }

    #[test]
    fn a_header_that_cannot_be_right_is_refused() {
        for (head, map, code) in [
            ("email,email\n", vec![], "duplicate_column"),
            ("email,mail\n", vec![], "duplicate_column"),
            ("colour,size\n", vec![], "no_known_column"),
            ("email\n", vec![("Mail", "email")], "unknown_column"),
            ("  \n", vec![], "empty_file"),
        ] {
            assert_eq!(layout(head, &map).unwrap_err().code, code, "{head}");
        }
        let wide = vec!["x"; 10_000].join(",");
        assert_eq!(layout(&wide, &[]).unwrap_err().code, "too_many_columns");
    }
}
