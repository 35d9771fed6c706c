"""Scenario: both request shapes, jobs that follow the clock, links that expire, refusals in its own words."""

from __future__ import annotations

import pytest
from PIL import ImageChops, ImageStat

from tests.emulator.vendor_calls import Json, Vendors, opened, png, text_of

FLUX, REMOVER = "model_bfl-flux-2-dev", "model_photoroom-background-removal"


def submit(vendors: Vendors, path: str, body: Json) -> str:
    answer = vendors.scenario("POST", f"/generate/{path}", body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job"]["jobId"])


def asset_of(vendors: Vendors, path: str, body: Json) -> str:
    job = vendors.finished_scenario(submit(vendors, path, body))
    assert job["status"] == "success"
    return str(job["metadata"]["assetIds"][0])


def download(vendors: Vendors, asset: str) -> bytes:
    record = vendors.scenario("GET", f"/assets/{asset}").json()["asset"]
    return vendors.http.get(record["url"]).content


def test_a_job_goes_through_its_states_and_ends_in_an_asset(vendors: Vendors) -> None:
    created = vendors.scenario(
        "POST", f"/generate/custom/{FLUX}", {"prompt": "a knight", "width": 256, "height": 128}
    )
    body = created.json()
    assert (body["job"]["status"], body["job"]["jobType"]) == ("queued", "custom")
    assert (body["creativeUnitsCost"], body["costDetails"]) == (5, {"custom-generation": 5})
    job = vendors.finished_scenario(body["job"]["jobId"])
    states = [step["status"] for step in job["statusHistory"]]
    assert states == ["queued", "warming-up", "in-progress", "finalizing", "success"]
    asset = vendors.scenario("GET", f"/assets/{job['metadata']['assetIds'][0]}?originalAssets=true").json()[
        "asset"
    ]
    content = vendors.http.get(asset["url"])
    assert (content.headers["content-type"], opened(content.content).size) == ("image/png", (256, 128))
    assert asset["properties"] == {"size": len(content.content), "width": 256, "height": 128}


def test_a_second_job_is_warm(vendors: Vendors) -> None:
    asset_of(vendors, f"custom/{FLUX}", {"prompt": "a coin"})
    job = vendors.finished_scenario(submit(vendors, f"custom/{FLUX}", {"prompt": "a gem"}))
    assert "warming-up" not in [step["status"] for step in job["statusHistory"]]


@pytest.mark.parametrize(
    ("txt2img", "img2img", "remove"),
    [
        ((f"custom/{FLUX}", {}), (f"custom/{FLUX}", {}), (f"custom/{REMOVER}", {})),
        (
            ("txt2img", {"modelId": "flux.1-dev"}),
            ("img2img", {"modelId": "flux.1-dev"}),
            ("remove-background", {}),
        ),
    ],
    ids=["custom", "legacy"],
)
def test_both_shapes_do_all_operations(
    vendors: Vendors, txt2img: tuple[str, Json], img2img: tuple[str, Json], remove: tuple[str, Json]
) -> None:
    made = asset_of(
        vendors, txt2img[0], {**txt2img[1], "prompt": "a coin", "width": 128, "height": 128, "seed": 4}
    )
    changed = asset_of(vendors, img2img[0], {**img2img[1], "prompt": "a gem", "image": made, "strength": 0.3})
    cut = asset_of(vendors, remove[0], {**remove[1], "image": changed, "format": "png"})
    source, result = opened(download(vendors, made)), opened(download(vendors, changed))
    assert 0 < sum(ImageStat.Stat(ImageChops.difference(source, result)).mean) < 60
    assert opened(download(vendors, cut)).getchannel("A").getextrema() == (0, 255)
    assert vendors.state("scenario")["submits_by_operation"] == {
        "txt2img": 1,
        "img2img": 1,
        "remove_background": 1,
    }


def test_an_upload_is_an_input(vendors: Vendors) -> None:
    uploaded = vendors.scenario("POST", "/assets", {"image": text_of(png()), "name": "x.png"}).json()["asset"]
    alpha = opened(
        download(vendors, asset_of(vendors, f"custom/{REMOVER}", {"image": uploaded["id"]}))
    ).getchannel("A")
    assert (alpha.getpixel((2, 2)), alpha.getpixel((48, 48))) == (0, 255)


def test_a_data_url_is_an_input_too(vendors: Vendors) -> None:
    image = f"data:image/png;base64,{text_of(png())}"
    assert opened(download(vendors, asset_of(vendors, "remove-background", {"image": image}))).mode == "RGBA"


def test_samples_are_assets_of_their_own(vendors: Vendors) -> None:
    body = {"prompt": "a coin", "width": 64, "height": 64, "numSamples": 3}
    job = vendors.finished_scenario(submit(vendors, f"custom/{FLUX}", body))
    assets = job["metadata"]["assetIds"]
    assert len({download(vendors, asset) for asset in assets}) == 3
    assert job["billing"]["cuCost"] == 15


def test_a_link_expires_at_an_end_of_day_and_cannot_be_changed(vendors: Vendors) -> None:
    asset = asset_of(vendors, f"custom/{FLUX}", {"prompt": "a coin", "width": 64, "height": 64})
    url = vendors.scenario("GET", f"/assets/{asset}").json()["asset"]["url"]
    assert vendors.http.get(url).status_code == 200
    assert vendors.http.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
    vendors.advance(3 * 86_400)
    expired = vendors.http.get(url)
    assert (expired.status_code, "AccessDenied" in expired.text) == (403, True)
    assert download(vendors, asset)


def test_a_dry_run_is_269_and_runs_nothing(vendors: Vendors) -> None:
    answer = vendors.scenario(
        "POST", f"/generate/custom/{FLUX}?dryRun=true", {"prompt": "a coin", "numSamples": 2}
    )
    assert (answer.status_code, answer.json()["creativeUnitsCost"], "job" in answer.json()) == (269, 10, False)
    state = vendors.state("scenario")
    assert (state["submits"], state["dry_runs"]) == (0, 1)


def test_too_many_at_once_is_429_with_the_action_and_its_limit(vendors: Vendors) -> None:
    vendors.control("POST", "seed", {"scenario": {"parallel_jobs": 1}})
    vendors.fault("scenario", "stuck")
    first = submit(vendors, f"custom/{FLUX}", {"prompt": "a coin"})
    refused = vendors.scenario("POST", f"/generate/custom/{FLUX}", {"prompt": "a gem"})
    assert refused.status_code == 429
    assert refused.json()["details"] == {"actionName": "parallel-custom-jobs", "actionLimit": 1}
    vendors.scenario("POST", f"/jobs/{first}/action", {"action": "cancel"})
    submit(vendors, f"custom/{FLUX}", {"prompt": "a gem"})


def test_cancel_has_one_l_and_only_works_once(vendors: Vendors) -> None:
    vendors.fault("scenario", "timed_out")
    job = submit(vendors, f"custom/{FLUX}", {"prompt": "a coin"})
    vendors.advance(3600)
    assert vendors.scenario("GET", f"/jobs/{job}").json()["job"]["status"] == "in-progress"
    answer = vendors.scenario("POST", f"/jobs/{job}/action", {"action": "cancel"}).json()
    assert answer["job"]["status"] == "canceled"
    assert vendors.state("scenario")["cancelled"] == 1
    done = asset_of(vendors, f"custom/{FLUX}", {"prompt": "a gem"})
    finished = next(
        j for j in vendors.scenario("GET", "/jobs").json()["jobs"] if done in j["metadata"]["assetIds"]
    )
    assert vendors.scenario("POST", f"/jobs/{finished['jobId']}/action", {"action": "cancel"}).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (f"custom/{FLUX}", {}, 400, '"prompt" is required'),
        (f"custom/{FLUX}", {"prompt": "a", "width": 1000}, 400, "multiple of 16"),
        (f"custom/{FLUX}", {"prompt": "a", "strength": 3, "image": "x"}, 400, "strength"),
        ("custom/model_none", {"prompt": "a"}, 404, "Model model_none not found"),
        (f"custom/{REMOVER}", {}, 400, "image parameter is required"),
        (f"custom/{REMOVER}", {"image": "asset_none"}, 404, "Asset asset_none not found"),
        ("custom/model_imagen4-ultra", {"prompt": "a", "image": "x"}, 400, "no input image"),
        ("txt2img", {"prompt": "a"}, 400, '"modelId" must be a string'),
        ("img2img", {"prompt": "a", "modelId": "flux.1-dev"}, 400, "image parameter is required"),
        ("remove-background", {"image": "data:image/png;base64,eA=="}, 400, "not a valid image"),
        ("nothing", {}, 404, "Not Found"),
    ],
)
def test_a_wrong_request_is_refused(vendors: Vendors, path: str, body: Json, status: int, words: str) -> None:
    answer = vendors.scenario("POST", f"/generate/{path}", body)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True)
    assert vendors.state("scenario")["submits"] == 0


