"""Carry out the steps of assets/Dockerfile in a chroot, and use the node in it: where no Docker runs. Needs root.

python -m tests.container --base DIR [--bind FOLDER]...

`--base`: the root of a system like the Dockerfile's base, with Python, as this makes it: `debootstrap
--variant=minbase --include=python3,python3-venv,ca-certificates bookworm DIR`. It is copied, not changed. `--bind`: a
folder of this machine that pip needs. Variables PIP_… are passed on.

It prints what it saw: the image's size, that there is no compiler and no root in it, and a file that a node outside
fetched from the node inside.
"""

import argparse
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from string import Template

from flux_tui.core.text.quantities import human_size
from tests.container.dockerfile import Stage, read

ROOT = Path(__file__).parents[2]
SECONDS = 1200


class Container:
    """The root folder of one stage."""

    def __init__(self, stage: Stage, folder: Path, binds: Sequence[str]) -> None:
        self.stage, self.folder, self.binds = stage, folder, binds
        self.workdir, self.user = "/", "root"
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def command(self, words: Sequence[str], user: str = "root", network: str = "") -> list[str]:
        """Return the command line that runs words in the container, as a user of it."""
        root = self.folder
        mounts = [f"mount -t proc proc {root}/proc", f"mount --bind /dev {root}/dev",
                  f"mount -t tmpfs -o mode=1777 tmp {root}/tmp"]  # fmt: skip
        for bind in (*self.binds, "/etc/resolv.conf", "/etc/ssl/certs"):
            kind = "mkdir -p" if Path(bind).is_dir() else "touch"
            mounts += [f"{kind} {root}{bind}", f"mount --bind {bind} {root}{bind}"]
        env = self.env | {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        variables = [f"{name}={value}" for name, value in env.items()]
        spec = [] if user == "root" else [f"--userspec={user}:{user}"]
        inner = ["chroot", *spec, str(root), "/usr/bin/env", "-i", *variables, "sh", "-c",
                 f'cd {self.workdir} && exec "$@"', "sh", *words]  # fmt: skip
        script = " && ".join([*mounts, 'exec "$@"'])
        return [*network.split(), "unshare", "-m", "sh", "-c", script, "sh", *inner]

    def run(self, words: Sequence[str], user: str = "root", network: str = "") -> str:
        """Run words in the container. Return what they printed. Raises CalledProcessError."""
        done = subprocess.run(
            self.command(words, user, network), capture_output=True, text=True, timeout=SECONDS
        )
        if done.returncode:
            sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
        return done.stdout


def build(stages: Sequence[Stage], base: Path, folder: Path, binds: Sequence[str]) -> Container:
    """Carry out the steps of all stages, and return the last one."""
    made: dict[str, Container] = {}
    for number, stage in enumerate(stages):
        root = folder / f"stage{number}"
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        container = made[stage.name] = Container(stage, root, binds)
        for word, rest in stage.steps:
            print(f"{word} {rest}"[:150], flush=True)
            if word == "RUN":
                container.run(["sh", "-c", rest], container.user)
            elif word == "USER":
                container.user = rest
            elif word == "ENV":
                name, _, value = rest.partition("=")
                container.env[name] = Template(value).substitute(container.env)
            elif word == "WORKDIR":
                container.workdir = rest
                (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            else:
                _copy(container, rest.split(), made)
    return container


def _copy(container: Container, words: list[str], made: dict[str, Container]) -> None:
    source = ROOT
    if words[0].startswith("--from="):
        source = made[words.pop(0).removeprefix("--from=")].folder
    *froms, to = words
    target = container.folder / container.workdir.lstrip("/") / to if not to.startswith("/") else (
        container.folder / to.lstrip("/")
    )  # fmt: skip
    for name in froms:
        path = source / name.lstrip("/")
        if path.is_dir():  # Docker copies the content of a folder
            target.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", f"{path}/.", str(target)], check=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def use(container: Container, folder: Path) -> None:
    """Start the container's node in a network of its own, share a file in it, and fetch it from outside."""
    stage = container.stage
    print(
        f"size: {human_size(int(container.run(['du', '-sb', '/opt/flux-tui']).split()[0]))} in /opt/flux-tui"
    )
    compilers = container.run(
        ["sh", "-c", "ls /usr/bin | grep -E '^(gcc|cc|g\\+\\+|clang|rustc|make)$' || true"]
    )
    assert not compilers, compilers
    film = container.folder / "srv" / "film.mkv"
    film.write_bytes(os.urandom(20_000_000))
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && exec sleep 10000"])
    network = f"nsenter -t {holder.pid} -n"
    time.sleep(1)  # unshare has no way to say that it is done
    words = [*stage.entrypoint, *stage.command]
    node = subprocess.Popen(
        container.command(words, container.user, network),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert node.stdout is not None
        told = json.loads(node.stdout.readline())
        print("node:", told["addrs"])
        status = Path(f"/proc/{node.pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        own = next(
            line
            for line in (container.folder / "etc/passwd").read_text().splitlines()
            if line.startswith("flux:")
        )
        assert set(uids) == {own.split(":")[2]} != {"0"}, uids
        print(f"user: {uids[0]} ({container.user}), not root; no compiler in it")
        ticket = container.run([*stage.entrypoint, "add", "/srv/film.mkv"], container.user, network).split()[
            -1
        ]
        container.run(stage.healthcheck, container.user, network)
        got = folder / "got.mkv"
        outside = ["--home", str(folder / "outside"), "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"]
        (folder / "outside").mkdir()
        (folder / "outside" / "settings.toml").write_text(
            "low_priority = false\n"
        )  # a busy machine starts it late
        flux = [*network.split(), sys.executable, "-m", "flux_tui"]
        subprocess.run([*flux, "get", ticket, "-o", str(got), *outside], check=True, timeout=SECONDS)
        subprocess.run([*flux, "stop", *outside[:2]], check=True, timeout=SECONDS)
        assert got.read_bytes() == film.read_bytes()
        print("served: 20,000,000 bytes, identical outside; the health check passes")
        node.send_signal(getattr(signal, stage.stop_signal))
        assert node.wait(60) == 0
        print(f"{stage.stop_signal}: it ended with status 0")
    finally:
        for process in (node, holder):
            process.kill()
            process.wait()


def main() -> None:
    """Build and use the container."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--bind", action="append", default=[])
    given = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit(f"a chroot needs root, and this is {pwd.getpwuid(os.geteuid()).pw_name}")
    with tempfile.TemporaryDirectory(prefix="flux-container-") as name:
        folder = Path(name)
        use(build(read(ROOT / "assets" / "Dockerfile"), given.base, folder, given.bind), folder)


if __name__ == "__main__":
    main()
