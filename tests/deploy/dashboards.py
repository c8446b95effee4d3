"""Makes deploy/grafana/*.json from the panels below. `python3 dashboards.py` rewrites them; dashboards_test.py compares."""

import json
import os

from tools import DEPLOY

SELECT = 'job=~"$job", instance=~"$instance"'
# title, unit, description, query; in queries {s} is the selection by job and instance, {m} that and the model.
SERVICE = ("cogwheel-service", "Cogwheel: service", [
    ("Calls started", "reqps", "RPCs a second by method.", "sum by (method) (rate(cogwheel_api_rpcs_started_total{s}[$__rate_interval]))"),
    ("Calls ended, by code", "reqps", "Status codes of ended RPCs.", "sum by (code) (rate(cogwheel_api_rpcs_handled_total{s}[$__rate_interval]))"),
    ("Call duration, 95th percentile", "s", "By method; streams last as long as their job.",
     "histogram_quantile(0.95, sum by (method, le) (rate(cogwheel_api_rpc_duration_seconds_bucket{s}[$__rate_interval])))"),
    ("Streams being served", "short", "Open reactors.", "cogwheel_api_live_reactors{s}"),
    ("Bytes sent", "Bps", "Results and events to clients, by method.", "sum by (method) (rate(cogwheel_api_sent_bytes_total{s}[$__rate_interval]))"),
    ("Jobs refused", "reqps", "By reason.", "sum by (reason) (rate(cogwheel_queue_jobs_rejected_total{s}[$__rate_interval]))"),
    ("Oldest queued job", "s", "Its age, by model. The alert is at 1,800 s.", "max by (model) (cogwheel_queue_oldest_age_seconds{m})"),
    ("Wait for a group, 95th percentile", "s", "From acceptance to start.",
     "histogram_quantile(0.95, sum by (model, le) (rate(cogwheel_queue_wait_seconds_bucket{m}[$__rate_interval])))"),
    ("Job duration, median", "s", "From start to end, by outcome.",
     "histogram_quantile(0.5, sum by (outcome, le) (rate(cogwheel_dispatch_job_duration_seconds_bucket{m}[$__rate_interval])))"),
    ("Commit of the store, 99th percentile", "s", "Each submit waits for one. The alert is at 0.5 s.",
     "histogram_quantile(0.99, sum by (instance, le) (rate(cogwheel_store_commit_duration_seconds_bucket{s}[$__rate_interval])))"),
    ("Ready", "bool", "1 while a job submitted now would start.", "cogwheel_ready{s}"),
])
GROUP = ("cogwheel-group", "Cogwheel: group and ranks", [
    ("Groups formed", "bool", "1 while a group is formed.", "cogwheel_dispatch_group_up{s}"),
    ("Epoch", "none", "Grows with each formation.", "cogwheel_dispatch_group_epoch{s}"),
    ("Formations", "short", "In the last 30 minutes.", "increase(cogwheel_dispatch_group_formations_total{s}[30m])"),
    ("Since the last step", "s", "Grows while a group is idle, too.", "time() - cogwheel_dispatch_group_last_step_timestamp_seconds{s}"),
    ("Work that waits", "s", "Estimated seconds of queued and running jobs.", "cogwheel_queue_gpu_seconds{m}"),
    ("Stage duration, median", "s", "Of a job's stages, seen from the frontend.",
     "histogram_quantile(0.5, sum by (stage, le) (rate(cogwheel_dispatch_stage_duration_seconds_bucket{m}[$__rate_interval])))"),
    ("Steps", "ops", "Denoising steps a second, by rank.", "sum by (group, rank) (rate(cogwheel_pipeline_steps_total{m}[$__rate_interval]))"),
    ("Step duration, 95th percentile", "s", "By rank.",
     "histogram_quantile(0.95, sum by (rank, le) (rate(cogwheel_pipeline_step_duration_seconds_bucket{m}[$__rate_interval])))"),
    ("Busy", "percentunit", "Share of time on jobs, by stage and rank.",
     "sum by (stage, rank) (rate(cogwheel_pipeline_busy_seconds_total{s}[$__rate_interval]))"),
    ("Bytes between ranks", "Bps", "Sent to other ranks, by exchange.",
     "sum by (op, rank) (rate(cogwheel_parallel_collective_bytes_total{s}[$__rate_interval]))"),
    ("Operations of the model", "flops", "Floating-point operations a second in denoising steps, by rank.",
     "sum by (group, rank) (rate(cogwheel_pipeline_operations_total{m}[$__rate_interval]))"),
    ("Model FLOPs utilization", "percentunit", "Those over the device's peak; on a device that Cogwheel does not know, --device-peak-teraflops says it.",
     "sum by (group, rank) (rate(cogwheel_pipeline_operations_total{m}[$__rate_interval]))"
     " / sum by (group, rank) (cogwheel_device_peak_operations{s})"),
    ("Waiting for other ranks", "percentunit", "Share of the time in denoising steps, by rank.",
     "sum by (group, rank) (rate(cogwheel_parallel_step_wait_seconds_total{m}[$__rate_interval]))"
     " / sum by (group, rank) (rate(cogwheel_pipeline_step_duration_seconds_sum{m}[$__rate_interval]))"),
    ("Agreement on steps, 95th percentile", "s", "Wait until all ranks agreed on the next step.",
     "histogram_quantile(0.95, sum by (group, le) (rate(cogwheel_pipeline_step_agreement_seconds_bucket{s}[$__rate_interval])))"),
    ("Collectives broken off", "short", "In the last 30 minutes, by reason: a rank was lost, hung or failed in a job.",
     "sum by (group, reason) (increase(cogwheel_parallel_collective_aborts_total{s}[30m]))"),
    ("Results refused", "short", "Of older attempts, in the last 30 minutes.",
     "sum by (group) (increase(cogwheel_dispatch_fenced_commits_total{s}[30m]))"),
    ("Cold start", "s", "From a rank's start until its group had formed.", "cogwheel_launch_cold_start_seconds{s}"),
])
TENANTS = ("cogwheel-tenants", "Cogwheel: tenants and capacity", [
    ("Jobs accepted", "reqps", "By tenant.", 'sum by (tenant) (rate(cogwheel_queue_jobs_accepted_total{t}[$__rate_interval]))'),
    ("Jobs ended", "reqps", "By tenant and outcome.", 'sum by (tenant, outcome) (rate(cogwheel_dispatch_jobs_finished_total{t}[$__rate_interval]))'),
    ("Jobs in the queue", "short", "By state.", "sum by (state) (cogwheel_queue_jobs{m})"),
    ("Room in the queue", "percentunit", "Queued jobs over the limit.",
     'sum by (instance) (cogwheel_queue_jobs{q}) / sum by (instance) (cogwheel_queue_limit_jobs{s})'),
    ("Work against its limit", "percentunit", "Estimated seconds over the limit.",
     "sum by (instance) (cogwheel_queue_gpu_seconds{s}) / sum by (instance) (cogwheel_queue_limit_gpu_seconds{s})"),
    ("Bytes of queued jobs", "bytes", "Prompts and images.", "cogwheel_queue_bytes{s}"),
    ("Prediction error, median", "none", "Measured over predicted time of a job.",
     "histogram_quantile(0.5, sum by (model, le) (rate(cogwheel_dispatch_cost_error_ratio_bucket{m}[$__rate_interval])))"),
    ("Results on disk", "bytes", "As last swept.", "cogwheel_store_artefact_bytes{s}"),
    ("Free on disk", "bytes", "The alert looks 4 hours ahead.", "cogwheel_store_free_bytes{s}"),
    ("Database and its log", "bytes", "Size of the write-ahead log.", "cogwheel_store_wal_bytes{s}"),
])
BOARDS = (SERVICE, GROUP, TENANTS)
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def expression(query):
    for key, more in (("{s}", ""), ("{m}", ', model=~"$model"'), ("{t}", ', model=~"$model", tenant=~"$tenant"'),
                      ("{q}", ', state="queued"')):
        query = query.replace(key, "{" + SELECT + more + "}")
    return query


