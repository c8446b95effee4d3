"""The documents of the first hour, and the code blocks in them.

A block of `sh` or `python` runs as it stands (tests/integration/documents_test.py), but for one below the line
<!-- not run: why -->.
"""

import glob
import os
import re
from dataclasses import dataclass

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
RUN_LANGUAGES = ("sh", "python")
NOT_RUN = re.compile(r"<!-- not run: (.+) -->$")
RUN_ELSEWHERE = {"deploy/README.md": "tests/deploy/walk_test.py", "examples/README.md": "tests/integration/examples_test.py"}


def documents():
    """Paths from the root, in the order of reading."""
    found = ["README.md"]
    found += sorted(os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "docs", "*.md")))
    return found + ["CONTRIBUTING.md", "tests/README.md", *RUN_ELSEWHERE]


@dataclass
class Block:
    document: str
    line: int  # of its first line of text
    language: str
    text: str
    not_run: str = ""  # why

    @property
    def runs(self):
        return self.language in RUN_LANGUAGES and not self.not_run and self.document not in RUN_ELSEWHERE

    @property
    def terminal(self):
        """Which terminal its first line says it belongs to; 0 = any."""
        said = re.match(r"# terminal (\d)\b", self.text)
        return int(said.group(1)) if said else 0

    def __str__(self):
        return f"{self.document}:{self.line}"


def blocks_of(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as f:
        lines = f.read().split("\n")
    found, not_run, i = [], "", 0
    while i < len(lines):
        fence = re.match(r"(\s*)```(\w*)", lines[i])
        if fence:
            end = next(j for j in range(i + 1, len(lines)) if lines[j].strip() == "```")
            indent = len(fence.group(1))
            text = "".join(line[indent:] + "\n" for line in lines[i + 1:end])
            found.append(Block(document, i + 2, fence.group(2), text, not_run))
            i = end
        said = NOT_RUN.match(lines[i].strip())
        not_run = said.group(1) if said else not_run if not lines[i].strip() else ""
        i += 1
    return found


def all_blocks():
    return [block for document in documents() for block in blocks_of(document)]
