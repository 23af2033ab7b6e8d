"""What only code can do for the package; its metadata is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
SHIPPED = [*(ROOT / "gin").rglob("*.gin"), *(ROOT / "studies").rglob("*.yaml")]

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


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
