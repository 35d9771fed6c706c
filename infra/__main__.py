"""The Pulumi program: load the configuration, declare the stack, export its outputs."""

import pulumi

from infra.loading import load_config
from infra.stack import ImageGenerationStack

stack = ImageGenerationStack("image-generation", load_config())
for name, value in stack.outputs.items():
    pulumi.export(name, value)
