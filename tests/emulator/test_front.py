"""How a request finds its Worker version, on real workerd."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from emulator.front import BODY_LIMIT, choose_version
from tests.emulator.cloudflare_calls import Cloud

WHO = "export default { async fetch(request, env) { return new Response(env.WHO + ' ' + env.VERSION.id); } };"
ECHO = """
export default {
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === "/describe") {
      return Response.json({ url: request.url, method: request.method, headers: [...request.headers] });
    }
    if (url.pathname === "/cookies") {
      return new Response(null, { status: 204, headers: [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]] });
    }
    if (url.pathname === "/redirect") return Response.redirect("http://elsewhere.example/", 302);
    if (url.pathname === "/length") {
      let length = 0;
      for await (const chunk of request.body) length += chunk.length;
      return new Response(String(length));
    }
    return new Response(request.body, { headers: { "X-Length": request.headers.get("content-length") } });
  },
};
"""


def who(name: str) -> list[dict[str, Any]]:
    return [{"name": "VERSION", "type": "version_metadata"}, {"name": "WHO", "type": "plain_text", "text": name}]


def two_versions(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any]]:
    cloud.worker()
    return cloud.upload(WHO, bindings=who("scenario")), cloud.upload(WHO, bindings=who("runpod"))


def test_a_deployed_version_answers_on_the_workers_host(cloud: Cloud) -> None:
    version = cloud.serve(WHO, bindings=who("scenario"))
    answer = cloud.http.get(cloud.gateway)
    assert answer.text == f"scenario {version['id']}"
    assert answer.headers["Server"] == "cloudflare"


def test_a_version_answers_on_its_preview_host_without_any_deployment(cloud: Cloud) -> None:
    _, candidate = two_versions(cloud)
    assert cloud.http.get(candidate["urls"][0]).text.startswith("runpod")
    assert cloud.http.get(cloud.gateway).status_code == 404


def test_a_switch_takes_effect_with_the_next_request(cloud: Cloud) -> None:
    scenario, runpod = two_versions(cloud)
    for version, name in [(scenario, "scenario"), (runpod, "runpod"), (scenario, "scenario")]:
        cloud.deploy((version, 100))
        assert {cloud.http.get(cloud.gateway).text.split()[0] for _ in range(5)} == {name}


def test_the_override_header_reaches_a_version_with_0_percent(cloud: Cloud) -> None:
    scenario, runpod = two_versions(cloud)
    cloud.deploy((scenario, 100), (runpod, 0))
    assert {cloud.http.get(cloud.gateway).text.split()[0] for _ in range(20)} == {"scenario"}
    override = {"Cloudflare-Workers-Version-Overrides": f'gateway="{runpod["id"]}"'}
    assert cloud.http.get(cloud.gateway, headers=override).text.startswith("runpod")


def test_the_override_header_is_ignored_for_versions_outside_the_deployment(cloud: Cloud) -> None:
    scenario, runpod = two_versions(cloud)
    cloud.deploy((scenario, 100))
    for header in [f'gateway="{runpod["id"]}"', f'other="{scenario["id"]}"', "gateway=", "gateway"]:
        answer = cloud.http.get(cloud.gateway, headers={"Cloudflare-Workers-Version-Overrides": header})
        assert answer.text.startswith("scenario")


def test_requests_are_split_by_percentage() -> None:
    chances = [number / 1000 for number in range(1000)]
    chosen = Counter(choose_version({"a": 90, "b": 10}, "gateway", {}, chance) for chance in chances)
    assert chosen == {"a": 900, "b": 100}


def test_one_version_key_always_gives_one_version() -> None:
    for number in range(50):
        headers = {"Cloudflare-Workers-Version-Key": f"job-{number}"}
        assert (
            len({choose_version({"a": 50, "b": 50}, "gateway", headers, chance / 10) for chance in range(10)}) == 1
        )
    keys = [{"Cloudflare-Workers-Version-Key": f"job-{number}"} for number in range(50)]
    assert {choose_version({"a": 50, "b": 50}, "gateway", headers, 0) for headers in keys} == {"a", "b"}


def test_a_worker_that_left_the_subdomain_still_serves_previews(cloud: Cloud) -> None:
    version = cloud.serve(WHO, bindings=who("scenario"))
    cloud.result("POST", "/workers/scripts/gateway/subdomain", json={"enabled": False, "previews_enabled": True})
    assert cloud.http.get(cloud.gateway).status_code == 404
    assert cloud.http.get(version["urls"][0]).status_code == 200


def test_a_custom_domain_reaches_the_worker(cloud: Cloud) -> None:
    cloud.serve(WHO, bindings=who("scenario"))
    body = {"hostname": "api.example.com", "service": "gateway", "zone_id": "f" * 32, "environment": "production"}
    cloud.result("PUT", "/workers/domains", json=body)
    for host in ("api.example.com", f"api.example.com.localhost:{cloud.emulator.port}"):
        assert cloud.http.get(cloud.emulator.base_url, headers={"Host": host}).text.startswith("scenario")
    assert cloud.http.get(cloud.emulator.base_url, headers={"Host": "other.example.com"}).status_code == 404


def test_the_worker_sees_the_request_as_it_was_sent(cloud: Cloud) -> None:
    cloud.serve(ECHO)
    url = f"{cloud.gateway}/describe?a=%2F%20b&a=2"
    seen = cloud.http.request(
        "PATCH", url, headers=[("X-One", "1"), ("X-One", "2"), ("Expect", "100-continue")]
    ).json()
    assert (seen["url"], seen["method"]) == (url, "PATCH")
    headers = dict(seen["headers"])
    assert headers["x-one"] == "1, 2"
    assert headers["cf-connecting-ip"] == "127.0.0.1"
    assert headers["user-agent"].startswith("switchback/")


def test_the_client_sees_the_answer_as_the_worker_gave_it(cloud: Cloud) -> None:
    cloud.serve(ECHO)
    cookies = cloud.http.get(f"{cloud.gateway}/cookies")
    assert (cookies.status_code, cookies.headers.get_list("Set-Cookie")) == (204, ["a=1", "b=2"])
    assert cloud.http.get(f"{cloud.gateway}/redirect").headers["Location"] == "http://elsewhere.example/"
    assert cloud.http.head(f"{cloud.gateway}/describe").status_code == 200


def test_large_bodies_pass_unharmed_in_both_directions(cloud: Cloud) -> None:
    cloud.serve(ECHO)
    body = os.urandom(10 * 1024 * 1024)
    answer = cloud.http.post(cloud.gateway, content=body)
    assert answer.content == body
    assert answer.headers["X-Length"] == str(len(body))


def test_a_body_above_100_mb_is_refused_whether_announced_or_not(cloud: Cloud) -> None:
    cloud.serve(ECHO)

    def chunks() -> Iterator[bytes]:
        block = bytes(1024 * 1024)
        for _ in range(BODY_LIMIT // len(block) + 1):
            yield block

    with socket.create_connection(("127.0.0.1", cloud.emulator.port)) as connection:
        host = cloud.gateway.removeprefix("http://")
        head = f"POST /length HTTP/1.1\r\nHost: {host}\r\nContent-Length: {BODY_LIMIT + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 413"
    assert cloud.http.post(f"{cloud.gateway}/length", content=chunks()).status_code == 413


def test_many_requests_at_once_all_get_their_own_answer(cloud: Cloud) -> None:
    cloud.serve(ECHO)

    def ask(number: int) -> bool:
        return cloud.http.post(cloud.gateway, content=b"%d" % number * 1000).content == b"%d" % number * 1000

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))


def test_a_worker_that_does_not_start_says_so_as_cloudflare_would(cloud: Cloud) -> None:
    cloud.serve("export default { this is not JavaScript };")
    answer = cloud.http.get(cloud.gateway)
    assert (answer.status_code, answer.text) == (500, "error code: 1101")


def test_a_secret_reaches_the_worker_but_no_file(cloud: Cloud) -> None:
    source = "export default { async fetch(request, env) { return new Response(env.KEY); } };"
    cloud.serve(source, bindings=[{"name": "KEY", "type": "secret_text", "text": "planted-dummy-secret"}])
    assert cloud.http.get(cloud.gateway).text == "planted-dummy-secret"
    files = [path for path in cloud.emulator.state_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(b"planted-dummy-secret" in path.read_bytes() for path in files)


def test_bindings_arrive_as_on_the_platform(cloud: Cloud) -> None:
    """Text with quotes and line ends, JSON parsed, the version's own id, tag and time."""
    source = "export default { async fetch(request, env) { return Response.json(env); } };"
    text = 'quote " backslash \\ line\nend ünï'
    bindings = [
        {"name": "LIMITS", "type": "json", "json": {"max": 3, "text": text}},
        {"name": "NAME", "type": "json", "json": "runpod"},
        {"name": "TEXT", "type": "plain_text", "text": text},
        {"name": "VERSION", "type": "version_metadata"},
    ]
    version = cloud.serve(source, bindings=bindings)
    seen = cloud.http.get(cloud.gateway).json()
    assert seen["LIMITS"] == {"max": 3, "text": text}
    assert (seen["NAME"], seen["TEXT"]) == ("runpod", text)
    assert seen["VERSION"] == {"id": version["id"], "tag": "scenario", "timestamp": version["created_on"]}


