"""Run Terraform on a copy of an example, with a provider mirror where one is on disk.

`python -m local.terraform ARGUMENTS…` runs plain Terraform under the same CLI configuration; the
gates use it for fmt, validate and test.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MIRROR_VARIABLE = "TERRAFORM_PROVIDER_MIRROR"
_NEEDED = (1, 9)
_REGISTRY = "registry.terraform.io"
_PROVIDER = "hashicorp/aws"
# What versions.tf asks for; a mirror that holds only other versions is of no use.
_OLDEST, _BELOW = (5, 100), (7, 0)
# Endpoint, region and credentials come from environment variables.
_LOCAL_PROVIDER = """\
provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
"""
_WALK_DEPTH = 6
_WALK_FOLDERS = 40_000
# Trees that are large and hold no provider mirror.
_SKIPPED = {"node_modules", "site-packages", "proc", "sys", "dev", ".git", "__pycache__", "doc"}

Report = Callable[[str], None]


class TerraformError(RuntimeError):
    """Terraform is missing, too old, or has failed; the message contains its output."""


@dataclass(frozen=True)
class Changes:
    """What a plan would do."""

    add: int
    change: int
    remove: int
    addresses: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.addresses)


def find_terraform() -> str:
    """Path of a Terraform that is new enough.

    Raises
    ------
    TerraformError
        With one sentence that says what to install.
    """
    found = shutil.which("terraform")
    wanted = ".".join(map(str, _NEEDED))
    if found is None:
        raise TerraformError(
            f"Terraform is not installed: put version {wanted} or newer on the PATH"
            " (https://developer.hashicorp.com/terraform/install)."
        )
    answer = subprocess.run(
        [found, "version", "-json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
    )
    try:
        version = str(json.loads(answer.stdout)["terraform_version"])
    except (ValueError, KeyError):
        raise TerraformError(f"{found} does not answer 'terraform version'.") from None
    if _version(version) < _NEEDED:
        raise TerraformError(f"Terraform {version} is too old: install version {wanted} or newer.")
    return found


def find_mirror() -> Path | None:
    """Folder of a provider mirror on this machine that holds the AWS provider, if there is one."""
    given = os.environ.get(MIRROR_VARIABLE)
    if given:
        for folder in (Path(given), Path(given).parent):
            if _holds_provider(folder):
                return folder
        raise TerraformError(
            f"{MIRROR_VARIABLE} is {given}, which does not contain the {_PROVIDER} provider: "
            "correct or unset it."
        )
    for folder in _usual_folders():
        if _holds_provider(folder):
            return folder
    for root in _likely_roots():
        for folder in _walk(root):
            if folder.name == _REGISTRY and _holds_provider(folder.parent):
                return folder.parent
    return None


def write_cli_config(file: Path, mirror: Path | None) -> Path:
    """Write a CLI configuration: the mirror for the AWS provider, the registry for the rest."""
    cache = Path(os.environ.get("TF_PLUGIN_CACHE_DIR") or ROOT / ".local" / "terraform-plugins")
    lines = ["disable_checkpoint = true"]
    if mirror is None:
        cache.mkdir(parents=True, exist_ok=True)
        lines += [f"plugin_cache_dir = {json.dumps(str(cache))}"]
        # Without it the cache is used only where a lock file knows the provider already.
        lines += ["plugin_cache_may_break_dependency_lock_file = true"]
    else:
        address = f"{_REGISTRY}/{_PROVIDER}"
        lines += [
            "provider_installation {",
            "  filesystem_mirror {",
            f"    path    = {json.dumps(str(mirror))}",
            f'    include = ["{address}"]',
            "  }",
            "  direct {",
            f'    exclude = ["{address}"]',
            "  }",
            "}",
        ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def cli_config(file: Path) -> Path:
    """The user's own CLI configuration where it says how providers are installed, else ours."""
    for name in (os.environ.get("TF_CLI_CONFIG_FILE"), str(Path.home() / ".terraformrc")):
        own = Path(name) if name else None
        if own and own.is_file() and "provider_installation" in own.read_text(encoding="utf-8"):
            return own
    return write_cli_config(file, find_mirror())


