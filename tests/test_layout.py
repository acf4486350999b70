"""How the tree is built: which module may import which, what goes into the wheel, what an import costs."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tensorferry

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"formats": "tensorferry.formats", "converters": "tensorferry.converters", "tensorferry": "tensorferry"}
"""Directory -> the name that its package is imported by."""

MODULES = sorted(
    path
    for room in PACKAGES
    for path in (ROOT / room).rglob("*.py")
    if not any(parent.is_symlink() for parent in path.parents)
)


def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config


def module_name(path: Path) -> str:
    """The name that the module in a file is imported by."""
    room, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[room], *rest]).removesuffix(".__init__")


def imports(path: Path, *, for_types: bool = True) -> set[str]:
    """Every module that a file imports, wherever in it, by its full name; or those alone that it loads when run."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: set[str] = set()
    tree = ast.parse(path.read_text("utf-8"))
    only_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_types and not for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found |= {source, *(f"{source}.{alias.name}" for alias in node.names)}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def modules_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_are_found() -> None:
    names = {module_name(path) for path in MODULES}
    assert {"tensorferry", "tensorferry.cli", "tensorferry.formats.tensor", "tensorferry.converters.ir"} <= names
    assert len(names) == len(MODULES) > 60


@pytest.mark.parametrize("path", MODULES, ids=modules_id)
def test_imports_go_one_way(path: Path) -> None:
    """tensorferry -> converters -> formats."""
    name = module_name(path)
    ours = {each for each in imports(path) if within(each, "tensorferry")}
    if within(name, "tensorferry.formats"):
        assert all(within(each, "tensorferry.formats") for each in ours)
    elif within(name, "tensorferry.converters"):
        below = {each for each in ours if within(each, "tensorferry.formats") or within(each, "tensorferry.converters")}
        assert ours - below <= {"tensorferry", "tensorferry.__version__"}


@pytest.mark.parametrize("path", MODULES, ids=modules_id)
def test_no_module_imports_by_a_bare_name(path: Path) -> None:
    """`formats` may be anybody's: ours is tensorferry.formats. And nothing of ours knows TensorFlow."""
    tops = {name.partition(".")[0] for name in imports(path)}
    assert not tops & {"formats", "converters", "tensorflow", "tests"}


def test_in_formats_imports_are_relative() -> None:
    absolute = [
        f"{modules_id(path)}:{node.lineno}"
        for path in MODULES
        if within(module_name(path), "tensorferry.formats")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and not node.level and within(node.module or "", "tensorferry")
    ]
    assert absolute == []


def test_dependencies_are_declared() -> None:
    """Everything that is imported is Python's own, ours, or in setup.cfg."""
    config = setup()
    words = config["options"]["install_requires"].split() + config["options.extras_require"]["runtime"].split()
    words += config["options.extras_require"]["yaml"].split()
    declared = {re.split(r"[;<>=!~ ]", word)[0].replace("-", "_") for word in words}
    declared = {{"protobuf": "google", "PyYAML": "yaml"}.get(name, name) for name in declared}
    foreign = {name.partition(".")[0] for path in MODULES for name in imports(path, for_types=False)}
    foreign -= {"tensorferry", *sys.stdlib_module_names, "tomllib"}
    assert foreign <= declared
    assert {"numpy", "google", "onnx"} <= foreign


def test_no_module_bears_the_name_of_a_dependency() -> None:
    taken = {"numpy", "onnx", "google", "safetensors", "ml_dtypes", "crc32c", "cramjam", "click", "rich", "tomli"}
    taken |= {"tensorflow", "onnxruntime", "protobuf"}
    assert not [modules_id(path) for path in MODULES if path.stem in taken]


def test_no_module_is_a_drawer() -> None:
    assert not [modules_id(path) for path in MODULES if path.stem in {"utils", "util", "helpers", "common", "misc"}]


def test_every_package_goes_into_the_wheel() -> None:
    directories = {path.parent for path in MODULES}
    assert all((directory / "__init__.py").exists() for directory in directories)
    packages = setup()["options"]["packages"].split()
    assert sorted(packages) == sorted({module_name(directory / "__init__.py") for directory in directories})


