"""What mkdocs adds to the files in docs/.

- The C header's page, from include/nasoseg.h.
- README files and others of the repository that docs/ and README.md link to, as pages.
- The Python package, with the declarations that its wheel has, where mkdocstrings finds it.
- Links between all of these. Markdown links name files of the repository, as a forge shows them; on
  the site they lead to pages, or stay text if a file is not part of the site.
"""

import importlib.util
import posixpath
import re
import shutil
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
import header

ROOT = Path(__file__).parents[2]
HEADER = "reference/c.md"
# Files of the repository outside docs/ that are pages of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "bindings/cpp/README.md": "bindings/cpp.md",
    "bindings/python/README.md": "bindings/python.md",
    "examples/README.md": "examples.md",
    "fuzz/README.md": "fuzz.md",
    "models/demo/report.md": "models/demo-report.md",
    "plugins/planning/README.md": "plugins/planning.md",
    "plugins/slicer/README.md": "plugins/slicer.md",
    "training/README.md": "training.md",
    "training/results/README.md": "training/results.md",
}
SOURCES = {page: source for source, page in PAGES.items()} | {HEADER: "include/nasoseg.h"}
IMAGES = {".png", ".svg"}
FENCE = re.compile(r"^(```.*?^```\n?)", flags=re.MULTILINE | re.DOTALL)
# Code within a line, which is left alone, or a link or image: mark, text, target, anchor.
LINK = re.compile(r"`[^`\n]*`|(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def on_startup(**_: object) -> None:
    """Copies the Python package and makes its declarations, as the wheel's build does.

    mkdocstrings looks for its folders when the configuration is read, which is later.
    """
    package = ROOT / "out" / "docs" / "python" / "nasoseg"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "bindings" / "python" / "src" / "nasoseg", package)
    tool = ROOT / "bindings" / "python" / "tools" / "declarations.py"
    spec = importlib.util.spec_from_file_location("declarations", tool)
    declarations = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(declarations)
    text = (ROOT / "include" / "nasoseg.h").read_text(encoding="utf-8")
    (package / "_abi.py").write_text(declarations.module(text), encoding="utf-8")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/, and the images that they show."""
    text = (ROOT / "include" / "nasoseg.h").read_text(encoding="utf-8")
    files.append(File.generated(config, HEADER, content=header.page(text)))
    images = set()
    for source, page in PAGES.items():
        markdown = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=markdown))
        for found in LINK.finditer(FENCE.sub("", markdown)):
            target = found[3] and posixpath.normpath(
                posixpath.join(posixpath.dirname(source), found[3])
            )
            if target and Path(target).suffix in IMAGES and not target.startswith("docs/"):
                images.add(target)
    for image in sorted(images):
        files.append(File.generated(config, image, abs_src_path=str(ROOT / image)))
    return files


def site_path(target: str) -> str | None:
    """The page or file of the site that a file of the repository is; None if it is not on it."""
    if target in PAGES:
        return PAGES[target]
    if f"{target}/README.md" in PAGES:
        return PAGES[f"{target}/README.md"]
    if target == "include/nasoseg.h":
        return HEADER
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return target if Path(target).suffix in IMAGES else None


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points the links of a page at pages."""
    own = page.file.src_uri
    if own == HEADER:
        return markdown
    source = SOURCES.get(own, f"docs/{own}")

    def rewritten(found: re.Match[str]) -> str:
        mark, text, target, anchor = found.groups()
        if target is None or re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if not (ROOT / path).exists():
            raise PluginError(f"{source}: the link to {target} leads nowhere")
        there = site_path(path)
        if there is None:
            return text if "`" in text or mark else f"`{text}`" if text == target else text
        relative = posixpath.relpath(there, posixpath.dirname(own))
        return f"{mark}[{text}]({relative}{anchor or ''})"

    parts = FENCE.split(markdown)
    if own == "reference/python.md":
        complete(markdown)
    return "".join(p if p.startswith("```") else LINK.sub(rewritten, p) for p in parts)


def complete(markdown: str) -> None:
    """Every public name of the Python package is on its page."""
    code = (ROOT / "bindings/python/src/nasoseg/__init__.py").read_text(encoding="utf-8")
    listed = re.search(r"^__all__ = \[(.*?)\]", code, flags=re.MULTILINE | re.DOTALL)
    public = set(re.findall(r'"(\w+)"', listed[1]))
    shown = set(re.findall(r"^::: nasoseg\.(\w+)$", markdown, flags=re.MULTILINE))
    if public != shown:
        raise PluginError(
            f"docs/reference/python.md: missing {sorted(public - shown)}, "
            f"not public {sorted(shown - public)}. List every name of nasoseg.__all__ once"
        )
