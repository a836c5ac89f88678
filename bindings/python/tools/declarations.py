"""The C header as a Python module of ctypes declarations.

In: include/nasoseg.h. Out: the text of `nasoseg/_abi.py`: enums, structs, opaque handles, the
callback's type, and every function's types. pycparser parses the header by C's own grammar; an
unknown construct is an error and is never skipped. The wheel's build runs this; by hand:

    python tools/declarations.py ../../include/nasoseg.h > _abi.py
"""

import re
import sys
from pathlib import Path

from pycparser import CParser, c_ast

# The header's own includes, as far as it uses them. `bool` is a type of its own, so that it differs
# from an integer.
PRELUDE = "typedef struct bool_ bool; " + "".join(
    f"typedef struct {name}_ {name}; "
    for name in [
        "size_t",
        "int8_t",
        "uint8_t",
        "int16_t",
        "uint16_t",
        "int32_t",
        "uint32_t",
        "int64_t",
        "uint64_t",
    ]
)
SCALARS = {
    "bool": "bool",
    "size_t": "size_t",
    "float": "float",
    "double": "double",
    "char": "char",
} | {f"{sign}int{bits}_t": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# Enums whose numbers are bits of one value, and the property that puts such a value into words.
FLAGS = {
    "nasoseg_slice_status": """
    @property
    def words(self) -> str:
        \"\"\"In words, for example "no lesion, step limit reached"; "ok" if no bit is set.\"\"\"
        from ._status import words

        return words(self)
"""
}


def plain(header: str) -> str:
    """The header without comments, directives and what only C++ sees."""
    text = re.sub(r"/\*.*?\*/", " ", header, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*", " ", text)
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif[^\n]*\n", "\n", text, flags=re.DOTALL)
    return re.sub(r"^#[^\n]*", "", text, flags=re.MULTILINE)


class Header:
    """What the header declares, in its order."""

    def __init__(self, text: str):
        version = re.search(r"^#define NASOSEG_ABI_VERSION (\d+)$", text, flags=re.MULTILINE)
        if version is None:
            raise SystemExit("nasoseg.h: found no NASOSEG_ABI_VERSION, expected it to be defined")
        self.abi_version = int(version.group(1))
        self.enums: list[tuple[str, list[tuple[str, int]]]] = []
        self.structs: list[tuple[str, list[tuple[str, str]]]] = []
        self.opaque: list[str] = []
        self.callbacks: list[tuple[str, str, list[str]]] = []
        self.functions: list[tuple[str, str, list[str]]] = []
        known = {node.name for node in CParser().parse(PRELUDE).ext}
        for node in CParser().parse(PRELUDE + plain(text), filename="nasoseg.h").ext:
            if node.name not in known:
                self.take(node)

    def take(self, node: c_ast.Node) -> None:
        kind = node.type
        if (
            isinstance(node, c_ast.Typedef)
            and isinstance(kind, c_ast.TypeDecl)
            and isinstance(kind.type, c_ast.Enum)
        ):
            values = []
            for item in kind.type.values.enumerators:
                # cbindgen writes every number; without one, C's counting would be required.
                values.append((item.name, int(item.value.value, 0)))
            self.enums.append((node.name, values))
        elif (
            isinstance(node, c_ast.Typedef)
            and isinstance(kind, c_ast.TypeDecl)
            and isinstance(kind.type, c_ast.Struct)
        ):
            members = kind.type.decls
            if members is None:
                self.opaque.append(node.name)
            else:
                self.structs.append((node.name, [(m.name, self.type(m.type)) for m in members]))
        elif (
            isinstance(node, c_ast.Typedef)
            and isinstance(kind, c_ast.PtrDecl)
            and isinstance(kind.type, c_ast.FuncDecl)
        ):
            self.callbacks.append(
                (node.name, self.type(kind.type.type), self.parameters(kind.type))
            )
        elif isinstance(node, c_ast.Decl) and isinstance(kind, c_ast.FuncDecl):
            self.functions.append((node.name, self.type(kind.type), self.parameters(kind)))
        else:
            raise SystemExit(
                f"nasoseg.h: {node.coord}: found {node.name}, expected an enum, a struct, a "
                "callback or a function. Teach tools/declarations.py this kind of declaration"
            )

    def parameters(self, function: c_ast.FuncDecl) -> list[str]:
        types = [self.type(p.type) for p in function.args.params]
        return [] if types == ["None"] else types

    def type(self, node: c_ast.Node) -> str:
        """The ctypes expression of a C type."""
        if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType):
            (name,) = node.type.names
            if name == "void":
                return "None"
            return f"ctypes.c_{SCALARS[name]}" if name in SCALARS else name
        if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.Struct):
            return node.type.name
        if isinstance(node, c_ast.ArrayDecl):
            return f"{self.type(node.type)} * {int(node.dim.value, 0)}"
        if isinstance(node, c_ast.PtrDecl):
            to = self.type(node.type)
            return {"None": "ctypes.c_void_p", "ctypes.c_char": "ctypes.c_char_p"}.get(
                to, f"ctypes.POINTER({to})"
            )
        raise SystemExit(
            f"nasoseg.h: {node.coord}: found a type that tools/declarations.py does not know. "
            "Teach it"
        )


