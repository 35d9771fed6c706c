"""Judges a graph as ComfyUI 0.25.0 does before it queues it: the recordings in tests/fixtures decide every word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.services.comfy_nodes import NODE_CLASSES, Input, Models, NodeClass

Json = dict[str, Any]
Graph = Mapping[str, Any]


@dataclass
class Judgement:
    """What POST /prompt found. `error` means that nothing runs; else the `outputs` run, `node_errors` or not."""

    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Json] = field(default_factory=dict)
    error: Json | None = None


@dataclass(frozen=True)
class Shelf:
    """What is installed: model files, and whether an input picture exists."""

    models: Models
    has_input: Callable[[str], bool]


def refusal(kind: str, message: str, details: str = "", **extra: object) -> Json:
    """The `error` object of a 400."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def is_graph(value: object) -> bool:
    """Whether ComfyUI gets as far as judging it; anything else makes it answer 500."""
    return isinstance(value, Mapping) and all(
        isinstance(body, Mapping) and isinstance(body.get("inputs", {}), Mapping) for body in value.values()
    )


def judge(graph: Graph, shelf: Shelf) -> Judgement:
    """Checks every output node with all that it depends on."""
    missing = _missing_class(graph)
    if missing is not None:
        return Judgement(error=missing)
    outputs = [node for node, body in graph.items() if NODE_CLASSES[body["class_type"]].output_node]
    if not outputs:
        return Judgement(error=refusal("prompt_no_outputs", "Prompt has no outputs"))
    judge_one = _Judge(graph, shelf)
    good = [node for node in outputs if judge_one.output_is_sound(node)]
    if good:
        return Judgement(good, judge_one.node_errors)
    error = refusal("prompt_outputs_failed_validation", "Prompt outputs failed validation")
    return Judgement([], judge_one.node_errors, error)


def _missing_class(graph: Graph) -> Json | None:
    for node, body in graph.items():
        name = body.get("class_type") if isinstance(body, Mapping) else None
        if name in NODE_CLASSES:
            continue
        title = body.get("_meta", {}).get("title", name) if isinstance(body, Mapping) else name
        return refusal(
            "missing_node_type",
            f"Node '{title}' not found. The custom node may not be installed.",
            f"Node ID '#{node}'",
            node_id=node,
            class_type=name,
            node_title=title,
        )
    return None


