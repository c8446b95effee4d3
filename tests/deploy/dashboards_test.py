"""The dashboards pass the lint rules, and each query has data on a real Prometheus that scrapes a server under load."""

import copy
import json
import os
import tempfile
import unittest

from tools import PROMTOOL, run

import yaml

import dashboard_lint
import dashboards
import live
import support

FROM_RANKS = ("cogwheel_pipeline_", "cogwheel_parallel_", "cogwheel_launch_")
VARIABLES = (("$__rate_interval", "20s"), ("$job", ".*"), ("$instance", ".*"), ("$model", ".*"), ("$tenant", ".*"))


def boards():
    for given in dashboards.BOARDS:
        with open(dashboards.path_of(given)) as f:
            yield json.load(f)


def substitute(query):
    for name, value in VARIABLES:
        query = query.replace(name, value)
    return query


def panels():
    return [(p["title"], substitute(t["expr"])) for b in boards() for p in b["panels"] for t in p["targets"]]


class LintTest(unittest.TestCase):
    def test_files_are_current(self):
        for given in dashboards.BOARDS:
            with open(dashboards.path_of(given)) as f:
                self.assertEqual(dashboards.text_of(given), f.read(), "run tests/deploy/dashboards.py")

    def test_rules(self):
        for board in boards():
            self.assertEqual([], dashboard_lint.faults(board))

    def test_rules_see_what_is_wrong(self):
        def spoil(change):
            board = copy.deepcopy(next(boards()))
            change(board)
            return {rule for rule, _ in dashboard_lint.faults(board)}
        first = lambda b: b["panels"][0]
        target = lambda b: first(b)["targets"][0]
        self.assertIn("template-job", spoil(lambda b: b["templating"]["list"][1].update(multi=False)))
        self.assertIn("template-on-time-change-reload", spoil(lambda b: b["templating"]["list"][2].update(refresh=1)))
        self.assertIn("panel-datasource", spoil(lambda b: first(b).update(datasource={"uid": "prometheus"})))
        self.assertIn("panel-units", spoil(lambda b: first(b)["fieldConfig"]["defaults"].update(unit="seconds")))
        self.assertIn("panel-no-targets", spoil(lambda b: first(b).update(targets=[])))
        self.assertIn("target-rate-interval", spoil(lambda b: target(b).update(expr="rate(cogwheel_x_total{}[5m])")))
        self.assertIn("target-job", spoil(lambda b: target(b).update(expr="cogwheel_ready")))
        self.assertIn("target-counter-agg", spoil(lambda b: target(b).update(expr="sum(cogwheel_x_total)")))
        self.assertIn("uneditable-dashboard", spoil(lambda b: b.update(editable=True)))

    def test_queries_parse(self):
        rules = [{"record": f"query:{k}", "expr": query} for k, (_, query) in enumerate(panels())]
        rules += [{"record": "query:note", "expr": substitute(a["expr"])} for b in boards() for a in b["annotations"]["list"]]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}, f)
            f.flush()
            run(PROMTOOL, "check", "rules", "--lint=none", f.name)


class LiveDashboardsTest(live.LiveTest):
    def test_each_panel_has_data_and_metrics_are_clean(self):
        self.start_everything()
        load, missing = self.load(4), {}

        def look():
            nonlocal missing
            missing = {title: query for title, query in missing.items() if not self.query(query)}
            return not missing

        exempt = () if self.rank_admins else FROM_RANKS  # a build whose ranks serve no metrics
        missing = {t: q for t, q in panels() if not any(x in q for x in exempt)}
        try:
            support.wait_until(look, 60, "each panel has data")
        except AssertionError:
            self.fail(f"no data: {missing}")
        finally:
            load.join()
        if not self.rank_admins:
            print("the panels of the ranks' own metrics were not checked: these ranks serve none")
        for address, limit in [(self.frontend_admin, 2000)] + [(a, 300) for a in self.rank_admins]:
            text = live.fetch(f"http://{address}/metrics")
            said = run(PROMTOOL, "check", "metrics", input=text)
            self.assertEqual("", said, address)
            series = [line for line in text.splitlines() if line and not line.startswith("#")]
            self.assertLessEqual(len(series), limit, address)
            print(f"{len(series)} series of at most {limit}")


if __name__ == "__main__":
    unittest.main()
