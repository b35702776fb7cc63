//! From bytes to rows, as the bytes come: a piece may end anywhere.
//!
//! CSV is split by `csv-core`, which is made for that. A JSON array is cut at the commas between its elements, and each element is read by the strict
//! reader of the API, so a bad one is one bad row.

use super::source::{FileError, SourceKind};

/// The most bytes of a row. Beyond it a quotation mark has most likely not been closed.
const MOST_BYTES: usize = 256 * 1024;
/// The most columns.
pub(super) const MOST_COLUMNS: usize = 500;

/// A row as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    /// The line that it begins on.
    pub(super) line: i64,
    /// CSV: its cells. JSON: its text, alone.
    pub(super) cells: Vec<Vec<u8>>,
}

/// What a piece of the file gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The row is not complete: the next piece is needed, or there is none.
    More,
    /// A row.
    Row(Raw),
    /// The file has ended.
    End,
}

/// Cuts a file into rows.
pub(super) enum Splitter {
    Csv(Box<Csv>),
    Json(Json),
}

impl Splitter {
    /// A splitter at the beginning of a row.
    pub(super) fn at(kind: SourceKind, delimiter: u8, line: i64, begun: bool) -> Self {
        match kind {
            SourceKind::Csv => Self::Csv(Box::new(Csv::new(delimiter, line))),
            SourceKind::Json => {
                Self::Json(Json::new(line, if begun { Place::Behind } else { Place::Before }, false))
            }
            SourceKind::Ndjson => Self::Json(Json::new(line, Place::Behind, true)),
        }
    }

    /// Reads from a piece and says how much of it was used. An empty piece says that there is no more.
    pub(super) fn cut(&mut self, piece: &[u8]) -> Result<(Cut, usize), FileError> {
        match self {
            Self::Csv(csv) => csv.cut(piece),
            Self::Json(json) => json.cut(piece),
        }
    }

    /// The line that comes next.
    pub(super) const fn line(&self) -> i64 {
        match self {
            Self::Csv(csv) => csv.line,
            Self::Json(json) => json.line,
        }
    }
}

/// Rows of cells.
pub(super) struct Csv {
    core: csv_core::Reader,
    delimiter: u8,
    line: i64,
    begins: i64,
    output: Vec<u8>,
    ends: Vec<usize>,
    written: usize,
    cells: usize,
    quoting: Quoting,
    blank: bool,
}

/// Whether the end of what was read so far is within quotation marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Start,
    Plain,
    Quoted,
    Closing,
}

impl Csv {
    fn new(delimiter: u8, line: i64) -> Self {
        Self {
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            delimiter,
            line,
            begins: line,
            output: vec![0; 4_096],
            ends: vec![0; MOST_COLUMNS + 1],
            written: 0,
            cells: 0,
            quoting: Quoting::Start,
            blank: true,
        }
    }

    fn cut(&mut self, piece: &[u8]) -> Result<(Cut, usize), FileError> {
        let mut used = 0;
        if self.blank {
            // Empty lines are no rows; the line of a row is counted behind them.
            let skipped = piece.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.line += newlines(piece.get(..skipped).unwrap_or_default());
            used = skipped;
            self.begins = self.line;
            if skipped == piece.len() && !piece.is_empty() {
                return Ok((Cut::More, used));
            }
        }
        loop {
            let input = piece.get(used..).unwrap_or_default();
            if input.is_empty() && !piece.is_empty() {
                return Ok((Cut::More, used));
            }
            let output = self.output.get_mut(self.written..).unwrap_or_default();
            let ends = self.ends.get_mut(self.cells..).unwrap_or_default();
            let (result, read, written, ended) = self.core.read_record(input, output, ends);
            let eaten = input.get(..read).unwrap_or_default();
            self.line += newlines(eaten);
            self.follow(eaten);
            used += read;
            self.written += written;
            self.cells += ended;
            self.blank &= read == 0;
            match result {
                csv_core::ReadRecordResult::InputEmpty => return Ok((Cut::More, used)),
                csv_core::ReadRecordResult::OutputFull if self.output.len() >= MOST_BYTES => {
                    return Err(self.too_long());
                }
                csv_core::ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                csv_core::ReadRecordResult::OutputEndsFull => {
                    let detail = format!("Line {} has more than {MOST_COLUMNS} columns.", self.begins);
                    return Err(FileError::new("too_many_columns", detail));
                }
                csv_core::ReadRecordResult::Record => return self.row().map(|row| (Cut::Row(row), used)),
                csv_core::ReadRecordResult::End => return Ok((Cut::End, used)),
            }
        }
    }

