"""Pages of the site that are files of the repository, and links to what is no page."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from typer.main import get_command

from exetera_zarr.cli import PROGRAM
from exetera_zarr.cli.application import application
from exetera_zarr.tables.seeing import hidden

ROOT = Path(__file__).parents[1]
PAGES = {"CONTRIBUTING.md": "CONTRIBUTING.md", "benchmarks/RESULTS.md": "performance.md"}
"""Files of the repository by the page that shows them."""
HIDDEN = {
    "exetera_zarr.Session": hidden.IN_SESSIONS,
    "exetera_zarr.Dataset": hidden.IN_DATASETS,
    "exetera_zarr.DataFrame": hidden.IN_TABLES,
    "exetera_zarr.tables.views.view.View": hidden.IN_TABLES,
    "exetera_zarr.fields.base.Field": hidden.IN_FIELDS,
}
"""By class, the names that completion does not offer, and the reference does not have."""
SHOWN = re.compile(r"^::: (\S+)$", re.MULTILINE)
WIDTH = 96
"""Of lines of the command's help, in characters."""
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are elsewhere in the repository."""
    for source, page in {**PAGES, "CHANGELOG.md": "CHANGELOG.md"}.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source == "CHANGELOG.md":
            # What was changed once is rarely what somebody looks for.
            text = f"---\nsearch:\n  exclude: true\n---\n\n{text}{_unreleased()}"
        file = File.generated(config, page, content=text)
        file.exetera_source = source
        files.append(file)
    files.append(File.generated(config, "reference/command.md", content=_commands()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Have links to files lead to the pages that show them, or to the repository."""
    source = getattr(page.file, "exetera_source", f"docs/{page.file.src_uri}")
    folder = posixpath.dirname(source)

    def led(found: re.Match[str]) -> str:
        target = found[2]
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in PAGES:
            there = PAGES[path]
        elif path.startswith("docs/") and files.get_file_from_path(path[5:]):
            there = path[5:]
        elif (ROOT / path).exists():
            return (
                f"{found[1]}{config.extra['repository']}/blob/main/{path}{found[3] or ''}{found[4]}"
            )
        else:
            return found[0]
        relative = posixpath.relpath(there, posixpath.dirname(page.file.src_uri) or ".")
        return f"{found[1]}{relative}{found[3] or ''}{found[4]}"

    return LINK.sub(led, SHOWN.sub(_without_hidden, markdown))


def _without_hidden(found: re.Match[str]) -> str:
    names = HIDDEN.get(found[1])
    if names is None:
        return found[0]
    pattern = "|".join(sorted(names))
    return f"{found[0]}\n    options:\n      filters: ['!^_', '!^({pattern})$']"


def _commands() -> str:
    """What `--help` says of the command, and of each of its commands."""
    program = get_command(application())
    above = program.context_class(program, info_name=PROGRAM, terminal_width=WIDTH)
    parts = [
        "# The command\n",
        "What `--help` says; [the command](../command.md) says when to use which.\n",
        f"```text\n{program.get_help(above)}\n```\n",
    ]
    for name in program.list_commands(above):
        command = program.get_command(above, name)
        context = program.context_class(command, parent=above, info_name=name, terminal_width=WIDTH)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def _unreleased() -> str:
    """What the next release brings, from the fragments of the changelog."""
    kinds = ("added", "changed", "fixed", "removed", "security")
    parts = ["\n## Not yet released\n"]
    for kind in kinds:
        texts = [
            path.read_text(encoding="utf-8").strip().replace("\n", "\n  ").replace("](../", "](")
            for path in sorted((ROOT / "changelog.d").glob(f"*.{kind}.md"))
        ]
        if texts:
            parts += [f"\n### {kind.title()}\n", *(f"* {text}" for text in texts)]
    return "\n".join(parts) + "\n"
