# SPDX-License-Identifier: BSD-3-Clause
"""Checks of a file's text alone: its head, its size, its words.

A check yields "path:line: what is wrong"; no line, and it passes.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tree import ROOT, code_of, functions, line_at, sources, text_of, tracked

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 100
MAX_CONFIG_CONDITIONALS = 10
C_FILES = ("hypervisor/**/*.c", "devicemodel/**/*.c", "misc/**/*.c", "tests/**/*.c")
SPDX = "SPDX-License-Identifier: BSD-3-Clause"

# No comment is possible in these, or the file is the licence itself.
WITHOUT_SPDX = re.compile(r"LICENSE|misc/setup/help\.txt|.*\.(json|png|bin|gz|iso)|.*/corpus/.*|.*\.dsl\.expected")


def spdx_line() -> Iterator[str]:
    """Every file opens with the licence, after #! or the XML declaration."""
    for path in tracked():
        if WITHOUT_SPDX.fullmatch(str(path)):
            continue
        lines = text_of(path).split("\n")
        first = 1 if lines[0].startswith(("#!", "<?xml")) else 0
        if len(lines) <= first or SPDX not in lines[first]:
            yield f"{path}:{first + 1}: no SPDX line; write {SPDX} in a comment"


def header_comment() -> Iterator[str]:
    """Each .c says in 3 to 10 lines what it owns, who calls it and what it never does."""
    for path in sources("hypervisor/**/*.c", "devicemodel/**/*.c"):
        match = re.match(r"(//[^\n]*|/\*[^\n]*\*/)\n/\*(.*?)\*/", text_of(path), re.DOTALL)
        if not match:
            yield f"{path}:2: no comment that says what the file owns"
            continue
        lines = match[2].split("\n")
        written = [line for line in lines if line.strip(" \t*")]
        if len(lines) < 3 or len(written) > 10:
            yield f"{path}:2: the comment at the head has {len(written)} lines, not 3 to 10"


def file_size() -> Iterator[str]:
    """No file is too long to be read in one go."""
    for path in sources(*C_FILES, "**/*.h", "**/*.S", "**/*.py", "**/*.sh"):
        lines = text_of(path).count("\n")
        if lines > MAX_FILE_LINES:
            yield f"{path}:{MAX_FILE_LINES}: the file has {lines} lines"


def function_size() -> Iterator[str]:
    for path in sources(*C_FILES, "**/*.h"):
        for function in functions(path):
            if function.length > MAX_FUNCTION_LINES:
                yield f"{path}:{function.first_line}: {function.name}() has {function.length} lines"


def function_layout() -> Iterator[str]:
    """The other checks find functions by their layout: each .c must show some, or only data."""
    for path in sources("hypervisor/**/*.c", "devicemodel/**/*.c"):
        if not functions(path) and re.search(r"^\w[^;=\n]*\)\s*\{", code_of(path), re.MULTILINE):
            yield f"{path}:1: a function's opening brace is not in the first column"


def config_conditionals() -> Iterator[str]:
    """Variants are folders or IS_ENABLED(), so that every line is compiled somewhere."""
    found = []
    for path in sources("hypervisor/**/*.c", "devicemodel/**/*.c"):
        for match in re.finditer(r"^[ \t]*#[ \t]*(el)?if.*\bCONFIG_\w+", code_of(path),
                                 re.MULTILINE):
            found.append(f"{path}:{line_at(code_of(path), match.start())}: {match[0].strip()}")
    if len(found) > MAX_CONFIG_CONDITIONALS:
        yield from found


def kconfig_symbols() -> Iterator[str]:
    """A symbol of Kconfig does something, and a CONFIG_ name in the code is a symbol."""
    unseen = {"BOARD", "SCENARIO"}  # written by the generator, not by Kconfig
    defined = {match[1]: line_at(text_of(Path("Kconfig")), match.start()) for match in re.finditer(
        r"^config (\w+)$", text_of(Path("Kconfig")), re.MULTILINE)}
    used: set[str] = set()
    for path in sources("hypervisor/**/*", "devicemodel/**/*"):
        own = set(re.findall(r"^CONFIG_(\w+)\s*[:?]?=", code_of(path), re.MULTILINE))
        for match in re.finditer(r"(?<!\w)CONFIG_(\w+)", code_of(path)):
            used.add(match[1])
            if match[1] not in {*defined, *unseen, *own}:
                where = f"{path}:{line_at(code_of(path), match.start())}"
                yield f"{where}: Kconfig has no symbol {match[1]}"
    if "SCHED_BVT" in used:  # of a choice, one is what remains when the others are not chosen
        used.add("SCHED_NOOP")
    for name in sorted(set(defined) - used):
        yield f"Kconfig:{defined[name]}: nothing uses CONFIG_{name}"


