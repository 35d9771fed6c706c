"""Scenario's assets: pictures that were uploaded or made, behind signed links that expire at an end of day."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from PIL import Image, UnidentifiedImageError

from emulator.painting import cut_out, encode_png, paint, paint_over
from emulator.services.scenario.jobs import AUTHOR, OWNER, iso
from emulator.services.scenario.models import Json, Order, ScenarioError
from emulator.services.spoiling import spoil_of
from emulator.world import World

LINK_DAYS = 1  # the known links end at an end of day; the rule behind it is not confirmed
KEPT_PICTURES = 200
MIME_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass
class Asset:
    """One picture. `make` paints it when it is first asked for."""

    id: str
    name: str
    kind: str
    created: float
    make: Callable[[], bytes]
    status: str = "success"


class Assets:
    """All assets of the project."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.downloads = 0
        self._assets: dict[str, Asset] = {}
        self._painted: dict[str, bytes] = {}
        self._key = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._assets)

    def new_id(self) -> str:
        return "asset_" + "".join(
            self.world.random.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=22)
        )

    def upload(self, content: bytes, name: str) -> Asset:
        """Keeps an input; 400 when it is no picture."""
        try:
            Image.open(io.BytesIO(content)).load()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
            raise ScenarioError(400, "the uploaded file is not a valid image") from None
        return self._add(Asset(self.new_id(), name, "uploaded", self.world.clock.time(), lambda: content))

    def promise(self, order: Order, seed: int, fault: str | None) -> Asset:
        """The picture of a job, painted when somebody looks."""
        source = self.find(order.source) if order.source else None

        def make() -> bytes:
            return spoil_of(fault)(encode_png(_picture(order, seed, self.content(source) if source else b"")))

        return self._add(Asset(self.new_id(), "", order.operation, self.world.clock.time(), make))

    def find(self, asset_id: str) -> Asset:
        """404 for an id that is not there."""
        if asset_id not in self._assets:
            raise ScenarioError(404, f"Asset {asset_id} not found")
        return self._assets[asset_id]

    def content(self, asset: Asset) -> bytes:
        """The bytes. Costs CPU: call it in a thread."""
        if asset.id not in self._painted:
            self._painted[asset.id] = asset.make()
            for old in list(self._painted)[:-KEPT_PICTURES]:
                del self._painted[old]
        return self._painted[asset.id]

    def view(self, asset: Asset) -> Json:
        """The `asset` object. Costs CPU: call it in a thread."""
        record: Json = {
            "id": asset.id,
            "kind": "image",
            "status": asset.status,
            "privacy": "private",
            "source": asset.kind,
            "authorId": AUTHOR,
            "ownerId": OWNER,
            "createdAt": iso(asset.created),
            "updatedAt": iso(asset.created),
            "metadata": {"type": asset.kind, "kind": "image", "name": asset.name},
        }
        if asset.status != "success":
            return record
        content = self.content(asset)
        mime_type, width, height = _described(content)
        url = self.link(asset.id)
        properties = {"size": len(content), "width": width, "height": height}
        return {**record, "url": url, "mimeType": mime_type, "properties": properties,
                "preview": {"assetId": asset.id, "url": url},
                "thumbnail": {"assetId": asset.id, "url": url}}  # fmt: skip

    def link(self, asset_id: str) -> str:
        """A signed address, in CloudFront's form, good until an end of day (UTC)."""
        now = datetime.fromtimestamp(self.world.clock.time(), UTC)
        last = (now + timedelta(days=LINK_DAYS)).replace(hour=23, minute=59, second=59, microsecond=0)
        resource = f"{self.world.base_url}/scenario/cdn/assets/{asset_id}*"
        condition = {"DateLessThan": {"AWS:EpochTime": int(last.timestamp())}}
        statement = {"Statement": [{"Resource": resource, "Condition": condition}]}
        policy = base64.urlsafe_b64encode(json.dumps(statement).encode()).decode().rstrip("=")
        signed = f"Policy={policy}&Key-Pair-Id=KEMULATED&Signature={self._signature(asset_id, policy)}"
        return f"{resource[:-1]}?p=100&{signed}"

    def is_open(self, asset_id: str, policy: str, signature: str) -> bool:
        """Whether a link is ours and not expired."""
        if not hmac.compare_digest(signature, self._signature(asset_id, policy)):
            return False
        padded = policy + "=" * (-len(policy) % 4)
        statement = json.loads(base64.urlsafe_b64decode(padded))["Statement"][0]
        return bool(self.world.clock.time() < statement["Condition"]["DateLessThan"]["AWS:EpochTime"])

    def _add(self, asset: Asset) -> Asset:
        self._assets[asset.id] = asset
        return asset

    def _signature(self, asset_id: str, policy: str) -> str:
        return hmac.new(self._key, f"{asset_id}\n{policy}".encode(), hashlib.sha256).hexdigest()


def mime_type_of(content: bytes) -> str:
    """By the first bytes, as a file server would say."""
    return _described(content)[0]


def _described(content: bytes) -> tuple[str, int, int]:
    image = Image.open(io.BytesIO(content))
    return MIME_TYPES.get(image.format or "", "application/octet-stream"), image.width, image.height


def _picture(order: Order, seed: int, source: bytes) -> Image.Image:
    if order.operation == "txt2img":
        return paint(order.prompt, seed, order.width or 1024, order.height or 1024)
    image = Image.open(io.BytesIO(source))
    if order.operation == "remove_background":
        return cut_out(image)
    size = (order.width or image.width, order.height or image.height)
    return paint_over(image.convert("RGB").resize(size), order.prompt, seed, order.strength)
