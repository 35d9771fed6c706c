"""Every key of a stack's configuration. Frozen: made once at the edge, then only read.

The descriptions are the documentation: the README's table and the declarations in Pulumi.yaml are held against
them by tests/architecture/test_config_documentation.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from provider_client import NAMESPACE
from provider_client.gpu_catalog import DEFAULT_TYPES
from provider_client.models import Operation
from provider_client.providers import PROVIDERS


def is_web_address(text: str) -> bool:
    """Whether it can be called over http."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host) and (url.port or 1) < 65_536


def _web_address(text: str) -> str:
    if not is_web_address(text):
        raise PydanticCustomError("web_address", "no web address")
    return text


WebAddress = Annotated[str, AfterValidator(_web_address)]
Whole = Annotated[int, Field(le=2**31 - 1)]  # a number without a limit of its own: what every API can hold
ProviderName = Annotated[str, StringConstraints(min_length=1)]
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
# a version's preview address is `<8 hex digits>-<name>`, and a DNS label has at most 63 characters
WorkerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,52}[a-z0-9]$")]
HOST = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|localhost:\d{1,5})"  # with a port: on the emulator
HostName = Annotated[str, StringConstraints(pattern=rf"^{HOST}$")]
PublicAccess = Annotated[str, StringConstraints(pattern=rf"^(worker|r2dev|{HOST})$")]
AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Section(BaseModel):
    """A group of keys: camelCase in the stack file, snake_case here; unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, allow_inf_nan=False)


class Scaling(Section):
    """When RunPod starts another worker: after a job waited `value` seconds, or per `value` queued requests."""

    type: Literal["QUEUE_DELAY", "REQUEST_COUNT"] = "QUEUE_DELAY"
    value: float = Field(4, ge=0.5)


class RunPod(Section):
    """The serverless endpoint: declared by the stack (managed), or one that exists and is only used (existing)."""

    mode: Literal["managed", "existing"] = Field("managed", description="who owns the endpoint")
    endpoint_id: str | None = Field(None, description="the endpoint to use with mode existing")
    image: str | None = Field(None, description="container image, built from infra/runpod_image (mode managed)")
    workers_min: Whole = Field(0, ge=0, description="workers always on while RunPod is live or candidate")
    standby_workers_min: Whole = Field(0, ge=0, description="workers always on while it is neither")
    workers_max: Whole = Field(3, ge=0, description="most workers at a time")
    idle_timeout_seconds: int = Field(
        30, ge=1, le=3600, description="seconds a worker stays up after its last job"
    )
    gpu_types: tuple[str, ...] = Field(DEFAULT_TYPES, min_length=1, description="GPU types by RunPod's names")
    gpu_count: Whole = Field(1, ge=1, description="GPUs of one worker")
    data_centers: tuple[str, ...] = Field((), description="empty: any")
    network_volumes: tuple[str, ...] = Field((), description="ids of network volumes")
    disk_gb: Whole = Field(30, ge=1, description="container disk")
    execution_timeout_seconds: int = Field(600, ge=5, le=604800, description="RunPod ends a job after this")
    flash_boot: Literal["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"] = Field("FLASHBOOT", description="quick revival")
    scaling: Scaling = Field(Scaling(), description="type and value: QUEUE_DELAY in seconds, or REQUEST_COUNT")
    env: dict[str, str] = Field({}, description="environment of the container")
    registry: str | None = Field(None, description="id of the registry credentials for a private image")

    @property
    def sent_idle_timeout_seconds(self) -> int | None:
        """None where RunPod refuses one (scaling that counts requests), unless somebody wrote it: to be told so."""
        is_default = "idle_timeout_seconds" not in self.model_fields_set
        return None if is_default and self.scaling.type == "REQUEST_COUNT" else self.idle_timeout_seconds

    def endpoint_settings(self, *, name: str, workers_min: int) -> dict[str, Any]:
        """The endpoint that a managed section declares, as `provider_client.runpod_settings` has it."""
        own = {"mode", "endpoint_id", "standby_workers_min", "idle_timeout_seconds"}
        settings = self.model_dump(mode="json", by_alias=True, exclude=own)
        settings |= {"name": name, "workersMin": workers_min, "idleTimeoutSeconds": self.sent_idle_timeout_seconds}
        return {key: value for key, value in settings.items() if value is not None}


class ScenarioModels(BaseModel):
    """Model ids by operation, as Scenario lists them; the keys are the operations' own names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    txt2img: str | None = Field(None, description="default: model_bfl-flux-2-dev; legacy shape: flux.1-dev")
    img2img: str | None = Field(None, description="the same")
    remove_background: str | None = Field(None, description="default: model_photoroom-background-removal")


