"""Brings every shape of failure into one form, so that a table can tell them apart.

The shapes: transport exceptions, HTTP answers, ComfyUI's validation errors and history entries, jobs of RunPod
with worker-comfyui inside, jobs of Scenario, our gateway's problem+json. Bodies are read by where words are known
to stand, not by who is said to have sent them: proxies and wrappers mix the shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from provider_client.errors import ApiError, DeadlineExceeded, SwitchbackError, UnreachableError

Body = Mapping[str, Any]

LONGEST_PAGE = 20_000
MOST_ITEMS = 20
TAG = re.compile(r"<[^<>]*>")
TRACEBACK = re.compile(r"Traceback \(most recent call last\):(?:\n[ \t][^\n]*)*\n?")
FINISHED_JOBS = frozenset({"COMPLETED", "success", "success_no_images"})


@dataclass(frozen=True)
class Signal:
    """One failure in the table's form; the meaning of each field is in failure_kinds.json."""

    provider: str
    status: int | None
    code: str
    text: str


class Words:
    """Collects codes and texts in the order in which they are found."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.texts: list[str] = []

    def code(self, value: object) -> None:
        if isinstance(value, str) and value and value not in self.codes:
            self.codes.append(value)

    def text(self, value: object) -> None:
        """What was raised is kept of a traceback, where it was raised is not."""
        text = TRACEBACK.sub("", value).strip() if isinstance(value, str) else ""
        if text and text not in self.texts:
            self.texts.append(text)

    def signal(self, provider: str, status: int | None) -> Signal:
        return Signal(provider, status, " ".join(self.codes), "\n".join(self.texts))


def signal_of(what: object, provider: str) -> Signal:
    """The signal of an exception, an HTTP answer, a parsed body or a plain message."""
    if isinstance(what, httpx.HTTPStatusError):
        what = what.response
    if isinstance(what, httpx.Response):
        return _of_response(what, provider)
    if isinstance(what, BaseException):
        return _of_exception(what, provider)
    words = Words()
    if isinstance(what, Mapping):
        _read_body(what, words)
    else:
        words.text(str(what))
    return words.signal(provider, None)


def declared_kind(what: object) -> str | None:
    """The kind that our own gateway names in its answer, if this is one."""
    if isinstance(what, httpx.Response):
        what = _json(what)
    if not isinstance(what, Mapping):
        return None
    error = what.get("error")
    inner = error if isinstance(error, Mapping) else what
    kind = inner.get("kind")
    return kind if isinstance(kind, str) else None


def _of_exception(error: BaseException, provider: str) -> Signal:
    if isinstance(error, ApiError):
        return Signal(provider, error.status, error.code, error.message)
    cause = error.__cause__ if isinstance(error, UnreachableError) else error
    if isinstance(cause, httpx.TimeoutException | TimeoutError):
        code = "transport:timeout"
    elif isinstance(cause, httpx.RemoteProtocolError) and "complet" in str(cause):
        code = "transport:truncated"
    elif isinstance(error, DeadlineExceeded):
        code = "deadline:running"
    elif isinstance(cause, httpx.DecodingError | json.JSONDecodeError | UnicodeDecodeError):
        code = "answer:not_json"
    elif isinstance(cause, httpx.TransportError | OSError) or isinstance(error, UnreachableError):
        code = "transport:unreachable"
    else:
        code = ""
    message = error.message if isinstance(error, SwitchbackError) else str(error)
    return Signal(provider, None, code, message or type(error).__name__)


def _of_response(response: httpx.Response, provider: str) -> Signal:
    words = Words()
    body = _json(response)
    if isinstance(body, Mapping):
        _read_body(body, words)
    elif "html" in response.headers.get("content-type", "") or response.text.lstrip()[:1] == "<":
        words.code("answer:html")
        words.text(_visible(response.text))
    else:
        if response.is_success:
            words.code("answer:not_json")
        _read_text(response.text if body is None else body, words)
    return words.signal(provider, response.status_code)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _visible(page: str) -> str:
    """The words of an HTML page, without its tags."""
    return " ".join(TAG.sub(" ", page[:LONGEST_PAGE]).split())


def _read_body(body: Body, words: Words) -> None:
    for entry in _history_entries(body):
        _read_history(entry, words)
    if isinstance(body.get("job"), Mapping):
        _read_job(body["job"], words)
    else:
        _read_frame(body.get("type"), body.get("data"), words)
        _read_job(body, words)
        _read_node_errors(body.get("node_errors"), words)


def _read_job(job: Body, words: Words) -> None:
    """A job of RunPod or Scenario, what worker-comfyui's handler returned, or any error body."""
    status = job.get("status")
    if isinstance(status, str) and status not in FINISHED_JOBS:
        words.code(f"job:{status}")
    _read_error(job.get("error"), words)
    _read_messages(job, words)
    output = job.get("output")
    for part in (job.get("metadata"), output):
        if isinstance(part, Mapping):
            _read_error(part.get("error"), words)
            _read_messages(part, words)
    if isinstance(status, str) and status in FINISHED_JOBS:
        _read_result(status, job, output, words)


