"""Renders the overlays with kubectl kustomize, after writing the operator's copy of the rules. `python3 render.py`
rewrites the committed copies; manifests_test.py compares them."""

import os

from tools import DEPLOY, KUBECTL, run

import yaml

OVERLAYS = ("cpu-demo", "single-node", "multi-node", "keda")
OPERATOR_RULES = os.path.join(DEPLOY, "prometheus", "operator", "rules.yaml")
RULE_FILES = ("recording.yaml", "alerts.yaml")


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


if __name__ == "__main__":
    with open(OPERATOR_RULES, "w") as f:
        f.write(operator_rules())
    for overlay in OVERLAYS:
        with open(golden(overlay), "w") as f:
            f.write(render(overlay))