    fn row(&mut self) -> Result<Raw, FileError> {
        // Only the end of the file ends a row within quotation marks.
        if self.quoting == Quoting::Quoted {
            let detail = format!(
                "A quotation mark in the row of line {} is never closed; the file ends before.",
                self.begins
            );
            return Err(FileError::new("unterminated_quote", detail));
        }
        let mut cells = Vec::with_capacity(self.cells);
        let mut from = 0;
        for end in self.ends.iter().take(self.cells) {
            cells.push(self.output.get(from..*end).unwrap_or_default().to_vec());
            from = *end;
        }
        let row = Raw { line: self.begins, cells };
        (self.written, self.cells, self.quoting, self.blank) = (0, 0, Quoting::Start, true);
        Ok(row)
    }

    fn too_long(&self) -> FileError {
        let detail = format!(
            "The row of line {} is longer than 256 KB; most likely a quotation mark in it is never closed.",
            self.begins
        );
        FileError::new("row_too_long", detail)
    }

    fn follow(&mut self, eaten: &[u8]) {
        for byte in eaten {
            self.quoting = match (self.quoting, *byte) {
                (Quoting::Quoted, b'"') => Quoting::Closing,
                (Quoting::Start | Quoting::Closing, b'"') | (Quoting::Quoted, _) => Quoting::Quoted,
                (_, byte) if byte == self.delimiter || byte == b'\r' || byte == b'\n' => Quoting::Start,
                (Quoting::Start | Quoting::Plain | Quoting::Closing, _) => Quoting::Plain,
            };
        }
    }
}

fn newlines(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or_default()
}

/// Where in an array the splitter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the bracket.
    Before,
    /// Behind the bracket, a comma, or an element.
    Behind,
    /// Within an element.
    Inside,
    /// Behind the last bracket.
    After,
}

/// Elements of an array, or values on lines of their own.
pub(super) struct Json {
    line: i64,
    begins: i64,
    place: Place,
    lines: bool,
    depth: usize,
    quoted: bool,
    escaped: bool,
    text: Vec<u8>,
}

impl Json {
    const fn new(line: i64, place: Place, lines: bool) -> Self {
        Self { line, begins: line, place, lines, depth: 0, quoted: false, escaped: false, text: Vec::new() }
    }

    fn cut(&mut self, piece: &[u8]) -> Result<(Cut, usize), FileError> {
        if piece.is_empty() {
            return self.end().map(|cut| (cut, 0));
        }
        for (index, byte) in piece.iter().enumerate() {
            self.line += i64::from(*byte == b'\n');
            match self.place {
                Place::Before | Place::After if byte.is_ascii_whitespace() => {}
                Place::Before if *byte == b'[' => self.place = Place::Behind,
                Place::Before => return Err(self.broken("an array of objects is expected")),
                Place::After => return Err(self.broken("something stands behind the array")),
                Place::Behind if byte.is_ascii_whitespace() || (*byte == b',' && !self.lines) => {}
                Place::Behind if *byte == b']' && !self.lines => self.place = Place::After,
                Place::Behind => {
                    (self.place, self.begins) = (Place::Inside, self.line);
                    self.element(*byte)?;
                }
                Place::Inside => {
                    let ends = !self.quoted
                        && if self.lines {
                            *byte == b'\n'
                        } else {
                            self.depth == 0 && matches!(byte, b',' | b']')
                        };
                    if ends {
                        let closes = !self.lines && *byte == b']';
                        let row = self.row(if closes { Place::After } else { Place::Behind });
                        return Ok((Cut::Row(row), index + 1));
                    }
                    self.element(*byte)?;
                }
            }
        }
        Ok((Cut::More, piece.len()))
    }

    fn element(&mut self, byte: u8) -> Result<(), FileError> {
        if self.quoted {
            self.quoted = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            // A line is a value; a text does not go on behind it.
            if self.lines && byte == b'\n' {
                return Err(self.broken("a text is never closed"));
            }
        } else {
            match byte {
                b'"' => self.quoted = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if self.text.len() >= MOST_BYTES {
            let detail = format!("The element of line {} is longer than 256 KB.", self.begins);
            return Err(FileError::new("row_too_long", detail));
        }
        self.text.push(byte);
        Ok(())
    }

    fn row(&mut self, place: Place) -> Raw {
        (self.place, self.depth) = (place, 0);
        Raw { line: self.begins, cells: vec![std::mem::take(&mut self.text)] }
    }

    fn end(&mut self) -> Result<Cut, FileError> {
        match self.place {
            Place::Inside if self.lines && !self.quoted => Ok(Cut::Row(self.row(Place::Behind))),
            Place::After => Ok(Cut::End),
            Place::Behind if self.lines => Ok(Cut::End),
            Place::Before | Place::Behind | Place::Inside => {
                Err(self.broken("the file ends before the array does"))
            }
        }
    }

    fn broken(&self, what: &str) -> FileError {
        FileError::new("malformed_json", format!("At line {}: {what}.", self.line))
    }
}

#[cfg(test)]
mod tests;