def _read_result(status: str, job: Body, output: object, words: Words) -> None:
    """COMPLETED does not mean that there is a picture."""
    holder = output if isinstance(output, Mapping) else job if status == "success_no_images" else {}
    metadata = job.get("metadata")
    if isinstance(metadata, Mapping):
        holder = {"images": metadata.get("assetIds")}
    if not _items(holder.get("images")):
        words.code("result:none")
        if holder.get("status") != "error":  # worker-comfyui before 5.0 says in this way what went wrong
            words.text("success was reported without an image")
    elif _items(holder.get("errors")):
        words.code("result:partial")
        words.text("the result is incomplete")


def _read_messages(body: Body, words: Words) -> None:
    for key in ("message", "detail", "details", "reason", "hint", "title", "errors"):
        _read_text(body.get(key), words)
    for key in ("code", "type"):
        value = body.get(key)
        if isinstance(value, str) and not value.startswith(("http", "about:")):
            words.code(value)
    _read_execution_error(body.get("execution_error"), words)


def _read_text(value: object, words: Words) -> None:
    """A message, a list of them, or the objects in which FastAPI and Scenario wrap them."""
    if isinstance(value, str):
        words.text(value)
    elif isinstance(value, Mapping):
        for key in ("message", "msg", "actionName", "error"):
            words.text(value.get(key))
    for item in _items(value)[:MOST_ITEMS]:
        _read_text(item, words)


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _read_error(error: object, words: Words) -> None:
    if isinstance(error, Mapping):
        words.code(error.get("type"))
        _read_messages(error, words)
    elif isinstance(error, str):
        wrapped = _wrapped_exception(error)
        if wrapped:
            words.code(wrapped.get("error_type"))
            words.text(wrapped.get("error_message"))
        else:
            words.text(error)


def _wrapped_exception(error: str) -> Body | None:
    """RunPod's SDK sends an uncaught exception as JSON inside the error string (rp_job.py)."""
    if not error.lstrip().startswith("{"):
        return None
    try:
        wrapped = json.loads(error)
    except ValueError:
        return None
    return wrapped if isinstance(wrapped, Mapping) and "error_message" in wrapped else None


def _read_node_errors(node_errors: object, words: Words) -> None:
    if not isinstance(node_errors, Mapping) or not node_errors:
        return
    words.code("node_errors")
    for node in node_errors.values():
        for error in _items(_field(node, "errors")):
            words.code(f"{_text_at(error, 'type')}:{_text_at(_field(error, 'extra_info'), 'input_name')}")
            words.text(": ".join(filter(None, (_text_at(error, "message"), _text_at(error, "details")))))


def _field(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _text_at(value: object, key: str) -> str:
    found = _field(value, key)
    return found if isinstance(found, str) else ""


def _history_entries(body: Body) -> Iterator[Body]:
    """GET /history/{id} answers {id: entry}; an entry is known by its status object."""
    candidates = [body, *body.values()] if len(body) == 1 else [body]
    for entry in candidates:
        if isinstance(entry, Mapping) and isinstance(entry.get("status"), Mapping):
            yield entry


def _read_history(entry: Body, words: Words) -> None:
    for message in _items(entry["status"].get("messages")):
        name, content = [*_items(message), None, None][:2]
        _read_frame(name, content, words)
    if entry["status"].get("status_str") == "success" and not entry.get("outputs"):
        words.code("result:none")
        words.text("success was reported without an image")


def _read_frame(name: object, content: object, words: Words) -> None:
    """One event of a run, as in a history entry and on the WebSocket."""
    if name == "execution_interrupted":
        words.code("execution_interrupted")
        words.text("the run was interrupted")
    elif name == "execution_error":
        _read_execution_error(content, words)


def _read_execution_error(error: object, words: Words) -> None:
    """Only type and message: current_inputs hold tensors and prompts, tracebacks the server's paths."""
    if isinstance(error, Mapping):
        words.code(error.get("exception_type"))
        words.text(error.get("exception_message"))
        words.text(error.get("error_message"))