def class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.removeprefix("nasoseg_").split("_"))


def members(name: str, values: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Members without their common prefix: nasoseg_stage's NASOSEG_STAGE_READ is READ."""
    prefixes = [
        "NASOSEG_" + "_".join(name.removeprefix("nasoseg_").upper().split("_")[:parts]) + "_"
        for parts in (1, 2)
    ] + ["NASOSEG_"]
    prefix = next(p for p in prefixes if all(constant.startswith(p) for constant, _ in values))
    return [(constant.removeprefix(prefix), value) for constant, value in values]


def module(header: str) -> str:
    """The text of the module."""
    h = Header(header)
    lines = [
        '"""Declarations of nasoseg.h. Generated by tools/declarations.py for the wheel.',
        "",
        "Do not edit.",
        '"""',
        "",
    ]
    lines += ["import ctypes", "import enum", "", f"ABI_VERSION = {h.abi_version}", ""]
    for name, values in h.enums:
        lines += [
            "",
            f"class {class_name(name)}(enum.{'IntFlag' if name in FLAGS else 'IntEnum'}):",
        ]
        lines += [f"    {constant} = {value}" for constant, value in members(name, values)]
        lines += [*FLAGS.get(name, "").splitlines(), ""]
    for name in h.opaque:
        lines += ["", f"class {name}(ctypes.Structure):", '    """A handle."""', ""]
    # In this order: a callback takes structs.
    for name, fields in h.structs:
        lines += ["", f"class {name}(ctypes.Structure):", "    _fields_ = ["]
        lines += [f'        ("{field}", {kind}),' for field, kind in fields] + ["    ]", ""]
    for name, result, parameters in h.callbacks:
        lines += ["", f"{name} = ctypes.CFUNCTYPE({', '.join([result, *parameters])})", ""]
    lines += [
        "",
        f"HANDLES = [{', '.join(h.opaque)}]",
        f"STRUCTS = [{', '.join(name for name, _ in h.structs)}]",
        "",
    ]
    lines += [
        f"ENUMS = [{', '.join(class_name(name) for name, _ in h.enums)}]",
        "",
        "# name: (result, parameters)",
        "FUNCTIONS = {",
    ]
    lines += [
        f'    "{name}": ({result}, [{", ".join(parameters)}]),'
        for name, result, parameters in h.functions
    ]
    lines += [
        "}",
        "",
        "",
        "def declare(library: ctypes.CDLL) -> None:",
        '    """Sets the argument and result types of every function."""',
    ]
    lines += [
        "    for name, (result, parameters) in FUNCTIONS.items():",
        "        function = getattr(library, name)",
    ]
    lines += ["        function.restype = result", "        function.argtypes = parameters"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(module(Path(sys.argv[1]).read_text(encoding="utf-8")))