class Terraform:
    """One example, applied from a copy, so that the checkout stays clean and runs never meet.

    Parameters
    ----------
    example : folder below `examples/`.
    run_dir : where the copy, the state and the plugins' folder go.
    environment : variables that reach the AWS provider.
    report : told what goes on, one line at a time.
    """

    def __init__(
        self,
        example: str,
        run_dir: Path,
        environment: Mapping[str, str],
        report: Report = print,
    ) -> None:
        self._binary = find_terraform()
        self._report = report
        self._tree = run_dir / "configuration"
        self.folder = self._tree / "examples" / example
        _copy_configuration(example, self._tree)
        foreign = ("AWS_", "TF_", "LOCALSTACK_")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **environment,
            "NO_PROXY": "127.0.0.1,localhost",
            "TF_CLI_CONFIG_FILE": str(cli_config(run_dir / "terraform.rc")),
            "TF_DATA_DIR": str(run_dir / "terraform-data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def add_local_provider(self) -> None:
        """Add the provider block that the local cloud needs to an example that has none."""
        (self.folder / "local_provider.tf").write_text(_LOCAL_PROVIDER, encoding="utf-8")

    def init(self) -> None:
        """Install provider and modules."""
        self._plain("init", "-input=false", "-no-color")

    def apply(self, variables: Mapping[str, Any], *, refresh: bool = True) -> dict[str, Any]:
        """Apply with these variables; returns the outputs by name.

        Parameters
        ----------
        refresh : whether all that was applied is read again before.
        """
        self._write_variables(variables)
        how = [] if refresh else ["-refresh=false"]
        self._stream("apply", "-input=false", "-auto-approve", "-json", *how)
        return self.outputs()

    def outputs(self) -> dict[str, Any]:
        """Outputs of the last apply by name."""
        answer = json.loads(self._plain("output", "-json"))
        return {name: each["value"] for name, each in answer.items()}

    def plan(self, variables: Mapping[str, Any]) -> Changes:
        """What an apply with these variables would change; nothing is changed."""
        self._write_variables(variables)
        return self._stream("plan", "-input=false", "-json")

    def planned(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What an apply with these variables would do, as `terraform show -json` says it."""
        self._write_variables(variables)
        self._plain("plan", "-input=false", "-no-color", "-out=planned")
        return dict(json.loads(self._plain("show", "-json", "planned")))

    def resources(self) -> int:
        """Number of resources in the state, data sources left out."""
        lines = self._plain("state", "list").splitlines()
        return sum(1 for line in lines if not re.search(r"(^|\.)data\.", line))

    def destroy(self) -> None:
        """Remove everything that was applied."""
        self._stream("destroy", "-input=false", "-auto-approve", "-json")

    def _write_variables(self, variables: Mapping[str, Any]) -> None:
        file = self.folder / "terraform.tfvars.json"
        file.write_text(json.dumps(variables, indent=2) + "\n", encoding="utf-8")

    def _plain(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._binary, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise TerraformError(f"terraform {arguments[0]} failed:\n{said}")
        return done.stdout

    def _stream(self, *arguments: str) -> Changes:
        process = subprocess.Popen(
            [self._binary, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A group of its own, so that its provider processes can be ended with it.
            start_new_session=True,
        )
        assert process.stdout is not None
        counter = _Counter(arguments[0], self._report)
        try:
            for line in process.stdout:
                counter.read(line)
            process.wait()
        finally:
            # Only where this is interrupted: what it works on goes away with the local cloud.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            said = "\n".join(counter.errors) or f"exit status {process.returncode}"
            raise TerraformError(f"terraform {arguments[0]} failed:\n{said}")
        return counter.changes


class _Counter:
    """Reads Terraform's JSON lines: counts what is done, keeps errors and the planned changes."""

    def __init__(self, command: str, report: Report) -> None:
        self.errors: list[str] = []
        self._addresses: list[str] = []
        self._counts = {"add": 0, "change": 0, "remove": 0}
        self._command = command
        self._report = report
        self._done = 0
        self._said = 0

    @property
    def changes(self) -> Changes:
        return Changes(**self._counts, addresses=tuple(self._addresses))

    def read(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            # What is not JSON is said by something below Terraform, and only of use with an error.
            if line.strip():
                self.errors.append(line.rstrip())
            return
        kind = message.get("type")
        if kind == "diagnostic" and message["diagnostic"]["severity"] == "error":
            found = message["diagnostic"]
            where = f" ({found['address']})" if found.get("address") else ""
            self.errors.append(f"{found['summary']}{where}: {found.get('detail', '')}".strip())
        elif kind == "planned_change":
            change = message["change"]
            self._addresses.append(f"{change['action']} {change['resource']['addr']}")
        elif kind == "change_summary" and message["changes"]["operation"] == "plan":
            self._counts = {name: int(message["changes"][name]) for name in self._counts}
        elif kind == "apply_complete" and message["hook"]["action"] != "read":
            self._done += 1
            self._progress()

    def _progress(self) -> None:
        total = sum(self._counts.values())
        if self._done >= self._said + max(1, total // 8) or self._done == total:
            self._said = self._done
            self._report(f"terraform {self._command}: {self._done} of {total} resources")


def _copy_configuration(example: str, tree: Path) -> None:
    """Copy what the example needs: the root module, the submodules and the package."""
    if tree.exists():
        shutil.rmtree(tree)
    for folder in ("modules", f"examples/{example}", "lambda_src/dist"):
        if not (ROOT / folder).is_dir():
            raise TerraformError(f"{ROOT / folder} is missing from this checkout.")
        skipped = shutil.ignore_patterns(".terraform*", "terraform.tfstate*", "*.tfvars.json")
        shutil.copytree(ROOT / folder, tree / folder, ignore=skipped)
    # Both tables are read by the root module.
    for file in [*ROOT.glob("*.tf"), ROOT / "timezones.txt", ROOT / "holidays.txt"]:
        shutil.copy2(file, tree / file.name)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _target() -> str:
    machine = platform.machine().lower()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}_{machine}"


def _holds_provider(folder: Path) -> bool:
    """Whether a mirror holds a version of the provider that fits, unpacked or as an archive."""
    place = folder / _REGISTRY / _PROVIDER
    try:
        versions = [each.parent.name for each in place.glob(f"*/{_target()}") if each.is_dir()]
        versions += [each.name.split("_")[1] for each in place.glob(f"*_{_target()}.zip")]
    except OSError:
        return False
    return any(_OLDEST <= _version(each) < _BELOW for each in versions)


def _usual_folders() -> Iterator[Path]:
    """Folders that Terraform itself takes for mirrors, by its documentation."""
    home = Path.home()
    yield home / ".terraform.d" / "plugins"
    yield Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "terraform/plugins"
    yield home / "Library/Application Support/io.terraform/plugins"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in shared.split(":"):
        yield Path(folder) / "terraform" / "plugins"


def _likely_roots() -> Iterator[Path]:
    named = os.environ.get("TF_CLI_CONFIG_FILE")
    roots = [Path("/opt"), Path("/usr/local"), Path("/usr/share"), Path("/usr/lib")]
    roots += [Path("/srv"), Path("/var/lib"), Path.home() / ".terraform.d", Path.home()]
    if named:
        roots.insert(0, Path(named).parent)
    return iter(dict.fromkeys(roots))


def _walk(root: Path) -> Iterator[Path]:
    """Folders below a root, near ones first, up to a bound."""
    level = [root]
    seen = 0
    for _ in range(_WALK_DEPTH):
        deeper: list[Path] = []
        for folder in level:
            try:
                entries = [
                    each for each in os.scandir(folder) if each.is_dir(follow_symlinks=False)
                ]
            except OSError:
                continue
            for entry in entries:
                seen += 1
                if seen > _WALK_FOLDERS:
                    return
                if entry.name in _SKIPPED:
                    continue
                yield Path(entry.path)
                deeper.append(Path(entry.path))
        level = deeper


def main(arguments: list[str]) -> int:
    """Run Terraform with these arguments under the discovered CLI configuration."""
    try:
        binary = find_terraform()
        with tempfile.TemporaryDirectory(prefix="terraform-") as folder:
            config = cli_config(Path(folder) / "terraform.rc")
            environment = {
                **os.environ,
                "TF_CLI_CONFIG_FILE": str(config),
                "CHECKPOINT_DISABLE": "1",
            }
            return subprocess.run([binary, *arguments], env=environment, check=False).returncode
    except TerraformError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
