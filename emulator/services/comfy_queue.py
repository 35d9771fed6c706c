"""ComfyUI's queue: prompts run one after the other, end in history, can be deleted while they wait or interrupted."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.services.comfy_graph import ExecutionError, GraphEngine, Ran
from emulator.services.comfy_operations import CUDA_OUT_OF_MEMORY, OUT_OF_MEMORY_TYPE, operation_of
from emulator.services.comfy_validation import Graph, Json
from emulator.services.spoiling import spoil_of
from emulator.world import Fault, World

# Simulated seconds on a warm GPU; a cached prompt takes next to nothing.
SECONDS: Mapping[str, float] = {
    "txt2img": 10.0,
    "img2img": 11.5,
    "remove_background": 5.0,
    "pipeline": 20.0,
    "check": 0.05,
}
CACHED_SECONDS = 0.01
RESTART_SECONDS = 20.0
FOREVER = 1e9


@dataclass
class Prompt:
    """One queued graph."""

    id: str
    number: int
    graph: Graph
    extra: Json
    outputs: list[str]
    fault: Fault | None = None
    started: int | None = None  # unix ms
    ended: int | None = None
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    def tuple(self) -> list[Any]:
        """As queue and history show it."""
        return [self.number, self.id, self.graph, self.extra, self.outputs]

    @property
    def fault_kind(self) -> str | None:
        return self.fault.kind if self.fault else None


class PromptQueue:
    """The part of a ComfyUI process that a restart wipes out, and the loop that works it off."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine = GraphEngine()
        self.pending: list[Prompt] = []
        self.running: Prompt | None = None
        self.history: dict[str, Json] = {}
        self.finished: dict[str, Prompt] = {}
        self.counts = {"submits": 0, "completed": 0, "failed": 0, "cancelled": 0, "refused": 0}
        self.submits_by_operation: dict[str, int] = {}
        self._down_until = -1.0
        self._numbers = itertools.count()
        self._loop: asyncio.Task[None] | None = None

    @property
    def is_down(self) -> bool:
        """Whether the process has died and is not back yet."""
        return self.world.clock.now() < self._down_until

    def milliseconds(self) -> int:
        return int(self.world.clock.time() * 1000)

    def add(self, body: Mapping[str, Any], outputs: list[str], fault: Fault | None) -> Prompt:
        """Queues what has been judged; a prompt id of the caller's own is taken over."""
        number = next(self._numbers)
        extra = dict(body.get("extra_data") or {})
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        extra["create_time"] = self.milliseconds()
        prompt_id = str(body.get("prompt_id") or uuid.UUID(int=self.world.random.getrandbits(128), version=4))
        number = -number if body.get("front") else number
        prompt = Prompt(prompt_id, number, body["prompt"], extra, outputs, fault)
        self.pending.append(prompt)
        self.pending.sort(key=lambda one: one.number)
        self.counts["submits"] += 1
        operation = operation_of(prompt.graph)
        self.submits_by_operation[operation] = self.submits_by_operation.get(operation, 0) + 1
        if self._loop is None or self._loop.done():
            self._loop = asyncio.get_running_loop().create_task(self._work())
        return prompt

    def delete(self, ids: list[str] | None) -> None:
        """Takes prompts that still wait out of the queue; None takes all."""
        gone = [one for one in self.pending if ids is None or one.id in ids]
        self.pending = [one for one in self.pending if one not in gone]
        self.counts["cancelled"] += len(gone)

    def interrupt(self, prompt_id: str | None) -> None:
        """Ends the running prompt, if it is this one; None means whichever runs."""
        if self.running is not None and prompt_id in {None, self.running.id}:
            self.running.interrupted.set()

    def stop(self) -> None:
        """Ends the loop for good."""
        if self._loop is not None:
            self._loop.cancel()

    async def _work(self) -> None:
        while self.pending:
            prompt = next((one for one in self.pending if one.fault_kind != "stuck"), None)
            if prompt is None:
                return
            self.pending.remove(prompt)
            self.running = prompt
            try:
                await self._run(prompt)
            finally:
                self.running = None

    async def _run(self, prompt: Prompt) -> None:
        prompt.started = self.milliseconds()
        seconds = self._seconds(prompt)
        try:
            # painting costs the wall's time, not simulated time: it happens while the GPU seems to work
            painting = asyncio.create_task(asyncio.to_thread(self._paint, prompt))
            await self._sleep_unless_interrupted(prompt, seconds)
            prompt.ended = prompt.started + int(min(seconds * 1000, self.milliseconds() - prompt.started))
            ran = await painting
            if prompt.interrupted.is_set():
                self._end(prompt, {}, [], "execution_interrupted", _stopped(prompt))
            elif prompt.fault_kind == "crash":
                self._crash()
            elif prompt.fault_kind == "out_of_memory":
                raise _gpu_is_full(prompt)
            else:
                outputs = _only_previews(ran.outputs) if prompt.fault_kind == "no_image" else ran.outputs
                self._end(prompt, outputs, ran.cached, "execution_success", {})
        except ExecutionError as error:
            self._end(prompt, {}, [], "execution_error", _error(error, prompt))

    def _paint(self, prompt: Prompt) -> Ran:
        return self.engine.run(prompt.graph, prompt.outputs, spoil_of(prompt.fault_kind))

    async def _sleep_unless_interrupted(self, prompt: Prompt, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self.world.clock.sleep(seconds))
        stopped = asyncio.ensure_future(prompt.interrupted.wait())
        try:
            await asyncio.wait({sleeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopped.cancel()

    def _seconds(self, prompt: Prompt) -> float:
        if prompt.fault_kind == "timed_out":
            return FOREVER
        if set(prompt.outputs) <= set(self.engine.cached(prompt.graph)):
            return CACHED_SECONDS
        extra = prompt.fault.number("seconds", 300.0) if prompt.fault and prompt.fault.kind == "slow" else 0.0
        return SECONDS[operation_of(prompt.graph)] * self.world.random.uniform(0.94, 1.06) + extra

    def _crash(self) -> None:
        """The process dies: queue and history are gone, connections are refused until it is back."""
        self.counts["failed"] += 1 + len(self.pending)
        self.pending.clear()
        self.history.clear()
        self.finished.clear()
        self.engine = GraphEngine(self.engine.models, self.engine.files)
        self._down_until = self.world.clock.now() + RESTART_SECONDS

    def _end(self, prompt: Prompt, outputs: Json, cached: list[str], event: str, details: Json) -> None:
        good = event == "execution_success"
        messages = [
            ["execution_start", {"prompt_id": prompt.id, "timestamp": prompt.started}],
            ["execution_cached", {"nodes": cached, "prompt_id": prompt.id, "timestamp": prompt.started}],
            [event, {"prompt_id": prompt.id, **details, "timestamp": prompt.ended}],
        ]
        shown = {"node_id": None, "display_node": None, "parent_node": None, "real_node_id": None}
        self.history[prompt.id] = {
            "prompt": prompt.tuple(),
            "outputs": outputs,
            "status": {"status_str": "success" if good else "error", "completed": good, "messages": messages},
            "meta": {
                node: {**shown, "node_id": node, "display_node": node, "real_node_id": node} for node in outputs
            },
        }
        self.finished[prompt.id] = prompt
        self.counts[_COUNT_OF[event]] += 1


_COUNT_OF = {"execution_success": "completed", "execution_error": "failed", "execution_interrupted": "cancelled"}


def _stopped(prompt: Prompt) -> Json:
    node = prompt.outputs[0]
    slow = next((n for n, body in prompt.graph.items() if body["class_type"] in _SLOW_NODES), node)
    return {"node_id": slow, "node_type": prompt.graph[slow]["class_type"], "executed": []}


_SLOW_NODES = {"KSampler", "RemoveBackground"}


def _gpu_is_full(prompt: Prompt) -> ExecutionError:
    node = _stopped(prompt)["node_id"]
    kind = prompt.graph[node]["class_type"]
    return ExecutionError(node, kind, OUT_OF_MEMORY_TYPE, CUDA_OUT_OF_MEMORY, [], {})


def _error(error: ExecutionError, prompt: Prompt) -> Json:
    return {
        "node_id": error.node,
        "node_type": error.node_type,
        "executed": error.executed,
        "exception_message": error.message,
        "exception_type": error.kind,
        "traceback": ['  File "execution.py", in execute\n'],
        "current_inputs": error.inputs,
        "current_outputs": list(prompt.graph),
    }


def _only_previews(outputs: Json) -> Json:
    """As a graph with PreviewImage instead of SaveImage would end: success, and nothing to keep."""
    return {
        node: {"images": [{**one, "type": "temp"} for one in shown.get("images", ())]}
        for node, shown in outputs.items()
    }
