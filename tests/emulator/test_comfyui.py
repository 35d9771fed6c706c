"""ComfyUI's graphs mean what they say, and its failures look on the wire as they do on the real server."""

from __future__ import annotations

import io
import uuid

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat

from emulator.painting import paint
from tests.emulator.vendor_calls import Vendors, graph_of, opened, png, until


def unlike(one: Image.Image, other: Image.Image) -> float:
    small = [image.convert("RGB").resize((64, 64)) for image in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean)


def upload(vendors: Vendors, content: bytes, name: str = "input.png") -> None:
    vendors.comfyui(
        "POST", "/upload/image", data={"overwrite": "true"}, files={"image": (name, content, "image/png")}
    )


def test_text_seed_and_size_decide_the_picture(vendors: Vendors) -> None:
    def made(prompt: str, seed: int) -> Image.Image:
        graph = graph_of("txt2img", prompt=prompt, seed=seed, width=320, height=256)
        return opened(vendors.picture(vendors.prompt(graph)))

    knight, other_seed, potion = made("a knight", 1), made("a knight", 2), made("a potion", 1)
    assert knight.size == (320, 256)
    assert min(unlike(knight, other_seed), unlike(knight, potion)) > 10


def test_a_batch_has_one_file_each(vendors: Vendors) -> None:
    entry = vendors.prompt(graph_of("txt2img", prompt="a coin", width=64, height=64, batch_size=3))
    names = [image["filename"] for image in entry["outputs"]["9"]["images"]]
    assert names == [f"txt2img_{number:05}_.png" for number in (1, 2, 3)]


def test_img2img_shows_its_input(vendors: Vendors) -> None:
    results = []
    for colour in ("navy", "orange"):
        upload(vendors, png(colour=colour))
        graph = graph_of("img2img", prompt="a shield", seed=5, width=128, height=128, strength=0.3)
        results.append(opened(vendors.picture(vendors.prompt(graph))))
    source = opened(png(colour="orange"))
    assert unlike(results[1], source) < unlike(results[0], source)


def test_background_removal_makes_real_transparency(vendors: Vendors) -> None:
    upload(vendors, png())
    image = opened(vendors.picture(vendors.prompt(graph_of("remove_background"))))
    alpha = image.getchannel("A")
    assert (image.mode, alpha.getpixel((2, 2)), alpha.getpixel((48, 48))) == ("RGBA", 0, 255)


def test_without_inverting_the_mask_the_wrong_part_goes(vendors: Vendors) -> None:
    """JoinImageWithAlpha inverts what it is given: a graph that forgets InvertMask is wrong here too."""
    upload(vendors, png())
    graph = graph_of("remove_background")
    graph["23"]["inputs"]["alpha"] = ["21", 0]
    alpha = opened(vendors.picture(vendors.prompt(graph))).getchannel("A")
    assert (alpha.getpixel((2, 2)), alpha.getpixel((48, 48))) == (255, 0)


def test_the_pipeline_is_scaled_and_transparent(vendors: Vendors) -> None:
    sizes = {"generation_width": 256, "generation_height": 256, "width": 64, "height": 64}
    image = opened(vendors.picture(vendors.prompt(graph_of("pipeline", prompt="a mushroom", **sizes))))
    assert (image.mode, image.size) == ("RGBA", (64, 64))
    assert image.getchannel("A").getextrema() == (0, 255)


def test_too_much_for_the_gpu_runs_out_of_memory(vendors: Vendors) -> None:
    entry = vendors.prompt(graph_of("txt2img", prompt="a coin", width=1024, height=1024, batch_size=64))
    kind, error = entry["status"]["messages"][-1]
    assert (kind, error["node_type"], error["exception_type"]) == (
        "execution_error",
        "KSampler",
        "torch.OutOfMemoryError",
    )


