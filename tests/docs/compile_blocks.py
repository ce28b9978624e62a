#!/usr/bin/env python3
"""Compiles every C++ code block of the given Markdown files: compile_blocks.py FILE... -- COMPILER FLAGS...

A block that defines main, a namespace or a type is a program of its own; any other is taken as statements inside a function, its
#include lines moved to the top. All headers of the library and the common ones of the standard library are included. Blocks of one file see the
names of the blocks before them, as a reader does.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

COMMON = "".join(f"#include <{name}>\n" for name in ("cstdio", "filesystem", "iostream", "span", "string", "string_view", "vector", "morsel/morsel.hpp", "morsel/version.hpp"))


def blocks(text):
    """(line number, code) of each ```cpp block."""
    found, inside, start = [], None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None and re.fullmatch(r"```(cpp|c\+\+|cxx)\s*", line.strip()):
            inside, start = [], number + 1
        elif inside is not None and line.strip() == "```":
            found.append((start, inside))
            inside = None
        elif inside is not None:
            inside.append(line)
    return found


def unit(path, found):
    includes, body, programs, depth = [], [], [], 0
    for start, lines in found:
        if re.search(r"^(int main\(|namespace |template|struct |class |inline )", "\n".join(lines), re.M):
            programs.append(COMMON + f'#line {start} "{path}"\n' + "\n".join(lines) + "\n")
            continue
        here = [f'#line {start} "{path}"']
        for line in lines:
            if line.startswith("#include"):
                includes.append(line)
                line = ""
            here.append(line)
        body.append("{\n" + "\n".join(here))  # a scope of its own, left open, so that later blocks may use or hide names
        depth += 1
    if body:
        programs.append(COMMON + "\n".join(includes) + "\nvoid code_blocks() {\n" + "\n".join(body) + "\n" + "}" * depth + "\n}\n")
    return programs


def main():
    split = sys.argv.index("--")
    files, compiler = sys.argv[1:split], sys.argv[split + 1:]
    compiled, failed = 0, 0
    with tempfile.TemporaryDirectory() as directory:
        for name in files:
            path = pathlib.Path(name)
            found = blocks(path.read_text(encoding="utf-8"))
            for number, program in enumerate(unit(os.path.relpath(path), found)):
                source = pathlib.Path(directory) / f"{path.stem}{number}.cpp"
                source.write_text(program, encoding="utf-8")
                status = subprocess.run([*compiler, "-fsyntax-only", str(source)]).returncode
                failed += status != 0
            compiled += len(found)
            print(f"{name}: {len(found)} code blocks")
    print(f"{compiled} code blocks, {failed} translation units failed")
    if compiled == 0:
        print("no code block was found: README.md should have some")
    return 1 if failed or compiled == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
