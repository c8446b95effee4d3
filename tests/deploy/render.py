"""Renders the overlays with kubectl kustomize, after writing the operator's copy of the rules. `python3 render.py`
rewrites the committed copies; manifests_test.py compares them. `--runbooks URL` first points every alert's link there."""

import argparse
import os
import re

from tools import DEPLOY, KUBECTL, run

import yaml

OVERLAYS = ("cpu-demo", "single-node", "multi-node", "keda")
OPERATOR_RULES = os.path.join(DEPLOY, "prometheus", "operator", "rules.yaml")
ALERTS = os.path.join(DEPLOY, "prometheus", "alerts.yaml")
RULE_FILES = ("recording.yaml", "alerts.yaml")


def with_runbooks_at(url, rules):
    """The text of a rule file whose runbooks are the pages NAME.md of that address."""
    return re.sub(r"(runbook_url: )\S+/", lambda match: match[1] + url.rstrip("/") + "/", rules)


def operator_rules():
    """deploy/prometheus/*.yaml as one PrometheusRule."""
    groups = []
    for name in RULE_FILES:
        with open(os.path.join(DEPLOY, "prometheus", name)) as f:
            groups += yaml.safe_load(f)["groups"]
    rule = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
            "metadata": {"name": "cogwheel", "labels": {"app.kubernetes.io/part-of": "cogwheel"}}, "spec": {"groups": groups}}
    return "# Made by tests/deploy/render.py from the rules one folder up.\n" + yaml.safe_dump(rule, sort_keys=False, width=120)


def golden(overlay):
    return os.path.join(DEPLOY, "k8s", "rendered", f"{overlay}.yaml")


def render(overlay):
    return run(KUBECTL, "kustomize", os.path.join(DEPLOY, "k8s", "overlays", overlay))


def main():
    parser = argparse.ArgumentParser(description="Renders the overlays and the operator's rules.")
    parser.add_argument("--runbooks", metavar="URL", help="address of the alerts' pages, which are NAME.md there")
    url = parser.parse_args().runbooks
    if url:
        with open(ALERTS) as f:
            text = with_runbooks_at(url, f.read())
        with open(ALERTS, "w") as f:
            f.write(text)
    with open(OPERATOR_RULES, "w") as f:
        f.write(operator_rules())
    for overlay in OVERLAYS:
        with open(golden(overlay), "w") as f:
            f.write(render(overlay))


if __name__ == "__main__":
    main()
