"""Draws the dashboards as deploy/grafana/*.svg from the data of a server under load: small line charts, no Grafana.
`python3 pictures.py`"""

import html
import json
import time
import unittest
import urllib.parse

import dashboards
import dashboards_test
import live

WIDE, HIGH, COLUMNS = 300, 120, 3
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")


def chart(title, unit, series, x, y):
    """One panel; series: [(label, [(second, value)])]."""
    points = [p for _, line in series for p in line]
    parts = [f'<g transform="translate({x},{y})"><rect width="{WIDE - 10}" height="{HIGH - 10}" fill="#fff" stroke="#ccc"/>',
             f'<text x="6" y="14" font-weight="bold">{html.escape(title)}</text>']
    if points:
        first, last = min(p[0] for p in points), max(p[0] for p in points)
        top = max(p[1] for p in points) or 1
        place = lambda p: f"{8 + (WIDE - 26) * (p[0] - first) / max(1, last - first):.1f},{HIGH - 34 - 54 * max(0, p[1]) / top:.1f}"
        for k, (_, line) in enumerate(series[:6]):
            drawn = " ".join(map(place, line))
            parts.append(f'<polyline points="{drawn}" fill="none" stroke="{COLORS[k]}" stroke-width="1.5"/>')
        parts.append(f'<text x="{WIDE - 16}" y="14" text-anchor="end">max {top:.3g} {unit}</text>')
        names = ", ".join(label for label, _ in series[:6] if label)
        parts.append(f'<text x="6" y="{HIGH - 16}">{html.escape(names[:58])}</text>')
    return "".join(parts) + "</g>"


class Pictures(live.LiveTest):
    def range_of(self, query, begin, end):
        url = f"{self.prometheus}/api/v1/query_range?" + urllib.parse.urlencode(
            {"query": query, "start": begin, "end": end, "step": 1})
        found = json.loads(live.fetch(url))["data"]["result"]
        names = ("method", "code", "stage", "op", "state", "outcome", "tenant", "reason", "rank")
        return [(" ".join(r["metric"][n] for n in names if n in r["metric"]),
                 [(float(t), float(v)) for t, v in r["values"] if v not in ("NaN", "+Inf")]) for r in found]

    def test_draw(self):
        self.start_everything()
        begin = time.time()
        self.load(20).join()
        end = time.time()
        for given in dashboards.BOARDS:
            charts = []
            for k, (title, unit, _, query) in enumerate(given[2]):
                series = self.range_of(dashboards_test.substitute(dashboards.expression(query)), begin, end)
                charts.append(chart(title, unit, series, WIDE * (k % COLUMNS), HIGH * (k // COLUMNS)))
            rows = -(-len(charts) // COLUMNS)
            with open(dashboards.path_of(given).replace(".json", ".svg"), "w") as f:
                f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE * COLUMNS}" height="{HIGH * rows}" '
                        'font-family="sans-serif" font-size="10">\n' + "\n".join(charts) + "\n</svg>\n")


if __name__ == "__main__":
    unittest.main()
