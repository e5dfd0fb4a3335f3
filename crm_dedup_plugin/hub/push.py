"""Publish a model, its results and its data on the Hugging Face Hub: ``crm-dedup push smollm2-135m --dry-run``.

`upload_folder` makes one commit for each repository: nobody ever sees half a model, files that have arrived are not sent again,
and an error ends the run. (`upload_large_folder` makes many commits and retries after every error, even after a wrong token.)
"""

import re
from pathlib import Path

import yaml

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.hub import bundle, licences
from crm_dedup_plugin.hub.bundle import Bundle
from crm_dedup_plugin.inference import models
from crm_dedup_plugin.provenance import private_records

NOBODY = "USER"  # stands for the account in a dry run, which does not ask the Hub for it
CONSENT = "yes, publish what this model learned from private records"
_ERRORS = yaml.safe_load(Path(__file__).with_name("errors.yml").read_text(encoding="utf-8"))
_AGAIN = "run the same command again: what has arrived is not sent twice"


def push(name: str, repo: str | None = None, dataset: bool = False, dry_run: bool = False, public: bool = False, consent: str | None = None) -> None:
    """Upload ``outputs/NAME-merged`` with card and results to `repo`, with `dataset` also the generated pairs to `repo`-pairs.

    A dry run writes ``outputs/NAME-hub/`` and prints what would be uploaded; it needs neither a token nor the network.
    Repositories are private unless `public`. A model that was trained on records of real people needs `CONSENT`.
    Raises UserError if something must not be, or could not be, published.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,40}(/[A-Za-z0-9][\w.-]{0,40})?", name, re.ASCII) or ".." in name:
        raise UserError(f"{name!r} is not the name of a model: give the one that it was trained under, as in `crm-dedup push smollm2-135m`")
    merged = Path(models.named(name))
    if not merged.is_dir():
        raise UserError(f"{merged} does not exist: run {advise('train', name)} first")
    if (records := private_records(merged)) and consent != CONSENT:
        raise UserError(
            f"{merged} was trained on {records} records of real people, which it may repeat to whoever asks it: keep it to yourself. "
            f'If it may be published nevertheless, say so: --publish-private "{CONSENT}"'
        )
    base = licences.base_model(name, merged)
    licence = licences.of(base)
    if repo is not None:
        check_repo(repo)
    api = None if dry_run else _connect(repo)
    repo = repo or f"{NOBODY if api is None else _account(api)['name']}/{licences.default_name(name, licence)}"
    pairs_repo = f"{repo}-pairs" if dataset else None
    for one in filter(None, (repo, pairs_repo)):
        check_repo(one)
    bundles = [bundle.dataset(name, pairs_repo, repo)] if pairs_repo else []
    bundles.append(bundle.model(name, repo, base, licence, pairs_repo))
    for part in bundles:
        print(plan(part, public))
    if dry_run:
        print("\ndry run: nothing was uploaded" + (f"; {NOBODY} becomes the account of your token" if repo.startswith(f"{NOBODY}/") else ""))
        return
    for part in bundles:
        print(f"\n{_upload(api, part, public)}")


def check_repo(repo: str) -> None:
    """Raise UserError if the Hub would not accept the name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
        if repo.count("/") != 1 or not repo.isascii() or repo != repo.strip():
            raise HFValidationError
    except HFValidationError:
        raise UserError(
            f"{repo!r} is not the name of a repository: write ACCOUNT/NAME in letters, digits, '-', '_' and '.', at most 96 characters"
        ) from None


def plan(part: Bundle, public: bool) -> str:
    """Return what would be uploaded: the repository, every file with its size, and the total."""
    files = part.files()
    width = max(map(len, files))
    lines = [f"  {name:<{width}}  {_size(size):>10}" for name, size in files.items()]
    head = f"\n{part.kind} {part.repo} ({'PUBLIC' if public else 'private'}), put together in {part.folder}:"
    return "\n".join([head, *lines, f"  {len(files)} files, {_size(sum(files.values()))}"])


def _connect(repo: str | None):
    """Return the Hub's client; raises UserError unless there is a valid token that may write."""
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise UserError(_ERRORS["offline"])
    if not get_token():
        raise UserError("there is no token of the Hub: run `hf auth login` with one that may write, or set HF_TOKEN; --dry-run needs none")
    api = HfApi(library_name="crm-dedup")
    role = ((_account(api, repo).get("auth") or {}).get("accessToken") or {}).get("role")
    if role == "read":
        raise UserError("the token of the Hub may only read: make one that may write, and run `hf auth login` with it")
    return api


def _account(api, repo: str | None = None) -> dict:
    try:
        return api.whoami(cache=True)
    except Exception as error:
        raise explain(error, repo or "the Hub") from None


def _upload(api, part: Bundle, public: bool) -> str:
    """Upload one bundle and return its address; raises UserError if the repository exists and is public, unless `public`."""
    options = {"repo_id": part.repo, "repo_type": part.kind}
    try:
        api.create_repo(**options, private=not public, exist_ok=True)
        private = api.repo_info(**options).private
        if not private and not public:
            raise UserError(f"{part.repo} is there already and public: add --public, or make it private in its settings, then {_AGAIN}")
        api.upload_folder(**options, folder_path=part.folder, delete_patterns=bundle.REPLACED[part.kind], commit_message="Upload with crm-dedup push")
        if private and public:
            api.update_repo_settings(**options, private=False)
    except UserError:
        raise
    except Exception as error:  # the client and its threads raise many kinds of errors: each becomes one sentence
        raise explain(error, part.repo) from None
    return f"{api.endpoint}/{'datasets/' if part.kind == 'dataset' else ''}{part.repo}"


def explain(error: BaseException, repo: str) -> UserError:
    """Return what to do about an error of the Hub's client, in the words of ``errors.yml``; its cause may be hidden behind other errors."""
    import httpx
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    causes = [error]
    while (error := error.__cause__ or error.__context__) is not None and error not in causes:
        causes.append(error)
    if type(causes[0]) is ValueError:  # the client's own words for metadata, or a file, that the Hub does not take
        return _said("metadata", repo, _clean(str(causes[0])))
    for cause in causes:
        if isinstance(cause, GatedRepoError):
            return _said("gated", repo)
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            status = cause.response.status_code
            key = "broken" if status >= 500 else status if status in _ERRORS else "refused"
            return _said(key, repo, status, f" The Hub says: {_clean(cause.server_message)}" if cause.server_message and key != "broken" else "")
        if isinstance(cause, OfflineModeIsEnabled):
            return _said("offline", repo)
    for cause in causes:
        if isinstance(cause, httpx.ConnectError):
            return _said("unreachable", repo)
        if isinstance(cause, httpx.TransportError):
            return _said("cut off", repo, type(cause).__name__)
        if isinstance(cause, OSError) and cause.strerror:
            return _said("disk", repo, cause.strerror)
    return _said("other", repo, f"{type(causes[0]).__name__}: {_clean(str(causes[0]))}")


def _said(key: str | int, repo: str, reason: object = "", more: str = "") -> UserError:
    return UserError(_ERRORS[key].format(repo=repo, reason=reason, again=_AGAIN) + more)


def _clean(message: str) -> str:
    """Return a message in one line, without what may be a token or a signed address."""
    return re.sub(r"hf_\w+|Bearer \S+|https?://\S+", "...", " ".join(message.split()))[:300]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
