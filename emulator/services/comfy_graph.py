"""One ComfyUI process without its server: judges graphs, runs them, keeps files, counters and the cache.

The ComfyUI service has one of these, and every RunPod worker has its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from emulator.painting import encode_png
from emulator.services.comfy_nodes import DEFAULT_MODELS, Models
from emulator.services.comfy_operations import OPERATIONS, Conditions, NodeFailure
from emulator.services.comfy_validation import Graph, Json, Judgement, Shelf, judge
from emulator.services.spoiling import Spoil, untouched

FileKey = tuple[str, str, str]  # output | temp | input, subfolder, name


KEPT_FILES = 500  # the oldest go: an emulator may run for days


class ExecutionError(Exception):
    """A node failed while it ran; the fields are those of ComfyUI's `execution_error`."""

    def __init__(self, node: str, node_type: str, kind: str, message: str, executed: list[str], inputs: Json):
        super().__init__(message)
        self.node, self.node_type, self.kind, self.message = node, node_type, kind, message
        self.executed, self.inputs = executed, inputs


@dataclass(frozen=True)
class Ran:
    """Outputs by node as history shows them, and the nodes that came from the cache."""

    outputs: Json
    cached: list[str]


@dataclass
class GraphEngine:
    """State of one process; not shared between threads except that `run` may be called in one."""

    models: Models = field(default_factory=lambda: dict(DEFAULT_MODELS))
    files: dict[FileKey, bytes] = field(default_factory=dict)
    _counters: dict[FileKey, int] = field(default_factory=dict)
    _cache: dict[str, Json] = field(default_factory=dict)  # signature → output; of the last graph only, as ComfyUI

    def judge(self, graph: Graph) -> Judgement:
        """As POST /prompt does."""
        return judge(graph, Shelf(self.models, self.has_input))

    def has_input(self, name: str) -> bool:
        """Whether LoadImage finds this file, "sub/x.png" included."""
        return self._input_key(name) in self.files

    def upload(self, name: str, content: bytes, *, overwrite: bool, folder: str = "", kind: str = "input") -> str:
        """Keeps an input; the name changes when another file has it already."""
        stem, dot, ending = name.rpartition(".")
        chosen, number = name, 0
        while not overwrite and self.files.get((kind, folder, chosen), content) != content:
            number += 1
            chosen = f"{stem} ({number}){dot}{ending}" if dot else f"{name} ({number})"
        self.files[kind, folder, chosen] = content
        return chosen

    def cached(self, graph: Graph) -> list[str]:
        """The nodes that need not run again; all of them for an identical graph."""
        signatures = self.signatures(graph)
        return [node for node in graph if signatures[node] in self._cache]

    def run(self, graph: Graph, outputs: list[str], spoil: Spoil = untouched) -> Ran:
        """Runs what the outputs depend on; raises ExecutionError. Costs CPU: call it in a thread."""
        signatures = self.signatures(graph)
        cached = self.cached(graph)
        walk = _Walk(graph, self, spoil)
        shown: Json = {}
        for node in outputs:
            known = self._cache.get(signatures[node])
            shown[node] = known if known and self._still_there(known) else walk.value(node)
        done = {signatures[node]: shown.get(node, {}) for node in walk.executed + cached}
        self._cache = done
        return Ran(shown, cached)

    def signatures(self, graph: Graph) -> dict[str, str]:
        """A digest per node of all that determines its result, input files included."""
        known: dict[str, str] = {}

        def sign(node: str, path: tuple[str, ...] = ()) -> str:
            if node in known or node not in graph or node in path:
                return known.get(node, node)
            body = graph[node]
            parts: list[object] = [body.get("class_type")]
            for name, value in sorted(body.get("inputs", {}).items()):
                linked = isinstance(value, list) and len(value) == 2
                parts += [name, [sign(str(value[0]), (*path, node)), value[1]] if linked else value]
            if body.get("class_type") == "LoadImage":
                content = self.files.get(self._input_key(str(body.get("inputs", {}).get("image"))), b"")
                parts.append(hashlib.sha256(content).hexdigest())
            known[node] = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
            return known[node]

        for node in graph:
            sign(node)
        return known

    def save(self, image: Image.Image, kind: str, prefix: str, graph: Graph, spoil: Spoil) -> Json:
        """Writes one picture under the next free number, with the graph in its text chunk as ComfyUI does."""
        folder, _, name = prefix.rpartition("/")
        number = self._counters.get((kind, folder, name), 0) + 1
        self._counters[kind, folder, name] = number
        filename = f"{name}_{number:05}_.png"
        content = encode_png(image, {"prompt": json.dumps(graph)})
        self.files[kind, folder, filename] = spoil(content)
        for old in list(self.files)[:-KEPT_FILES]:
            del self.files[old]
        return {"filename": filename, "subfolder": folder, "type": kind}

    def _input_key(self, name: str) -> FileKey:
        folder, _, filename = name.rpartition("/")
        return "input", folder, filename

    def _still_there(self, output: Mapping[str, Any]) -> bool:
        keys = [(one["type"], one["subfolder"], one["filename"]) for one in output.get("images", ())]
        return all(key in self.files for key in keys)


class _Walk:
    """One run: every node once, what it needs first."""

    def __init__(self, graph: Graph, engine: GraphEngine, spoil: Spoil) -> None:
        self.graph, self.engine, self.spoil = graph, engine, spoil
        self.executed: list[str] = []
        self._values: dict[str, Any] = {}

    def value(self, node: str) -> Any:
        if node not in self._values:
            self._values[node] = self._compute(node)
            self.executed.append(node)
        return self._values[node]

    def _compute(self, node: str) -> Any:
        body = self.graph[node]
        kind, raw = body["class_type"], body.get("inputs", {})
        inputs = {name: self._resolve(value) for name, value in raw.items()}
        if kind in {"SaveImage", "PreviewImage"}:
            return self._store(kind, inputs)
        try:
            return OPERATIONS[kind](inputs, Conditions(self._read_input))
        except NodeFailure as failure:
            raise self._failed(node, failure.kind, failure.message) from failure
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            raise self._failed(node, type(error).__name__, f"{error}\n") from error

    def _failed(self, node: str, kind: str, message: str) -> ExecutionError:
        body = self.graph[node]
        literal = {name: [value] for name, value in body.get("inputs", {}).items() if not isinstance(value, list)}
        return ExecutionError(node, body["class_type"], kind, message, list(self.executed), literal)

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2:
            result = self.value(str(value[0]))
            return result[value[1]] if isinstance(result, tuple) else result
        return value

    def _store(self, kind: str, inputs: Mapping[str, Any]) -> Json:
        where, prefix = "output", str(inputs.get("filename_prefix", "ComfyUI"))
        if kind == "PreviewImage":
            where, prefix = "temp", "ComfyUI_temp_emulated"
        saved = [self.engine.save(one, where, prefix, self.graph, self.spoil) for one in inputs["images"]]
        return {"images": saved}

    def _read_input(self, name: str) -> bytes:
        folder, _, filename = name.rpartition("/")
        return self.engine.files["input", folder, filename]
