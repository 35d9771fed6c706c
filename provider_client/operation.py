"""What a provider can be asked to do; apart from the models, which the command line cannot wait for."""

from __future__ import annotations

from enum import StrEnum


class Operation(StrEnum):
    TXT2IMG = "txt2img"
    IMG2IMG = "img2img"
    REMOVE_BACKGROUND = "remove_background"
    PIPELINE = "pipeline"