class Scenario(Section):
    request_shape: Literal["custom", "legacy"] = Field(
        "custom", description="which form of Scenario's API is used"
    )
    models: ScenarioModels = Field(ScenarioModels(), description="model per operation")
    cost_per_image_usd: float | None = Field(
        None, gt=0, description="what an image costs now: the baseline of savings"
    )


class Workflows(Section):
    """What the ComfyUI graphs are filled with."""

    checkpoint: str = Field("sd_xl_base_1.0.safetensors", description="checkpoint file")
    background_removal_model: str = Field("birefnet.safetensors", description="background removal model file")
    steps: int = Field(20, ge=1, le=150, description="sampler steps")
    batch_size: int = Field(1, ge=1, le=8, description="images per run")


class Gateway(Section):
    cors_origins: tuple[str, ...] = Field((), description="origins that browsers may call from")
    max_body_bytes: Whole = Field(15_000_000, ge=1024, description="largest request body")
    max_image_bytes: Whole = Field(10_000_000, ge=1024, description="largest input image")
    max_pixels: Whole = Field(4_194_304, ge=4096, description="largest width × height asked for")
    requests_per_minute: Whole = Field(120, ge=1, description="generations accepted per token and minute")


class Verification(Section):
    candidate_assets: int = Field(4, ge=1, le=64, description="assets generated before traffic moves")
    live_assets: int = Field(12, ge=0, le=64, description="assets generated after it moved; 0 = none")
    operations: tuple[Operation, ...] = Field(
        tuple(Operation),
        min_length=1,
        description="operations in use: each is tried, none may be lost by a switch",
    )
    budgets: dict[Operation, Annotated[float, Field(gt=0)]] = Field(
        {}, description="seconds per operation; default: the plan's p95"
    )
    max_spend_usd: float | None = Field(None, gt=0, description="cap per run")
    max_spend_usd_per_day: float | None = Field(None, gt=0, description="cap per day")
    inconclusive_candidate: Literal["stop", "pass"] = Field(
        "stop", description="what an INCONCLUSIVE candidate does"
    )
    required: bool = Field(True, description="false for one `up` skips verification; recorded in the deployment")


class BaseUrls(Section):
    """Where the vendors answer, for an emulator or a proxy. Default: the environment, then the vendor itself."""

    cloudflare: WebAddress | None = None
    runpod_management: WebAddress | None = None
    runpod_jobs: WebAddress | None = None
    scenario: WebAddress | None = None


