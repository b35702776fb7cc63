#!/usr/bin/env python3
"""Finds dependencies that a crate declares but never names.

A dependency counts as used if its crate name, with underscores, stands as a word in any Rust file of the
crate, outside line comments. A manifest may keep one for its features alone by saying why:

    [package.metadata.unused-deps]
    keep = { rustls = "turns on the ring provider" }
"""

import re
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10 and older: pip carries the same parser.
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def manifests():
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    return sorted(path for member in members for path in ROOT.glob(f"{member}/Cargo.toml"))


def sources(crate, others):
    """All Rust code of the crate, without line comments and without crates that lie inside its folder."""
    files = [f for f in crate.rglob("*.rs") if not any(other in f.parents for other in others) and "target" not in f.parts]
    return "\n".join(re.sub(r"^\s*//.*$", "", f.read_text(), flags=re.M) for f in files)


def unused(path, folders):
    manifest = tomllib.loads(path.read_text())
    crate = path.parent
    text = sources(crate, [f for f in folders if f != crate and crate in f.parents])
    kept = manifest["package"].get("metadata", {}).get("unused-deps", {}).get("keep", {})
    tables = [manifest, *manifest.get("target", {}).values()]
    for table in tables:
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name in table.get(kind, {}):
                if name not in kept and not re.search(rf"\b{name.replace('-', '_')}\b", text):
                    yield f"{path.relative_to(ROOT)}: [{kind}] {name} is never named in this crate's sources"


def unused_in_workspace(paths):
    """Versions in the root manifest that no member takes."""
    declared = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"].get("dependencies", {})
    taken = set()
    for path in paths:
        manifest = tomllib.loads(path.read_text())
        for table in [manifest, *manifest.get("target", {}).values()]:
            for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
                taken.update(table.get(kind, {}))
    for name, value in declared.items():
        if name not in taken and not (isinstance(value, dict) and "path" in value):
            yield f"Cargo.toml: [workspace.dependencies] {name} is taken by no crate"


def main():
    paths = manifests()
    folders = [path.parent for path in paths]
    problems = [problem for path in paths for problem in unused(path, folders)]
    problems += unused_in_workspace(paths)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
