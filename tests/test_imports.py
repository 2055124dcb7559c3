"""The direction that imports go in, read from the source: who may know whom, and who may speak of flags."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BOTTOM = {"errors", "settings", "files"}
KNOWS: dict[str, set[str]] = {
    "errors": set(),
    "settings": BOTTOM,
    "files": BOTTOM,
    "tensor_files": BOTTOM,
    "model": BOTTOM,
    "data": BOTTOM,
    "adapters": BOTTOM | {"model"},
    "tasks": BOTTOM | {"model", "data"},
    "checkpoint": BOTTOM | {"tensor_files", "model", "data", "adapters", "tasks"},
    "generation": BOTTOM | {"model", "data", "adapters", "tasks"},
}
KNOWS["training"] = KNOWS["checkpoint"] | {"checkpoint", "generation"}
KNOWS["presets"] = KNOWS["training"] | {"training"}
KNOWS["teaching"] = KNOWS["presets"]
KNOWS["hub"] = KNOWS["presets"]
KNOWS["onnx_export"] = KNOWS["checkpoint"] | {"checkpoint"}
KNOWS["inspection"] = KNOWS["presets"]
KNOWS["bench"] = KNOWS["presets"] | {"presets", "teaching"}
KNOWS["commands"] = KNOWS["bench"] | {"bench", "hub", "onnx_export"}
KNOWS["cli"] = KNOWS["commands"] | {"commands"}
KNOWS["__main__"] = {"cli"}
KNOWS["ui"] = KNOWS["bench"] | {"hub", "inspection", "onnx_export"}
KNOWS["__init__"] = set()

LIBRARIES = {
    "gradio": lambda path: path.startswith("ui/") and not path.startswith("ui/actions/"),
    "lightning": lambda path: path.startswith("training/"),
    "huggingface_hub": lambda path: path.startswith("hub/") or path == "data/sources.py",
    "datasets": lambda path: path == "data/sources.py",
    "torchmetrics": lambda path: path == "tasks/metrics.py",
}


def modules() -> list[str]:
    """Every module of the package, as a path inside it."""
    package = ROOT / "microformer"
    return [path.relative_to(package).as_posix() for path in sorted(package.rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """The full names that a module imports, inside functions as well. Relative imports are not used here."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module: str) -> None:
    part = module.split("/")[0].removesuffix(".py")
    assert part in KNOWS, f"say in this test what {part} may import"
    for name in imported(ROOT / "microformer" / module):
        head, _, rest = name.partition(".")
        if head == "microformer" and rest:
            other = rest.split(".")[0]
            assert other in KNOWS[part] | {part}, f"{module} imports microformer.{other}"
        if head in LIBRARIES:
            assert LIBRARIES[head](module), f"{module} imports {head}"


def test_every_part_is_known_to_the_rules() -> None:
    assert {module.split("/")[0].removesuffix(".py") for module in modules()} == set(KNOWS)


def test_app_imports_the_page_only() -> None:
    ours = {name.split(".")[1] for name in imported(ROOT / "app.py") if name.startswith("microformer.")}
    assert ours == {"ui"}


def test_the_package_and_its_command_line_load_nothing_slow() -> None:
    slow = ["torch", "gradio", "lightning", "torchmetrics", "huggingface_hub", "datasets"]
    code = f"import sys, microformer, microformer.cli; sys.exit(str([n for n in {slow} if n in sys.modules] or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.stderr.strip() == ""


def test_nothing_that_could_run_code_is_read() -> None:
    words = ("pickle", "torch.load", "yaml.load(", "shell=True", "trust_remote_code", "eval(")
    for module in modules():
        tree = ast.parse((ROOT / "microformer" / module).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Call, ast.Import, ast.ImportFrom)):
                text = ast.unparse(node)
                found = [word for word in words if word in text and f".{word}" not in text]
                allowed = "allow_pickle=False" in text
                assert allowed or not found, f"{module}: {text}"


STARTS_THE_PAGE = ("ui/launch.py",)


def test_only_commands_speak_of_their_flags() -> None:
    """What the library refuses, it refuses in words for the page and for Python too."""
    for module in modules():
        if module.split("/")[0] != "commands" and module not in STARTS_THE_PAGE:
            for node in ast.walk(ast.parse((ROOT / "microformer" / module).read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise):
                    assert not re.search(r"(?<!-)--[a-z]", ast.unparse(node)), f"{module}: {ast.unparse(node)}"
