"""include/nasoseg.h as a page of the site.

In: the header's text. Out: Markdown, one section for each type and each function, its declaration
in a code block and its comment as text. The header is generated, so its form is known: every
declaration follows its `//` comment and ends at a blank line; what has another form is refused.
"""

import itertools
import re
from dataclasses import dataclass

# Functions whose names do not begin with the name of a handle, and the section they belong to.
SECTIONS = {
    "nasoseg_abi_version": "version",
    "nasoseg_contour": "contours",
    "nasoseg_detect": "detection",
    "nasoseg_runtime_info_get": "engine",
    "nasoseg_segment": "segmentation",
    "nasoseg_stage_name": "run",
    "nasoseg_version": "version",
    "nasoseg_write_preview": "contours",
}
INTRODUCTION = """\
# C header

This page is made from `include/nasoseg.h` whenever the site is built. The header is C99; in
C++ include `nasoseg/nasoseg.hpp` ([C and C++](../bindings/cpp.md)). [The ABI policy](abi.md) says
what stays the same between versions.
"""


@dataclass
class Declaration:
    """One declaration of the header: its comment's text and its code."""

    text: str
    code: str

    @property
    def kind(self) -> str:
        """macro, enum, callback, struct, handle or function."""
        if self.code.startswith("#define"):
            return "macro"
        if self.code.startswith("typedef enum"):
            return "enum"
        if self.code.startswith("typedef struct"):
            return "struct" if "{" in self.code else "handle"
        return "callback" if self.code.startswith("typedef") else "function"

    @property
    def name(self) -> str:
        patterns = {
            "macro": r"#define (\w+)",
            "enum": r"typedef enum (\w+)",
            "struct": r"typedef struct (\w+)",
            "handle": r"typedef struct (\w+)",
            "callback": r"\(\*(\w+)\)",
            "function": r"(\w+)\(",
        }
        found = re.search(patterns[self.kind], self.code)
        if found is None:
            raise ValueError(f"nasoseg.h: no name found in {self.code!r}")
        return found[1]


def split(header: str) -> tuple[str, list[Declaration]]:
    """The comment that opens the header, and its declarations in their order."""
    opening = re.match(r"/\*\n(.*?)\n \*/\n", header, flags=re.DOTALL)
    if opening is None:
        raise ValueError("nasoseg.h: expected a comment at the top")
    story = re.sub(r"^ \* ?", "", opening[1], flags=re.MULTILINE)
    body = re.sub(
        r"#ifdef __cplusplus\n.*?#endif[^\n]*\n", "", header[opening.end() :], flags=re.DOTALL
    )
    declarations = []
    for block in re.split(r"\n{2,}(?=//|typedef|#define NASOSEG_ABI)", body):
        lines = block.strip().splitlines()
        comment = [line for line in lines if line.startswith("//")]
        code = [line for line in lines if not line.startswith(("//", "#include", "#endif"))]
        if not comment:
            # The include guard and the includes.
            continue
        text = "\n".join(line.removeprefix("//").removeprefix(" ") for line in comment)
        declarations.append(Declaration(text, "\n".join(code).strip()))
    return story, declarations


def prose(text: str, names: set[str]) -> str:
    """A comment as Markdown: names of the header become links, other identifiers code."""
    text = re.sub(r"\*(?=\w)", r"\\*", text)
    text = re.sub(r"(?<![\w`])_(?=[a-z])", r"\\_", text)
    text = text.replace("<", "&lt;")

    def mark(found: re.Match[str]) -> str:
        name = found[1]
        return f"[`{name}`](#{name})" if name in names else f"`{name}`"

    return re.sub(r"(?<![`\w])((?:nasoseg|NASOSEG)_\w+)(?![\w`])", mark, text)


def members(code: str) -> list[tuple[str, str]]:
    """(declaration, comment) of every constant of an enum or field of a struct."""
    found = []
    comment: list[str] = []
    for line in code[code.index("{") + 1 : code.rindex("}")].splitlines():
        line = line.strip()
        if line.startswith("//"):
            comment.append(line.removeprefix("//").strip())
        elif line:
            found.append((line.rstrip(",;"), " ".join(comment)))
            comment = []
    return found


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def type_section(declaration: Declaration, names: set[str]) -> str:
    lines = [f"### `{declaration.name}` {{ #{declaration.name} }}", ""]
    lines += [prose(declaration.text, names), ""]
    if declaration.kind in ("enum", "struct"):
        is_enum = declaration.kind == "enum"
        lines += (
            ["| constant | number | |", "|---|---|---|"]
            if is_enum
            else ["| field | |", "|---|---|"]
        )
        for code, comment in members(declaration.code):
            said = cell(prose(comment, names))
            if is_enum:
                name, number = code.split(" = ")
                lines.append(f"| `{name}` | {number} | {said} |")
            else:
                lines.append(f"| `{code}` | {said} |")
        return "\n".join(lines) + "\n"
    return "\n".join([*lines, "```c", declaration.code, "```"]) + "\n"


def function_section(declaration: Declaration, names: set[str]) -> str:
    said = prose(declaration.text, names)
    heading = f"### `{declaration.name}` {{ #{declaration.name} }}"
    return f"{heading}\n\n```c\n{declaration.code}\n```\n\n{said}\n"


def opening(story: str, names: set[str]) -> str:
    """The header's own introduction: its capitals become headings, its example a code block."""
    parts = []
    for kind, lines in itertools.groupby(story.splitlines(), key=line_kind):
        text = "\n".join(lines)
        if kind == "heading":
            parts.append(f"## {text.capitalize()}")
        elif kind == "code":
            code = re.sub(r"^ {4}", "", text, flags=re.MULTILINE)
            parts.append(f"```c\n{code}\n```")
        elif kind == "prose":
            parts.append(prose(text, names))
    return "\n\n".join(parts).replace("\n```\n\n```c\n", "\n\n") + "\n"


def line_kind(line: str) -> str:
    """What a line of the introduction is."""
    if re.fullmatch(r"[A-Z][A-Z ]+", line):
        return "heading"
    if line.startswith("    "):
        return "code"
    return "prose" if line else "blank"


def page(header: str) -> str:
    """The whole page."""
    story, declarations = split(header)
    names = {declaration.name for declaration in declarations}
    handles = [d.name for d in declarations if d.kind == "handle"]
    parts = [INTRODUCTION, opening(story, names)]
    for title, kinds in [
        ("Constants", ("macro", "enum")),
        ("Handles", ("handle",)),
        ("Structures and callbacks", ("struct", "callback")),
    ]:
        parts.append(f"## {title}\n")
        parts += [type_section(d, names) for d in declarations if d.kind in kinds]
    groups: dict[str, list[Declaration]] = {}
    for declaration in declarations:
        if declaration.kind == "function":
            owners = [h for h in handles if declaration.name.startswith(h + "_")]
            longest = max(owners, key=len, default="nasoseg_other").removeprefix("nasoseg_")
            groups.setdefault(SECTIONS.get(declaration.name, longest), []).append(declaration)
    for group, functions in groups.items():
        parts.append(f"## Functions: {group.replace('_', ' ')}\n")
        parts += [function_section(d, names) for d in functions]
    return "\n".join(parts)
