"""Reads a Dockerfile: the few instructions that assets/Dockerfile uses, and no others."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One stage: what is done in it, in order, and what its image says of itself."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    """RUN, COPY, WORKDIR, ENV and USER, each with its words."""
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"


def read(path: Path) -> list[Stage]:
    """Return the stages of a Dockerfile. Raises ValueError for an instruction that is not known here."""
    stages: list[Stage] = []
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        rest = " ".join(rest.split())
        if not word:
            continue
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            _apply(stages[-1], word, rest)
    return stages


def _apply(stage: Stage, word: str, rest: str) -> None:
    match word:
        case "RUN" | "COPY" | "WORKDIR" | "ENV" | "USER":
            stage.steps.append((word, rest))
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "CMD":
            stage.command = json.loads(rest)
        case "HEALTHCHECK":
            stage.healthcheck = json.loads(rest.partition("CMD ")[2])
        case "VOLUME":
            stage.volumes = shlex.split(rest)
        case "EXPOSE":
            stage.ports = shlex.split(rest)
        case "STOPSIGNAL":
            stage.stop_signal = rest
        case _:
            raise ValueError(f"{word} is not known here")
