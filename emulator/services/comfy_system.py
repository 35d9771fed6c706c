"""What the emulated ComfyUI says of itself: the recorded answers of 0.25.0, with a GPU instead of the CPU."""

from __future__ import annotations

from emulator.services.comfy_validation import Json

MAX_UPLOAD_BYTES = 104_857_600
FEATURES: Json = {
    "supports_preview_metadata": True,
    "max_upload_size": MAX_UPLOAD_BYTES,
    "extension": {"manager": {"supports_v4": True}},
    "node_replacements": True,
    "assets": False,
}
VRAM_BYTES = 48_305_799_168
SYSTEM_STATS: Json = {
    "system": {
        "os": "linux",
        "ram_total": 25_769_803_776,
        "ram_free": 24_000_000_000,
        "comfyui_version": "0.25.0",
        "required_frontend_version": "1.45.15",
        "installed_templates_version": "0.10.0",
        "required_templates_version": "0.10.0",
        "comfy_package_versions": [],
        "python_version": "3.11.7",
        "pytorch_version": "2.13.0",
        "embedded_python": False,
        "deploy_environment": "local-git",
        "argv": ["main.py", "--listen", "127.0.0.1"],
    },
    "devices": [
        {
            "name": "cuda:0 emulated",
            "type": "cuda",
            "index": 0,
            "vram_total": VRAM_BYTES,
            "vram_free": VRAM_BYTES,
            "torch_vram_total": VRAM_BYTES,
            "torch_vram_free": VRAM_BYTES,
        }
    ],
}
