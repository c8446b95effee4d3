"""Holds the tables of docs/api.md to the sources: every reason of an error with its codes and retry hint, the role of every RPC."""

import os
import re
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
GUIDE = "docs/api.md"
# Where a reason can be written: in files that see what makes a status, or what both ends of the ranks' protocol share.
ROOMS = ("server", "proto/contract", "worker")
SEES_REASONS = re.compile(r'#include "proto/contract/(status|violations|protocol)\.h"')
MAKES_ERRORS = re.compile(r"\b(MakeError|MakeInvalidArgument|Violations)\b")
SHARED = ("proto/contract/protocol.h",)
# Words in capitals that are no reasons.
NO_REASONS = {
    "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "EXPIRED",  # states of jobs
    "COMMIT", "ROLLBACK",  # SQL
    "OTHER",  # a label of metrics
}
# Of a status that came from elsewhere, of whatever code a rank reports, or chosen by a condition.
CODE_FROM_ELSEWHERE = {"INTERNAL", "JOB_FAILED", "NOT_FINITE", "OUT_OF_STEP", "BAD_REPORT", "STORE_FULL"}
# What the guide says in numbers, and the line of the sources that makes it true.
NUMBERS = [
    ("17 MiB, with an image of up to 16 MiB, 8192 pixels a side, 33 megapixels", {
        "proto/contract/validate.h": ["kMaxReceiveBytes = 17 * 1024 * 1024;"],
        "proto/contract/image_header.h": ["kMaxImageBytes = 16 * 1024 * 1024;", "kMaxImageSide = 8192;", "kMaxImagePixels = 33'000'000;"]}),
    ("64 MiB, in pieces of at most 256 KiB", {"proto/contract/validate.h": ["kMaxInputBytes = 64 * 1024 * 1024;"]}),
    ("for 24 hours after its last use", {"server/job/input_rows.h": ["kInputLife{24};"]}),
    ("16 KiB each", {"proto/contract/validate.h": ["kMaxPromptBytes = 16 * 1024;"]}),
    ("1 to 200, 0 to 50, 1 to 120, 0 to 9", {
        "proto/contract/validate.cc": ["kMaxFps = 120, kMaxSteps = 200, kMaxPriority = 9;", "kMaxGuidance = 50;"]}),
    ("over 0, up to 7 days", {"proto/contract/validate.h": ["kMaxDeadlineSeconds = 7 * 24 * 3600;"]}),
    ("16, keys of 1 to 63 bytes, values up to 255", {
        "proto/contract/validate.cc": ["kMaxLabels = 16;", "kMaxLabelKeyBytes = 63, kMaxLabelValueBytes = 255;"]}),
    ("128 bytes each", {"proto/contract/validate.cc": ["kMaxRequestIdBytes = 128, kMaxModelNameBytes = 128;"]}),
    ("256 KiB, 1 MiB", {"proto/contract/validate.h": ["kMaxChunkBytes = 256 * 1024;"],
                        "server/dispatch/dispatcher.cc": ["kMaxPreviewBytes = 1024 * 1024;"]}),
    ("1000 jobs or 2 MiB", {"server/api/video_service.cc": ["kDefaultPage = 50, kMaxPage = 1000;", "kMaxPageBytes = 2 * 1024 * 1024;"]}),
    ("newest first, 50 a page", {"server/api/video_service.cc": ["kDefaultPage = 50,"]}),
    ("256; 1 GiB; 24 hours of work", {
        "server/settings.cc": ["set_max_queued_jobs(256);", "set_max_queued_bytes(int64_t{1} << 30);", "set_max_queued_seconds(86'400);"]}),
    ("5000 a second, 10,000 at once", {"server/settings.cc": ["set_max_calls_per_second(5000);", "set_max_call_burst(10'000);"]}),
    ("256 calls at a time; keep-alive pings at most every 5 s", {
        "server/api/grpc_server.cc": ["kMaxStreams = 256;", "kShortestPingIntervalMs = 5'000;"]}),
    ("1024, of one tenant its part by weight, 16 of them downloads", {
        "server/settings.cc": ["set_max_streams(1024);", "set_max_tenant_downloads(16);"]}),
    ("15 seconds (`--holder-grace-seconds`)", {"server/settings.cc": ["set_holder_grace_seconds(15);"]}),
    ("of one host 60 and then one a second", {"server/api/operate_service.cc": [".per_second = 1, .burst = 60"]}),
    ("16 KiB of metadata", {"server/api/grpc_server.h": ["kMaxMetadataBytes = 16 * 1024;"]}),
    ("168 hours", {"server/settings.cc": ["set_result_hours(7 * 24);"]}),
    ("100 GiB", {"server/settings.cc": ["set_max_result_bytes(int64_t{100} << 30);"]}),
    ("its part of 10,000", {"server/settings.cc": ["set_max_kept_jobs(10'000);"]}),
    ("known for 24 hours", {"server/dispatch/janitor.cc": ["kKeyAge{24};"]}),
    ("about six times an attempt", {"worker/rpc/wire_orders.cc": ["kPreviewsPerJob = 6;"]}),
    ("1024 events or 4 MiB of a job, and of the 64 jobs", {
        "server/events/event_log.h": ["events = 1024;", "bytes = 4 * 1024 * 1024;", "finished_jobs = 64;"]}),
    ("else every 30 s", {"server/events/job_announcer.cc": ["kLongestSilence{30};"]}),
    ("took nothing for 30 s", {"server/settings.cc": ["set_stalled_stream_seconds(30);"]}),
    ("lost three times", {"server/dispatch/running_job.cc": ["kMaxCharges = 3;"]}),
    ("64 groups with ranks already, or 256 names", {"server/groups/rank_groups.cc": ["kMaxGroups = 64;", "kMaxNames = 256;"]}),
]
WORD = r'"([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*)"'


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def sources(*rooms):
    """(path, text without comments) of each C++ file."""
    for room in rooms:
        for folder, _, names in os.walk(os.path.join(ROOT, room)):
            for name in sorted(names):
                if name.endswith((".h", ".cc")):
                    path = os.path.relpath(os.path.join(folder, name), ROOT)
                    yield path, re.sub(r"//.*", "", read(path))


