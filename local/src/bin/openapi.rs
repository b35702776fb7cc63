//! Prints the description of the API: `cargo run -p local --bin openapi > docs/openapi.json`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let document = match local::functions::document() {
        Ok(document) => document,
        Err(error) => {
            drop(writeln!(io::stderr(), "the description cannot be made: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match io::stdout().write_all(document.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
