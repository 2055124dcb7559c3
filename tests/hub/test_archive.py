"""A run travels in one zip file, and nothing else that calls itself one gets in."""

import json
import zipfile
from pathlib import Path

import pytest

from microformer import checkpoint
from microformer.errors import UserError
from microformer.hub.archive import export_run, import_run
from microformer.training.run_directory import Run


def test_an_imported_run_is_the_exported_one(run: Path, tmp_path: Path) -> None:
    again = import_run(export_run(run, tmp_path / "run.zip"), tmp_path / "again")
    before, after = checkpoint.load(run), checkpoint.load(again)
    assert checkpoint.base_hash(after.model) == checkpoint.base_hash(before.model)
    assert after.tokenizer.hash == before.tokenizer.hash
    assert after.state["val_loss"] == 2.5
    assert Run(again).config() == Run(run).config()
    assert len(Run(again).metrics()[0]) == 20
    assert Run(again).status().state == "finished"


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first = export_run(run, tmp_path / "a.zip").read_bytes()
    (run / "tokenizer.json").touch()
    assert export_run(run, tmp_path / "b.zip").read_bytes() == first


def test_a_place_that_is_used_is_not_written_over(run: Path, tmp_path: Path) -> None:
    file = export_run(run, tmp_path / "run.zip")
    with pytest.raises(UserError, match="already something"):
        import_run(file, run)


def changed(file: Path, **changes: bytes | None) -> Path:
    """A copy of a zip with some files replaced (``model__safetensors=b"…"``), added, or left out."""
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name, data in changes.items():
        name = name.replace("__", ".")
        files.pop(name, None)
        if data is not None:
            files[name] = data
    copy = file.with_name("changed.zip")
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return copy


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"../../evil": b"x"}, "no exported run has"),
        ({"/etc/evil": b"x"}, "no exported run has"),
        ({"extra__pkl": b"x"}, "no exported run has"),
        ({"config__yaml": None}, "has no config.yaml"),
        ({"model__safetensors": None}, "has no model.safetensors"),
        ({"model__safetensors": b"\x80\x04 not weights"}, "not a safetensors file"),
        ({"model__safetensors": bytes(2**23)}, "grows far too much"),
        ({"config__yaml": b"!!python/object/apply:os.system ['true']"}, "not valid YAML"),
        ({"config__yaml": b"model: {d_model: 32, n_heads: 4, vocab_size: 284}"}, "tokens|does not fit"),
        ({"config__yaml": b"model: {d_modl: 32}"}, "did you mean d_model"),
        ({"config__yaml": b"about: &a [x]\nlabels: [*a]"}, "refer to a value"),
        ({"tokenizer__json": b"{}"}, "cannot be used"),
        ({"state__json": b'{"step": ' + b"9" * 400 + b"}"}, "not what a checkpoint holds"),
        ({"state__json": b"5"}, r"changed\.zip cannot be used: state\.json is not what a checkpoint holds"),
    ],
)
def test_a_zip_that_is_no_exported_run_is_refused_and_leaves_nothing(
    run: Path, tmp_path: Path, changes: dict[str, bytes | None], sentence: str
) -> None:
    file = changed(export_run(run, tmp_path / "run.zip"), **changes)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=sentence):
        import_run(file, tmp_path / "again")
    assert sorted(tmp_path.iterdir()) == before


def test_an_entry_that_lies_about_its_size_is_refused(run: Path, tmp_path: Path) -> None:
    file = export_run(run, tmp_path / "run.zip")
    data = bytearray(file.read_bytes())
    at = data.rindex(b"state.json") - 46  # the entry in the directory at the end of the zip
    data[at + 24 : at + 28] = (3).to_bytes(4, "little")
    file.write_bytes(data)
    with pytest.raises(UserError):
        import_run(file, tmp_path / "again")


def test_what_is_no_zip_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("no zip")
    with pytest.raises(UserError, match="not a zip file"):
        import_run(tmp_path / "x.zip", tmp_path / "again")
    with pytest.raises(UserError, match="no file"):
        import_run(tmp_path / "y.zip", tmp_path / "again")


def test_only_numbers_come_along_with_foreign_metrics(run: Path, tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 2.0, "note": "<script>", "lr": 10**400}, ["no row"], {"loss": 3.0}]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode() + b'{"step": 2, "loss": NaN}\n'
    file = changed(export_run(run, tmp_path / "run.zip"), metrics__jsonl=lines)
    assert Run(import_run(file, tmp_path / "again")).metrics()[0] == [{"step": 1, "loss": 2.0}, {"step": 2}]
