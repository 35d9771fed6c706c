"""RunPod REST v2: every rule of RunPod's own schema and documentation that an endpoint meets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.emulator.vendor_calls import ENDPOINT, Json, Vendors, until

COUNTED = {"type": "REQUEST_COUNT", "requestCount": 4}
OTHERS = ["NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation"]
REFUSED: list[tuple[str, Json, int, str]] = [
    ("unknown field", {"bogus": 1}, 422, "additional properties 'bogus' not allowed"),
    ("name too short", {"name": ""}, 422, "$.name: minLength: got 0, want 1"),
    ("unknown type", {"type": "BATCH"}, 422, "$.type: value must be one of 'QUEUE', 'LOAD_BALANCER'"),
    ("no image", {"image": None}, 422, "$.image: got null, want string"),
    ("text for a number", {"disk": "20"}, 422, "$.disk: got string, want integer"),
    ("no disk", {"disk": 0}, 422, "$.disk: minimum: got 0, want 1"),
    ("env of numbers", {"env": {"A": 1}}, 422, "$.env.A: got integer, want string"),
    ("idle timeout too long", {"workers": {"idleTimeout": 3601}}, 422, "maximum: got 3601, want 3600"),
    ("v1's boolean FlashBoot", {"flashboot": True}, 422, "$.flashboot: got boolean, want string"),
    ("queue delay too short", {"scaling": {"type": "QUEUE_DELAY", "queueDelay": 0.1}}, 422, "got 0.1, want 0.5"),
    ("scaling without value", {"scaling": {"type": "QUEUE_DELAY"}}, 422, "missing property 'queueDelay'"),
    ("no pools", {"gpu": {"pools": []}}, 422, "$.gpu.pools: minItems: got 0, want 1"),
    ("idle timeout with request count", {"scaling": COUNTED, "workers": {"idleTimeout": 5}}, 422,
     "idleTimeout does not apply to queue-based endpoints scaling on requestCount"),
    ("image that is nowhere", {"image": "example/does-not-exist:1"}, 422, "was not found"),
    ("gpu and cpu", {"cpu": [{"id": "cpu5c", "vcpuCount": 2}]}, 400, "exactly one of gpu or cpu"),
    ("load balancer by queue delay", {"type": "LOAD_BALANCER"}, 400, "REQUEST_COUNT only"),
    ("unknown pool", {"gpu": {"pools": ["ADA_9000"]}}, 400, "unknown gpu pool"),
    ("exclusion outside the pools", {"gpu": {"pools": ["ADA_24"], "excludedTypes": ["NVIDIA L40"]}}, 400,
     "is not in the selected pools"),
    ("everything excluded", {"gpu": {"pools": ["ADA_48_PRO"], "excludedTypes": ["NVIDIA L40", *OTHERS]}}, 400,
     "excludes every gpu type"),
    ("two rules on CUDA",
     {"gpu": {"pools": ["ADA_24"], "allowedCudaVersions": ["12.8"], "minCudaVersion": "12.1"}}, 400,
     "mutually exclusive"),
    ("more than the quota", {"workers": {"max": 6}}, 400,
     "Max workers across all endpoints must not exceed your workers quota (5)"),
    ("template that is not there", {"templateId": "none"}, 404, "template not found"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "words"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_wrong_create_is_refused(vendors: Vendors, change: Json, status: int, words: str) -> None:
    answer = vendors.runpod("POST", "/serverless", {**ENDPOINT, **change})
    body = answer.json()
    assert (answer.status_code, body["status"]) == (status, status)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert words in " ".join([body["detail"], *body.get("errors", [])])
    assert vendors.runpod("GET", "/serverless").json() == {"endpoints": []}


def test_missing_fields_are_listed_with_everything_else_as_unexpected(vendors: Vendors) -> None:
    """Observed on the real API."""
    errors = vendors.runpod("POST", "/serverless", {"name": "a", "image": "b"}).json()["errors"]
    assert errors == [
        "$: missing properties 'type', 'scaling'",
        "$: additional properties 'image', 'name' not allowed",
    ]


def test_an_endpoint_is_shown_with_the_defaults_of_v2(vendors: Vendors) -> None:
    body = {key: ENDPOINT[key] for key in ("name", "type", "image", "scaling")} | {"gpu": {"pools": ["ADA_24"]}}
    answer = vendors.runpod("POST", "/serverless", body)
    shown = answer.json()
    assert answer.status_code == 201
    assert shown["workers"] == {"min": 0, "max": 3, "idleTimeout": 10}
    assert (shown["flashboot"], shown["timeout"], shown["env"], shown["registry"]) == ("OFF", 0, {}, None)
    assert shown["gpu"] == {"pools": ["ADA_24"], "count": 1, "allowedCudaVersions": [], "minCudaVersion": None}
    assert shown["requestUrls"]["run"].endswith(f"/runpod-jobs/v2/{shown['id']}/run")
    assert not {"templateId", "version", "userId", "computeType"} & set(shown)
    assert vendors.runpod("GET", f"/serverless/{shown['id']}").json() == shown


def test_request_count_drops_the_idle_timeout(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(scaling=COUNTED, workers={"min": 0, "max": 1})
    assert vendors.runpod("GET", f"/serverless/{endpoint}").json()["workers"] == {"min": 0, "max": 1}


UPDATES: list[tuple[str, Json, int, Any]] = [
    ("type is fixed", {"type": "QUEUE"}, 422, None),
    ("cpu on a gpu endpoint", {"cpu": [{"id": "cpu5c", "vcpuCount": 2}]}, 400, None),
    ("exclusions need pools", {"gpu": {"excludedTypes": OTHERS}}, 400, None),
    ("one worker number leaves the others", {"workers": {"max": 2}}, 200,
     ("workers", {"min": 0, "max": 2, "idleTimeout": 30})),
    ("env is replaced", {"env": {"B": "2"}}, 200, ("env", {"B": "2"})),
    ("pools clear exclusions", {"gpu": {"pools": ["ADA_48_PRO"]}}, 200,
     ("gpu", {"pools": ["ADA_48_PRO"], "count": 1, "allowedCudaVersions": [], "minCudaVersion": "12.1"})),
    ("an empty floor clears it", {"gpu": {"minCudaVersion": ""}}, 200,
     ("gpu", {"pools": ["ADA_48_PRO"], "excludedTypes": OTHERS, "count": 1, "allowedCudaVersions": [],
              "minCudaVersion": None})),
    ("registry null clears", {"registry": None}, 200, ("registry", None)),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "shows"), [row[1:] for row in UPDATES], ids=[r[0] for r in UPDATES])
def test_an_update_is_sparse(vendors: Vendors, change: Json, status: int, shows: Any) -> None:
    gpu = {"pools": ["ADA_48_PRO"], "excludedTypes": OTHERS, "minCudaVersion": "12.1"}
    endpoint = vendors.endpoint(env={"A": "1"}, registry="reg1", gpu=gpu)
    before = vendors.runpod("GET", f"/serverless/{endpoint}").json()
    answer = vendors.runpod("PATCH", f"/serverless/{endpoint}", change)
    after = vendors.runpod("GET", f"/serverless/{endpoint}").json()
    assert answer.status_code == status
    changed = {} if shows is None else {shows[0]: shows[1]}
    assert after == {**before, **changed}


@pytest.mark.parametrize(
    ("change", "versions"),
    [
        ({"image": "example/new:2"}, 2), ({"env": {"B": "2"}}, 2), ({"flashboot": "FLASHBOOT"}, 2), ({"disk": 40}, 2),
        ({"name": "other"}, 1), ({"workers": {"max": 2}}, 1), ({"timeout": 60000}, 1), ({"scaling": COUNTED}, 1),
    ],
    ids=str,
)  # fmt: skip
def test_only_what_runs_in_the_container_makes_a_release(vendors: Vendors, change: Json, versions: int) -> None:
    endpoint = vendors.endpoint()
    vendors.runpod("PATCH", f"/serverless/{endpoint}", change)
    releases = vendors.runpod("GET", f"/serverless/{endpoint}/releases").json()
    assert [release["version"] for release in releases["releases"]] == list(range(versions, 0, -1))
    assert releases["endpointVersion"] == versions


def test_a_release_rolls_idle_workers_at_once(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(workers={"min": 1, "max": 2, "idleTimeout": 30})
    path = f"/serverless/{endpoint}"

    def rolled_out(version: int) -> Json | None:
        releases, workers = (vendors.runpod("GET", f"{path}/{name}").json() for name in ("releases", "workers"))
        done = not releases["rollout"]["inProgress"] and workers["summary"]["idle"] == 1
        return workers if done and workers["endpointVersion"] == version else None

    old = until(lambda: rolled_out(1))["workers"][0]
    vendors.runpod("PATCH", path, {"image": "example/new:2"})
    assert vendors.runpod("GET", f"{path}/releases").json()["rollout"]["inProgress"]
    new = until(lambda: rolled_out(2))["workers"][0]
    assert (new["image"], new["isStale"], new["id"] != old["id"]) == ("example/new:2", False, True)


def test_delete_answers_204_without_a_body_and_then_404(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    first = vendors.runpod("DELETE", f"/serverless/{endpoint}")
    second = vendors.runpod("DELETE", f"/serverless/{endpoint}")
    assert (first.status_code, first.content, second.status_code) == (204, b"", 404)


def test_idle_days_lower_max_workers_until_somebody_raises_it(vendors: Vendors) -> None:
    """3 days: 2. 7 days: 0. That is RunPod's own doing."""
    endpoint = vendors.endpoint(workers={"min": 1, "max": 3, "idleTimeout": 30})

    def workers() -> Json:
        found: Json = vendors.runpod("GET", f"/serverless/{endpoint}").json()["workers"]
        return found

    vendors.advance(2.9 * 86400)
    assert workers()["max"] == 3
    vendors.advance(0.2 * 86400)
    assert workers() == {"min": 1, "max": 2, "idleTimeout": 30}
    vendors.advance(4 * 86400)
    assert workers() == {"min": 0, "max": 0, "idleTimeout": 30}
    vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": {}}})
    assert workers()["max"] == 0
    vendors.runpod("PATCH", f"/serverless/{endpoint}", {"workers": {"max": 3}})
    assert workers()["max"] == 3


