//! Files in pieces.

use proptest::prelude::*;

use super::*;

/// All rows of a file that comes in pieces of a size, begun anew at each row as a worker's successor does.
fn rows(kind: SourceKind, delimiter: u8, file: &[u8], size: usize) -> Result<Vec<Raw>, FileError> {
    let (mut rows, mut place) = (Vec::new(), 0);
    let mut splitter = Splitter::at(kind, delimiter, 1, false);
    loop {
        let piece = file.get(place..(place + size).min(file.len())).unwrap_or_default();
        let (cut, used) = splitter.cut(piece)?;
        place += used;
        match cut {
            Cut::More => {}
            Cut::End => return Ok(rows),
            Cut::Row(row) => {
                rows.push(row);
                let ended = matches!(&splitter, Splitter::Json(json) if json.place == Place::After);
                if !ended {
                    splitter = Splitter::at(kind, delimiter, splitter.line(), true);
                }
            }
        }
    }
}

fn csv(file: &str, size: usize) -> Result<Vec<(i64, Vec<String>)>, FileError> {
    let text = |cell: Vec<u8>| String::from_utf8(cell).unwrap();
    let rows = rows(SourceKind::Csv, b',', file.as_bytes(), size)?;
    Ok(rows.into_iter().map(|row| (row.line, row.cells.into_iter().map(text).collect())).collect())
}

#[test]
fn rows_know_their_lines_whatever_stands_between_them() {
    let file = "a,b\r\n\r\n\"x\r\ny\",1\n\n\n2,\"say \"\"hi\"\"\"\r\n,\r\n";
    for size in 1..file.len() {
        let found = csv(file, size).unwrap();
        let lines: Vec<i64> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 7, 8], "{size}");
        assert_eq!((&found[1].1[0], &found[2].1[1]), (&"x\r\ny".to_owned(), &"say \"hi\"".to_owned()));
    }
}

#[test]
fn a_quotation_mark_that_is_never_closed_is_found_and_one_in_a_plain_cell_is_none() {
    assert_eq!(csv("a\n\"x\ny", 3).unwrap_err().code, "unterminated_quote");
    assert_eq!(csv("a\n5\" pipe", 3).unwrap()[1].1, ["5\" pipe"]);
    let endless = format!("a\n\"{}", "x".repeat(MOST_BYTES * 2));
    assert_eq!(csv(&endless, 4_096).unwrap_err().code, "row_too_long");
    assert_eq!(csv(&"a,".repeat(10_000), 4_096).unwrap_err().code, "too_many_columns");
}

#[test]
fn an_array_is_cut_at_its_commas_only() {
    let file = r#" [ {"a":"},{[\"","b":[1,{}]} ,
 {"c":1},7 ] "#;
    for size in 1..file.len() {
        let found = rows(SourceKind::Json, b',', file.as_bytes(), size).unwrap();
        let texts: Vec<_> =
            found.iter().map(|row| String::from_utf8(row.cells[0].clone()).unwrap()).collect();
        assert_eq!(texts, [r#"{"a":"},{[\"","b":[1,{}]} "#, r#"{"c":1}"#, "7 "], "{size}");
        assert_eq!(found[1].line, 2);
    }
    for broken in ["{}", "[{}", "[{}] x", "[\"a"] {
        assert_eq!(rows(SourceKind::Json, b',', broken.as_bytes(), 2).unwrap_err().code, "malformed_json");
    }
    assert_eq!(rows(SourceKind::Ndjson, b',', b"{\"a\":1}\n\n{\"a\":2}", 3).unwrap().len(), 2);
}

proptest! {
    #[test]
    fn pieces_make_no_difference(cells in prop::collection::vec(prop::collection::vec("[a\",\r\nä;]{0,5}", 2..3), 1..5), size in 1_usize..9) {
        let mut out = Vec::new();
        for record in &cells {
            crate::export::csv::push_record(&mut out, record.iter().map(String::as_str));
        }
        let file = String::from_utf8(out).unwrap();
        let found: Vec<Vec<String>> = csv(&file, size).unwrap().into_iter().map(|(_, cells)| {
            cells.iter().map(|cell| crate::export::csv::restore(cell).to_owned()).collect()
        }).collect();
        prop_assert_eq!(found, cells);
    }
}
