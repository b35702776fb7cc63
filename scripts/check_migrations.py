#!/usr/bin/env python3
"""Holds the migrations against the rules that PostgreSQL itself does not know.

* A file opens with a paragraph that says what it does and why.
* Every table is a tenant's: later in the same file its row level security is enabled and forced, or it is
  handed to a `…protect…('table')` function. A table of the whole system says so above its `create table`:
  `-- no tenant: <reason>`.
* Nothing that running code still reads is dropped: a drop needs `-- contract: <why nobody reads it any more>`
  above it.
* Times carry a zone (`timestamptz`): a local time without one is ambiguous twice a year.
* No enum types: their `=` is not leakproof, so under row level security it cannot use an index, and values
  cannot be removed. Use `text` with a check.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<string>[eE]?'(?:[^']|'')*')|(?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)|(?P<end>;)", re.S
)
NAME = r"(?:if\s+(?:not\s+)?exists\s+)?(?:\"?\w+\"?\.)?\"?(?P<name>\w+)\"?"


def statements(sql):
    """Yields (line, comments, code) per statement: its first line, the comments in and above it, the rest."""
    code, comments, position, start = "", "", 0, None

    def add(text, at):
        nonlocal code, start
        if start is None and (stripped := text.lstrip()):
            start = sql.count("\n", 0, at + len(text) - len(stripped)) + 1
        code += text

    for match in TOKEN.finditer(sql):
        add(sql[position : match.start()], position)
        position = match.end()
        if match["comment"]:
            comments += match["comment"] + "\n"
            code += " "
        elif match["end"]:
            yield start or 1, comments, code
            code, comments, start = "", "", None
        else:
            add(match[0], match.start())
    if code.strip():
        yield start or 1, comments, code + sql[position:]


def without_text(code):
    """The code without string literals and without comments inside function bodies."""
    code = re.sub(r"--[^\n]*", " ", code)
    return re.sub(r"'(?:[^']|'')*'", "''", code)


def is_protected(table, following):
    enabled = forced = False
    for code in following:
        if re.search(rf"protect\w*\s*\([^)]*'(?:\w+\.)?{table}'", code, re.I):
            return True
        if re.search(rf"alter\s+table\s+(?:only\s+)?(?:\w+\.)?{table}\b", code, re.I):
            enabled |= bool(re.search(r"\benable\s+row\s+level\s+security", code, re.I))
            forced |= bool(re.search(r"\bforce\s+row\s+level\s+security", code, re.I))
    return enabled and forced


def check(path):
    sql = path.read_text()
    opening = re.match(r"(?:\s*--[^\n]*\n)*", sql)[0]
    if len(opening) < 80:
        yield 1, "the file does not open with a comment that says what it does and why"
    parts = list(statements(sql))
    for index, (line, comments, code) in enumerate(parts):
        plain = without_text(code)
        if table := re.match(rf"\s*create\s+(?:unlogged\s+)?table\s+{NAME}", plain, re.I):
            following = [code for _, _, code in parts[index + 1 :]]
            partition = re.search(r"\bpartition\s+of\b", plain, re.I)
            if not (partition or "-- no tenant:" in comments or is_protected(table["name"], following)):
                yield line, f"table {table['name']} is not protected: enable and force row level security, or say `-- no tenant: <reason>`"
        drops = re.match(r"\s*drop\s+table\b", plain, re.I) or re.search(r"\balter\s+table\b.*\bdrop\s+column\b", plain, re.I | re.S)
        if drops and "-- contract:" not in comments:
            yield line, "a drop needs `-- contract: <why nothing that runs still reads it>` above it"
        if re.search(r"\btimestamp\b(?!\s*(?:\(\d\)\s*)?with\s+time\s+zone)(?!\s*')", plain, re.I):
            yield line, "a time without a zone: use timestamptz"
        if re.search(r"\bcreate\s+type\s+\S+\s+as\s+enum\b", plain, re.I):
            yield line, "an enum type: use text with a check"


def main():
    files = sorted((ROOT / "migrations").glob("*.sql"))
    if not files:
        print("migrations/ holds no migration", file=sys.stderr)
        return 1
    problems = [f"migrations/{path.name}:{line}: {text}" for path in files for line, text in check(path)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
