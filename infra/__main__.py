"""The Pulumi program: load the configuration, declare the stack, export its outputs."""

import gc

# One short run over the 180,000 lines of pulumi_cloudflare's types: collecting garbage among them, at import and
# again at exit, took 1.2 of its 2.0 seconds.
gc.disable()

import pulumi  # noqa: E402

from infra.loading import load_config  # noqa: E402
from infra.stack import ImageGenerationStack  # noqa: E402

stack = ImageGenerationStack("image-generation", load_config())
for name, value in stack.outputs.items():
    pulumi.export(name, value)
gc.freeze()