def test_a_file_that_is_no_picture_fails_when_it_runs(vendors: Vendors) -> None:
    upload(vendors, b"not a picture")
    error = vendors.prompt(graph_of("remove_background"))["status"]["messages"][-1][1]
    assert error["exception_type"] == "PIL.UnidentifiedImageError"


def test_the_graph_is_in_the_file(vendors: Vendors) -> None:
    content = vendors.picture(vendors.prompt(graph_of("txt2img", prompt="a secret wish", width=64, height=64)))
    assert b"a secret wish" in content


def test_an_id_of_the_callers_own_is_kept_and_times_are_simulated(vendors: Vendors) -> None:
    mine = str(uuid.uuid4())
    graph = graph_of("txt2img", prompt="a coin", width=64, height=64)
    entry = vendors.prompt(graph, prompt_id=mine)
    at = {name: event["timestamp"] for name, event in entry["status"]["messages"]}
    assert entry["prompt"][1] == mine
    assert 9_000 < at["execution_success"] - at["execution_start"] < 11_000


def test_waiting_prompts_can_be_deleted_and_put_in_front(vendors: Vendors) -> None:
    graph = graph_of("txt2img", prompt="a coin", width=64, height=64)
    vendors.fault("comfyui", "timed_out")
    running = vendors.comfyui("POST", "/prompt", json={"prompt": graph}).json()["prompt_id"]
    until(lambda: vendors.comfyui("GET", "/queue").json()["queue_running"])
    gone = vendors.comfyui("POST", "/prompt", json={"prompt": graph}).json()["prompt_id"]
    first = vendors.comfyui("POST", "/api/prompt", json={"prompt": graph, "front": True}).json()
    queue = vendors.comfyui("GET", "/queue").json()
    assert [entry[1] for entry in queue["queue_pending"]] == [first["prompt_id"], gone]
    assert first["number"] < 0
    vendors.comfyui("POST", "/queue", json={"delete": [gone]})
    vendors.comfyui("POST", "/interrupt", json={"prompt_id": running})
    vendors.history(first["prompt_id"])
    assert vendors.comfyui("GET", f"/history/{gone}").json() == {}
    assert vendors.state("comfyui")["submits"] == 3


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}], ids=["fetch-site", "origin"]
)
def test_a_browser_of_another_site_is_refused(vendors: Vendors, headers: dict[str, str]) -> None:
    assert vendors.comfyui("GET", "/prompt", headers=headers).status_code == 403


@pytest.mark.parametrize(("key", "status"), [("invalid-x", 401), ("forbidden-x", 403), ("dummy", 200)])
def test_a_guarding_proxy_knows_bad_keys(vendors: Vendors, key: str, status: int) -> None:
    for header in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert vendors.comfyui("GET", "/prompt", headers=header).status_code == status


def small() -> dict[str, object]:
    return graph_of("txt2img", prompt="a coin", width=128, height=128)


def test_a_missing_model_is_refused_at_submit(vendors: Vendors) -> None:
    vendors.fault("comfyui", "model_not_found")
    answer = vendors.comfyui("POST", "/prompt", json={"prompt": small()})
    (problem,) = answer.json()["node_errors"]["4"]["errors"]
    assert (answer.status_code, problem["type"]) == (400, "value_not_in_list")
    assert problem["details"] == "ckpt_name: 'sd_xl_base_1.0.safetensors' not in []"
    assert vendors.comfyui("POST", "/prompt", json={"prompt": small()}).status_code == 200


def test_out_of_memory_appears_in_history_only(vendors: Vendors) -> None:
    vendors.fault("comfyui", "out_of_memory")
    kind, error = vendors.prompt(small())["status"]["messages"][-1]
    assert (kind, error["node_type"], error["exception_type"]) == (
        "execution_error",
        "KSampler",
        "torch.OutOfMemoryError",
    )
    assert error["exception_message"].startswith("CUDA out of memory")


def test_no_image_is_a_success_with_previews_only(vendors: Vendors) -> None:
    vendors.fault("comfyui", "no_image")
    entry = vendors.prompt(small())
    assert entry["status"]["status_str"] == "success"
    assert [image["type"] for image in entry["outputs"]["9"]["images"]] == ["temp"]