def upper(code):
    """kNotFound -> NOT_FOUND"""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code.removeprefix("k")).upper()


def tables():
    """The rows under each table's first head: {head: [cells]}."""
    found, head = {}, None
    for line in read(GUIDE).splitlines():
        if not line.startswith("|"):
            head = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells[0]
        elif not set(cells[0]) <= set("-"):
            found.setdefault(head, []).append(cells)
    return found


def codes_of_reasons(texts):
    """{reason: codes}, as far as they stand beside the reason where it is made."""
    found = {}

    def add(reason, code):
        found.setdefault(reason, set()).add(code)

    constants = dict(re.findall(r'\b(k\w+)\[\] = "([A-Z_]+)"', "".join(text for _, text in texts)))
    for _, text in texts:
        for code, reason, constant in re.findall(rf"absl::StatusCode::(k\w+),\s*(?:{WORD}|(k[A-Z]\w+)\b)", text):
            if reason or constant in constants:
                add(reason or constants[constant], upper(code))
        for reason in re.findall(rf"(?:\.Add|CheckRange|MakeInvalidArgument)\(\s*{WORD}", text):
            add(reason, "INVALID_ARGUMENT")
        for arguments in re.findall(r"(?:CheckFixed|\bcheck)\(([^;]*?)\);", text):
            for reason in re.findall(WORD, arguments):
                add(reason, "INVALID_ARGUMENT")
        for first, second in re.findall(rf"MakeInvalidArgument\(\w+ \? {WORD} : {WORD}", text):
            add(first, "INVALID_ARGUMENT")
            add(second, "INVALID_ARGUMENT")
        for helper, code in (("Refuse", "RESOURCE_EXHAUSTED"), ("Enough", "RESOURCE_EXHAUSTED"), ("Unauthenticated", "UNAUTHENTICATED")):
            for reason in re.findall(rf"\b{helper}\(\s*{WORD}", text):
                add(reason, code)
        for constant in re.findall(r"\bUnavailable\((k\w+)", text):
            add(constants[constant], "UNAVAILABLE")
    return found


