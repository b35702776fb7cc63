//! CSV that a spreadsheet opens as text.
//!
//! A cell that begins with `=`, `+`, `-`, `@`, a tab or a line break – or with the full-width form of one – is run as a
//! formula by spreadsheet programs (OWASP ASVS 1.2.10). Such a cell gets one `'` in front. [`restore`] takes exactly
//! that one away again, so what we export we can import without loss: a telephone number stays a telephone number.
//! A cell that already begins with quotes in front of a formula gets one more, for the same reason. Quoting and line
//! ends are those of RFC 4180.

use std::borrow::Cow;

/// Whether a cell would be run, or would lose its first quote on the way back.
fn is_guarded(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

/// The cell as it may stand in a file.
#[must_use]
pub fn guard(cell: &str) -> Cow<'_, str> {
    if is_guarded(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell as it was before [`guard`].
#[must_use]
pub fn restore(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_guarded(rest) => rest,
        Some(_) | None => cell,
    }
}

/// Writes one record with its line end to the end of `out`, every cell guarded.
pub fn push_record<'a>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).buffer_capacity(512).from_writer(out);
    for cell in cells {
        // Writing to memory cannot fail, and a record of one call has one length.
        let _ = writer.write_field(guard(cell).as_ref());
    }
    let _ = writer.write_record(None::<&[u8]>);
    let _ = writer.flush();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(records: &[&[&str]]) -> String {
        let mut out = Vec::new();
        for record in records {
            push_record(&mut out, record.iter().copied());
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn records_are_quoted_as_rfc_4180_says() {
        assert_eq!(
            file(&[&["a", "b,c", "say \"hi\"", "", "two\r\nlines"]]),
            "a,\"b,c\",\"say \"\"hi\"\"\",,\"two\r\nlines\"\r\n"
        );
        assert_eq!(file(&[&["ä"], &["", ""]]), "ä\r\n,\r\n");
    }

    #[test]
    fn nothing_that_a_spreadsheet_would_run_stands_first_in_a_cell() {
        for live in
            ["=1+1", "+49171", "-2", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x", "'=1"]
        {
            let guarded = guard(live);
            assert_eq!(guarded, format!("'{live}"));
            assert_eq!(restore(&guarded), live);
        }
        for tame in ["", "'tis", "1-2", "a=b", " ", "ｘ"] {
            assert_eq!((guard(tame).as_ref(), restore(tame)), (tame, tame));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(cells in proptest::collection::vec("['=+@＝a,\"\r\n\t -]{0,6}|\\PC{0,8}", 1..5)) {
            let mut out = Vec::new();
            push_record(&mut out, cells.iter().map(String::as_str));
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(out.as_slice());
            // A record of one empty cell is a quoted empty one, never an empty line.
            let record = reader.records().next().unwrap().unwrap();
            prop_assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝'])));
            let back: Vec<&str> = record.iter().map(restore).collect();
            prop_assert_eq!(back, cells.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
