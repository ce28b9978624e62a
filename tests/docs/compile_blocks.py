#!/usr/bin/env python3
"""Compiles every C++ code block of the given Markdown files, all in one go: compile_blocks.py FILE... -- COMPILER FLAGS...

A block that defines main, a namespace or a type stands by itself, in a namespace; any other is taken as statements inside a function, where
blocks of one file see the names of the blocks before them, as a reader does. #include lines move to the top, after all headers of the library
and the common ones of the standard library.
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


def program(files):
    """The code of all blocks as one translation unit. files: (path, blocks) of each file."""
    includes, pieces = [], []

    def without_includes(start, lines, path):
        includes.extend(line for line in lines if line.startswith("#include"))
        return f'#line {start} "{path}"\n' + "\n".join("" if line.startswith("#include") else line for line in lines)

    for path, found in files:
        statements = []
        for start, lines in found:
            code = without_includes(start, lines, path)
            if re.search(r"^(int main\(|namespace |template|struct |class |inline )", code, re.M):
                pieces.append(re.sub(r"(?ms)^(int main\(.*?)^}", r"\1return 0; }", code))  # what main does without saying so; here it is an ordinary function
            else:
                statements.append("{\n" + code)  # a scope of its own, left open, so that later blocks may use or hide names
        if statements:
            pieces.append("void code_blocks() {\n" + "\n".join(statements) + "\n" + "}" * len(statements) + "\n}")
    named = [f"namespace piece_{i} {{\n{piece}\n}}\n" for i, piece in enumerate(pieces)]
    return COMMON + "\n".join(includes) + "\n" + "".join(named)


def main():
    split = sys.argv.index("--")
    names, compiler = sys.argv[1:split], sys.argv[split + 1:]
    files = [(os.path.relpath(name), blocks(pathlib.Path(name).read_text(encoding="utf-8"))) for name in names]
    for path, found in files:
        print(f"{path}: {len(found)} code blocks")
    if not any(found for _, found in files):
        print("no code block was found: README.md should have some")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / "blocks.cpp"
        source.write_text(program(files), encoding="utf-8")
        return subprocess.run([*compiler, "-fsyntax-only", str(source)]).returncode


if __name__ == "__main__":
    sys.exit(main())
