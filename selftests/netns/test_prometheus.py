# SPDX-License-Identifier: GPL-2.0
"""A real Prometheus reads waymarkd's metrics, and the alerts of contrib/ fire."""
import contextlib
import http.client
import json
import shutil
import urllib.parse

import pytest
import yaml
from netns import wait_for
from test_scrape import PORT, balances
from waymark import ROOT, Balancer


class Prometheus:
    """In the balancer's namespace, with the alerts of contrib/, which fire without delay here."""

    port = 9090

    def __init__(self, net):
        self.net = net
        directory = net.dir / "prometheus"
        directory.mkdir()
        rules = yaml.safe_load((ROOT / "contrib/prometheus/waymark.rules.yml").read_text(encoding="utf-8"))
        for group in rules["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.pop("for", None)
        (directory / "rules.yml").write_text(json.dumps(rules), encoding="utf-8")
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                  "rule_files": ["rules.yml"],
                  "scrape_configs": [{"job_name": "waymark", "static_configs": [{"targets": [f"127.0.0.1:{PORT}"]}]}]}
        (directory / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
        self.process = net.lb.start(["prometheus", f"--config.file={directory}/prometheus.yml",
                                     f"--storage.tsdb.path={directory}/data",
                                     f"--web.listen-address=127.0.0.1:{self.port}"])

    def api(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with self.net.lb.entered():
            connection.connect()
        with contextlib.closing(connection):
            connection.request("GET", f"/api/v1/{path}")
            return json.load(connection.getresponse())["data"]

    def query(self, expression):
        """Values by labels."""
        found = self.api("query?query=" + urllib.parse.quote(expression))["result"]
        return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in found}

    def alerts(self):
        return {alert["labels"]["alertname"]: alert["labels"] for alert in self.api("alerts")["alerts"]
                if alert["state"] == "firing"}


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_it_scrapes_and_fires(make_topology):
    net = make_topology(reals=1, vips=1)
    balancer = Balancer(net, offload="none", attach="once", metrics={"listen": PORT}).start()
    prometheus = Prometheus(net)
    try:
        wait_for(lambda: prometheus.query("up") and set(prometheus.query("up").values()) == {1.0}, "a scrape", 60)
        balances(balancer)
        sent = balancer.sent()[0]
        wait_for(lambda: prometheus.query('sum(waymark_packets_total{action="tx"})')[()] >= sent, "the packets", 60)
        # It takes OpenMetrics, and knows what the families are.
        targets = prometheus.api("targets")["activeTargets"]
        assert [target["lastError"] for target in targets] == [""]
        about = prometheus.api("metadata")
        assert about["waymark_real_bytes"][0]["type"] == "counter"
        assert about["waymark_real_live_flows"][0]["type"] == "gauge"
        assert prometheus.alerts() == {}
        net.lb.ip("link set dev eth0 xdp off")
        fired = wait_for(lambda: prometheus.alerts().get("WaymarkInterfaceNotServed"), "the alert", 60)
        assert fired["interface"] == "eth0" and fired["severity"] == "critical"
        balancer.stop()
        wait_for(lambda: "WaymarkNotScraped" in prometheus.alerts(), "the other alert", 60)
    finally:
        prometheus.process.stop()