def vmx_instructions() -> Iterator[str]:
    """Only hypervisor/arch/x86/vmx executes VMX instructions, or the two inline accessors."""
    names = (r"vmxon|vmxoff|vmlaunch|vmresume|vmread|vmwrite|vmptrld|vmptrst|vmclear|invept"
             r"|invvpid|vmfunc")
    for path in sources("hypervisor/**/*.c", "hypervisor/**/*.h", "hypervisor/**/*.S"):
        if "arch/x86/vmx/" in str(path) or path.name == "vmx_insn.h":
            continue
        in_assembly = rf"^\s*({names})[ql]?\b" if path.suffix == ".S" else rf'"\s*({names})[ql]?\s+[%$(]'
        for match in re.finditer(in_assembly, code_of(path), re.MULTILINE):
            yield f"{path}:{line_at(code_of(path), match.start(1))}: {match[1]} outside of arch/x86/vmx"


def unfinished() -> Iterator[str]:
    """What is unfinished is absent, or in doc/CAVEATS.md."""
    for path in tracked():
        if path.parts[:2] == ("tests", "check"):
            continue
        for match in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b(?!-)", text_of(path)):
            yield f"{path}:{line_at(text_of(path), match.start())}: {match[0]}"


def project_alone() -> Iterator[str]:
    """The tree speaks of the project: no machine's paths, no issue numbers."""
    for path in tracked():
        if path.parts[:2] == ("tests", "check"):
            continue
        for match in re.finditer(r"(?<![\w/.-])/wor[k]/\w+|\b[Ii]ssue #?\d+", text_of(path)):
            yield f"{path}:{line_at(text_of(path), match.start())}: {match[0]}"


def doc_paths() -> Iterator[str]:
    """Every path and make target that a document names in backticks exists."""
    roots = sorted(p.name for p in ROOT.iterdir() if p.name not in (".git", "build"))
    targets = set(re.findall(r"^([\w-]+)[^=\n]*:(?!=)", _makefile(), re.MULTILINE))
    targets |= {name for line in re.findall(r"^\.PHONY:(.*)$", _makefile(), re.MULTILINE)
                for name in line.split()}
    for path in sources("*.md", "doc/**/*.md", "**/README.md"):
        for match in re.finditer(r"`([^`\n]+)`", text_of(path)):
            where = f"{path}:{line_at(text_of(path), match.start())}"
            words = match[1].split()
            if words and words[0] == "make":
                for word in words[1:]:
                    if re.fullmatch(r"[a-z][\w-]*", word) and word not in targets:
                        yield f"{where}: `make {word}` is no target"
            elif re.fullmatch(r"[\w.*{},/+-]+", match[1]) and match[1].split("/")[0] in roots:
                yield from (f"{where}: `{name}` does not exist" for name in _missing(match[1]))


def _makefile() -> str:
    path = ROOT / "Makefile"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _missing(name: str) -> list[str]:
    """Names of files that a path with {a,b} and * stands for and that do not exist."""
    braces = re.search(r"\{([^{}]*)\}", name)
    if braces:
        return [missing for part in braces[1].split(",")
                for missing in _missing(name[:braces.start()] + part + name[braces.end():])]
    return [] if any(ROOT.glob(name.rstrip("/"))) else [name]


def doc_functions() -> Iterator[str]:
    """Every function that a journey (doc/path-*.md) names is still there."""
    known = {f.name for path in sources(*C_FILES, "**/*.h") for f in functions(path)}
    for path in sources("**/*.S"):
        known |= set(re.findall(r"^(\w+):", text_of(path), re.MULTILINE))
        known |= set(re.findall(r"^\w*(?:ENTRY|FUNC)\w*\((\w+)\)", text_of(path), re.MULTILINE))
    for path in sources("doc/path-*.md"):
        for match in re.finditer(r"`(\w+)\(\)`", text_of(path)):
            if match[1] not in known:
                where = f"{path}:{line_at(text_of(path), match.start())}"
                yield f"{where}: {match[1]}() is defined nowhere"


def public_names() -> Iterator[str]:
    """A public function's name starts with that of its file, so that grep is not needed."""
    for path in sources("hypervisor/**/*.c", "devicemodel/**/*.c"):
        stem = path.stem
        for function in functions(path):
            if not function.is_static and not _is_named_after(function.name, stem, path):
                yield f"{path}:{function.first_line}: {function.name}() does not start with {stem}_"


def _is_named_after(name: str, stem: str, path: Path) -> bool:
    first_word = stem.split("_")[0]
    return (
        name == stem
        or name.startswith((stem + "_", first_word + "_", path.parent.name + "_"))
        or name == "main"
    )
