"""Every operation through every provider, judged on the stored bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import json

import pytest
from PIL import Image, ImageChops

from emulator.painting import paint
from tests.worker.worker_harness import Cloud, Gateway, png


def drawn(prompt: str, size: int = 256) -> str:
    """A picture with something in it, in base64."""
    buffer = io.BytesIO()
    paint(prompt, 1, size, size).convert("RGB").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference per channel, 0 to 255."""
    histogram = ImageChops.difference(one.convert("RGB"), other.convert("RGB").resize(one.size)).histogram()
    return sum(value % 256 * count for value, count in enumerate(histogram)) / sum(histogram)


def is_cut_out(image: Image.Image) -> bool:
    low, high = image.getchannel("A").getextrema()
    return bool(low == 0 and high == 255)


def test_txt2img_gives_a_picture_of_the_asked_size(gateway: Gateway) -> None:
    answer = gateway.post({"operation": "txt2img", "prompt": "A knight", "width": 320, "height": 256, "seed": 7})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/generations/{answer.json()['id']}"
    generation = gateway.finish(answer.json())
    assert generation["status"] == "succeeded", generation
    (asset,) = generation["assets"]
    assert (asset["content_type"], asset["width"], asset["height"]) == ("image/png", 320, 256)
    assert gateway.picture(asset).size == (320, 256)
    assert "error" not in generation


