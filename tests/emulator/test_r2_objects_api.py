"""Listing and deleting R2 objects through Cloudflare's API, which destroying a stack with a full bucket needs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from emulator.supervisor import running
from provider_client.clock import SystemClock
from provider_client.cloudflare import CloudflareApi


@pytest.mark.parametrize("key", ["a.png", "nested/a b.png", "_verification/é+&.png"])
def test_an_object_is_listed_and_deleted(tmp_path: Path, key: str) -> None:
    """What S3 puts, the API lists and deletes, whatever the key's characters."""
    with running(state_dir=tmp_path) as emulator, httpx.Client() as http:
        environment = emulator.environment()
        token, account = environment["CLOUDFLARE_API_TOKEN"], environment["CLOUDFLARE_ACCOUNT_ID"]
        base_url = environment["CLOUDFLARE_BASE_URL"]
        http.post(
            f"{base_url}/accounts/{account}/r2/buckets",
            json={"name": "bucket"},
            headers={"Authorization": f"Bearer {token}"},
        ).raise_for_status()
        http.put(
            f"{environment['R2_S3_ENDPOINT']}/bucket/{httpx.URL('http://x/' + key).raw_path.decode()[1:]}",
            content=b"1",
        )
        api = CloudflareApi(account, token, http=http, base_url=base_url, clock=SystemClock())
        listed = api.object_keys("bucket")
        assert len(listed) == 1
        api.delete_object("bucket", listed[0])
        assert api.object_keys("bucket") == []
        assert api.object_keys("no-such-bucket") == []