@pytest.mark.parametrize(
    ("key", "secret", "status"),
    [("invalid-key", "s", 401), ("k", "invalid-secret", 401), ("forbidden-key", "s", 403), ("", "s", 401)],
)
def test_key_and_secret_are_both_checked(vendors: Vendors, key: str, secret: str, status: int) -> None:
    assert vendors.scenario("GET", "/models?pageSize=1", key=key, secret=secret).status_code == status


def test_a_failed_job_says_why_and_what_to_do(vendors: Vendors) -> None:
    """HTTP 200 and status `failure`."""
    vendors.fault("scenario", "out_of_memory")
    job = vendors.finished_scenario(submit(vendors, f"custom/{FLUX}", {"prompt": "a coin"}))
    assert job["status"] == "failure"
    assert "out of memory" in job["metadata"]["error"]
    assert job["metadata"]["hint"]


def test_a_missing_model_is_404_at_submit(vendors: Vendors) -> None:
    vendors.fault("scenario", "model_not_found")
    answer = vendors.scenario("POST", f"/generate/custom/{FLUX}", {"prompt": "a coin"})
    assert (answer.status_code, answer.json()["message"]) == (404, f"Model {FLUX} not found")


def test_success_may_have_no_image(vendors: Vendors) -> None:
    vendors.fault("scenario", "no_image")
    job = vendors.finished_scenario(submit(vendors, f"custom/{FLUX}", {"prompt": "a coin"}))
    assert (job["status"], job["metadata"]["assetIds"]) == ("success", [])


