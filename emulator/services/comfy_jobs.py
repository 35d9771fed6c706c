"""GET /api/jobs and /api/jobs/{id} of ComfyUI 0.25.0."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from emulator.services.comfy_queue import Prompt, PromptQueue
from emulator.services.comfy_validation import Json

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")


def listing(queue: PromptQueue, query: Mapping[str, str]) -> web.Response:
    """Newest first."""
    wanted = [part.strip() for part in query.get("status", "").split(",") if part.strip()]
    wrong = [part for part in wanted if part not in STATUSES]
    if wrong:
        text = f"Invalid status value(s): {', '.join(wrong)}. Valid values: {', '.join(STATUSES)}"
        return web.json_response({"error": text}, status=400)
    jobs = [summary(queue, one) for one in _newest_first(queue)]
    jobs = [job for job in jobs if not wanted or job["status"] in wanted]
    offset = int(query.get("offset", "0"))
    limit = int(query["limit"]) if "limit" in query else None
    page = jobs[offset : offset + limit] if limit else jobs[offset:]
    more = offset + len(page) < len(jobs)
    pagination = {"offset": offset, "limit": limit, "total": len(jobs), "has_more": more}
    return web.json_response({"jobs": page, "pagination": pagination})


def detail(queue: PromptQueue, prompt_id: str) -> web.Response:
    """One job with its outputs and its graph."""
    prompt = next((one for one in _newest_first(queue) if one.id == prompt_id), None)
    if prompt is None:
        return web.json_response({"error": "Job not found"}, status=404)
    entry = queue.history.get(prompt_id, {})
    return web.json_response(
        {
            **summary(queue, prompt),
            "outputs": entry.get("outputs", {}),
            "execution_status": entry.get("status"),
            "workflow": {"prompt": prompt.graph, "extra_data": prompt.extra},
        }
    )


def summary(queue: PromptQueue, prompt: Prompt) -> Json:
    """One entry of the list."""
    entry = queue.history.get(prompt.id, {})
    outputs = [
        {**image, "nodeId": node, "mediaType": "images"}
        for node, shown in entry.get("outputs", {}).items()
        for image in shown.get("images", ())
    ]
    event, details = entry["status"]["messages"][-1] if entry else ("", {})
    job: Json = {
        "id": prompt.id,
        "status": _status(queue, prompt, event),
        "priority": prompt.number,
        "create_time": prompt.extra.get("create_time"),
    }
    if prompt.started is not None:
        job["execution_start_time"] = prompt.started
    if prompt.ended is not None:
        job["execution_end_time"] = prompt.ended
    if event == "execution_error":
        job["execution_error"] = details
    job["outputs_count"] = len(outputs)
    if outputs:
        job["preview_output"] = outputs[0]
    workflow = prompt.extra.get("extra_pnginfo", {}).get("workflow", {}).get("id")
    return {**job, "workflow_id": workflow} if workflow else job


def _newest_first(queue: PromptQueue) -> list[Prompt]:
    running = [queue.running] if queue.running else []
    kept = [one for one in queue.finished.values() if one.id in queue.history]
    return [*queue.pending, *running, *reversed(kept)]


def _status(queue: PromptQueue, prompt: Prompt, event: str) -> str:
    if prompt is queue.running:
        return "in_progress"
    ends = {"execution_success": "completed", "execution_error": "failed", "execution_interrupted": "cancelled"}
    return ends.get(event, "pending")
