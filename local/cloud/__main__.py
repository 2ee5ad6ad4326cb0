"""Command line of the local cloud: ``python -m local.cloud start|stop|status|serve``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from local.cloud.process import DEFAULT_STATE_DIR, CloudError, LocalCloud
from local.cloud.settings import Settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.cloud",
        description="AWS and Redshift on one loopback port of this machine.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    texts = {
        "start": "start in the background, wait until ready, print the variables to export",
        "stop": "stop it and everything it started",
        "status": "print whether it is running, and where",
        "serve": "run in the foreground",
    }
    for name, text in texts.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--state-dir",
            type=Path,
            default=DEFAULT_STATE_DIR,
            help="folder of all its files (default: .local/cloud in this checkout)",
        )
        if name not in ("start", "serve"):
            continue
        plain = Settings(state_dir=Path())
        helps = {
            "port": "port on 127.0.0.1; 0 takes a free one",
            "region": "region it answers for",
            "account": "account number",
            "status_seconds": "how long a statement stays SUBMITTED, and then PICKED",
            "attach_seconds": "how long attaching a role to a warehouse takes",
            "idle_workers": "how many idle Lambda processes are kept warm",
            "idle_seconds": "how long an idle Lambda process is kept warm",
            "log_level": "log level of the server",
        }
        for option, help_text in helps.items():
            default = getattr(plain, option)
            command.add_argument(
                f"--{option.replace('_', '-')}",
                type=type(default),
                default=default,
                help=f"{help_text} (default: {default})",
            )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    state_dir = options.pop("state_dir").resolve()
    if command == "serve":
        from local.cloud.server import serve

        serve(Settings(state_dir=state_dir, **options))
        return 0
    cloud = LocalCloud(state_dir, **options)
    if command == "start":
        try:
            cloud.start()
        except CloudError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"# the local cloud listens at {cloud.endpoint}")
        for name, value in cloud.environment().items():
            print(f"export {name}={value}")
        return 0
    if command == "stop":
        print("stopped" if cloud.stop() else "was not running")
        return 0
    running = cloud.status()
    print(json.dumps(asdict(running), indent=2) if running else "not running")
    return 0 if running else 1


if __name__ == "__main__":
    raise SystemExit(main())