def test_an_asset_is_what_its_description_says(gateway: Gateway) -> None:
    """Type, length and digest are those of the bytes that anybody gets; they may be cached for ever."""
    (asset,) = gateway.generate(operation="txt2img", prompt="A potion", width=256, height=256)["assets"]
    answer = gateway.request("GET", asset["url"].removeprefix(gateway.url), token=None)
    assert hashlib.sha256(answer.content).hexdigest() == asset["sha256"]
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(asset["bytes"])
    assert "immutable" in answer.headers["cache-control"]
    for method in ("GET", "HEAD"):
        repeated = gateway.http.request(method, asset["url"], headers={"If-None-Match": answer.headers["etag"]})
        assert (repeated.status_code, repeated.content) == (304, b"")
    for tags in ("garbage", '"unclosed', '"other", "tags"', "*"):
        assert gateway.http.get(asset["url"], headers={"If-None-Match": tags}).status_code == 200
    head = gateway.http.head(asset["url"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(asset["bytes"]), b"")


def test_stored_pictures_do_not_tell_their_prompt(gateway: Gateway) -> None:
    """ComfyUI writes the whole graph into a text chunk of the PNG."""
    (asset,) = gateway.generate(operation="txt2img", prompt="a secret dragon", width=256, height=256)["assets"]
    assert b"secret dragon" not in gateway.http.get(asset["url"]).content
    assert not set(gateway.picture(asset).info) & {"prompt", "workflow"}


def test_img2img_depends_on_its_input(gateway: Gateway) -> None:
    pictures = []
    for source in ("shield", "volcano"):
        request = {
            "operation": "img2img",
            "prompt": "painted",
            "strength": 0.4,
            "seed": 5,
            "width": 256,
            "height": 256,
        }
        generation = gateway.generate(**request, image={"base64": drawn(source)})
        assert generation["status"] == "succeeded", generation
        pictures.append(gateway.picture(generation["assets"][0]))
    assert difference(*pictures) > 2


@pytest.mark.parametrize("form", ["data:image/png;base64,{}", "DATA:image/PNG;charset=utf-8;base64,{}", "{}\n"])
def test_an_input_image_may_be_a_data_uri(gateways: dict[str, Gateway], form: str) -> None:
    image = {"base64": form.format(drawn("shield"))}
    assert gateways["comfyui"].generate(operation="remove_background", image=image)["status"] == "succeeded"


def test_an_input_image_may_be_an_asset_of_the_gateway(gateway: Gateway) -> None:
    (source,) = gateway.generate(operation="txt2img", prompt="A coin", width=256, height=256)["assets"]
    generation = gateway.generate(operation="remove_background", image={"key": source["key"]})
    assert generation["status"] == "succeeded", generation
    assert generation["assets"][0]["key"] != source["key"]
    assert gateway.picture(generation["assets"][0]).size == (256, 256)


def test_background_removal_gives_real_transparency(gateway: Gateway) -> None:
    generation = gateway.generate(operation="remove_background", image={"base64": drawn("sword")})
    assert generation["status"] == "succeeded", generation
    picture = gateway.picture(generation["assets"][0])
    assert picture.mode == "RGBA"
    assert is_cut_out(picture)


@pytest.mark.parametrize(("width", "height"), [(128, 128), (100, 60)])
def test_a_pipeline_gives_the_asked_size_with_transparency(gateway: Gateway, width: int, height: int) -> None:
    generation = gateway.generate(operation="pipeline", prompt="A wizard", width=width, height=height)
    assert generation["status"] == "succeeded", generation
    picture = gateway.picture(generation["assets"][0])
    assert (picture.mode, picture.size) == ("RGBA", (width, height))
    assert is_cut_out(picture)


def test_the_same_seed_gives_the_same_picture_and_another_seed_another(gateway: Gateway) -> None:
    request = {"operation": "txt2img", "prompt": "A shield", "width": 256, "height": 256}
    digests = [gateway.generate(**request, seed=seed)["assets"][0]["sha256"] for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_timings_are_the_providers_own(gateway: Gateway) -> None:
    timings = gateway.generate(operation="txt2img", prompt="A gem", width=256, height=256)["timings"]
    assert timings["run_ms"] > 0
    assert timings["queue_ms"] >= 0
    assert timings["store_ms"] >= 0


def test_waiting_answers_with_the_finished_generation(gateway: Gateway) -> None:
    answer = gateway.post(
        {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256}, prefer="wait=30"
    )
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=30")
    assert answer.json()["status"] == "succeeded"


def test_scenario_serves_through_its_older_request_shape_too(cloud: Cloud) -> None:
    gateway = cloud.deploy("scenario", SCENARIO={"requestShape": "legacy", "models": {"txt2img": "flux.1-dev"}})
    for request in (
        {"operation": "txt2img", "prompt": "A knight", "width": 256, "height": 256},
        {"operation": "img2img", "prompt": "A knight", "image": {"base64": drawn("knight")}},
        {"operation": "remove_background", "image": {"base64": drawn("knight")}},
        {"operation": "pipeline", "prompt": "A knight", "width": 128, "height": 128},
    ):
        generation = gateway.generate(**request)
        assert generation["status"] == "succeeded", generation


def test_a_provider_is_not_asked_for_what_it_is_not_configured_for(cloud: Cloud) -> None:
    gateway = cloud.deploy("scenario", SCENARIO={"models": {"remove_background": ""}})
    assert gateway.request("GET", "/health").json()["operations"] == ["txt2img", "img2img"]
    answer = gateway.post({"operation": "remove_background", "image": {"base64": png()}})
    assert (answer.status_code, answer.json()["kind"]) == (422, "BAD_REQUEST")


def test_asset_addresses_are_those_of_the_public_bucket_when_there_is_one(cloud: Cloud) -> None:
    gateway = cloud.deploy("comfyui", ASSET_BASE_URL="https://assets.game.example/")
    (asset,) = gateway.generate(operation="txt2img", prompt="A knight", width=256, height=256)["assets"]
    assert asset["url"] == f"https://assets.game.example/{asset['key']}"


def test_one_log_line_per_generation_without_prompt_or_secret(cloud: Cloud) -> None:
    gateway = cloud.deploy("comfyui")
    generation = gateway.generate(operation="txt2img", prompt="a very private castle", width=256, height=256)
    gateway.poll(generation["id"])
    logs = cloud.http.get(f"{cloud.emulator.base_url}/_emulator/logs").json()["logs"]
    lines = [json.loads(line) for line in logs[gateway.version_id] if line.startswith("{")]
    (line,) = [line for line in lines if line["event"] == "generation"]
    assert line["status"] == "succeeded"
    assert line["bytes"] == generation["assets"][0]["bytes"]
    assert "private castle" not in json.dumps(logs)
    assert cloud.environment["COMFYUI_ENDPOINT"] not in json.dumps(logs)
