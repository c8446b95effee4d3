"""Holds manifests against Kubernetes' schemas, strictly, and against each other. `check_manifests.py FILE...` prints one
line a fault, `RULE object: what`, and exits 1. No cluster is asked: admission, scheduling and network stay untested."""

import json
import os
import sys

from tools import ROOT, TOOLS  # TOOLS: on the path of what follows

import jsonschema
import kubernetes_validate
import yaml

from kubernetes_validate.utils import SchemaNotFoundError

KUBERNETES = "1.32"
CRD_FOLDER = os.environ.get("COGWHEEL_CRD_SCHEMAS") or os.path.join(ROOT, "..", "shared", "schemas")
MULTICAST_OFF = {"NCCL_NVLS_ENABLE": "0", "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1", "NVSHMEM_DISABLE_NVLS": "1"}
# The programs' own shutdown_grace_seconds, and what may follow: the frontend closes its streams; ranks hand their job back
# (LauncherOptions::hand_back_limit) and are then killed.
DRAIN_S = {"frontend": 30, "worker": 3600}
CLOSE_S = {"frontend": 10, "worker": 10 + 5}


def strict(schema):
    """A CRD's schema with unknown fields forbidden wherever it lists the known ones."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: strict(v) for k, v in schema.items()}
    if out.pop("x-kubernetes-int-or-string", False):
        out = {"type": ["integer", "string"]}
    open_ended = out.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in out
    if isinstance(out.get("properties"), dict) and out.get("type") == "object" and not open_ended:
        out["additionalProperties"] = False
    return out


def load_crds():
    """(apiVersion, kind) -> schema; empty where the schemas are not at hand."""
    found = {}
    for name in sorted(os.listdir(CRD_FOLDER)) if os.path.isdir(CRD_FOLDER) else ():
        if not name.endswith(".yaml"):
            continue
        with open(os.path.join(CRD_FOLDER, name)) as f:
            spec = yaml.safe_load(f)["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema.get("properties", {})["metadata"] = {"type": "object"}
            found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def name_of(thing):
    return f"{thing['kind']}/{thing['metadata']['name']}"


class Checker:
    """faults() of one rendered overlay: a list of (rule, object, text)."""

    def __init__(self, documents, crds):
        self.documents, self.crds, self.found = documents, crds, []
        self.workloads = [(d, t) for d in documents if (t := self.template_of(d))]

    @staticmethod
    def template_of(document):
        spec = document.get("spec", {})
        return spec.get("template") or spec.get("leaderWorkerTemplate", {}).get("workerTemplate")

    def fault(self, rule, thing, text):
        self.found.append((rule, name_of(thing), text))

    def expect(self, truth, rule, thing, text):
        if not truth:
            self.fault(rule, thing, text)

    def of_kind(self, *kinds):
        return [d for d in self.documents if d["kind"] in kinds]

    def faults(self):
        for document in self.documents:
            self.check_schema(document)
        if self.found:  # the rest relies on the shapes
            return self.found
        for workload, template in self.workloads:
            self.check_pod(workload, template["spec"])
            self.check_references(workload, template["spec"])
            for container in template["spec"]["containers"]:
                self.check_container(workload, container)
                self.check_grace(workload, template["spec"], container)
            if "worker" in workload["metadata"]["name"]:
                self.check_worker(workload, template["spec"])
        self.check_selectors()
        self.check_frontend()
        self.check_monitors()
        self.check_network()
        self.check_scaling()
        self.check_namespaces()
        return self.found

    def check_schema(self, document):
        schema = self.crds.get((document["apiVersion"], document["kind"]))
        try:
            if schema:
                jsonschema.Draft202012Validator(schema).validate(document)
            else:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
        except SchemaNotFoundError:
            if self.crds:
                self.fault("schema", document, "no schema for this kind")
        except jsonschema.ValidationError as e:
            self.fault("schema", document, f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}")

    def check_pod(self, workload, pod):
        self.expect(pod.get("automountServiceAccountToken") is False, "service-account", workload, "mounts a token")
        security = pod.get("securityContext", {})
        self.expect(security.get("runAsNonRoot") and security.get("runAsUser", 0) > 0, "non-root", workload, "may run as root")
        self.expect(security.get("seccompProfile", {}).get("type") == "RuntimeDefault", "seccomp", workload, "no RuntimeDefault")
        self.expect(security.get("fsGroup"), "fs-group", workload, "no fsGroup for its volumes")
        for shared in ("hostNetwork", "hostPID", "hostIPC"):
            self.expect(not pod.get(shared), "host-namespace", workload, shared)
        for volume in pod.get("volumes", ()):
            self.expect("hostPath" not in volume, "host-path", workload, volume["name"])
            if "emptyDir" in volume:
                self.expect(volume["emptyDir"].get("sizeLimit"), "empty-dir-limit", workload, volume["name"])

    def check_container(self, workload, container):
        image = container["image"]
        tag = image.rpartition(":")[2] if ":" in image else "latest"
        self.expect(tag != "latest", "image-tag", workload, image)
        limits = container.get("resources", {}).get("limits", {})
        self.expect({"cpu", "memory"} <= set(limits), "limits", workload, "cpu and memory need limits")
        if "nvidia.com/gpu" in limits:
            self.expect(limits == container["resources"]["requests"], "gpu-guaranteed", workload, "requests differ from limits")
        security = container.get("securityContext", {})
        self.expect(security.get("allowPrivilegeEscalation") is False, "escalation", workload, "not forbidden")
        self.expect(security.get("readOnlyRootFilesystem"), "read-only-root", workload, "root file system is writable")
        capabilities = security.get("capabilities", {})
        self.expect(capabilities.get("drop") == ["ALL"], "capabilities", workload, "does not drop ALL")
        if capabilities.get("add"):
            self.expect(self.level() == "privileged", "restricted", workload, "adds capabilities in a restricted namespace")
        for variable in container.get("env", ()):
            from_secret = "secretKeyRef" in variable.get("valueFrom", {})
            self.expect(not from_secret, "secret-as-file", workload, variable["name"])
        ports = {p["name"] for p in container.get("ports", ())}
        for probe, path in (("startupProbe", None), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
            http = container.get(probe, {}).get("httpGet")
            self.expect(http, "probes", workload, f"no {probe}")
            if http:
                self.expect(http["port"] in ports, "probe-port", workload, f"{probe}: {http['port']}")
                self.expect(path in (None, http["path"]), "probe-path", workload, f"{probe}: {http['path']}")

    def check_grace(self, workload, pod, container):
        command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["", "0"])
        pause = int(command[-1])
        self.expect(pause >= 5, "pre-stop", workload, "endpoints need at least 5 s to go")
        name = container["name"]
        config = self.configuration(f"cogwheel-{name}-config")
        drain = int(config.get("shutdown_grace_seconds", DRAIN_S[name]))
        needed = pause + drain + CLOSE_S[name]
        grace = pod.get("terminationGracePeriodSeconds", 30)
        self.expect(grace >= needed, "grace", workload, f"{grace} s, but preStop, drain and closing take {needed} s")

    def configuration(self, prefix):
        for config in self.of_kind("ConfigMap"):
            if config["metadata"]["name"].startswith(prefix):
                return json.loads(next(iter(config["data"].values())))
        return {}

    def check_references(self, workload, pod):
        volumes = {v["name"] for v in pod.get("volumes", ())}
        volumes |= {c["metadata"]["name"] for c in workload["spec"].get("volumeClaimTemplates", ())}
        for container in pod["containers"]:
            for mount in container.get("volumeMounts", ()):
                self.expect(mount["name"] in volumes, "volume", workload, f"mounts {mount['name']}, which is no volume")
            paths = [m["mountPath"] for m in container.get("volumeMounts", ())]
            for key, value in self.configuration(f"cogwheel-{container['name']}-config").items():
                if isinstance(value, str) and value.startswith(("/etc/cogwheel/", "/var/", "/models/")):
                    inside = any(value == p or value.startswith(p + "/") for p in paths)
                    self.expect(inside, "config-path", workload, f"{key} is {value}, where nothing is mounted")
        maps = {d["metadata"]["name"] for d in self.of_kind("ConfigMap")}
        for volume in pod.get("volumes", ()):
            wanted = volume.get("configMap", {}).get("name")
            self.expect(wanted is None or wanted in maps, "config-map", workload, f"{wanted} does not exist")

    def check_worker(self, workload, pod):
        container = pod["containers"][0]
        variables = {v["name"]: v.get("value") for v in container.get("env", ())}
        for name, value in MULTICAST_OFF.items():
            self.expect(variables.get(name) == value, "multicast", workload, f"{name} is not {value}")
        memory = [v["name"] for v in pod["volumes"] if v.get("emptyDir", {}).get("medium") == "Memory"]
        mounted = any(m["mountPath"] == "/dev/shm" and m["name"] in memory for m in container["volumeMounts"])
        self.expect(mounted, "shared-memory", workload, "no memory volume at /dev/shm")
        config = self.configuration("cogwheel-worker-config")
        ranks = config.get("ranks", 1)
        mesh = config.get("cfg_parallel", 1) * config.get("ring", 1) * config.get("ulysses", 1)
        pods = workload["spec"].get("leaderWorkerTemplate", {}).get("size", 1)
        self.expect(ranks * pods == mesh, "mesh", workload, f"{pods} x {ranks} ranks for a mesh of {mesh}")
        gpus = container["resources"]["limits"].get("nvidia.com/gpu")
        self.expect(gpus is None or int(gpus) == ranks, "gpus", workload, f"{gpus} GPUs for {ranks} ranks")
        self.expect(len(container["ports"]) == ranks, "rank-ports", workload, f"{len(container['ports'])} ports for {ranks} ranks")
        host, _, port = config.get("frontend", "").rpartition(":")
        reached = [s for s in self.of_kind("Service") if s["metadata"]["name"] == host]
        known = reached and int(port) in {p["port"] for p in reached[0]["spec"]["ports"]}
        self.expect(known, "frontend-address", workload, f"{host}:{port} is no port of a Service")

    def matching(self, selector):
        return [(w, t) for w, t in self.workloads if selector.items() <= t["metadata"]["labels"].items()]

    def check_selectors(self):
        for workload, template in self.workloads:
            wanted = workload["spec"].get("selector", {}).get("matchLabels", {})
            self.expect(wanted.items() <= template["metadata"]["labels"].items(), "selector", workload, "not its own pods")
            service = workload["spec"].get("serviceName")
            known = {s["metadata"]["name"] for s in self.of_kind("Service")}
            self.expect(service is None or service in known, "service-name", workload, f"{service} does not exist")
        for service in self.of_kind("Service"):
            reached = self.matching(service["spec"]["selector"])
            self.expect(reached, "selector", service, "selects no pod")
            ports = {p["name"] for _, t in reached for c in t["spec"]["containers"] for p in c["ports"]}
            for port in service["spec"]["ports"] if reached else ():
                self.expect(port["targetPort"] in ports, "target-port", service, port["targetPort"])
        for budget in self.of_kind("PodDisruptionBudget"):
            wanted = dict(budget["spec"]["selector"]["matchLabels"])
            wanted.pop("leaderworkerset.sigs.k8s.io/worker-index", None)
            self.expect(self.matching(wanted), "disruption-budget", budget, "selects no pod")
            self.expect(budget["spec"].get("maxUnavailable") != 0, "disruption-budget", budget, "nothing may ever move")
        covered = {b["metadata"]["name"] for b in self.of_kind("PodDisruptionBudget")}
        for workload, _ in self.workloads:
            self.expect(workload["metadata"]["name"] in covered, "disruption-budget", workload, "has none")

    def check_frontend(self):
        for workload, _ in self.workloads:
            claims = workload["spec"].get("volumeClaimTemplates", ())
            if "frontend" not in workload["metadata"]["name"]:
                continue
            self.expect(workload["spec"]["replicas"] == 1, "one-frontend", workload, "the store is one process's")
            modes = [m for c in claims for m in c["spec"]["accessModes"]]
            self.expect(modes == ["ReadWriteOncePod"], "claim-mode", workload, f"{modes}")
            config = self.configuration("cogwheel-frontend-config")
            safe = config.get("allow_plaintext") or (config.get("tls_certificate") and config.get("internal_tls_certificate"))
            self.expect(safe, "plaintext", workload, "listens beyond loopback without TLS")

    def check_monitors(self):
        names = {p["name"] for _, t in self.workloads for c in t["spec"]["containers"] for p in c["ports"]}
        for monitor in self.of_kind("ServiceMonitor", "PodMonitor"):
            ends = monitor["spec"].get("endpoints") or monitor["spec"].get("podMetricsEndpoints")
            self.expect(monitor["spec"].get("sampleLimit"), "sample-limit", monitor, "has none")
            for end in ends:
                self.expect(end["port"] in names, "monitor-port", monitor, end["port"])
            labels = monitor["spec"]["selector"]["matchLabels"].items()
            sources = [s["metadata"]["labels"] for s in self.of_kind("Service")]
            if monitor["kind"] == "PodMonitor":
                sources = [t["metadata"]["labels"] for _, t in self.workloads]
            self.expect(any(labels <= s.items() for s in sources), "monitor-selector", monitor, "selects nothing")

    def check_network(self):
        policies = self.of_kind("NetworkPolicy")
        denies = [p for p in policies if p["spec"]["podSelector"] == {} and set(p["spec"]["policyTypes"]) == {"Ingress", "Egress"}
                  and not p["spec"].get("ingress") and not p["spec"].get("egress")]
        self.expect(denies, "default-deny", self.documents[0], "no policy denies by default")
        for policy in policies:
            wanted = policy["spec"]["podSelector"].get("matchLabels")
            self.expect(not wanted or self.matching(wanted), "policy-selector", policy, "selects no pod")
            for rule in policy["spec"].get("ingress") or ():
                self.expect(rule.get("from"), "policy-open", policy, "lets everybody in")

    def check_scaling(self):
        for scaled in self.of_kind("ScaledObject"):
            spec, target = scaled["spec"], scaled["spec"]["scaleTargetRef"]
            known = {(w["kind"], w["metadata"]["name"]) for w, _ in self.workloads}
            self.expect((target.get("kind"), target["name"]) in known, "scale-target", scaled, f"{target['name']} does not exist")
            self.expect(spec.get("minReplicaCount", 0) >= 1, "scale-minimum", scaled, "below one group")
            for trigger in spec["triggers"]:
                ignored = trigger["metadata"].get("ignoreNullValues", "true")
                self.expect(ignored == "false", "scale-null", scaled, "reads a dead Prometheus as no load")

    def level(self):
        for space in self.of_kind("Namespace"):
            return space["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
        return None

    def check_namespaces(self):
        spaces = {s["metadata"]["name"] for s in self.of_kind("Namespace")}
        for document in self.documents:
            if document["kind"] != "Namespace":
                self.expect(document["metadata"].get("namespace") in spaces, "namespace", document, "in none of ours")
        self.expect(self.level() in ("restricted", "privileged"), "pod-security", self.documents[0], f"{self.level()}")


def main():
    crds, bad = load_crds(), 0
    if not crds:
        print(f"note: custom resources are not checked, {CRD_FOLDER} is not there", file=sys.stderr)
    for path in sys.argv[1:]:
        with open(path) as f:
            faults = Checker([d for d in yaml.safe_load_all(f) if d], crds).faults()
        for fault in faults:
            print("{}: {} {}: {}".format(path, *fault))
        bad += len(faults)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
