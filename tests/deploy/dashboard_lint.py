"""The lint rules of Grafana's dashboard-linter, by their names. faults(board) is a list of (rule, where). The two rules on
log queries have nothing to look at: a log query is refused outright. target-promql is promtool's, in dashboards_test.py."""

import re

UNITS = {"s", "reqps", "ops", "Bps", "bytes", "short", "none", "bool", "percentunit", "flops"}
VARIABLE_SOURCE = "${datasource}"


def variable_faults(board):
    known = {v["name"]: v for v in board["templating"]["list"]}
    if known.get("datasource", {}).get("type") != "datasource":
        yield "template-datasource", "variables"
    for name in ("job", "instance"):
        if not known.get(name, {}).get("multi"):
            yield f"template-{name}", name
    for name, value in known.items():
        if value["type"] != "query":
            continue
        if not re.fullmatch(r"label_values\(cogwheel_\w+, \w+\)", value["query"]):
            yield "template-label-promql", name
        if value.get("refresh") != 2:
            yield "template-on-time-change-reload", name


def query_faults(query):
    if not query.strip() or "|=" in query or "$__auto" in query:
        yield "target-logql"
    if re.search(r"rate\([^()]*\[(?!\$__rate_interval\])", query):
        yield "target-rate-interval"
    for selector in re.findall(r"cogwheel_\w+(\{[^}]*\})?", query):
        if 'job=~"$job"' not in selector:
            yield "target-job"
        if 'instance=~"$instance"' not in selector:
            yield "target-instance"
    for found in re.finditer(r"cogwheel_\w+_total", query):
        if not re.search(r"(rate|irate|increase)\($", query[:found.start()]):
            yield "target-counter-agg"


def panel_faults(panel):
    if panel.get("datasource", {}).get("uid") != VARIABLE_SOURCE:
        yield "panel-datasource"
    if not panel.get("title") or not panel.get("description"):
        yield "panel-title-description"
    if panel.get("fieldConfig", {}).get("defaults", {}).get("unit") not in UNITS:
        yield "panel-units"
    if not panel.get("targets"):
        yield "panel-no-targets"
    for target in panel.get("targets", ()):
        yield from query_faults(target["expr"])


def faults(board):
    found = list(variable_faults(board))
    for panel in board["panels"]:
        found += [(rule, panel.get("title")) for rule in panel_faults(panel)]
    if board.get("editable") is not False:
        found.append(("uneditable-dashboard", "board"))
    if board.get("schemaVersion", 0) < 39:
        found.append(("schema-version", "board"))
    return found
