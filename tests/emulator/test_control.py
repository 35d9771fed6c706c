"""The control API: what demos, drills and tests steer the emulated world with."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.emulator.cloudflare_calls import Cloud


def control(cloud: Cloud, method: str, path: str, body: object) -> httpx.Response:
    return cloud.http.request(method, f"{cloud.emulator.base_url}/_emulator/{path}", json=body)


def test_health_names_the_services(cloud: Cloud) -> None:
    assert {"cloudflare", "r2"} <= set(cloud.control("GET", "health")["services"])


def test_a_reset_forgets_state_objects_faults_and_requests(cloud: Cloud) -> None:
    cloud.bucket()
    cloud.control("POST", "faults", {"service": "cloudflare", "kind": "down", "times": None})
    cloud.control("POST", "reset")
    assert cloud.control("GET", "faults") == {"faults": []}
    assert cloud.control("GET", "requests") == {"requests": []}
    assert cloud.control("GET", "state")["cloudflare"]["buckets"] == []
    cloud.bucket()


def test_the_request_log_tells_what_changed_something(cloud: Cloud) -> None:
    cloud.bucket()
    cloud.result("GET", "/r2/buckets/assets")
    cloud.call("GET", "/r2/buckets/missing")
    log = cloud.control("GET", "requests?service=cloudflare")["requests"]
    assert [(item["method"], item["status"], item["mutating"]) for item in log] == [
        ("POST", 200, True),
        ("GET", 200, False),
        ("GET", 404, False),
    ]
    changing = cloud.control("GET", "requests?service=cloudflare&mutating=1")["requests"]
    assert [item["path"].rpartition("/")[2] for item in changing] == ["buckets"]
    assert len(cloud.control("GET", f"requests?since={log[0]['n']}")["requests"]) == 2


def test_the_request_log_keeps_neither_headers_nor_bodies_nor_queries(cloud: Cloud) -> None:
    query = {"token": "planted-dummy-query"}
    headers = {"X-Planted": "planted-dummy-header"}
    cloud.call("POST", "/workers/workers", json={"name": "planted-dummy-body"}, params=query, headers=headers)
    assert "planted-dummy" not in json.dumps(cloud.control("GET", "requests"))


def test_requests_to_a_worker_are_logged_as_such(cloud: Cloud) -> None:
    cloud.serve("export default { async fetch() { return new Response('ok'); } };")
    cloud.http.post(f"{cloud.gateway}/v1/generations?key=planted")
    logged = cloud.control("GET", "requests?service=worker")["requests"]
    assert [(item["method"], item["path"]) for item in logged] == [("POST", "/v1/generations")]


def test_state_counts_deployments(cloud: Cloud) -> None:
    version = cloud.serve("export default { async fetch() { return new Response('ok'); } };")
    state = cloud.control("GET", "state")["cloudflare"]
    assert (state["deployments"], state["active"]) == (1, {"gateway": {version["id"]: 100}})


def test_the_clock_can_be_moved_on_but_not_back(cloud: Cloud) -> None:
    before = cloud.control("GET", "clock")["now"]
    assert cloud.control("POST", "clock", {"advance_seconds": 259_200})["now"] >= before + 259_200
    assert control(cloud, "POST", "clock", {"advance_seconds": -1}).status_code == 400
    assert control(cloud, "POST", "clock", {"speed": 0}).status_code == 400
    assert cloud.control("POST", "clock", {"speed": 1000})["speed"] == 1000


def test_a_fault_is_listed_counted_down_and_removed(cloud: Cloud) -> None:
    fault = {"service": "cloudflare", "kind": "status", "times": 2, "status": 500, "path": "/r2/"}
    fault_id = cloud.control("POST", "faults", fault)["id"]
    assert cloud.control("GET", "faults")["faults"] == [{"id": fault_id, **fault}]
    assert cloud.refused("GET", "/r2/buckets") == (500, 10013)
    assert cloud.control("GET", "faults")["faults"][0]["times"] == 1
    cloud.control("DELETE", f"faults/{fault_id}")
    cloud.result("GET", "/r2/buckets")
    assert control(cloud, "DELETE", f"faults/{fault_id}", None).status_code == 404


@pytest.mark.parametrize(
    "fault",
    [
        {"service": "nobody", "kind": "status"},
        {"service": "cloudflare", "kind": "out_of_memory"},
        {"service": "scenario", "kind": "typo"},
    ],
)
def test_a_fault_that_could_never_happen_is_refused(cloud: Cloud, fault: dict[str, str]) -> None:
    assert control(cloud, "POST", "faults", fault).status_code == 400


def test_an_html_page_instead_of_json(cloud: Cloud) -> None:
    cloud.control("POST", "faults", {"service": "cloudflare", "kind": "html", "status": 200})
    answer = cloud.call("GET", "/r2/buckets")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_an_answer_cut_short(cloud: Cloud) -> None:
    cloud.control("POST", "faults", {"service": "cloudflare", "kind": "truncated"})
    with pytest.raises(httpx.RemoteProtocolError):
        cloud.call("GET", "/r2/buckets")


def test_latency_is_simulated_or_real(cloud: Cloud) -> None:
    """At 1000 times the speed an hour of simulated latency passes in 3.6 s: here 20 s do in 0.02 s."""
    cloud.control("POST", "faults", {"service": "cloudflare", "kind": "latency", "seconds": 20, "simulated": True})
    before = cloud.control("GET", "clock")["now"]
    cloud.result("GET", "/r2/buckets")
    assert cloud.control("GET", "clock")["now"] - before >= 20