def test_the_quota_counts_all_endpoints(vendors: Vendors) -> None:
    vendors.endpoint()
    assert vendors.runpod("POST", "/serverless", ENDPOINT).status_code == 400
    vendors.control("POST", "seed", {"runpod": {"quota": 6}})
    assert vendors.runpod("POST", "/serverless", ENDPOINT).status_code == 201


def test_the_catalog_has_prices_and_stock(vendors: Vendors) -> None:
    plain = {gpu["id"]: gpu for gpu in vendors.runpod("GET", "/catalog/gpus").json()["gpus"]}
    assert plain["NVIDIA L40"]["price"]["serverless"] == 1.908
    assert plain["NVIDIA L40"]["pool"] == "ADA_48_PRO"
    assert "availability" not in plain["NVIDIA L40"]
    assert vendors.runpod("GET", "/catalog/gpus?include=AVAILABILITY").status_code == 400
    vendors.control("POST", "seed", {"runpod": {"stock": {"ADA_48_PRO": "NONE"}}})
    stocked = vendors.runpod("GET", "/catalog/gpus?include=AVAILABILITY&product=SERVERLESS").json()["gpus"]
    assert next(g["availability"] for g in stocked if g["id"] == "NVIDIA L40") == "NONE"
    assert "EU-RO-1" in [c["id"] for c in vendors.runpod("GET", "/catalog/datacenters").json()["dataCenters"]]


