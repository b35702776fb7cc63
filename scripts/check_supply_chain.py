#!/usr/bin/env python3
"""Holds the dependencies against deny.toml: banned crates, second versions, licences and sources.

It does the part of cargo-deny that works without a network, in the same file format. The graph comes from
`cargo tree`, which resolves features as the build does; `cargo metadata` and Cargo.lock list crates that are
never built.
"""

import re
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10 and older: pip carries the same parser.
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"^(?P<name>\S+) v(?P<version>\S+?)(?: \((?P<origin>.*)\))*\|(?P<licence>.*?)\|(?P<features>.*)$")


def graph(triple):
    """The crates built for one target: {(name, version): (licence, features)}."""
    command = ["cargo", "tree", "--workspace", "--locked", "--target", triple, "--edges", "normal,build,dev",
               "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}|{f}"]
    out = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True).stdout
    crates = {}
    for line in set(out.splitlines()):
        if match := LINE.match(line):
            licence, features = crates.setdefault((match["name"], match["version"]), (match["licence"], set()))
            features.update(filter(None, match["features"].split(",")))
    return crates


def permitted(expression, allowed):
    """Whether an SPDX expression can be satisfied with the allowed licences. `/` is the old way to write OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    words = []
    while tokens:
        token = tokens.pop(0)
        if token in ("(", ")"):
            words.append(token)
        elif token in ("AND", "OR"):
            words.append(token.lower())
        else:
            if tokens[:1] == ["WITH"]:
                token = " ".join([token, tokens.pop(0), tokens.pop(0)])
            words.append(str(token in allowed))
    try:
        # Only the words True, False, and, or and parentheses are left.
        return bool(words) and eval(" ".join(words), {"__builtins__": {}})
    except SyntaxError:
        return False


def check(crates, rules):
    versions = {}
    for name, version in crates:
        versions.setdefault(name, set()).add(version)
    for ban in rules["bans"]["deny"]:
        name = ban["crate"]
        found = versions.get(name, set())
        if ban.get("deny-multiple-versions"):
            if len(found) > 1:
                yield f"{name} is there in {len(found)} versions: {', '.join(sorted(found))}. One is allowed."
        elif found:
            yield f"{name} {', '.join(found)} is banned: {ban['reason']}."
    for ban in rules["bans"].get("features", []):
        for (name, version), (_, features) in crates.items():
            if name == ban["crate"] and (denied := features.intersection(ban["deny"])):
                yield f"{name} {version} has the banned feature {', '.join(sorted(denied))}."
    allowed = set(rules["licenses"]["allow"])
    for (name, version), (licence, _) in crates.items():
        if not permitted(licence, allowed):
            yield f"{name} {version} has the licence {licence or '(none stated)'}, which deny.toml does not allow."


def check_sources(rules):
    allowed = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]:
        source = package.get("source")
        if source is not None and source not in allowed:
            yield f"{package['name']} {package['version']} comes from {source}, which deny.toml does not allow."


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    problems = set(check_sources(rules))
    for target in rules["graph"]["targets"]:
        problems.update(check(graph(target["triple"]), rules))
    for problem in sorted(problems):
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