class ApiGuide(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        every = list(sources(*ROOMS))
        cls.texts = [(path, text) for path, text in every if SEES_REASONS.search(text) or path in SHARED]
        cls.blind = [(path, text) for path, text in every if (path, text) not in cls.texts]
        cls.rows = {row[0]: row for row in tables()["reason"]}

    def test_every_reason_of_the_sources_is_in_the_table(self):
        written = {word for _, text in self.texts for word in re.findall(WORD, text)}
        self.assertEqual(sorted(written - NO_REASONS), sorted(self.rows))
        self.assertEqual(len(tables()["reason"]), len(self.rows), "a reason stands twice")

    def test_errors_are_made_where_this_test_looks(self):
        makers = ("proto/contract/status.h", "proto/contract/violations.h")
        self.assertEqual([], [path for path, text in self.blind if MAKES_ERRORS.search(text) and path not in makers])

    def test_codes_are_those_of_the_sources(self):
        found = codes_of_reasons(self.texts)
        unknown = set(self.rows) - set(found) - CODE_FROM_ELSEWHERE
        self.assertEqual(set(), unknown, "reasons whose code this test does not find")
        for reason, codes in found.items():
            if reason not in CODE_FROM_ELSEWHERE:
                self.assertEqual(codes, set(self.rows[reason][1].split(", ")), reason)

    def test_hints_are_those_of_the_sources(self):
        hinted = set()
        for _, text in self.texts:
            for made in re.findall(r"WithRetryAfter\((.*?);", text, re.DOTALL):
                hinted |= set(re.findall(WORD, made))
            if re.search(r"WithRetryAfter\(\s*MakeError\(absl::StatusCode::kResourceExhausted, reason", text):  # Refuse, Enough
                hinted |= set(re.findall(rf"\b(?:Refuse|Enough)\(\s*{WORD}", text))
        self.assertEqual(sorted(hinted), sorted(reason for reason, row in self.rows.items() if "hint" in row[2]))

    def test_retries_are_of_known_words(self):
        self.assertEqual([], [row for row in self.rows.values() if not set(row[2].split(", ")) <= {"hint", "yes", "new", "no"}])

    def test_roles_are_those_of_the_sources(self):
        rules = dict(re.findall(r'Rule\{"(\w+)", "(\w+)"\}', read("server/api/access.cc")))
        self.assertEqual(rules, dict(row[:2] for row in tables()["RPC"]))
        proto = read("proto/cogwheel/v1/video_service.proto")
        operate = set(re.findall(r"^  rpc (\w+)\(", read("proto/cogwheel/v1/operate_service.proto"), re.MULTILINE))
        self.assertEqual(set(rules) - operate, set(re.findall(r"^  rpc (\w+)\(", proto, re.MULTILINE)))
        self.assertEqual({"operate"}, {rules[rpc] for rpc in operate})
        for role in ("submit", "read", "operate"):  # the comment above the service says the same
            named = re.search(rf"^//   {role}: (.*)$", proto, re.MULTILINE).group(1)
            self.assertEqual({rpc for rpc, needed in rules.items() if needed == role} - operate, set(named.split(", ")))

    def test_numbers_are_those_of_the_sources(self):
        guide = " ".join(read(GUIDE).split())
        self.assertEqual([], [said for said, _ in NUMBERS if said not in guide])
        self.assertEqual([], [(said, line) for said, sources_ in NUMBERS for path, lines in sources_.items() for line in lines
                              if line not in read(path)])

    def test_paths_are_those_of_the_admin_port(self):
        self.assertEqual(sorted(re.findall(r'server_\.Add\("([^"]+)"', read("base/admin_server.cc"))),
                         sorted(row[0].strip("`") for row in tables()["path"]))

    def test_events_are_those_of_the_contract(self):
        proto = read("proto/cogwheel/v1/video_service.proto")
        oneof = re.search(r"oneof event \{(.*?)\n  \}", proto, re.DOTALL).group(1)
        named = {word for row in tables()["event"] for word in re.findall(r"`(\w+)`", row[0])}
        self.assertEqual(set(re.findall(r"^    \w+ (\w+) =", oneof, re.MULTILINE)), named)


if __name__ == "__main__":
    unittest.main()