def test_without_stock_workers_are_throttled(vendors: Vendors) -> None:
    vendors.control("POST", "seed", {"runpod": {"stock": {"ADA_48_PRO": "NONE"}}})
    endpoint = vendors.endpoint(workers={"min": 1, "max": 1})
    assert vendors.runpod("GET", f"/serverless/{endpoint}/workers").json()["summary"]["throttled"] == 1


def test_a_template_is_copied_once_and_not_shown(vendors: Vendors) -> None:
    made = vendors.runpod("POST", "/templates", {"name": "t", "image": "example/t:1", "env": {"A": "1", "B": "1"}})
    template = made.json()["id"]
    endpoint = vendors.endpoint(templateId=template, env={"B": "2"})
    vendors.runpod("PATCH", f"/templates/{template}", {"image": "example/t:9"})
    shown = vendors.runpod("GET", f"/serverless/{endpoint}").json()
    assert (shown["env"], "templateId" in shown) == ({"A": "1", "B": "2"}, False)
    assert shown["image"] == ENDPOINT["image"]
    assert vendors.runpod("DELETE", f"/templates/{template}").status_code == 204


@pytest.mark.parametrize(
    ("key", "status", "detail"),
    [("invalid-key", 401, "invalid bearer token"), ("forbidden-key", 403, "access denied")],
)
def test_bad_keys_are_refused(vendors: Vendors, key: str, status: int, detail: str) -> None:
    answer = vendors.runpod("GET", "/serverless", key=key)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    missing = vendors.http.get(f"{vendors.emulator.base_url}/runpod/v2/serverless")
    assert (missing.status_code, missing.json()["detail"]) == (401, "missing bearer token")


def test_every_answer_has_an_id_and_the_limits(vendors: Vendors) -> None:
    answer = vendors.runpod("GET", "/serverless")
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert re.match(r'"minute";r=\d+;t=\d+, "hour";', answer.headers["RateLimit"])
    assert answer.headers["RateLimit-Policy"].startswith('"minute";q=')


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/networkvolumes", 404), ("PUT", "/serverless", 405), ("GET", "/serverless/none", 404),
    ("GET", "/serverless/none/workers", 404), ("PATCH", "/serverless/none", 404),
])  # fmt: skip
def test_wrong_routes_are_problems_too(vendors: Vendors, method: str, path: str, status: int) -> None:
    answer = vendors.runpod(method, path, {})
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert (status == 405) == ("Allow" in answer.headers)


def test_a_rate_limit_fault_speaks_as_runpod(vendors: Vendors) -> None:
    vendors.fault("runpod", "rate_limited", retry_after=7)
    answer = vendors.runpod("GET", "/serverless")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["detail"] == "rate limit exceeded for the minute window"