def test_partial_is_200_with_node_errors(vendors: Vendors) -> None:
    vendors.fault("comfyui", "partial")
    answer = vendors.comfyui("POST", "/prompt", json={"prompt": small()})
    assert answer.status_code == 200
    assert answer.json()["node_errors"]


def test_a_crash_forgets_everything_and_refuses_connections(vendors: Vendors) -> None:
    vendors.fault("comfyui", "crash")
    prompt = vendors.comfyui("POST", "/prompt", json={"prompt": small()}).json()["prompt_id"]

    def refused() -> dict[str, object] | None:
        try:
            return None if vendors.comfyui("GET", "/prompt").is_success else {}
        except httpx.TransportError:
            return {"refused": True}

    until(refused)
    vendors.advance(30)
    assert vendors.comfyui("GET", f"/history/{prompt}").json() == {}
    assert vendors.comfyui("GET", "/queue").json() == {"queue_running": [], "queue_pending": []}


def test_stuck_never_starts(vendors: Vendors) -> None:
    vendors.fault("comfyui", "stuck")
    prompt = vendors.comfyui("POST", "/prompt", json={"prompt": small()}).json()["prompt_id"]
    vendors.advance(3600)
    queue = vendors.comfyui("GET", "/queue").json()
    assert ([entry[1] for entry in queue["queue_pending"]], queue["queue_running"]) == ([prompt], [])


def test_slow_takes_longer(vendors: Vendors) -> None:
    vendors.fault("comfyui", "slow", seconds=90)
    at = {name: event["timestamp"] for name, event in vendors.prompt(small())["status"]["messages"]}
    assert 98_000 < at["execution_success"] - at["execution_start"] < 102_000


@pytest.mark.parametrize("kind", ["blank", "noise", "wrong_size", "wrong_picture", "opaque", "wrong_format"])
def test_a_spoiled_picture_arrives_as_such(vendors: Vendors, kind: str) -> None:
    """The wire says success; only the picture tells."""
    vendors.fault("comfyui", kind)
    bad = opened(vendors.picture(vendors.prompt(small())))
    looks = {
        "blank": ImageStat.Stat(bad.convert("L")).stddev[0] < 1,
        "noise": ImageStat.Stat(bad.convert("L").resize((16, 16), Image.Resampling.BOX)).stddev[0] < 20,
        "wrong_size": bad.size == (64, 64),
        "wrong_picture": unlike(paint("a coin", 0, 128, 128), bad) > 20,
        "opaque": bad.mode == "RGBA" and bad.getchannel("A").getextrema() == (255, 255),
        "wrong_format": bad.format == "JPEG",
    }
    assert looks[kind]


def test_a_truncated_picture_cannot_be_decoded(vendors: Vendors) -> None:
    vendors.fault("comfyui", "truncated_image")
    content = vendors.picture(vendors.prompt(small()))
    with pytest.raises((OSError, SyntaxError)):
        Image.open(io.BytesIO(content)).load()


def test_the_job_list_pages_and_filters(vendors: Vendors) -> None:
    vendors.fault("comfyui", "out_of_memory")
    vendors.prompt(small())
    vendors.prompt(small())
    jobs = vendors.comfyui("GET", "/api/jobs").json()
    assert [job["status"] for job in jobs["jobs"]] == ["completed", "failed"]
    page = vendors.comfyui("GET", "/api/jobs?limit=1&offset=1").json()
    assert page["pagination"] == {"offset": 1, "limit": 1, "total": 2, "has_more": False}
    assert page["jobs"][0]["execution_error"]["exception_type"] == "torch.OutOfMemoryError"
    assert len(vendors.comfyui("GET", "/api/jobs?status=completed").json()["jobs"]) == 1
    assert vendors.comfyui("GET", "/jobs").status_code == 404
