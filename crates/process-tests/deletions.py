#!/usr/bin/env python3
"""Deletes each line marked PAIR or JUDGE, and each check in a function `judge..`, one at a time, and runs the models and the short
tests on what is left. Writes the table of what failed to docs/deletions.md; a row without a failing test is an error.

    python3 crates/process-tests/deletions.py [WORD ..]     only deletions whose description holds one of the words, and no table
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = pathlib.Path("crates/ipc-queue/src")
SOURCES = sorted((ROOT / SOURCE).rglob("*.rs"))

# In this order, until one fails.
CHECKS = [
    ("model", ["cargo", "test", "-p", "ipc-queue", "--lib", "--release", "--target-dir", "target/loom", "models"], "--cfg loom"),
    ("test", ["cargo", "test", "-p", "ipc-queue", "--features", "testing", "--lib", "--tests"], ""),
    ("process test", ["cargo", "test", "-p", "process-tests", "--test", "wakeups", "--test", "wakeups_event_loop"], ""),
]
SECONDS = 400
# What loom compiles: the models cannot see a deletion elsewhere.
MODELLED = ["barrier.rs", "layout.rs", "ring.rs", "sync.rs", "wait.rs"]


def statement_end(lines, start):
    """The last line of the statement that begins at `start`: where brackets are balanced and it ends."""
    depth = 0
    for at in range(start, len(lines)):
        code = lines[at].split("//")[0]
        depth += sum(code.count(c) for c in "({[") - sum(code.count(c) for c in ")}]")
        if depth <= 0 and re.search(r"[;,}]\s*$", code):
            return at
    raise SystemExit(f"no end of the statement at line {start + 1}")


def weaken(statement):
    """The statement without what it does: its ordering, its arm, or all of it."""
    text = "\n".join(statement)
    if "Release)" in text:
        return text.replace("Release)", "Relaxed)"), "`Release` becomes `Relaxed`"
    arm = re.match(r"(\s*)(.*?)\s*=>\s", text)
    if arm and not text.lstrip().startswith(("if ", "let ", "match ")):
        if "is_ok()" in text:
            return f"{arm[1]}{arm[2]} => true,", "the arm becomes `true`"
        if "Corrupt::Finished" in text:
            return f"{arm[1]}_ => Ok(false),", "the arm becomes `Ok(false)`"
        return f"{arm[1]}{arm[2].replace('kind', '_')} => {{}}", "the arm does nothing"
    return "", "deleted"


def deletions():
    for path in SOURCES:
        lines = path.read_text().split("\n")
        inside = None
        for at, line in enumerate(lines):
            function = re.match(r"    (?:pub\(crate\) )?fn (\w+)|fn (\w+)", line)
            if function:
                inside = function[1] or function[2]
            marker = re.search(r"// (PAIR|JUDGE) ([\w ]+):", line)
            check = inside and inside.startswith("judge") and re.match(r"\s+if .*\{$", line)
            if marker:
                start = at + 1
                while lines[start].lstrip().startswith(("//", "#[")):
                    start += 1
            elif check:
                start = at
            else:
                continue
            end = statement_end(lines, start)
            changed, how = weaken(lines[start:end + 1])
            what = f"{marker[1]} {marker[2]}" if marker else f"check in `{inside}`"
            shown = " ".join(part.strip() for part in lines[start:end + 1])
            yield path.relative_to(ROOT), what, shown, how, lines[:start] + [changed] + lines[end + 1:]


def first_failure(copy, file):
    for kind, command, flags in CHECKS:
        if kind == "model" and file not in MODELLED:
            continue
        env = dict(os.environ, RUSTFLAGS=flags, CARGO_TERM_COLOR="never")
        try:
            run = subprocess.run(command, cwd=copy, env=env, timeout=SECONDS, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            return f"{kind}: no end after {SECONDS} s"
        out = run.stdout + run.stderr
        if run.returncode == 0:
            continue
        if re.search(r"^error(\[|: could not compile)", out, re.M) and "test " not in out:
            return "DOES NOT COMPILE " + out[-1500:]
        failed = re.findall(r"^test (\S+) \.\.\. FAILED", out, re.M) or re.findall(r"^---- (\S+)", out, re.M)
        hung = re.findall(r"^watchdog: (.*)$", out, re.M) or re.findall(r"^test (\S+) \.\.\. *(?!ok)", out, re.M)
        return f"{kind}: `{(failed or hung or ['aborted'])[0]}`"
    return None


def main():
    words = sys.argv[1:]
    copy = pathlib.Path(tempfile.mkdtemp(prefix="deletions-"))
    rows, empty = [], 0
    try:
        shutil.copytree(ROOT, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target*", ".git"))
        for path, what, shown, how, lines in deletions():
            if words and not any(word in f"{path} {what} {shown}" for word in words):
                continue
            original = (copy / path).read_text()
            (copy / path).write_text("\n".join(lines))
            failure = first_failure(copy, path.name)
            (copy / path).write_text(original)
            empty += failure is None or failure.startswith("DOES NOT")
            shown = shown if len(shown) < 110 else shown[:107] + ".."
            shown = shown.replace("|", "\\|")
            rows.append(f"| `{path.relative_to(SOURCE)}` | {what} | `{shown}` | {how} | {failure or '**nothing failed**'} |")
            print(rows[-1], flush=True)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    if not words:
        table = "\n".join(rows)
        (ROOT / "docs/deletions.md").write_text(
            "# What fails when a line goes\n\n"
            "Each line marked PAIR or JUDGE, and each check in a function `judge..`, was deleted or weakened by itself; the table\n"
            "has the first model or test that failed. Written by `python3 crates/process-tests/deletions.py`.\n\n"
            "| file | what | line | how | what failed |\n|---|---|---|---|---|\n" + table + "\n")
    sys.exit(f"{empty} rows are empty" if empty else 0)


if __name__ == "__main__":
    main()
