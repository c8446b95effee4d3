"""The rules parse, each alert fires and stays silent when it should, has a runbook, and asks only for metrics that exist."""

import os
import re
import unittest

from tools import AMTOOL, DEPLOY, PROMTOOL, ROOT, run

import yaml

import render

FOLDER = os.path.join(DEPLOY, "prometheus")
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rules.test.yaml")
DCGM = {"DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_ROW_REMAP_FAILURE"}  # in the exporter's default counters
DEFINITIONS = ("server/metrics/server_metrics.cc", "worker/metrics/rank_metrics.cc")


def read(name):
    with open(os.path.join(FOLDER, name)) as f:
        return yaml.safe_load(f)


def rules():
    return [r for name in ("recording.yaml", "alerts.yaml") for g in read(name)["groups"] for r in g["rules"]]


def alerts():
    return [r for r in rules() if "alert" in r]


def defined_metrics():
    """Every name in the programs' definitions."""
    found = set()
    for path in DEFINITIONS:
        if os.path.exists(os.path.join(ROOT, path)):
            with open(os.path.join(ROOT, path)) as f:
                found |= set(re.findall(r'"(cogwheel_\w+)"', f.read()))
    return found


class RulesTest(unittest.TestCase):
    def test_config_and_rules_parse(self):
        run(PROMTOOL, "check", "config", os.path.join(FOLDER, "prometheus.yaml"))

    def test_alerts_fire_and_stay_silent(self):
        run(PROMTOOL, "test", "rules", os.path.basename(TESTS), cwd=os.path.dirname(TESTS), limit_s=240)

    def test_ratios_of_ranks(self):
        run(PROMTOOL, "test", "rules", "recording.test.yaml", cwd=os.path.dirname(TESTS))

    def test_each_alert_has_both_tests(self):
        with open(TESTS) as f:
            names = {t["name"] for t in yaml.safe_load(f)["tests"]}
        self.assertEqual({f"{a['alert']} {kind}" for a in alerts() for kind in ("fires", "silent")}, names)

    def test_each_alert_that_waits_is_seen_waiting(self):
        with open(TESTS) as f:
            cases = {t["name"]: t for t in yaml.safe_load(f)["tests"]}
        for alert in alerts():
            if alert["for"] != "0m":
                asked = [q["expr"] for q in cases[f"{alert['alert']} fires"]["promql_expr_test"]]
                self.assertTrue(any('alertstate="pending"' in expr for expr in asked), alert["alert"])

    def test_each_alert_is_complete(self):
        for alert in alerts():
            with self.subTest(alert["alert"]):
                self.assertIn(alert["labels"]["severity"], ("page", "ticket", "none"))
                self.assertIn("for", alert)
                self.assertLessEqual({"summary", "description", "runbook_url"}, set(alert["annotations"]))
                page = os.path.join(DEPLOY, "runbooks", os.path.basename(alert["annotations"]["runbook_url"]))
                with open(page) as f:
                    text = f.read()
                self.assertTrue(text.startswith(f"# {alert['alert']}\n"), page)
                for heading in ("**Meaning.**", "**Look here.**", "**Do this.**"):
                    self.assertIn(heading, text, page)

    def test_each_alert_has_its_receiver(self):
        routes = os.path.join(FOLDER, "alertmanager.yaml")
        run(AMTOOL, "check-config", routes)
        receivers = {"page": "pager", "ticket": "tickets", "none": "dead-man"}
        for alert in alerts():
            severity = alert["labels"]["severity"]
            with self.subTest(alert["alert"]):
                run(AMTOOL, "config", "routes", "test", f"--config.file={routes}", f"--verify.receivers={receivers[severity]}",
                    f"severity={severity}", f"alertname={alert['alert']}")

    def test_inhibitions_name_alerts_that_exist(self):
        names = {alert["alert"] for alert in alerts()}
        for rule in read("alertmanager.yaml")["inhibit_rules"]:
            for matcher in rule["source_matchers"] + rule["target_matchers"]:
                self.assertIn(matcher.removeprefix("alertname = "), names)

    def test_runbooks_share_one_base(self):
        bases = {alert["annotations"]["runbook_url"].rpartition("/")[0] for alert in alerts()}
        self.assertEqual(1, len(bases), bases)
        moved = render.with_runbooks_at("https://wiki/cogwheel/", "a:\n  runbook_url: https://old/x/GroupDown.md\n")
        self.assertEqual("a:\n  runbook_url: https://wiki/cogwheel/GroupDown.md\n", moved)

    def test_rules_ask_for_metrics_that_exist(self):
        known = defined_metrics() | DCGM
        for rule in rules():
            for name in re.findall(r"\b(?:cogwheel|DCGM)_\w+", rule["expr"]):
                if not name.startswith(("cogwheel_frontend", "cogwheel_worker")):  # jobs
                    self.assertIn(re.sub("_(bucket|sum|count)$", "", name), known, rule)


if __name__ == "__main__":
    unittest.main()
