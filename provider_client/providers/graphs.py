"""From a checked request to a filled ComfyUI graph: shared by the direct and the serverless provider."""

from __future__ import annotations

from provider_client.models import Operation
from provider_client.providers.work import Order
from provider_client.workflows import Graph, WorkflowOptions, accepted, fill, load_workflow, native_size


def graph_of(order: Order, options: WorkflowOptions, *, image_name: str | None, job: str) -> tuple[Graph, str]:
    """The graph and the id of its SaveImage node.

    `job` goes into the file name: ComfyUI answers a repeated identical graph from its cache with the old file.
    """
    workflow = load_workflow(order.operation)
    values: dict[str, object] = {
        **options.parameters(),
        "prompt": order.prompt,
        "negative_prompt": order.negative_prompt,
        "seed": order.seed,
        "width": order.width,
        "height": order.height,
        "strength": order.strength,
        "image": image_name,
        "filename_prefix": f"switchback/{order.operation}-{job}",
    }
    if order.operation is Operation.PIPELINE:
        values["generation_width"], values["generation_height"] = native_size(order.width, order.height)
    return fill(workflow, accepted(workflow, values)), workflow["output"]
