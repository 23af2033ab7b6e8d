"""Packaging of mppi_zoo; settings of the tools live in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SHIPPED = [*(ROOT / "gin").rglob("*.gin"), *(ROOT / "studies").rglob("*.yaml")]

# labmaze, which dm_control asks for, has no wheel for Python 3.13 and needs Bazel to be built.
# Only dm_control's maze worlds import it, never its suite. So on 3.13 dm_control's other
# dependencies are named here and `make venv` adds dm_control itself with --no-deps.
NO_LABMAZE = '; python_version >= "3.13"'
DM_CONTROL_DEPENDENCIES = [
    "absl-py",
    "dm-env",
    "dm-tree!=0.1.2",
    "glfw",
    "lxml",
    "protobuf>=3.19.4",
    "pyopengl>=3.1.4",
    "pyparsing>=3.0.0",
    "requests",
    "scipy",
    "tqdm",
]

# The gin module is called gin too, so the folder gin/ cannot become a package: its files travel
# inside mppi_zoo instead, and those of studies/ with them.


class BuildPy(build_py):
    """Adds gin/ and studies/ to a built wheel as mppi_zoo/gin_files and studies_files."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib) / "mppi_zoo"
        for name in ("gin", "studies"):  # a stale build/ must not resurrect files
            shutil.rmtree(package / f"{name}_files", ignore_errors=True)
        for source in sorted(SHIPPED):
            top, *rest = source.relative_to(ROOT).parts
            copy = package.joinpath(f"{top}_files", *rest)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


class Sdist(sdist):
    """Adds gin/, studies/ and constraints.txt to a source distribution, to build the same wheel."""

    def make_distribution(self) -> None:
        extra = [*SHIPPED, ROOT / "constraints.txt"]
        self.filelist.extend(str(path.relative_to(ROOT)) for path in extra if path.is_file())
        super().make_distribution()


README = ROOT / "README.md"

setup(
    name="mppi_zoo",
    version="0.1.0",
    description="MPPI-based model-based reinforcement learning: TD-MPC2, BMPC, PO-MPC and kin",
    long_description=README.read_text(encoding="utf-8") if README.is_file() else "",
    long_description_content_type="text/markdown",
    author="mppi_zoo authors",
    license="MIT",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["mppi_zoo", "mppi_zoo.*"]),
    package_data={"mppi_zoo": ["py.typed"], "mppi_zoo.analysis": ["report.html.j2"]},
    install_requires=[
        "torch>=2.6",
        "numpy>=1.26",
        "gymnasium[mujoco]>=1.1",
        "mujoco>=3.2,<4",  # dm_control 1.0.50 breaks with mujoco 4.0.0
        'dm_control>=1.0.28; python_version < "3.13"',
        *(name + NO_LABMAZE for name in DM_CONTROL_DEPENDENCIES),
        "annotated-types>=0.6,<1",
        "gin-config>=0.5,<0.6",  # config.py reads its private tables to find dead bindings
        "tensorboard>=2.15",
        "rich>=13",
        "filelock>=4",
        "psutil>=5.9",
        "pandas>=2.1",
        "submitit>=1.5",
        "pyyaml>=6",
        "matplotlib>=3.8",
        "scipy>=1.11",
        "jinja2>=3.1",
        "imageio>=2.31",
        "imageio-ffmpeg>=0.4.9",
    ],
    extras_require={
        "dev": [
            "hypothesis>=6.100",
            "ipykernel>=6.29",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "pyright>=1.1.380",
            "pytest>=8",
            "pytest-xdist>=3.5",
            "ruff>=0.6",
        ],
        "humanoid": ["robosuite_models>=1.0,<2", "mujoco>=3.3.7"],
        "onnx": ["onnx>=1.16", "onnxscript>=0.5", "onnxruntime>=1.18"],
        "wandb": ["wandb>=0.17"],
    },
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
)