def panel(number, title, unit, description, query):
    return {"id": number + 1, "type": "timeseries", "title": title, "description": description, "datasource": SOURCE,
            "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
            "targets": [{"refId": "A", "datasource": SOURCE, "expr": expression(query)}]}


def variable(name, metric):
    query = f"label_values({metric}, {name})"
    return {"name": name, "label": name, "type": "query", "datasource": SOURCE, "query": query, "definition": query,
            "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}


def annotation(name, query):
    return {"name": name, "datasource": SOURCE, "enable": True, "expr": expression(query), "iconColor": "blue", "step": "15s"}


def board(uid, title, panels):
    return {
        "uid": uid, "title": title, "schemaVersion": 39, "editable": False, "tags": ["cogwheel"], "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"}, "timezone": "utc",
        "annotations": {"list": [annotation("epochs", "changes(cogwheel_dispatch_group_epoch{s}[1m]) > 0"),
                                 annotation("deployments", "count by (version) (cogwheel_build_info{s}) unless "
                                            "count by (version) (cogwheel_build_info{s} offset 1m)")]},
        "templating": {"list": [
            {"name": "datasource", "label": "data source", "type": "datasource", "query": "prometheus"},
            variable("job", "cogwheel_ready"), variable("instance", "cogwheel_ready"), variable("namespace", "cogwheel_ready"),
            variable("model", "cogwheel_queue_jobs_accepted_total"), variable("tenant", "cogwheel_queue_jobs_accepted_total")]},
        "panels": [panel(i, *p) for i, p in enumerate(panels)]}


def text_of(given):
    return json.dumps(board(*given), indent=1) + "\n"


def path_of(given):
    return os.path.join(DEPLOY, "grafana", f"{given[0]}.json")


if __name__ == "__main__":
    for given in BOARDS:
        with open(path_of(given), "w") as f:
            f.write(text_of(given))
