"""ComfyUI 0.25.0's own HTTP API under /comfyui, each route also under /comfyui/api, as the real server does."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from PIL import Image

from emulator.faults import GENERATION_KINDS, reset_connection
from emulator.services import comfy_jobs
from emulator.services.comfy_nodes import MODEL_FOLDERS, Models, object_info
from emulator.services.comfy_queue import PromptQueue
from emulator.services.comfy_system import FEATURES, MAX_UPLOAD_BYTES, SYSTEM_STATS
from emulator.services.comfy_validation import Json, Shelf, is_graph, judge, refusal
from emulator.world import World

PREFIX = "/comfyui"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ComfyUI:
    """One server with one GPU."""

    name = "comfyui"

    def __init__(self, world: World) -> None:
        self.world = world
        self.queue = PromptQueue(world)

    def routes(self) -> Iterable[web.RouteDef]:
        """aiohttp routes."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/", self.page),
            ("GET", "/prompt", self.remaining),
            ("POST", "/prompt", self.submit),
            ("GET", "/queue", self.show_queue),
            ("POST", "/queue", self.change_queue),
            ("POST", "/interrupt", self.interrupt),
            ("GET", "/history", self.show_history),
            ("POST", "/history", self.change_history),
            ("GET", "/history/{prompt}", self.show_entry),
            ("GET", "/view", self.view),
            ("POST", "/upload/image", self.upload),
            ("GET", "/system_stats", self.system_stats),
            ("GET", "/features", self.features),
            ("GET", "/object_info", self.object_infos),
            ("GET", "/object_info/{node}", self.one_object_info),
            ("GET", "/models", self.model_folders),
            ("GET", "/models/{folder}", self.model_files),
            ("POST", "/free", self.free),
        ]
        routes = [
            web.route(method, prefix + path, self._guarded(handler))
            for method, path, handler in table
            for prefix in (PREFIX, f"{PREFIX}/api")
        ]
        return [
            *routes,
            web.get(f"{PREFIX}/api/jobs", self._guarded(self.jobs)),
            web.get(f"{PREFIX}/api/jobs/{{prompt}}", self._guarded(self.one_job)),
            web.post(f"{PREFIX}/api/jobs/{{prompt}}/cancel", self._guarded(self.not_allowed)),
            web.route("*", f"{PREFIX}/{{rest:.*}}", self._guarded(self.unknown)),
        ]

    def reset(self) -> None:
        """A new server with the standard models."""
        self.queue.stop()
        self.queue = PromptQueue(self.world)

    def configure(self, settings: Json) -> None:
        """{"models": {"checkpoints": ["other.safetensors"]}} replaces what is installed in these folders."""
        models: Models = {folder: tuple(names) for folder, names in settings.get("models", {}).items()}
        self.queue.engine.models = {**self.queue.engine.models, **models}

    def summary(self) -> dict[str, object]:
        """Counters; `submits` counts accepted prompts."""
        queue = self.queue
        return {
            **queue.counts,
            "submits_by_operation": dict(queue.submits_by_operation),
            "pending": len(queue.pending),
            "running": queue.running is not None,
            "models": {folder: list(names) for folder, names in queue.engine.models.items()},
        }

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self.queue.is_down:
                return reset_connection(request)
            refused = self._proxy_refusal(request)
            if refused is not None:
                return refused
            if _comes_from_another_site(request):
                return web.Response(status=403)
            return await handler(request)

        return guarded

    def _proxy_refusal(self, request: web.Request) -> web.Response | None:
        """ComfyUI knows no credentials; a bad one meets the proxy that a guarded server stands behind."""
        sent = request.headers.get("X-API-Key") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        status = self.world.rejects(sent) if sent else None
        return (
            web.Response(status=status, text="Unauthorized" if status == 401 else "Forbidden") if status else None
        )

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(text="<!DOCTYPE html><title>ComfyUI</title>", content_type="text/html")

    async def unknown(self, _request: web.Request) -> web.Response:
        return web.Response(status=404)

    async def not_allowed(self, _request: web.Request) -> web.Response:
        """Cancelling by /api/jobs came after 0.25.0."""
        return web.Response(status=405, text="405: Method Not Allowed")

    async def remaining(self, _request: web.Request) -> web.Response:
        waiting = len(self.queue.pending) + (self.queue.running is not None)
        return web.json_response({"exec_info": {"queue_remaining": waiting}})

    async def submit(self, request: web.Request) -> web.Response:
        """POST /prompt; a body that is no JSON is a 500, not a 400."""
        try:
            body = json.loads(await request.read())
        except ValueError:
            return web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")
        error = _body_error(body)
        if error is not None:
            return self._refuse(error, {})
        if not is_graph(body["prompt"]):
            return web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")
        fault = self.world.faults.take(self.name, GENERATION_KINDS, method="POST", path=request.path)
        models = {} if fault and fault.kind == "model_not_found" else self.queue.engine.models
        judgement = judge(body["prompt"], Shelf(models, self.queue.engine.has_input))
        if judgement.error is not None:
            return self._refuse(judgement.error, judgement.node_errors)
        node_errors = judgement.node_errors
        if fault and fault.kind == "partial":
            node_errors = {**node_errors, **_broken_branch()}
        prompt = self.queue.add(body, judgement.outputs, fault)
        return web.json_response({"prompt_id": prompt.id, "number": prompt.number, "node_errors": node_errors})

    def _refuse(self, error: Json, node_errors: Json) -> web.Response:
        self.queue.counts["refused"] += 1
        return web.json_response({"error": error, "node_errors": node_errors}, status=400)

    async def show_queue(self, _request: web.Request) -> web.Response:
        running = [self.queue.running.tuple()] if self.queue.running else []
        pending = [one.tuple() for one in self.queue.pending]
        return web.json_response({"queue_running": running, "queue_pending": pending})

    async def change_queue(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if body.get("clear"):
            self.queue.delete(None)
        self.queue.delete(list(body.get("delete", ())))
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        self.queue.interrupt((await _json(request)).get("prompt_id"))
        return web.Response()

    async def show_history(self, request: web.Request) -> web.Response:
        entries = list(self.queue.history.items())
        offset = int(request.query.get("offset", "-1"))
        if "max_items" in request.query:
            count = int(request.query["max_items"])
            entries = entries[offset : offset + count] if offset >= 0 else entries[-count:] if count else []
        return web.json_response(dict(entries))

    async def change_history(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if body.get("clear"):
            self.queue.history.clear()
        for prompt in body.get("delete", ()):
            self.queue.history.pop(prompt, None)
        return web.Response()

    async def show_entry(self, request: web.Request) -> web.Response:
        prompt = request.match_info["prompt"]
        entry = self.queue.history.get(prompt)
        return web.json_response({prompt: entry} if entry else {})

    async def view(self, request: web.Request) -> web.Response:
        filename = request.query.get("filename", "")
        if ".." in filename or filename.startswith("/") or ".." in request.query.get("subfolder", ""):
            return web.Response(status=400)
        key = request.query.get("type", "output"), request.query.get("subfolder", ""), filename
        content = self.queue.engine.files.get(key)
        if content is None:
            return web.Response(status=404)
        content_type = "image/png"
        if request.query.get("preview", "").startswith("webp"):
            content, content_type = _webp(content), "image/webp"
        disposition = {"Content-Disposition": f'filename="{filename}"'}
        return web.Response(body=content, content_type=content_type, headers=disposition)

    async def upload(self, request: web.Request) -> web.Response:
        if (request.content_length or 0) > MAX_UPLOAD_BYTES:
            return web.Response(status=413, text="Maximum request body size exceeded")
        form = await request.post()
        image = form.get("image")
        if not isinstance(image, web.FileField):
            return web.Response(status=400)
        folder, kind = str(form.get("subfolder", "")), str(form.get("type", "input"))
        overwrite = form.get("overwrite") in {"true", "1"}
        name = self.queue.engine.upload(
            image.filename, image.file.read(), overwrite=overwrite, folder=folder, kind=kind
        )
        return web.json_response({"name": name, "subfolder": folder, "type": kind})

    async def system_stats(self, _request: web.Request) -> web.Response:
        return web.json_response(SYSTEM_STATS)

    async def features(self, _request: web.Request) -> web.Response:
        return web.json_response(FEATURES)

    async def object_infos(self, _request: web.Request) -> web.Response:
        return web.json_response(object_info(self.queue.engine.models))

    async def one_object_info(self, request: web.Request) -> web.Response:
        return web.json_response(object_info(self.queue.engine.models, [request.match_info["node"]]))

    async def model_folders(self, _request: web.Request) -> web.Response:
        return web.json_response(list(MODEL_FOLDERS))

    async def model_files(self, request: web.Request) -> web.Response:
        folder = request.match_info["folder"]
        if folder not in MODEL_FOLDERS:
            return web.Response(status=404)
        return web.json_response(list(self.queue.engine.models.get(folder, ())))

    async def free(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def jobs(self, request: web.Request) -> web.Response:
        return comfy_jobs.listing(self.queue, request.query)

    async def one_job(self, request: web.Request) -> web.Response:
        return comfy_jobs.detail(self.queue, request.match_info["prompt"])


def _body_error(body: Any) -> Json | None:
    if not isinstance(body, dict) or "prompt" not in body:
        return refusal("no_prompt", "No prompt provided", "No prompt provided")
    prompt_id = body.get("prompt_id")
    if prompt_id is not None and not _is_canonical_uuid(prompt_id):
        return refusal(
            "invalid_prompt_id", "prompt_id must be a valid UUID",
            "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server"
            " generate one",
        )  # fmt: skip
    return None


def _is_canonical_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _broken_branch() -> Json:
    """A second output node that was refused, beside one that runs: 200 and yet a failure."""
    error = {
        "type": "custom_validation_failed",
        "message": "Custom validation failed for node",
        "details": "image - Invalid image file: absent.png",
        "extra_info": {"input_name": "image"},
    }
    return {"910": {"errors": [error], "dependent_outputs": ["911"], "class_type": "LoadImage"}}


def _comes_from_another_site(request: web.Request) -> bool:
    """ComfyUI's only 403 of its own: a browser page of somebody else."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    origin = request.headers.get("Origin")
    return bool(origin) and urlsplit(origin or "").netloc != request.host


async def _json(request: web.Request) -> Json:
    raw = await request.read()
    body = json.loads(raw) if raw else {}
    return body if isinstance(body, dict) else {}


def _webp(content: bytes) -> bytes:
    stream = io.BytesIO()
    Image.open(io.BytesIO(content)).save(stream, "WEBP", quality=80)
    return stream.getvalue()