def test_all_data_files_go_into_the_wheel() -> None:
    declared = setup()["options.package_data"]
    for room in PACKAGES:
        for path in (ROOT / room).rglob("*"):
            inside = any(parent.is_symlink() for parent in path.parents) or path.is_symlink()
            if inside or path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            package = next(parent for parent in path.parents if (parent / "__init__.py").exists())
            owner = module_name(package / "__init__.py")
            files = {file for word in declared.get(owner, "").split(",") if word for file in package.glob(word.strip())}
            assert path in files, f"{path} is not in the package data of {owner}"


def test_the_map_of_packages() -> None:
    mapped = dict(line.split(" = ") for line in setup()["options"]["package_dir"].strip().splitlines())
    assert mapped == {package: room for room, package in PACKAGES.items()}


@pytest.mark.parametrize("room", ["formats", "converters"])
def test_links_let_a_plain_clone_work(room: str) -> None:
    link = ROOT / "tensorferry" / room
    assert link.is_symlink()
    assert os.readlink(link) == f"../{room}"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_links_are_committed_as_links() -> None:
    command = ["git", "ls-files", "--stage", "tensorferry/formats", "tensorferry/converters"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["120000", "120000"]


class TestPublicNames:
    @pytest.mark.parametrize("name", tensorferry.__all__)
    def test_each_is_there(self, name: str) -> None:
        assert getattr(tensorferry, name) is not None
        assert name in dir(tensorferry)

    def test_they_are_the_surface(self) -> None:
        assert sorted(tensorferry.__all__) == tensorferry.__all__
        assert len(set(tensorferry.__all__)) == len(tensorferry.__all__)
        from tensorferry import api
        from tensorferry.formats import errors

        raised = {n for n, item in vars(errors).items() if isinstance(item, type) and issubclass(item, Exception)}
        assert set(api.__all__) | raised <= set(tensorferry.__all__)

    def test_there_is_no_other(self) -> None:
        with pytest.raises(AttributeError, match="^module 'tensorferry' has no attribute 'nonsense'$"):
            tensorferry.nonsense  # noqa: B018


def test_the_descriptor_set_is_what_the_proto_files_say(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools compiles .proto files")
    folder = ROOT / "formats" / "protos"
    out = tmp_path / "compiled.binpb"
    files = sorted(path.name for path in folder.glob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    words = ["protoc", f"-I{folder}", f"-I{well_known}", "--include_imports", f"-o{out}", *files]
    assert protoc.main(words) == 0

    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    def described(path: Path) -> dict[str, object]:
        return {file.name: file for file in FileDescriptorSet.FromString(path.read_bytes()).file}

    assert described(folder / "tensorflow.binpb") == described(out)


# --- what an import costs ---------------------------------------------------------------------------

HEAVY = ("numpy", "onnx", "google.protobuf", "ml_dtypes", "onnxruntime", "safetensors", "cramjam", "rich", "tensorflow")


def loaded_by(code: str) -> list[str]:
    """The heavy modules that are there after `code` ran in a fresh Python."""
    script = f"import sys\n{code}\nprint([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    found: list[str] = ast.literal_eval(done.stderr.splitlines()[-1])
    return found


RUN = "from tensorferry.cli import main\ntry: main({words!r})\nexcept SystemExit as end: assert not end.code, end.code"


@pytest.mark.parametrize(
    "code",
    [
        "import tensorferry",
        "import tensorferry.formats.tensor, tensorferry.formats.tensor_proto, tensorferry.formats.detect",
        "import tensorferry.converters.ir, tensorferry.converters.op_registry, tensorferry.converters.ops",
        "import tensorferry.api",
        RUN.format(words=["--help"]),
        RUN.format(words=["--version"]),
        RUN.format(words=["convert", "--help"]),
    ],
)
def test_nothing_heavy_is_loaded_unasked(code: str) -> None:
    assert loaded_by(code) == []


def test_the_measure_measures() -> None:
    assert loaded_by("import numpy") == ["numpy"]


def test_inspecting_needs_no_numpy() -> None:
    words = ["inspect", str(ROOT / "fixtures" / "add" / "model.ckpt")]
    assert set(loaded_by(RUN.format(words=words))) <= {"google.protobuf"}


def test_converting_a_graph_needs_no_onnx(tmp_path: Path) -> None:
    words = ["convert", str(ROOT / "fixtures" / "add" / "model.ckpt"), str(tmp_path / "add.pb")]
    assert not {"onnx", "onnxruntime", "safetensors"} & set(loaded_by(RUN.format(words=words)))