class _Judge:
    """Walks from each output to its inputs; a node is judged once."""

    def __init__(self, graph: Graph, shelf: Shelf) -> None:
        self.graph = graph
        self.shelf = shelf
        self.node_errors: dict[str, Json] = {}
        self._sound: dict[str, bool] = {}

    def output_is_sound(self, output: str) -> bool:
        cycle = self._cycle(output, [])
        if cycle is not None:
            self._add(cycle[0], output, self._cycle_error(cycle))
            return False
        return self._is_sound(output, output)

    def _links(self, node: str) -> list[str]:
        inputs = self.graph.get(node, {}).get("inputs", {})
        return [str(value[0]) for value in inputs.values() if isinstance(value, list) and len(value) == 2]

    def _cycle(self, node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return path[path.index(node) :]
        for linked in self._links(node):
            found = self._cycle(linked, [*path, node]) if linked in self.graph else None
            if found is not None:
                return found
        return None

    def _cycle_error(self, cycle: list[str]) -> Json:
        names = [f"{node} ({self.graph[node]['class_type']})" for node in [*cycle, cycle[0]]]
        return _node_error(
            "dependency_cycle", "Dependency cycle detected", " -> ".join(names),
            node_id=cycle[0], cycle_nodes=cycle,
        )  # fmt: skip

    def _add(self, node: str, output: str, error: Json) -> None:
        entry = self.node_errors.setdefault(
            node, {"errors": [], "dependent_outputs": [], "class_type": self.graph[node]["class_type"]}
        )
        if output not in entry["dependent_outputs"]:
            entry["dependent_outputs"].append(output)
        if error not in entry["errors"]:
            entry["errors"].append(error)

    def _is_sound(self, node: str, output: str) -> bool:
        if node in self._sound:
            if node in self.node_errors and output not in self.node_errors[node]["dependent_outputs"]:
                self.node_errors[node]["dependent_outputs"].append(output)
            return self._sound[node]
        body = self.graph[node]
        node_class = NODE_CLASSES[body["class_type"]]
        sound = True
        for one in node_class.inputs:
            sound = self._input_is_sound(node, one, body.get("inputs", {}), output) and sound
        sound = self._extra_check(node, node_class, output) and sound
        self._sound[node] = sound
        return sound

    def _input_is_sound(self, node: str, one: Input, inputs: Mapping[str, Any], output: str) -> bool:
        if one.name not in inputs:
            error = _node_error(
                "required_input_missing", "Required input is missing", one.name, input_name=one.name
            )
        elif isinstance(inputs[one.name], list):
            return self._link_is_sound(node, one, inputs[one.name], output)
        else:
            found = _value_error(one, inputs[one.name], self.shelf.models)
            if found is None:
                return True
            error = found
        self._add(node, output, error)
        return False

    def _link_is_sound(self, node: str, one: Input, link: list[Any], output: str) -> bool:
        config = one.config(self.shelf.models)
        if len(link) != 2:
            error = _node_error(
                "bad_linked_input", "Bad linked input, must be a length-2 list of [node_id, slot_index]", one.name,
                input_name=one.name, input_config=config, received_value=link,
            )  # fmt: skip
            self._add(node, output, error)
            return False
        source, slot = str(link[0]), link[1]
        if source not in self.graph:
            self._add_missing_link(node, source, output)
            return False
        outputs = NODE_CLASSES[self.graph[source]["class_type"]].outputs
        kind = outputs[slot] if isinstance(slot, int) and 0 <= slot < len(outputs) else "*"
        wanted = "COMBO" if one.kind == "COMBO" else one.kind
        if kind != wanted:
            error = _node_error(
                "return_type_mismatch", "Return type mismatch between linked nodes",
                f"{one.name}, received_type({kind}) mismatch input_type({wanted})",
                input_name=one.name, input_config=config, received_type=kind, linked_node=link,
            )  # fmt: skip
            self._add(node, output, error)
            return False
        return self._is_sound(source, output)

    def _add_missing_link(self, node: str, source: str, output: str) -> None:
        """ComfyUI trips over the missing node while it checks the one that asks, and reports that from outside."""
        asking, one = self._asks_for(node)
        error = _node_error(
            "exception_during_inner_validation", "Exception when validating inner node", f"'{source}'",
            input_name=one.name, input_config=one.config(self.shelf.models), exception_message=f"'{source}'",
            exception_type="KeyError", traceback=['  File "execution.py", in validate_inputs\n'],
            linked_node=asking,
        )  # fmt: skip
        self._add(node, output, error)

    def _asks_for(self, node: str) -> tuple[list[Any], Input]:
        for body in self.graph.values():
            for name, value in body.get("inputs", {}).items():
                if isinstance(value, list) and len(value) == 2 and str(value[0]) == node:
                    one = NODE_CLASSES[body["class_type"]].input(name)
                    if one is not None:
                        return value, one
        return [node, 0], NODE_CLASSES[self.graph[node]["class_type"]].inputs[0]

    def _extra_check(self, node: str, node_class: NodeClass, output: str) -> bool:
        if node_class.name != "LoadImage":
            return True
        name = self.graph[node].get("inputs", {}).get("image")
        if not isinstance(name, str) or self.shelf.has_input(name):
            return True
        error = _node_error(
            "custom_validation_failed", "Custom validation failed for node", f"image - Invalid image file: {name}",
            input_name="image",
        )  # fmt: skip
        self._add(node, output, error)
        return False


def _node_error(kind: str, message: str, details: str, **extra: object) -> Json:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def _value_error(one: Input, value: Any, models: Models) -> Json | None:
    config = one.config(models)
    known: Json = {"input_name": one.name, "input_config": config, "received_value": value}
    if one.kind in {"INT", "FLOAT"}:
        return _number_error(one, value, known)
    if one.kind == "COMBO" and value not in one.allowed(models):
        details = f"{one.name}: '{value}' not in {one.allowed(models)}"
        return _node_error("value_not_in_list", "Value not in list", details, **known)
    return None  # a literal where a link belongs is accepted, and fails when it runs


def _number_error(one: Input, value: Any, known: Json) -> Json | None:
    try:
        number = int(value) if one.kind == "INT" else float(value)
    except (TypeError, ValueError) as error:
        return _node_error(
            "invalid_input_type", f"Failed to convert an input value to a {one.kind} value",
            f"{one.name}, {value}, {error}", **known, exception_message=str(error),
        )  # fmt: skip
    low, high = one.options.get("min"), one.options.get("max")
    if isinstance(low, int | float) and number < low:
        return _node_error(
            "value_smaller_than_min", f"Value {number} smaller than min of {low}", one.name, **known
        )
    if isinstance(high, int | float) and number > high:
        return _node_error("value_bigger_than_max", f"Value {number} bigger than max of {high}", one.name, **known)
    return None
