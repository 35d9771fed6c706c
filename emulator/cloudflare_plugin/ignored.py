"""The resource option `ignoreChanges`: at the given paths the program's values give way to the state's."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

_STEP = re.compile(r"[^.\[\]\"]+")


def with_ignored(inputs: Mapping[str, Any], state: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the inputs with the values of state at `paths` (`tags`, `observability.enabled`, `rules[0].id`)."""
    result = copy.deepcopy(dict(inputs))
    for path in paths:
        _take_over(result, state, _STEP.findall(path))
    return result


def _take_over(target: Any, source: Any, steps: list[str]) -> None:
    if not steps:
        return
    first, *rest = steps
    if isinstance(target, list) and first.isdecimal() and isinstance(source, list):
        index = int(first)
        if index < len(target) and index < len(source):
            if rest:
                _take_over(target[index], source[index], rest)
            else:
                target[index] = source[index]
    elif isinstance(target, dict) and isinstance(source, dict):
        if rest and first in target and first in source:
            _take_over(target[first], source[first], rest)
        elif not rest and first in source:
            target[first] = source[first]
        elif not rest:
            target.pop(first, None)
