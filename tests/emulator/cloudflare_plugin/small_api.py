"""A Cloudflare API of a few lines, with state in memory: enough for the recorded program."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

API = "/client/v4/accounts/"
ZONE_NAME = "example.com"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SmallApi:
    """Keeps documents by path. Creating one adds what the platform adds; everything else is an echo."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.requests: list[str] = []
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        with self.lock:
            self.requests.append(f"{method} {path}")
            if method in ("POST", "PUT", "PATCH"):
                return 200, self._written(method, path, body)
            found = self.documents.get(path)
            if found is None:
                return 404, None
            if method == "DELETE":
                self.documents = {key: value for key, value in self.documents.items() if key != path}
            return 200, found

    def changes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET ")]

    def _written(self, method: str, path: str, body: Any) -> Any:
        if method == "POST" and path.endswith("/r2/buckets"):
            place, document = f"{path}/{body['name']}", bucket(body)
        elif method == "POST" and path.endswith("/domains/custom"):
            status = {"ownership": "active", "ssl": "active"}
            place, document = f"{path}/{body['domain']}", {**body, "zoneName": ZONE_NAME, "status": status}
        elif method == "POST" or path.endswith("/workers/domains"):
            identifier = str(uuid.uuid4())
            place, document = f"{path}/{identifier}", self._numbered(identifier, body)
        elif path.endswith("/schedules"):
            place, document = (
                path,
                {"schedules": [{**item, "created_on": now(), "modified_on": now()} for item in body]},
            )
        else:
            place, document = path, {**(self.documents.get(path) or {}), **(body or {})}
        self.documents[place] = document
        return document

    @staticmethod
    def _numbered(identifier: str, body: dict[str, Any]) -> dict[str, Any]:
        bindings = [without_secret(binding) for binding in body.get("bindings", [])]
        added = {"id": identifier, "created_on": now(), "updated_on": now(), "source": "api", "number": 1}
        return {**body, **added, "bindings": bindings, "urls": [f"https://{identifier[:8]}.example.workers.dev"]}


def bucket(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": body["name"],
        "creation_date": now(),
        "location": body["locationHint"].upper(),
        "storage_class": body["storageClass"],
    }


def without_secret(binding: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in binding.items() if binding["type"] != "secret_text" or key != "text"}


@contextmanager
def serving(api: SmallApi) -> Iterator[str]:
    """Serve the API on a free loopback port; yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = unquote(urlsplit(self.path).path)
            status, result = api.answer(self.command, path, json.loads(content) if content else None)
            answer = {"success": status == 200, "errors": [], "messages": [], "result": result}
            encoded = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/client/v4"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
