"""Holds the documents to their form and to the sources: links, code blocks, tables made from the sources, figures."""

import json
import os
import re
import subprocess
import unittest

import tables
from documents import ROOT, RUN_ELSEWHERE, RUN_LANGUAGES, all_blocks, documents

MAX_BLOCK_COLUMNS = 90
MAX_NOT_RUN = 10
MAX_README_LINES = 150
MAX_PICTURE_BYTES = 500_000
SHOWN_LANGUAGES = ("text", "json", "mermaid")  # for the eye alone
PLACEHOLDER = re.compile(r'"\.\.\."|\s\.\.\.(\s|$)|…|<[a-z][a-z_-]*>|\b(ADDRESS|FOLDER|NAME|PATH_TO|YOUR_\w+)\b')


def tracked(ending):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    return [f for f in listed.stdout.splitlines() if f.endswith(ending) and os.path.isfile(os.path.join(ROOT, f))]


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^\s*```.*?^\s*```$", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text):
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


class DocumentsTest(unittest.TestCase):
    maxDiff = None

    def check(self, problems):
        self.assertEqual([], sorted(problems))

    def test_links_lead_somewhere(self):
        problems = []
        for document in tracked(".md"):
            folder = os.path.dirname(document)
            for target in re.findall(r"\]\(([^)\s]+)\)", without_code(tables.read(document))):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = os.path.normpath(os.path.join(folder, path)) if path else document
                if not os.path.exists(os.path.join(ROOT, file)):
                    problems.append(f"{document}: {target}")
                elif anchor and anchor not in anchors(tables.read(file)):
                    problems.append(f"{document}: {target}: no such heading")
        self.check(problems)

    def test_every_document_is_linked(self):
        linked = tables.read("README.md") + tables.read("docs/README.md")
        self.check([f for f in documents() if os.path.basename(f) not in linked and f != "README.md"])

    def test_blocks_can_be_pasted(self):
        problems = []
        for block in all_blocks():
            if block.language not in RUN_LANGUAGES + SHOWN_LANGUAGES:
                problems.append(f"{block}: language '{block.language}'")
            problems += [f"{block}: {len(line)} columns: {line}" for line in block.text.split("\n") if len(line) > MAX_BLOCK_COLUMNS]
            if block.language == "json":
                json.loads(block.text)
            if block.language == "sh" and not block.not_run and PLACEHOLDER.search(block.text):
                problems.append(f"{block}: a placeholder: {PLACEHOLDER.search(block.text).group(0)}")
            if block.language == "sh" and re.search(r"^[^#\n]*\S[^\S\n]+# ", block.text, re.MULTILINE):
                problems.append(f"{block}: a comment behind a command; it belongs above")
        self.check(problems)

    def test_few_blocks_are_not_run(self):
        exempt = [block for block in all_blocks() if block.not_run]
        self.assertLessEqual(len(exempt), MAX_NOT_RUN, "\n".join(f"{block}: {block.not_run}" for block in exempt))
        self.check([test for test in RUN_ELSEWHERE.values() if not os.path.exists(os.path.join(ROOT, test))])

    def test_tables_are_those_of_the_sources(self):
        for document in tables.TABLES:
            self.assertEqual(tables.renewed(document), tables.read(document), f"{document}: python3 tests/tidy/tables.py writes it anew")

    def test_readme_is_short_and_its_figures_were_measured(self):
        readme, measured = tables.read("README.md"), "".join(
            tables.read(f) for f in ("tests/bench/results/README.md", "tests/README.md", "docs/checkpoints.md"))
        self.assertLessEqual(readme.count("\n"), MAX_README_LINES)
        bullets = re.findall(r"^- \*\*.*?(?=\n\n|\n- |\Z)", readme.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
        self.assertEqual(3, len(bullets))
        figures = [figure for bullet in bullets for figure in re.findall(r"\b\d+\.\d+\b", bullet)]
        self.assertTrue(figures)
        self.check([f"README.md: {figure} is in no table of measurements" for figure in figures if figure not in measured])
        card = tables.read("models/shapes/README.md")
        self.check([f"README.md: {part} is not in the model's card" for part in re.findall(r"\d+\.\d %", readme) if part not in card])

    def test_version_is_the_build_s(self):
        version = re.search(r"project\(cogwheel VERSION (\S+)", tables.read("CMakeLists.txt")).group(1)
        self.assertIn(f"Version {version}", tables.read("README.md"))
        self.assertRegex(tables.read("CHANGELOG.md"), rf"(?m)^## \[?(Unreleased|{re.escape(version)})\b")

    def test_pictures_are_small(self):
        self.check([f"{f}: {size} bytes" for f in tracked(".webp") if (size := os.path.getsize(os.path.join(ROOT, f))) > MAX_PICTURE_BYTES])


if __name__ == "__main__":
    unittest.main()