class StackConfig(Section):
    """All keys of the project namespace. `stack` is the stack's name, not a key.

    Providers' secrets are not listed here: each provider's settings model declares its own (`scenarioApiKey`, …).
    """

    model_config = ConfigDict(populate_by_name=True)

    stack: str = Field(exclude=True, description="name of the stack")

    image_generation_provider: ProviderName = Field("scenario", description="who serves: the one switch")
    candidate_provider: ProviderName | None = Field(None, description="shadow or canary beside the live one")
    candidate_percent: int = Field(0, ge=0, le=99, description="share of requests for the candidate; 0 = shadow")
    acknowledge_rollback: str | None = Field(None, description="deployment id of a rollback that may be undone")

    account_id: AccountId = Field(description="Cloudflare account")
    worker_name: WorkerName | None = Field(None, description="default: <project>-<stack>")
    worker_bundle: str | None = Field(None, description="directory of your own Worker's modules instead of ours")
    adopt_worker_id: str | None = Field(
        None, description="id of an existing Worker called workerName to take over"
    )
    workers_dev: bool = Field(True, description="answer on workers.dev")
    custom_domain: HostName | None = Field(None, description="answer on this host name as well; needs zoneId")
    zone_id: str | None = Field(None, description="Cloudflare zone of customDomain and of an asset domain")

    asset_bucket: BucketName | None = Field(None, description="R2 bucket; default: <project>-<stack>-assets")
    asset_bucket_location: Literal["apac", "eeur", "enam", "weur", "wnam", "oc"] | None = Field(
        None, description="R2 location hint"
    )
    adopt_bucket: BucketName | None = Field(None, description="existing bucket to take over, with its objects")
    asset_public_access: PublicAccess = Field("worker", description="worker, r2dev, or the host name of a domain")
    asset_cors_origins: tuple[str, ...] = Field(("*",), description="origins that may load assets")
    asset_retention_days: Whole = Field(0, ge=0, description="delete assets after so many days; 0 = keep")
    asset_bucket_force_destroy: bool = Field(False, description="`pulumi destroy` empties the bucket first")
    protect_asset_bucket: bool | None = Field(None, description="default: true on production stacks")

    runpod: RunPod | None = Field(None, description="the RunPod endpoint; absent: RunPod is not deployed")
    scenario: Scenario = Field(Scenario(), description="Scenario's request shape, models and price")
    workflows: Workflows = Field(Workflows(), description="what the ComfyUI graphs are filled with")
    gateway: Gateway = Field(Gateway(), description="limits and CORS of the gateway")
    verification: Verification = Field(Verification(), description="what is generated and judged before a switch")
    pre_switch_commands: tuple[str, ...] = Field((), description="your own checks, run by `switchback doctor`")
    base_urls: BaseUrls = Field(BaseUrls(), description="other addresses of the vendors (emulator, proxy)")

    credentials: dict[str, SecretStr] = Field(
        {}, exclude=True, description="not a key: providers' secrets by variable"
    )
    runpod_management_api_key: SecretStr | None = Field(None, description="RunPod key that may change endpoints")
    gateway_tokens: tuple[SecretStr, ...] = Field(min_length=1, description="bearer tokens of the gateway")
    job_signing_keys: tuple[SecretStr, ...] = Field(min_length=1, description="keys that sign job ids")

    @property
    def is_production(self) -> bool:
        return self.stack in ("prod", "production")

    @property
    def bucket_is_protected(self) -> bool:
        return self.is_production if self.protect_asset_bucket is None else self.protect_asset_bucket

    @property
    def resolved_worker_name(self) -> str:
        return self.worker_name or f"{NAMESPACE}-{self.stack}"

    @property
    def resolved_bucket_name(self) -> str:
        return self.asset_bucket or f"{NAMESPACE}-{self.stack}-assets"

    @property
    def named_providers(self) -> tuple[str, ...]:
        """The live provider and, where there is one, the candidate."""
        names = (self.image_generation_provider, self.candidate_provider)
        return tuple(name for name in names if name)

    @property
    def runpod_workers_min(self) -> int:
        """Workers kept on: an always-on L40 costs $45.79 a day, so only while RunPod is needed warm."""
        if self.runpod is None:
            return 0
        needed = "runpod" in self.named_providers
        return self.runpod.workers_min if needed else self.runpod.standby_workers_min

    def configured_providers(self) -> tuple[str, ...]:
        """Providers whose credentials are all there, in a stable order; the others are not deployed."""
        return tuple(name for name, missing in self.missing_credentials().items() if not missing)

    def missing_credentials(self) -> dict[str, tuple[str, ...]]:
        """For each known provider the keys that it still needs."""
        missing = {
            name: tuple(
                credential_key(binding.name)
                for binding in spec.bindings
                if binding.kind == "secret_text" and binding.required and binding.name not in self.credentials
            )
            for name, spec in sorted(PROVIDERS.items())
        }
        if self.runpod is None:
            missing["runpod"] += ("runpod",)
        return missing


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The group of keys that a key holds, if it holds one."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def credential_key(variable: str) -> str:
    """RUNPOD_API_KEY is set as runpodApiKey."""
    return to_camel(variable.lower())


def credential_variables() -> dict[str, str]:
    """The key in the stack's configuration of every secret that a provider declares → the Worker's variable."""
    return {
        credential_key(binding.name): binding.name
        for spec in PROVIDERS.values()
        for binding in spec.bindings
        if binding.kind == "secret_text"
    }
