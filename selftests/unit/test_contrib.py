# SPDX-License-Identifier: GPL-2.0
"""contrib/: the alerts and the dashboard are good in themselves, and ask for metrics that there are."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "contrib/prometheus/waymark.rules.yml"
DASHBOARD = ROOT / "contrib/grafana/waymark.json"
PATIENCE = 60

ALERTS = [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
PANELS = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (package prometheus) is not installed")


def promtool(*words):
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def known():
    """Every metric: those of the manual, and those of the counters."""
    manual = (ROOT / "Documentation/man/waymark-metrics.8").read_text(encoding="utf-8")
    abi = (ROOT / "include/waymark/abi.h").read_text(encoding="utf-8")
    counters = re.findall(r"X\([A-Z_0-9]+, (\w+),", abi)
    return set(re.findall(r"^\.It Li (waymark_\w+)", manual, re.M)) | {f"waymark_{name}_total" for name in counters}


@needs_promtool
def test_promtool_checks_the_alerts():
    promtool("check", "rules", "--lint-fatal", RULES)


@needs_promtool
def test_alerts_fire_when_they_should(tmp_path):
    text = (ROOT / "selftests/unit/metrics/rules-test.yml").read_text(encoding="utf-8")
    (tmp_path / "test.yml").write_text(text.replace("RULES", str(RULES)), encoding="utf-8")
    promtool("test", "rules", tmp_path / "test.yml")


def test_alerts_say_what_to_do():
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS) > 8
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["annotations"]["summary"] and len(alert["annotations"]["description"]) > 60


def test_what_is_asked_for_is_there():
    names = known()
    assert len(names) > 50
    assert len(EXPRESSIONS) > 30
    for text in EXPRESSIONS + [alert["expr"] for alert in ALERTS]:
        asked = set(re.findall(r"\bwaymark_\w+", text))
        assert asked <= names, text
    for verdict in re.findall(r'verdict!?="(\w+)"', "\n".join(EXPRESSIONS + [alert["expr"] for alert in ALERTS])):
        assert f"`{verdict}`" in (ROOT / "Documentation/overview.md").read_text(encoding="utf-8")


@needs_promtool
def test_expressions_of_the_dashboard_parse(tmp_path):
    rules = [{"record": f"panel:{i}", "expr": text.replace("$__rate_interval", "5m")}
             for i, text in enumerate(EXPRESSIONS)]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", path)


def test_panels_do_not_cover_each_other():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
