#!/usr/bin/env python3
"""The tables of docs/ that are made from the sources, between the lines <!-- table: NAME --> and <!-- end of table -->.

    python3 tests/tidy/tables.py     # writes them anew; documents_test.py holds the documents to the sources
"""

import os
import re

from documents import ROOT

STRING = r'"(?:[^"\\]|\\.)*"'
METER = re.compile(rf"\b(\w+)\(\s*\*registry,\s*\{{\s*({STRING}),\s*({STRING}(?:\s*{STRING})*),\s*\{{([^}}]*)\}}")
CONFIG = "proto/cogwheel/config/v1/config.proto"
UNITS = {"_timestamp_seconds": "Unix time, s", "_seconds": "s", "_seconds_total": "s", "_bytes": "bytes", "_bytes_total": "bytes",
         "_ratio": "ratio", "_operations": "operations/s", "_operations_total": "operations", "_info": "1", "_ready": "0 or 1",
         "_draining": "0 or 1", "_group_up": "0 or 1"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def markdown(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def text_of(literals):
    return "".join(literal[1:-1] for literal in re.findall(STRING, literals))


def metrics(room, name):
    """A row for each member of a struct of meters."""
    kinds = {"Counter": "counter", "Total": "counter", "Gauge": "gauge", "Histogram": "histogram"}
    members = {member: kinds[kind] for kind, member in
               re.findall(r"\b(Counter|Total|Gauge|Histogram)Meter (\w+);", read(f"{room}/{name}.h"))}
    rows = []
    for member, metric, meaning, labels in METER.findall(read(f"{room}/{name}.cc")):
        metric = text_of(metric)
        unit = next((unit for ending, unit in UNITS.items() if metric.endswith(ending)), "count")
        labels = ", ".join(label[1:-1] for label in re.findall(STRING, labels))
        rows.append((f"`{metric}`", members.pop(member), labels, unit, text_of(meaning)))
    if members:
        raise ValueError(f"{room}/{name}.cc: not understood: {sorted(members)}")
    return markdown(("metric", "type", "labels", "unit", "meaning"), rows)


def number_of(expression, source):
    """The value of a C++ constant expression as the settings write them: 1'000, int64_t{1} << 30, kMostRanks."""
    expression = re.sub(r"int64_t\{(\d+)\}", r"\1", expression.replace("'", ""))
    for name in re.findall(r"\bk[A-Z]\w+", expression):
        if name == "kAboveZero":
            return "above 0"
        found = re.search(rf"\bconstexpr \w+ {name}(?: = |\{{)([^;}}]+)", source + read("proto/contract/mesh_limit.h"))
        expression = expression.replace(name, found.group(1).replace("'", ""))
    if not re.fullmatch(r"[\d\s<*+.()-]+", expression):
        raise ValueError(f"not understood: {expression}")
    value = eval(expression)  # digits and operators alone
    power = value.bit_length() - 1 if isinstance(value, int) else 0
    return f"{value >> 30} GiB" if power >= 30 and value % (1 << 30) == 0 else f"{value:,}" if value >= 10_000 else str(value)


def defaults_and_ranges(source):
    """field -> default, field -> range, as a settings.cc states them."""
    text, defaults, ranges = read(source), {}, {}
    made = re.search(r"Default\w+Config\(\) \{\n.*?^\}", text, re.DOTALL | re.MULTILINE).group(0)
    for name, value in re.findall(r"config\.set_(\w+)\((.+)\);", made):
        constant = re.search(rf"constexpr char {re.escape(value)}\[\] = ({STRING})", text)
        value = constant.group(1) if constant else value
        defaults[name] = value[1:-1] if value.startswith('"') else number_of(value, text)
    for name, least, most in re.findall(r'\{"(\w+)", ([\w.\']+)(?:, ([\w.\']+))?\}', text):
        low = number_of(least, text)
        ranges[name] = f"{low} to {number_of(most, text)}" if most else low if low == "above 0" else f"{low} or more"
    return defaults, ranges


def settings(message, source):
    """A table for each group of a Config message's fields; base/setting_help.h says how their comments are written."""
    body = re.search(rf"^message {message} {{\n(.*?)^}}", read(CONFIG), re.DOTALL | re.MULTILINE).group(1)
    defaults, ranges = defaults_and_ranges(source)
    groups, above = [], []
    for line in body.split("\n"):
        field = re.match(r"  optional (\w+) (\w+) = \d+;$", line)
        comment = re.match(r"  // ?(.*)$", line)
        if comment and comment.group(1).startswith("== "):
            groups.append((comment.group(1)[3:], []))
        elif comment:
            above.append(comment.group(1))
        elif field:
            kind, name = field.groups()
            what, value, said = re.fullmatch(r"(.*?)(?:\s*\[([^\[\];]*)(?:; ([^\[\]]*))?\])?", " ".join(above)).groups()
            default = (said or "").removeprefix("default ") or defaults.get(name) or {"bool": "false"}[kind]
            groups[-1][1].append((f"`--{name.replace('_', '-')}`", f"`COGWHEEL_{name.upper()}`", value or "true, false",
                                  default, ranges.get(name, ""), what))
            above = []
        elif line.strip():
            raise ValueError(f"{CONFIG}: not understood: {line}")
    heads = ("flag", "environment", "value", "default", "range", "what")
    return "\n\n".join(f"### {group}\n\n{markdown(heads, rows)}" for group, rows in groups)


TABLES = {
    "docs/configuration.md": {"server": lambda: settings("ServerConfig", "server/settings.cc"), "worker": lambda: settings("WorkerConfig", "worker/settings.cc")},
    "docs/metrics.md": {"server": lambda: metrics("server/metrics", "server_metrics"),
                        "rank": lambda: metrics("worker/metrics", "rank_metrics")},
}


def renewed(document):
    """The document's text with its tables as the sources make them."""
    text = read(document)
    for name, make in TABLES[document].items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
        before, found, rest = text.partition(begin)
        if not found:
            raise ValueError(f"{document}: no line {begin.strip()}")
        text = before + begin + "\n" + make() + "\n\n" + end + rest.partition(end)[2]
    return text


def main():
    for document in TABLES:
        text = renewed(document)
        with open(os.path.join(ROOT, document), "w", encoding="utf-8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
