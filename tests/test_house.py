"""The house rules: floors, no circles, no first-level packages, and a suite that mirrors the folders."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("models", "datasets", "render_farm", "trainers", "tune", "cluster", "benchmarks")
# A room may import from its own floor and from those before it.
FLOORS = (
    "config",
    "models",
    "datasets",
    "render_farm",
    "trainers",
    "tune",
    "cluster",
    "benchmarks",
    "commands",
    "__main__",
)
NEVER_AT_START = ("torch", "ray", "mlflow", "warp", "cv2", "pyarrow", "smplx", "numpy")


def _sources() -> dict[str, Path]:
    """Dotted module name below sim2pose → file."""
    files = {
        f"{folder}.{path.relative_to(ROOT / folder).with_suffix('').as_posix().replace('/', '.')}": path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    own = ROOT / "sim2pose"
    files |= {path.stem: path for path in own.glob("*.py")}
    files |= {f"commands.{path.stem}": path for path in (own / "commands").glob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in files.items()}


def _imports(module: str, path: Path, top_level_only: bool = False) -> set[str]:
    """Modules of ours that a file imports, as dotted names below sim2pose (relative imports resolved)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)] if node.level > 1 else package
            assert len(package) >= node.level - 1, f"{path}: import beyond the package"
            stem = [*base, *(node.module.split(".") if node.module else [])]
            found |= {".".join([*stem, alias.name]) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sim2pose"):
            found |= {f"{node.module}.{alias.name}".removeprefix("sim2pose.") for alias in node.names}
    return found


def _floor(module: str) -> int | None:
    room = module.split(".")[0]
    return FLOORS.index(room) if room in FLOORS else None


SOURCES = _sources()


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports_go_down_only(module: str) -> None:
    if module == "":  # sim2pose/__init__
        return
    own = _floor(module)
    for target in _imports(module, SOURCES[module]):
        floor = _floor(target)
        assert floor is None or own is None or floor <= own, f"{module} imports {target}, which lies above it"
    if module.startswith("models.geometry"):
        assert not any(_floor(target) for target in _imports(module, SOURCES[module])), "geometry is the ground floor"


def test_no_circle() -> None:
    known = set(SOURCES)
    graph = {}
    for module, path in SOURCES.items():
        targets = {t if t in known else t.rpartition(".")[0] for t in _imports(module, path, top_level_only=True)}
        graph[module] = targets & known - {module}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import circle: {' → '.join([*trail[trail.index(module) :], module])}"
        if module not in done:
            for target in graph[module]:
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_root_folders_are_no_packages() -> None:
    assert [folder for folder in FOLDERS if (ROOT / folder / "__init__.py").exists()] == []
    for folder in FOLDERS:
        link = ROOT / "sim2pose" / folder
        assert link.is_symlink() and not Path(link.readlink()).is_absolute(), (
            f"sim2pose/{folder} must be a relative link"
        )


def test_import_datasets_from_the_root_is_not_ours(tmp_path: Path) -> None:
    """A regular package of that name (Hugging Face's) must win over our folder, even from the repository's root."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("whose = 'theirs'\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import datasets; print(datasets.whose)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "theirs"


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, sim2pose.__main__; print([m for m in {NEVER_AT_START!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tests_mirror_the_folders() -> None:
    allowed = {*FOLDERS, "cli"}
    assert {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"} <= allowed
