//! What the sources themselves must keep to.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Files below `folder` with the given ending, without build output.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                found.extend(files(&path, ending));
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn only_shared_speaks_sql() {
    for manifest in files(&root(), "Cargo.toml") {
        let name = relative(&manifest);
        if name == "Cargo.toml" || name == "shared/Cargo.toml" {
            continue;
        }
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(
            !text.contains("sqlx"),
            "{name} depends on sqlx. A statement belongs into a store function of `shared`, where only a tenant's \
             transaction can run it"
        );
    }
}

#[test]
fn work_outside_a_tenant_happens_only_where_it_is_known() {
    const KNOWN: &[(&str, &str)] = &[
        ("functions/auth/src/door.rs", "Throttle"),
        ("functions/auth/src/login.rs", "Login"),
        ("functions/auth/src/recovery.rs", "Login"),
        ("functions/auth/src/register.rs", "Throttle"),
        ("functions/nightly/src/lib.rs", "Nightly"),
        ("functions/sweep/src/lib.rs", "Sweep"),
        ("functions/sweep/src/scores.rs", "Sweep"),
        ("functions/sweep/src/segments.rs", "Sweep"),
        ("shared/src/http/common.rs", "Health"),
    ];
    let mut used = BTreeSet::new();
    for folder in ["functions", "shared/src", "local"] {
        for file in files(&root().join(folder), ".rs") {
            let text = fs::read_to_string(&file).unwrap();
            for rest in text.split(".system(SystemReason::").skip(1) {
                used.insert((relative(&file), rest.split(')').next().unwrap().to_owned()));
            }
        }
    }
    let known: BTreeSet<_> =
        KNOWN.iter().map(|(file, reason)| ((*file).to_owned(), (*reason).to_owned())).collect();
    assert_eq!(
        used, known,
        "a system transaction was added or moved. If a tenant's credential or a queue message names the tenant, open that \
         tenant instead; if really nobody does, add the place to this list and say why in the code"
    );
}

#[test]
fn every_constraint_that_the_code_names_exists() {
    let schema: String = files(&root().join("migrations"), ".sql")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for folder in ["functions", "shared/src"] {
        for file in files(&root().join(folder), ".rs") {
            let text = fs::read_to_string(&file).unwrap();
            for rest in text.split("on_constraint(").skip(1) {
                let Some(name) = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                else {
                    continue;
                };
                assert!(
                    schema.contains(name),
                    "{}: no migration has a constraint `{name}`, so it is never translated",
                    relative(&file)
                );
            }
        }
    }
}

#[test]
fn files_stay_small() {
    /// Larger than 400 lines, for now. This list may only shrink.
    const LARGER: &[&str] = &[];
    let mut larger = Vec::new();
    for folder in ["functions", "shared", "local", "tests", "bench"] {
        for file in files(&root().join(folder), ".rs") {
            if fs::read_to_string(&file).unwrap().lines().count() > 400 {
                larger.push(relative(&file));
            }
        }
    }
    assert_eq!(
        larger, LARGER,
        "split by operation or resource, or take a file that has become smaller off the list"
    );
}
