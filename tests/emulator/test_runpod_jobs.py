"""RunPod's job API: queue, cold start, worker life, results that are forgotten, webhooks."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from emulator.services.runpod.state import kept_output
from tests.emulator.vendor_calls import Json, Vendors, graph_of, opened, png, text_of, until


def small(**inputs: object) -> Json:
    return graph_of("txt2img", **{"prompt": "a coin", "width": 128, "height": 128, **inputs})


def picture(job: Json) -> bytes:
    return base64.b64decode(job["output"]["images"][0]["data"])


def test_a_job_starts_a_worker_and_ends_with_a_picture(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    answer = vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": small()}})
    assert answer.json()["status"] == "IN_QUEUE"
    assert answer.json()["id"].endswith("-u1")
    job = vendors.finished_job(endpoint, answer.json()["id"])
    assert (job["status"], opened(picture(job)).size) == ("COMPLETED", (128, 128))
    assert job["output"]["images"][0]["filename"] == "txt2img_00001_.png"
    assert job["delayTime"] > 41_000
    assert 10_500 < job["executionTime"] < 13_500


@pytest.mark.parametrize(
    ("operation", "usual"), [("txt2img", 12), ("img2img", 14), ("remove_background", 6), ("pipeline", 25)]
)
def test_each_operation_takes_its_time_and_is_counted(vendors: Vendors, operation: str, usual: float) -> None:
    endpoint = vendors.endpoint(workers={"min": 1, "max": 1})
    sizes = {"width": 64, "height": 64} if operation != "remove_background" else {}
    images = (
        [{"name": "input.png", "image": text_of(png())}] if operation in {"img2img", "remove_background"} else []
    )
    job = vendors.run(endpoint, graph_of(operation, **sizes), images=images)
    assert usual * 900 < job["executionTime"] < usual * 1100
    assert vendors.state("runpod")["submits_by_operation"] == {operation: 1}


def test_a_warm_worker_is_fast_and_falls_asleep(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(workers={"min": 0, "max": 1, "idleTimeout": 3600})
    vendors.run(endpoint, small())
    vendors.run(endpoint, small(seed=2))
    assert vendors.state("runpod")["cold_starts"] == 1
    vendors.advance(3700)
    until(lambda: {"asleep": True} if not vendors.state("runpod")["workers"] else None)
    vendors.run(endpoint, small(seed=3))
    assert vendors.state("runpod")["cold_starts"] == 2


def test_flashboot_wakes_a_worker_that_slept_shortly(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(flashboot="FLASHBOOT", workers={"min": 0, "max": 1, "idleTimeout": 1})
    vendors.run(endpoint, small())
    until(lambda: {"asleep": True} if not vendors.state("runpod")["workers"] else None)
    vendors.run(endpoint, small(seed=2))
    state = vendors.state("runpod")
    assert (state["workers_started"], state["cold_starts"]) == (2, 1)


def test_minimum_workers_stay_awake(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(workers={"min": 1, "max": 1, "idleTimeout": 1})
    until(lambda: vendors.jobs("GET", f"/{endpoint}/health").json()["workers"]["idle"] or None)
    vendors.advance(86_400)
    health = vendors.jobs("GET", f"/{endpoint}/health").json()
    assert (health["workers"]["idle"], health["workers"]["ready"]) == (1, 1)
    assert set(health["workers"]) == {"idle", "initializing", "ready", "running", "throttled", "unhealthy"}
    assert set(health["jobs"]) == {"completed", "failed", "inProgress", "inQueue", "retried"}


def test_a_waiting_queue_gets_more_workers(vendors: Vendors) -> None:
    """One more when the oldest job has waited for longer than queueDelay, up to max."""
    endpoint = vendors.endpoint(workers={"min": 0, "max": 2, "idleTimeout": 600})
    jobs = [
        vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": small(seed=n)}}).json()["id"]
        for n in range(8)
    ]
    done = [vendors.finished_job(endpoint, job) for job in jobs]
    assert len({job["workerId"] for job in done}) == 2


def test_a_cancelled_job_ends_at_once_and_frees_its_worker(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(workers={"min": 1, "max": 1, "idleTimeout": 600})
    vendors.fault("runpod_jobs", "timed_out")
    running = vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": small()}}).json()["id"]
    until(lambda: vendors.jobs("GET", f"/{endpoint}/health").json()["jobs"]["inProgress"] or None)
    assert vendors.jobs("POST", f"/{endpoint}/cancel/{running}").json() == {"id": running, "status": "CANCELLED"}
    assert vendors.finished_job(endpoint, running)["status"] == "CANCELLED"
    assert vendors.run(endpoint, small(seed=2))["status"] == "COMPLETED"
    assert vendors.state("runpod")["cancelled"] == 1


def test_purging_leaves_running_jobs_alone(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(workers={"min": 0, "max": 0})
    for seed in range(3):
        vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": small(seed=seed)}})
    assert vendors.jobs("POST", f"/{endpoint}/purge-queue").json() == {"removed": 3, "status": "completed"}
    assert vendors.jobs("GET", f"/{endpoint}/health").json()["jobs"]["inQueue"] == 0


def test_a_failed_job_can_be_retried_under_its_id(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    vendors.fault("runpod_jobs", "out_of_memory")
    failed = vendors.run(endpoint, small())
    again = vendors.jobs("POST", f"/{endpoint}/retry/{failed['id']}").json()
    assert again == {"id": failed["id"], "status": "IN_QUEUE"}
    assert vendors.finished_job(endpoint, failed["id"])["status"] == "COMPLETED"
    assert vendors.jobs("POST", f"/{endpoint}/retry/{failed['id']}").status_code == 400
    assert vendors.jobs("GET", f"/{endpoint}/health").json()["jobs"]["retried"] == 1


def test_results_are_forgotten_after_half_an_hour(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    job = vendors.run(endpoint, small())["id"]
    vendors.advance(1000)
    assert vendors.jobs("GET", f"/{endpoint}/status/{job}").status_code == 200
    vendors.advance(1000)
    assert vendors.jobs("GET", f"/{endpoint}/status/{job}").status_code == 404


def test_a_job_that_nobody_takes_is_gone_after_its_ttl(vendors: Vendors) -> None:
    endpoint = vendors.endpoint(workers={"min": 0, "max": 0})
    body = {"input": {"workflow": small()}, "policy": {"ttl": 6_000_000}}
    job = vendors.jobs("POST", f"/{endpoint}/run", body).json()["id"]
    vendors.advance(4000)
    assert vendors.jobs("GET", f"/{endpoint}/status/{job}").json()["status"] == "IN_QUEUE"
    vendors.advance(4000)
    assert vendors.jobs("GET", f"/{endpoint}/status/{job}").status_code == 404


def test_the_execution_timeout_ends_a_job(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    body = {"input": {"workflow": small()}, "policy": {"executionTimeout": 5_000}}
    job = vendors.finished_job(endpoint, vendors.jobs("POST", f"/{endpoint}/run", body).json()["id"])
    assert (job["status"], job["executionTime"]) == ("TIMED_OUT", 5_000)


def test_runsync_waits_for_the_answer_or_gives_the_id(vendors: Vendors) -> None:
    asleep, endpoint = vendors.endpoint(workers={"min": 0, "max": 0}), vendors.endpoint()
    body = {"input": {"workflow": small()}}
    early = vendors.jobs("POST", f"/{asleep}/runsync?wait=1000", body).json()
    assert (early["status"], early["id"].startswith("sync-")) == ("IN_QUEUE", True)
    assert vendors.jobs("POST", f"/{endpoint}/runsync?wait=300000", body).json()["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "input is required"),
        ([], "input is required"),
        ({"input": {}, "policy": {"ttl": 1}}, "policy.ttl"),
        ({"input": {}, "policy": [1]}, "policy must be an object"),
        ({"input": {"pad": "x" * (10 << 20)}}, "exceeds 10 MB"),
    ],
    ids=["empty", "list", "ttl", "policy", "large"],
)
def test_a_bad_body_is_400(vendors: Vendors, body: object, words: str) -> None:
    endpoint = vendors.endpoint()
    answer = vendors.jobs("POST", f"/{endpoint}/run", body)
    assert (answer.status_code, words in answer.text) == (400, True)
    assert vendors.state("runpod")["submits"] == 0


def test_keys_and_ids_are_checked(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    assert vendors.jobs("GET", f"/{endpoint}/health", key="invalid-key").status_code == 401
    assert vendors.jobs("GET", f"/{endpoint}/health", key="forbidden-key").status_code == 403
    assert vendors.jobs("GET", "/nothing/health").status_code == 404
    assert vendors.jobs("GET", f"/{endpoint}/status/nothing").status_code == 404
    bare = vendors.http.get(
        f"{vendors.emulator.base_url}/runpod-jobs/v2/{endpoint}/health",
        headers={"Authorization": "dummy-bare-key"},
    )
    assert bare.status_code == 200


FAILURES: list[tuple[str, str, str]] = [
    ("model_not_found", "FAILED", "ckpt_name: 'sd_xl_base_1.0.safetensors' not in []"),
    ("out_of_memory", "FAILED", "Node Type: KSampler, Node ID: 3, Message: CUDA out of memory."),
    ("crash", "FAILED", "WebSocket communication error: ComfyUI HTTP unreachable during websocket reconnect"),
    ("timed_out", "TIMED_OUT", ""),
    ("no_image", "COMPLETED", '"output": {"status": "success_no_images", "images": []}'),
    ("partial", "COMPLETED", "Failed to fetch image data for"),
]


@pytest.mark.parametrize(("kind", "status", "words"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_fault_looks_as_it_does_on_runpod(vendors: Vendors, kind: str, status: str, words: str) -> None:
    """HTTP stays 200; the next job is well again."""
    endpoint = vendors.endpoint()
    vendors.fault("runpod_jobs", kind)
    job = vendors.run(endpoint, small())
    assert job["status"] == status
    assert words in json.dumps(job)
    assert vendors.run(endpoint, small(seed=2))["status"] == "COMPLETED"


def test_out_of_memory_hides_behind_one_constant(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    vendors.fault("runpod_jobs", "out_of_memory")
    job = vendors.run(endpoint, small())
    assert job["error"] == "Job processing failed"
    assert set(job["output"]) == {"details"}


def test_a_result_that_is_too_large_is_lost() -> None:
    """COMPLETED without an output, as users of worker-comfyui report."""
    small, large = ({"images": [{"data": "x" * size}]} for size in (1_000, 21_000_000))
    assert (kept_output(small), kept_output(large), kept_output({})) == (small, None, None)


def test_a_stuck_job_never_starts(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    vendors.fault("runpod_jobs", "stuck")
    job = vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": small()}}).json()["id"]
    vendors.advance(3600)
    assert vendors.run(endpoint, small(seed=2))["status"] == "COMPLETED"
    assert vendors.jobs("GET", f"/{endpoint}/status/{job}").json() == {"id": job, "status": "IN_QUEUE"}


def test_a_spoiled_picture_is_a_completed_job(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    vendors.fault("runpod_jobs", "wrong_size")
    assert opened(picture(vendors.run(endpoint, small()))).size == (64, 64)


def test_deleting_an_endpoint_cancels_its_jobs(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    vendors.jobs("POST", f"/{endpoint}/run", {"input": {"workflow": small()}})
    vendors.runpod("DELETE", f"/serverless/{endpoint}")
    state = vendors.state("runpod")
    assert (state["cancelled"], state["workers"], state["endpoints"]) == (1, 0, {})


@contextmanager
def receiver(answers: list[int]) -> Iterator[tuple[int, list[Json]]]:
    """A webhook's far end that answers these codes in turn."""
    received: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append({"host": self.headers["Host"], "path": self.path, **body})
            self.send_response(answers[min(len(received), len(answers)) - 1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port, received
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answers", "deliveries", "counted"),
    [([200], 1, "delivered"), ([500, 500, 200], 3, "delivered"), ([500], 3, "failed")],
    ids=["at once", "third time", "never"],
)
def test_a_webhook_is_tried_three_times(
    vendors: Vendors, answers: list[int], deliveries: int, counted: str
) -> None:
    endpoint = vendors.endpoint()
    with receiver(answers) as (port, received):
        webhook = f"http://gateway.emulator.localhost:{port}/v1/webhooks?job=1"
        body = {"input": {"workflow": small()}, "webhook": webhook}
        job = vendors.finished_job(endpoint, vendors.jobs("POST", f"/{endpoint}/run", body).json()["id"])
        until(lambda: vendors.state("runpod")["webhooks"][counted] or None)
    assert [one["path"] for one in received] == ["/v1/webhooks?job=1"] * deliveries
    assert received[0]["host"] == f"gateway.emulator.localhost:{port}"
    assert {key: received[0][key] for key in job} == job


def test_a_webhook_never_leaves_this_machine(vendors: Vendors) -> None:
    endpoint = vendors.endpoint()
    body = {"input": {"workflow": small()}, "webhook": "https://hooks.example.com/x"}
    vendors.finished_job(endpoint, vendors.jobs("POST", f"/{endpoint}/run", body).json()["id"])
    assert until(lambda: vendors.state("runpod")["webhooks"])["not_loopback"] == 1
