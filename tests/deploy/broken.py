"""Manifests that must be refused: each is a good overlay with one change. (rule, overlay, object, path, new value); the
value REMOVE takes the key away, a function makes it of the old one. A path step of digits is a list's index, and a
ConfigMap's name is that before its hash."""

REMOVE = object()
FRONTEND, WORKER, GROUP = "StatefulSet/cogwheel-frontend", "StatefulSet/cogwheel-worker", "LeaderWorkerSet/cogwheel-worker"
POD = "spec/template/spec/"
BOX = POD + "containers/0/"
GROUP_BOX = "spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/"

BROKEN = [
    ("schema", "cpu-demo", FRONTEND, "spec/replica", 1),
    ("schema", "cpu-demo", FRONTEND, "spec/replicas", "one"),
    ("schema", "multi-node", GROUP, "spec/leaderWorkerTemplate/restartPolicy", "Always"),
    ("schema", "single-node", "PodMonitor/cogwheel-worker", "spec/podMetricsEndpoints/0/intervall", "15s"),
    ("selector", "cpu-demo", "Service/cogwheel", "spec/selector", {"app.kubernetes.io/name": "frontend"}),
    ("target-port", "cpu-demo", "Service/cogwheel-internal", "spec/ports/0/targetPort", "ranks"),
    ("probes", "single-node", WORKER, BOX + "startupProbe", REMOVE),
    ("probe-path", "cpu-demo", FRONTEND, BOX + "livenessProbe/httpGet/path", "/readyz"),
    ("limits", "cpu-demo", FRONTEND, BOX + "resources/limits", {"cpu": "1"}),
    ("gpu-guaranteed", "single-node", WORKER, BOX + "resources/requests/memory", "1Gi"),
    ("grace", "cpu-demo", FRONTEND, POD + "terminationGracePeriodSeconds", 39),
    ("grace", "multi-node", GROUP, "spec/leaderWorkerTemplate/workerTemplate/spec/terminationGracePeriodSeconds", 600),
    ("grace", "cpu-demo", WORKER, POD + "terminationGracePeriodSeconds", 624),
    ("grace", "single-node", "ConfigMap/cogwheel-worker-config", "data/worker.json",
     lambda text: text.replace('"shutdown_grace_seconds": 600', '"shutdown_grace_seconds": 900')),
    ("pre-stop", "keda", WORKER, BOX + "lifecycle/preStop/exec/command/1", "4"),
    ("read-only-root", "single-node", WORKER, BOX + "securityContext/readOnlyRootFilesystem", False),
    ("restricted", "single-node", WORKER, BOX + "securityContext/capabilities/add", ["IPC_LOCK"]),
    ("shared-memory", "single-node", WORKER, BOX + "volumeMounts/2/mountPath", "/dev/shn"),
    ("multicast", "multi-node", GROUP, GROUP_BOX + "env/2/value", "1"),
    ("claim-mode", "cpu-demo", FRONTEND, "spec/volumeClaimTemplates/0/spec/accessModes", ["ReadWriteMany"]),
    ("one-frontend", "single-node", FRONTEND, "spec/replicas", 2),
    ("disruption-budget", "single-node", "PodDisruptionBudget/cogwheel-worker", "spec/selector/matchLabels",
     {"app.kubernetes.io/name": "worker"}),
    ("default-deny", "cpu-demo", "NetworkPolicy/default-deny", "spec/policyTypes", ["Ingress"]),
    ("policy-open", "cpu-demo", "NetworkPolicy/frontend", "spec/ingress/0/from", REMOVE),
    ("monitor-port", "single-node", "ServiceMonitor/cogwheel-frontend", "spec/endpoints/0/port", "metrics"),
    ("scale-null", "keda", "ScaledObject/cogwheel-worker", "spec/triggers/0/metadata/ignoreNullValues", "true"),
    ("config-path", "single-node", FRONTEND, BOX + "volumeMounts/3/mountPath", "/etc/access"),
]


def find(documents, name):
    def name_of(thing):
        name = thing["metadata"]["name"]
        return f"{thing['kind']}/{name.rpartition('-')[0] if thing['kind'] == 'ConfigMap' else name}"
    return next(d for d in documents if name_of(d) == name)


def change(thing, path, value):
    *steps, last = [int(s) if s.isdigit() else s for s in path.split("/")]
    for step in steps:
        thing = thing[step]
    if value is REMOVE:
        del thing[last]
    else:
        thing[last] = value(thing[last]) if callable(value) else value