def test_the_worker_can_reach_the_emulated_vendors_but_nothing_outside(cloud: Cloud) -> None:
    source = """export default { async fetch(request, env) {
      const inside = await fetch(env.INSIDE);
      const outside = await fetch("http://192.0.2.1/").then(() => "reached", () => "refused");
      return Response.json({ inside: inside.status, outside });
    } };"""
    inside = f"{cloud.emulator.base_url}/_emulator/health"
    cloud.serve(source, bindings=[{"name": "INSIDE", "type": "plain_text", "text": inside}])
    assert cloud.http.get(cloud.gateway).json() == {"inside": 200, "outside": "refused"}


@pytest.mark.parametrize(
    ("kind", "error"),
    [("reset", httpx.ReadError), ("down", httpx.ReadError), ("truncated", httpx.RemoteProtocolError)],
)
def test_broken_connections_to_a_worker(cloud: Cloud, kind: str, error: type[Exception]) -> None:
    cloud.serve(WHO, bindings=who("scenario"))
    cloud.control("POST", "faults", {"service": "worker", "kind": kind})
    with pytest.raises(error):
        cloud.http.get(cloud.gateway)
    assert cloud.http.get(cloud.gateway).status_code == 200


def test_a_hanging_worker_runs_into_the_clients_time_out(cloud: Cloud) -> None:
    cloud.serve(WHO, bindings=who("scenario"))
    cloud.control("POST", "faults", {"service": "worker", "kind": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        cloud.http.get(cloud.gateway, timeout=0.2)


def test_a_client_that_leaves_early_harms_nobody(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """Before the answer begins, and in the middle of it."""
    slow = """export default { async fetch(request) {
      if (request.url.endsWith("/late")) await scheduler.wait(200);
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      const write = async () => { for (let i = 0; i < 4000; i++) await writer.write(new Uint8Array(65536)); };
      write().catch(() => {});
      return new Response(readable);
    } };"""
    cloud.serve(slow)
    with pytest.raises(httpx.ReadTimeout):
        cloud.http.get(f"{cloud.gateway}/late", timeout=0.05)
    with cloud.http.stream("GET", f"{cloud.gateway}/stream") as answer:
        next(answer.iter_raw())
    with cloud.http.stream("GET", f"{cloud.gateway}/late") as answer:
        assert answer.status_code == 200
    assert caplog.text == ""


def test_a_fault_can_hit_one_version_only(cloud: Cloud) -> None:
    scenario, runpod = two_versions(cloud)
    cloud.deploy((scenario, 100), (runpod, 0))
    cloud.control(
        "POST", "faults", {"service": "worker", "kind": "status", "version": runpod["id"], "times": None}
    )
    override = {"Cloudflare-Workers-Version-Overrides": f'gateway="{runpod["id"]}"'}
    assert cloud.http.get(cloud.gateway, headers=override).status_code == 503
    assert cloud.http.get(cloud.gateway).status_code == 200