def test_partial_leaves_an_asset_without_an_address(vendors: Vendors) -> None:
    vendors.fault("scenario", "partial")
    asset = asset_of(vendors, f"custom/{FLUX}", {"prompt": "a coin"})
    record = vendors.scenario("GET", f"/assets/{asset}").json()["asset"]
    assert (record["status"], "url" in record) == ("error", False)


def test_slow_and_wrong_format_are_seen_in_time_and_type(vendors: Vendors) -> None:
    vendors.fault("scenario", "slow", seconds=100)
    vendors.fault("scenario", "wrong_format")
    body = {"prompt": "a coin", "width": 64, "height": 64}
    submit(vendors, f"custom/{FLUX}", body)
    asset = asset_of(vendors, f"custom/{FLUX}", body)
    assert vendors.scenario("GET", f"/assets/{asset}").json()["asset"]["mimeType"] == "image/jpeg"
    vendors.advance(120)
    assert vendors.state("scenario")["completed"] == 2


def test_lists_are_paged(vendors: Vendors) -> None:
    for prompt in ("a", "b", "c"):
        submit(vendors, f"custom/{FLUX}", {"prompt": prompt})
    first = vendors.scenario("GET", "/jobs?pageSize=2").json()
    second = vendors.scenario("GET", f"/jobs?pageSize=2&paginationToken={first['nextPaginationToken']}").json()
    prompts = [job["metadata"]["input"]["prompt"] for page in (first, second) for job in page["jobs"]]
    assert (prompts, "nextPaginationToken" in second) == (["c", "b", "a"], False)
    assert vendors.scenario("GET", "/models?pageSize=1").json() == {"models": []}
    assert vendors.scenario("GET", f"/models/{FLUX}").json()["model"]["inputs"][0]["name"] == "prompt"
    assert vendors.scenario("GET", "/models?pageSize=0").status_code == 400
