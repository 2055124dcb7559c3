"""How ``python app.py`` answers what it cannot do, before anything heavy is loaded."""

from pathlib import Path

import pytest

from microformer.ui.entry import main


@pytest.mark.parametrize("place", ["file", "file/within"])
def test_a_home_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MICROFORMER_HOME", str(tmp_path / place))
    assert main([]) == 2
    told = capsys.readouterr().err
    assert "set MICROFORMER_HOME to a folder" in told and told.count("\n") == 1


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "nan"])
def test_what_is_no_port_is_told(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--port={port}"])
    assert ended.value.code == 2 and f"{port} is no port" in capsys.readouterr().err
