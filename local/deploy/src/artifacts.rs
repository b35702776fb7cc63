//! What was built: one `bootstrap` per function, for the processor that the template names.

use std::{fmt::Write, fs, path::Path};

/// Where an ELF file names its processor, and the two that Lambda has: <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>.
const MACHINE: std::ops::Range<usize> = 18..20;
const ARM64: [u8; 2] = [0xB7, 0x00];
const X86_64: [u8; 2] = [0x3E, 0x00];

/// A table of sizes, and what is wrong with any of them.
pub(crate) fn look(root: &Path, functions: &[String], architecture: &str) -> (String, Vec<String>) {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for name in functions {
        let path = format!("target/lambda/{name}/bootstrap");
        let Ok(content) = fs::read(root.join(&path)) else {
            wrong.push(format!("{path} was not built"));
            continue;
        };
        let kilobytes = content.len() / 1024;
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{name:<18} {:>3}.{} MB", kilobytes / 1024, kilobytes % 1024 * 10 / 1024);
        let built_for = match content.get(MACHINE) {
            Some(machine) if machine == ARM64 => "arm64",
            Some(machine) if machine == X86_64 => "x86_64",
            Some(_) | None => "something else",
        };
        if built_for != architecture {
            wrong.push(format!("{path} is built for {built_for}, and the template says {architecture}"));
        }
    }
    (table, wrong)
}
