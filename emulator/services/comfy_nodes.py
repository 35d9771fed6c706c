"""The ComfyUI node classes that the emulator knows, with the signatures of `/object_info` in 0.25.0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

SAMPLERS = (
    "euler", "euler_cfg_pp", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2s_ancestral",
    "dpmpp_sde", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "ddpm", "lcm", "ddim", "uni_pc", "uni_pc_bh2",
)  # fmt: skip
SCHEDULERS = (
    "simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic",
    "kl_optimal",
)  # fmt: skip
UPSCALE_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
# The order of GET /models in the recording of 0.25.0.
MODEL_FOLDERS = (
    "checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models",
    "embeddings", "diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "latent_upscale_models",
    "custom_nodes", "hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders",
    "background_removal", "frame_interpolation", "geometry_estimation", "optical_flow", "detection",
)  # fmt: skip
Models = Mapping[str, tuple[str, ...]]  # folder → file names
DEFAULT_MODELS: Models = {
    "checkpoints": ("sd_xl_base_1.0.safetensors",),
    "background_removal": ("birefnet.safetensors",),
}
LONGEST_SIDE = 16384
SEED_MAX = 2**64 - 1


@dataclass(frozen=True)
class Input:
    """One input. `kind` is INT, FLOAT, STRING, COMBO, or the type of a link (IMAGE, MODEL, ...).

    A COMBO's choices are `choices`, or the files of model folder `folder`; `modern` is how it is described.
    """

    name: str
    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    folder: str | None = None
    modern: bool = False

    def allowed(self, models: Models) -> list[str]:
        """What a COMBO may be."""
        return list(self.choices if self.folder is None else models.get(self.folder, ()))

    def config(self, models: Models) -> list[object]:
        """As `object_info` and `input_config` of errors describe it: two forms of COMBO."""
        if self.kind != "COMBO":
            return [self.kind, dict(self.options)]
        if self.modern:
            return ["COMBO", {**self.options, "multiselect": False, "options": self.allowed(models)}]
        return [self.allowed(models), dict(self.options)]


@dataclass(frozen=True)
class NodeClass:
    """One class: its required inputs, and the types of its outputs."""

    name: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    output_node: bool = False
    title: str = ""
    category: str = ""

    def input(self, name: str) -> Input | None:
        return next((one for one in self.inputs if one.name == name), None)

    def object_info(self, models: Models) -> dict[str, object]:
        """Its entry of GET /object_info (without tooltips and search aliases)."""
        return {
            "input": {"required": {one.name: one.config(models) for one in self.inputs}},
            "input_order": {"required": [one.name for one in self.inputs]},
            "is_input_list": False,
            "output": list(self.outputs),
            "output_is_list": [False] * len(self.outputs),
            "output_name": list(self.outputs),
            "name": self.name,
            "display_name": self.title or self.name,
            "description": "",
            "python_module": "nodes",
            "category": self.category,
            "output_node": self.output_node,
            "has_intermediate_output": False,
        }


def _link(name: str, kind: str, **options: object) -> Input:
    return Input(name, kind, options)


def _whole(name: str, default: int, low: int, high: int, **options: object) -> Input:
    return Input(name, "INT", {"default": default, "min": low, "max": high, **options})


def _decimal(name: str, default: float, low: float, high: float, **options: object) -> Input:
    return Input(name, "FLOAT", {"default": default, "min": low, "max": high, **options})


def _text(name: str, **options: object) -> Input:
    return Input(name, "STRING", options)


def _choice(name: str, *choices: str, modern: bool = False) -> Input:
    return Input(name, "COMBO", {}, choices, modern=modern)


def _model(name: str, folder: str, tooltip: str = "", *, modern: bool = False) -> Input:
    return Input(name, "COMBO", {"tooltip": tooltip} if tooltip else {}, folder=folder, modern=modern)


_SIDE = (1, LONGEST_SIDE)
_LATENT_SIZE = (
    _whole("width", 512, 16, LONGEST_SIDE, step=8),
    _whole("height", 512, 16, LONGEST_SIDE, step=8),
    _whole("batch_size", 1, 1, 4096),
)
_CLASSES = (
    NodeClass(
        "CheckpointLoaderSimple",
        (_model("ckpt_name", "checkpoints", "The name of the checkpoint (model) to load."),),
        ("MODEL", "CLIP", "VAE"), title="Load Checkpoint", category="model/loaders",
    ),
    NodeClass("CLIPTextEncode", (_text("text", multiline=True), _link("clip", "CLIP")), ("CONDITIONING",)),
    NodeClass("EmptyLatentImage", _LATENT_SIZE, ("LATENT",)),
    NodeClass("EmptySD3LatentImage", _LATENT_SIZE, ("LATENT",)),
    NodeClass(
        "KSampler",
        (
            _link("model", "MODEL"), _whole("seed", 0, 0, SEED_MAX), _whole("steps", 20, 1, 10000),
            _decimal("cfg", 8.0, 0.0, 100.0, step=0.1, round=0.01), _choice("sampler_name", *SAMPLERS),
            _choice("scheduler", *SCHEDULERS), _link("positive", "CONDITIONING"),
            _link("negative", "CONDITIONING"), _link("latent_image", "LATENT"),
            _decimal("denoise", 1.0, 0.0, 1.0, step=0.01),
        ),
        ("LATENT",),
    ),
    NodeClass("VAEDecode", (_link("samples", "LATENT"), _link("vae", "VAE")), ("IMAGE",)),
    NodeClass("VAEEncode", (_link("pixels", "IMAGE"), _link("vae", "VAE")), ("LATENT",)),
    NodeClass("LoadImage", (_text("image"),), ("IMAGE", "MASK")),
    NodeClass(
        "SaveImage", (_link("images", "IMAGE", tooltip="The images to save."), _text("filename_prefix")), (),
        output_node=True,
    ),
    NodeClass("PreviewImage", (_link("images", "IMAGE"),), (), output_node=True),
    NodeClass(
        "ImageScale",
        (
            _link("image", "IMAGE"), _choice("upscale_method", *UPSCALE_METHODS),
            _whole("width", 512, 0, LONGEST_SIDE, step=1), _whole("height", 512, 0, LONGEST_SIDE, step=1),
            _choice("crop", "disabled", "center"),
        ),
        ("IMAGE",),
    ),
    NodeClass(
        "LoraLoader",
        (
            _link("model", "MODEL"), _link("clip", "CLIP"), _model("lora_name", "loras"),
            _decimal("strength_model", 1.0, -100.0, 100.0), _decimal("strength_clip", 1.0, -100.0, 100.0),
        ),
        ("MODEL", "CLIP"),
    ),
    NodeClass(
        "UNETLoader",
        (
            _model("unet_name", "diffusion_models"),
            _choice("weight_dtype", "default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"),
        ),
        ("MODEL",),
    ),
    NodeClass("VAELoader", (_model("vae_name", "vae"),), ("VAE",)),
    NodeClass(
        "DualCLIPLoader",
        (
            _model("clip_name1", "text_encoders"), _model("clip_name2", "text_encoders"),
            _choice("type", "sdxl", "sd3", "flux", "hunyuan_video", "hidream"),
        ),
        ("CLIP",),
    ),
    NodeClass(
        "LoadBackgroundRemovalModel",
        (
            _model(
                "bg_removal_name", "background_removal", "The model used to remove backgrounds from images",
                modern=True,
            ),
        ),
        ("BACKGROUND_REMOVAL",),
    ),
    NodeClass(
        "RemoveBackground", (_link("bg_removal_model", "BACKGROUND_REMOVAL"), _link("image", "IMAGE")), ("MASK",)
    ),
    NodeClass("InvertMask", (_link("mask", "MASK"),), ("MASK",)),
    NodeClass("ImageToMask", (_link("image", "IMAGE"), _choice("channel", "red", "green", "blue", "alpha")), ("MASK",)),
    NodeClass("JoinImageWithAlpha", (_link("image", "IMAGE"), _link("alpha", "MASK")), ("IMAGE",)),
    NodeClass("SplitImageWithAlpha", (_link("image", "IMAGE"),), ("IMAGE", "MASK")),
    NodeClass(
        "EmptyImage",
        (
            _whole("width", 512, *_SIDE, step=1), _whole("height", 512, *_SIDE, step=1),
            _whole("batch_size", 1, 1, 4096), _whole("color", 0, 0, 0xFFFFFF, step=1, display="color"),
        ),
        ("IMAGE",),
    ),
    NodeClass("ImageInvert", (_link("image", "IMAGE"),), ("IMAGE",)),
)  # fmt: skip
NODE_CLASSES: Mapping[str, NodeClass] = {one.name: one for one in _CLASSES}


def object_info(models: Models, names: Iterable[str] = NODE_CLASSES) -> dict[str, object]:
    """GET /object_info for these classes; unknown ones are left out, as ComfyUI does."""
    return {name: NODE_CLASSES[name].object_info(models) for name in names if name in NODE_CLASSES}
