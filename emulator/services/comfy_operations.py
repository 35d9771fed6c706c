"""What each ComfyUI node does, as far as a picture shows it: pictures are painted instead of sampled."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from emulator.painting import foreground, paint, paint_over
from emulator.services.comfy_validation import Graph

CPU_BYTES = 1 << 30
GPU_PIXELS = 24_000_000  # more than this at once does not fit; about 22 pictures of 1024 x 1024 on a 48 GB card
RESAMPLING = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Recorded on 0.3.64; ComfyUI adds the last two lines itself.
CUDA_OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 23.64 GiB of which 3.12 GiB is"
    " free.\nThis error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might"
    " have accidentally set the batch_size to a large number."
)
OUT_OF_MEMORY_TYPE = "torch.OutOfMemoryError"
Inputs = Mapping[str, Any]


class NodeFailure(Exception):
    """A node raised: `kind` is the exception's type as ComfyUI names it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


@dataclass(frozen=True)
class Conditions:
    """What a node may reach besides its inputs."""

    read_input: Callable[[str], bytes]


@dataclass(frozen=True)
class Latent:
    """Pictures yet to be decoded: of one size, made from `sources` where there are any."""

    width: int
    height: int
    count: int
    sources: tuple[Image.Image, ...] = ()


Operation = Callable[[Inputs, Conditions], tuple[Any, ...]]


def operation_of(graph: Graph) -> str:
    """Which of the four operations a graph amounts to, or "check" when it needs no model."""
    kinds = {body.get("class_type") for body in graph.values()}
    removes = "RemoveBackground" in kinds
    if "KSampler" not in kinds:
        return "remove_background" if removes else "check"
    if removes:
        return "pipeline"
    return "img2img" if "VAEEncode" in kinds else "txt2img"


def _pictures(value: Any) -> list[Image.Image]:
    if not isinstance(value, list):
        raise NodeFailure(
            "TypeError", f"unsupported operand type(s) for -: 'float' and '{type(value).__name__}'\n"
        )
    return value


def _names(*outputs: str) -> Operation:
    def load(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
        return tuple(f"{output}:{sorted(map(str, inputs.values()))}" for output in outputs)

    return load


def _text(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    return (str(inputs["text"]),)


def _empty_latent(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    width, height = (int(inputs[name]) // 8 * 8 for name in ("width", "height"))
    return (Latent(width, height, int(inputs["batch_size"])),)


def _encode(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    sources = [one.convert("RGB") for one in _pictures(inputs["pixels"])]
    width, height = sources[0].width // 8 * 8, sources[0].height // 8 * 8
    return (Latent(width, height, len(sources), tuple(one.crop((0, 0, width, height)) for one in sources)),)


def _sample(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    latent: Latent = inputs["latent_image"]
    if not isinstance(latent, Latent):
        raise NodeFailure("TypeError", "'str' object is not subscriptable\n")
    if latent.width * latent.height * latent.count > GPU_PIXELS:
        raise NodeFailure(OUT_OF_MEMORY_TYPE, CUDA_OUT_OF_MEMORY)
    negative = str(inputs["negative"])
    # the negative prompt changes the picture, but never chooses what it shows
    seed = int(inputs["seed"]) ^ (zlib.crc32(negative.encode()) if negative else 0)
    prompt, strength = str(inputs["positive"]), float(inputs["denoise"])
    if latent.sources:
        made = [paint_over(one, prompt, seed + n, strength) for n, one in enumerate(latent.sources)]
    else:
        made = [paint(prompt, seed + n, latent.width, latent.height) for n in range(latent.count)]
    return (Latent(latent.width, latent.height, latent.count, tuple(made)),)


def _decode(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    latent: Latent = inputs["samples"]
    if not isinstance(latent, Latent):
        raise NodeFailure("TypeError", "string indices must be integers, not 'str'\n")
    grey = Image.new("RGB", (latent.width, latent.height), (127, 127, 127))
    return (list(latent.sources) or [grey] * latent.count,)


def _load(inputs: Inputs, conditions: Conditions) -> tuple[Any, ...]:
    name = str(inputs["image"])
    try:
        image = Image.open(io.BytesIO(conditions.read_input(name)))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise NodeFailure("PIL.UnidentifiedImageError", f"cannot identify image file '{name}'\n") from error
    alpha = image.convert("RGBA").getchannel("A")
    return [image.convert("RGB")], [ImageChops.invert(alpha)]


def _scale(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    method = RESAMPLING[inputs["upscale_method"]]
    return ([_scaled(one, int(inputs["width"]), int(inputs["height"]), inputs["crop"], method)
             for one in _pictures(inputs["image"])],)  # fmt: skip


def _scaled(image: Image.Image, width: int, height: int, crop: str, method: Image.Resampling) -> Image.Image:
    if not width and not height:
        return image
    width = width or max(1, round(image.width * height / image.height))
    height = height or max(1, round(image.height * width / image.width))
    if crop == "center":
        return ImageOps.fit(image, (width, height), method)
    return image.resize((width, height), method)


def _background(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    return ([foreground(one) for one in _pictures(inputs["image"])],)


def _invert(name: str) -> Operation:
    def invert(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
        return ([ImageChops.invert(one) for one in _pictures(inputs[name])],)

    return invert


def _to_mask(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    channel = {"red": "R", "green": "G", "blue": "B", "alpha": "A"}[inputs["channel"]]
    return ([one.convert("RGBA").getchannel(channel) for one in _pictures(inputs["image"])],)


def _join_alpha(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    """Inverts the mask that it is given, as ComfyUI does: a white mask makes a transparent picture."""
    joined = []
    for one, mask in zip(_pictures(inputs["image"]), _pictures(inputs["alpha"]), strict=False):
        image = one.convert("RGB")
        image.putalpha(ImageChops.invert(mask.resize(image.size)))
        joined.append(image)
    return (joined,)


def _split_alpha(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    pictures = _pictures(inputs["image"])
    alphas = [ImageChops.invert(one.convert("RGBA").getchannel("A")) for one in pictures]
    return [one.convert("RGB") for one in pictures], alphas


def _empty_image(inputs: Inputs, _: Conditions) -> tuple[Any, ...]:
    width, height, count, color = (int(inputs[name]) for name in ("width", "height", "batch_size", "color"))
    needed = width * height * count * 4
    if needed > CPU_BYTES:
        raise NodeFailure(
            "RuntimeError",
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
            f" allocate {needed} bytes. Error code 12 (Cannot allocate memory)\n",
        )
    colour = (color >> 16 & 255, color >> 8 & 255, color & 255)
    return ([Image.new("RGB", (width, height), colour)] * count,)


OPERATIONS: Mapping[str, Operation] = {
    "CheckpointLoaderSimple": _names("model", "clip", "vae"),
    "UNETLoader": _names("model"),
    "DualCLIPLoader": _names("clip"),
    "VAELoader": _names("vae"),
    "LoraLoader": _names("model", "clip"),
    "LoadBackgroundRemovalModel": _names("background_removal"),
    "CLIPTextEncode": _text,
    "EmptyLatentImage": _empty_latent,
    "EmptySD3LatentImage": _empty_latent,
    "VAEEncode": _encode,
    "KSampler": _sample,
    "VAEDecode": _decode,
    "LoadImage": _load,
    "ImageScale": _scale,
    "RemoveBackground": _background,
    "InvertMask": _invert("mask"),
    "ImageInvert": _invert("image"),
    "ImageToMask": _to_mask,
    "JoinImageWithAlpha": _join_alpha,
    "SplitImageWithAlpha": _split_alpha,
    "EmptyImage": _empty_image,
}
