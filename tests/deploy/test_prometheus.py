"""deploy/prometheus: what promtool says of it, tests of each alert, and that its names exist."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ingest import problems
from tests.deploy.files import DEPLOY, compose, instructions, of_kind
from tests.deploy.promtool import find_promtool
from tests.deploy.scraped import OF_OTHERS, names_in
from tests.documents import read, table_rows

FOLDER: Final = DEPLOY / "prometheus"
TESTS: Final = Path(__file__).with_name("alerts_test.yml")


def parsed(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def alerts() -> list[dict[str, Any]]:
    (group,) = parsed(FOLDER / "alerts.yml")["groups"]
    return list(group["rules"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies of configuration, alerts and their tests, side by side."""
    for path in (FOLDER / "alerts.yml", FOLDER / "prometheus.yml", TESTS):
        shutil.copy(path, tmp_path)
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    mounted = "/etc/prometheus/alerts.yml"
    assert f"./prometheus/alerts.yml:{mounted}:ro" in compose()["services"]["prometheus"]["volumes"]
    (tmp_path / "prometheus.yml").write_text(text.replace(mounted, "alerts.yml"), encoding="utf-8")
    return tmp_path


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_promtool(), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_configuration_and_rules_are_valid(folder: Path) -> None:
    done = promtool(folder, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


def test_each_alert_fires_when_it_should(folder: Path) -> None:
    done = promtool(folder, "test", "rules", TESTS.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_their_tests_can_fail(folder: Path) -> None:
    rules = folder / "alerts.yml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(text.replace("lag_seconds) > 60", "lag_seconds) > 600"), encoding="utf-8")
    done = promtool(folder, "test", "rules", TESTS.name)
    assert done.returncode == 1
    assert "alertname: BookendedLag" in done.stdout + done.stderr


def test_each_alert_is_tested_and_described() -> None:
    names = [alert["alert"] for alert in alerts()]
    tested = {
        test["alertname"]
        for group in parsed(TESTS)["tests"]
        for test in group.get("alert_rule_test", ())
        if test.get("exp_alerts")
    }
    assert tested == set(names)
    rows = table_rows(read("docs/operations.md").section("Alerts"))
    assert [row[0].strip("`") for row in rows][1:] == names
    for alert in alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["summary"].endswith(".")


def test_every_metric_is_one(scraped: frozenset[str]) -> None:
    for alert in alerts():
        names = names_in(alert["expr"])
        assert names
        assert names <= scraped | OF_OTHERS, alert["alert"]


def test_metrics_are_found_in_queries() -> None:
    query = 'sum by (le, a) (rate(b_c{d=~"e|f"}[5m])) / on (g) time() > 2 or up unless h offset 5m'
    assert names_in(query.replace("offset 5m", "")) == {"b_c", "up", "h"}


def test_the_reasons_of_server_errors_are_all_that_give_5xx() -> None:
    answers = problems._ANSWERS
    expected = {a.reason for e, a in answers.items() if a.status >= 500} - {"log"} | {"defect"}
    expected |= {reason for reason in problems.REASONS if reason.startswith("log_")}
    (alert,) = (alert for alert in alerts() if alert["alert"] == "BookendedServerErrors")
    for pattern in re.findall(r'reason=~"([^"]+)"', alert["expr"]):
        assert {r for r in problems.REASONS if re.fullmatch(pattern, r)} == expected


def test_what_is_scraped_is_what_compose_runs() -> None:
    services = compose()["services"]
    (port,) = instructions("EXPOSE", stage=2)
    jobs = {job["job_name"]: job for job in parsed(FOLDER / "prometheus.yml")["scrape_configs"]}
    (collector,) = jobs["bookended-collector"]["dns_sd_configs"]
    assert (collector["names"], str(collector["port"])) == (["collector"], port)
    processors = jobs["bookended-processor"]["static_configs"][0]["targets"]
    assert processors == [f"{name}:{port}" for name in services if name.startswith("processor-")]
    (node,) = jobs["node"]["static_configs"][0]["targets"]
    assert node.partition(":")[0] in services


def test_what_is_scraped_in_a_cluster_is_what_runs_there() -> None:
    """All but the explorer, which has no metrics."""
    pods = {m["metadata"]["name"]: m for m in of_kind("Deployment", "StatefulSet")}
    del pods["explorer"]
    jobs = parsed(FOLDER / "kubernetes.yml")["scrape_configs"]
    assert [job["job_name"] for job in jobs] == [f"bookended-{name}" for name in pods]
    for job, maker in zip(jobs, pods.values(), strict=True):
        of_pod = maker["spec"]["template"]["metadata"]
        assert job["kubernetes_sd_configs"][0]["namespaces"]["names"] == [
            maker["metadata"]["namespace"]
        ]
        kept = [rule for rule in job["relabel_configs"] if rule.get("action") == "keep"]
        for rule, (kind, name) in zip(
            kept,
            (("labels", "app.kubernetes.io/component"), ("annotations", "prometheus.io/scrape")),
            strict=True,
        ):
            written = re.sub(r"[./]", "_", name)
            assert rule["source_labels"] == [f"__meta_kubernetes_pod_{kind[:-1]}_{written}"]
            assert rule["regex"] == of_pod[kind][name]
