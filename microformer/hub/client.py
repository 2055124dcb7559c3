"""Push to and pull from the Hugging Face Hub, with the token that was handed in and no other.

Every error of the Hub and of the network becomes a ``UserError`` that says what to do.
"""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub
from huggingface_hub import CommitOperationAdd, HfApi, constants
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import disable_progress_bars

from microformer.errors import UserError
from microformer.files import check_new_directory, disk_errors
from microformer.hub.bundle import LARGEST, NEEDED, bundle, unbundle
from microformer.hub.card import CARD, PICTURE, metrics_of, model_card
from microformer.hub.picture import loss_picture

Progress = Callable[[float, str], None]
REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9_][\w.-]{0,95})?")


def own_token() -> str | None:
    """The token of the person at this machine (``HF_TOKEN`` or ``hf auth login``). Never for a visitor of the page."""
    return huggingface_hub.get_token()


def push(
    run: str | Path,
    repo: str,
    token: str | None,
    *,
    private: bool = False,
    endpoint: str | None = None,
    progress: Progress = lambda fraction, text: None,
) -> str:
    """Put the best checkpoint of ``run`` into ``repo`` (``name`` or ``owner/name``); returns the page's address.

    A repository that already holds a Microformer model gets another commit; any other that exists is left alone.
    Raises ``UserError``.
    """
    _checked_name(repo)
    if not token or not token.strip():
        raise UserError("A token with the right to write is needed; make one in the settings of your Hub account.")
    shared = bundle(run)
    with _sentences(repo, "push to"):
        api = _api(token.strip(), endpoint)
        progress(0.05, "Asking the Hub who you are")
        user = api.whoami()["name"]
        full = repo if "/" in repo else f"{user}/{repo}"
        progress(0.15, f"Making {full}")
        _make(api, full, private)
        progress(0.3, "Writing the model card")
        picture = loss_picture(metrics_of(shared))
        card = model_card(shared, full, pictured=picture is not None)
        operations = [CommitOperationAdd(name, path) for name, path in sorted(shared.files.items())]
        operations.append(CommitOperationAdd(CARD, card.encode()))
        if picture is not None:
            operations.append(CommitOperationAdd(PICTURE, picture))
        progress(0.4, "Uploading")
        api.create_commit(full, operations, commit_message=f"Microformer checkpoint of step {shared.step}")
        progress(1.0, f"{full} is on the Hub")
        return f"{api.endpoint}/{full}"


def pull(
    repo: str,
    out: Path,
    token: str | None = None,
    *,
    endpoint: str | None = None,
    max_bytes: int | None = None,
    progress: Progress = lambda fraction, text: None,
) -> Path:
    """Get a Microformer model from ``repo`` into the run directory ``out``; returns ``out``.

    Without a token only public repositories can be read. All files are from one commit, and nothing is kept at
    ``out`` before each was checked. ``max_bytes`` limits them together. Raises ``UserError``.
    """
    _checked_name(repo)
    check_new_directory(out)
    with _sentences(repo, "pull from"), tempfile.TemporaryDirectory(prefix="microformer-") as directory:
        api = _api((token or "").strip() or False, endpoint)
        progress(0.05, f"Looking at {repo}")
        info = api.model_info(repo, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or [] if file.rfilename in LARGEST}
        for name in NEEDED:
            if name not in sizes:
                raise UserError(f"{repo} is not a Microformer checkpoint: it has no {name}.")
        for name, size in sizes.items():
            if size > LARGEST[name]:
                raise UserError(f"{name} in {repo} is larger than {LARGEST[name] // 2**20} MB; it cannot be used.")
        done, total = 0, max(1, sum(sizes.values()))
        if max_bytes is not None and total > max_bytes:
            raise UserError(f"{repo} has {total // 2**20} MB, but at most {max_bytes // 2**20} MB are allowed here.")
        for name, size in sorted(sizes.items(), key=lambda item: item[1]):
            progress(0.1 + 0.8 * done / total, f"Downloading {name}")
            with disk_errors(Path(directory) / name):
                api.hf_hub_download(repo, name, revision=info.sha, local_dir=directory)
            done += size
        progress(0.9, "Checking what came")
        unbundle(Path(directory), out, repo)
        progress(1.0, f"{repo} is at {out}")
        return out


def _api(token: str | bool, endpoint: str | None) -> HfApi:
    """A client that uses this token only: the machine's own is out of reach even where none is handed on."""
    constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True
    disable_progress_bars()
    return HfApi(endpoint=endpoint, token=token, library_name="microformer")


def _checked_name(repo: str) -> None:
    if not REPO.fullmatch(repo) or "--" in repo or ".." in repo:
        raise UserError(f"{repo[:100]!r} is not the name of a repository; it looks like my-name/my-model.")


def _make(api: HfApi, repo: str, private: bool) -> None:
    """Make the repository, or make sure that the one of this name holds a Microformer model."""
    try:
        api.create_repo(repo, private=private)
    except hub_errors.HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        files = set(api.list_repo_files(repo))
        if files - {".gitattributes"} and not set(NEEDED) <= files:
            raise UserError(f"The name {repo} is taken by something else; choose another name.") from error


@contextlib.contextmanager
def _sentences(repo: str, doing: str) -> Iterator[None]:
    """Turn what can go wrong between here and the Hub into sentences."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        for cause in _causes(error):  # an upload in a thread hides what happened behind an error of its own
            if isinstance(cause, hub_errors.GatedRepoError):
                raise UserError(f"{repo} is open only to those whom its owner lets in; ask there.") from error
            if isinstance(cause, hub_errors.HfHubHTTPError):
                raise UserError(_sentence(cause.response.status_code, repo, doing)) from error
            if _is_network(cause):
                raise UserError(
                    f"The Hub cannot be reached; check the network and try again{_instead(doing)}."
                ) from error
        raise


def _sentence(status: int, repo: str, doing: str) -> str:
    """What an answer with this status means for a person."""
    if status == 401 and doing == "push to":
        return "The Hub does not know this token; copy it again from the settings of your Hub account."
    if status == 403:
        return f"This token may not {doing} {repo}; use one with the right to write, and a name under your own account."
    if status in (401, 404):
        return f"There is no repository {repo} on the Hub, or it is private; check the name."
    if status == 409:
        return f"The name {repo} is taken; choose another name."
    if status == 429:
        return "The Hub asks for a pause after so many requests; try again in a few minutes."
    if status >= 500:
        return f"The Hub has trouble at the moment (status {status}); try again later{_instead(doing)}."
    return f"The Hub refused to {doing} {repo} (status {status}); check the name and the token."


def _instead(doing: str) -> str:
    return ", or export the model as a file, which needs none" if doing == "push to" else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, what that came from, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _is_network(error: BaseException) -> bool:
    """Whether an error says that the Hub could not be reached."""
    library = type(error).__module__.split(".")[0]
    return isinstance(error, (ConnectionError, TimeoutError)) or library in ("httpx2", "httpcore2")
