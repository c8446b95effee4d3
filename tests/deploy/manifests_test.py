"""The rendered overlays are the committed ones, pass the checker, and the checker refuses what is broken."""

import copy
import json
import os
import unittest

from tools import DEPLOY, ROOT, run

import yaml

import broken
import check_manifests
import render

CRDS = check_manifests.load_crds()
CUSTOM = ("LeaderWorkerSet", "PodMonitor", "ServiceMonitor", "ScaledObject", "PrometheusRule")


def committed(overlay):
    with open(render.golden(overlay)) as f:
        return [d for d in yaml.safe_load_all(f) if d]


class ManifestsTest(unittest.TestCase):
    def test_operator_rules_are_those_of_prometheus(self):
        with open(render.OPERATOR_RULES) as f:
            self.assertEqual(render.operator_rules(), f.read(), "run tests/deploy/render.py")

    def test_rendered_overlays_are_current(self):
        for overlay in render.OVERLAYS:
            with self.subTest(overlay), open(render.golden(overlay)) as f:
                self.assertEqual(f.read(), render.render(overlay), "run tests/deploy/render.py")

    def test_good_overlays_pass(self):
        for overlay in render.OVERLAYS:
            with self.subTest(overlay):
                self.assertEqual([], check_manifests.Checker(committed(overlay), CRDS).faults())

    def test_broken_manifests_are_refused(self):
        refused = 0
        for rule, overlay, name, path, value in broken.BROKEN:
            if rule == "schema" and name.startswith(CUSTOM) and not CRDS:
                continue  # the custom resources' schemas are not at hand
            with self.subTest(rule=rule, object=name, path=path):
                documents = copy.deepcopy(committed(overlay))
                broken.change(broken.find(documents, name), path, value)
                faults = check_manifests.Checker(documents, CRDS).faults()
                named_elsewhere = rule == "default-deny" or name.startswith("ConfigMap/")
                self.assertIn(rule, [f[0] for f in faults if named_elsewhere or f[1] == name], faults)
                refused += 1
        print(f"{refused} of {len(broken.BROKEN)} broken manifests refused")
        self.assertGreaterEqual(refused, 20)

    def test_compose_stops_no_sooner_than_the_programs(self):
        with open(os.path.join(DEPLOY, "compose.yaml")) as f:
            services = yaml.safe_load(f)["services"]
        for service, container in (("frontend", "frontend"), ("ranks", "worker")):
            command, flag = services[service]["command"], "--shutdown-grace-seconds"
            drain = int(command[command.index(flag) + 1]) if flag in command else check_manifests.DRAIN_S[container]
            needed = drain + check_manifests.CLOSE_S[container]
            self.assertGreaterEqual(int(services[service]["stop_grace_period"].rstrip("s")), needed, service)

    def test_programs_accept_the_configurations(self):
        folder = os.environ.get("COGWHEEL_BIN", os.path.join(ROOT, "build", "release", "bin"))
        for overlay in render.OVERLAYS:
            for file, program in (("server.json", "cogwheel-server"), ("worker.json", "cogwheel-worker")):
                path = os.path.join(DEPLOY, "k8s", "overlays", overlay, file)
                if not os.path.exists(path):
                    path = os.path.join(DEPLOY, "k8s", "base", file)
                if os.path.exists(path):
                    with self.subTest(path), open(path) as f:
                        shown = json.loads(run(os.path.join(folder, program), "--config", path, "--print-config"))
                        for key, value in json.load(f).items():
                            self.assertEqual(value, shown[key], key)


if __name__ == "__main__":
    unittest.main()
