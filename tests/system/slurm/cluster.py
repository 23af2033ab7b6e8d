"""A real Slurm on this machine alone, for tests: Debian's packages, no systemd, nothing in /etc.

    python tests/system/slurm/cluster.py run -- COMMAND ...   # up, COMMAND, down; its exit code
    python tests/system/slurm/cluster.py up FOLDER            # prints the SLURM_CONF to export
    python tests/system/slurm/cluster.py status FOLDER
    python tests/system/slurm/cluster.py down FOLDER

Needs root. Packages that are missing are installed by apt-get. Without root, or without both the
packages and apt-get, the exit code is 77, with the reason. Keys, sockets, state and logs of the
daemons lie in FOLDER (``run``: a temporary one), and ports are free ones, so that a Slurm that is
already here is not touched.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue")
DAEMONS = ("slurmd", "slurmctld", "munged")  # in the order in which they are stopped
NOT_HERE = 77  # the exit code by which test drivers say: skipped

# Two partitions that share the node: a job in `high` pre-empts those in `low`, which get SIGTERM,
# GraceTime seconds, then SIGKILL, and are queued again. A requeued job waits until its credential
# has expired, 120 s unless told; a cancelled or timed-out one has KillWait seconds. The node claims
# CPUs, memory and GPUs that it does not have (config_overrides; the GPUs' files are only names).
CONFIGURATION = """\
ClusterName=mppi-zoo-test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=10
KillWait=5
JobRequeue=1
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=65536 Gres=gpu:2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 GraceTime={grace} PreemptMode=REQUEUE
PartitionName=high Nodes={host} PriorityTier=10 PreemptMode=OFF
"""
GPUS = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


class Unavailable(Exception):
    """Slurm cannot be set up on this machine, which is nobody's fault."""


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("run", "up", "status", "down"))
    parser.add_argument("folder", nargs="?", type=Path, help="default: a temporary one")
    parser.add_argument("--cpus", type=int, default=4, help="that the node claims to have")
    parser.add_argument("--grace", type=int, default=20, help="seconds after a pre-emption")
    own, command = sys.argv[1:], []
    if "--" in own:
        cut = own.index("--")
        own, command = own[:cut], own[cut + 1 :]
    args = parser.parse_args(own)
    if (args.action == "run") != bool(command):
        parser.error("run, and only run, needs -- COMMAND")
    if args.folder is None and args.action in ("status", "down"):
        parser.error(f"{args.action} needs the folder that was given to up, or printed by it")
    folder = args.folder or Path(tempfile.mkdtemp(prefix="slurm-"))
    folder = folder.absolute()
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: what was started is ended
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        if args.action == "status":
            return status(folder)
        if args.action == "down":
            return down(folder)
        up(folder, args.cpus, args.grace)
    except Unavailable as reason:
        print(f"no Slurm here: {reason}", file=sys.stderr)
        return NOT_HERE
    if args.action == "up":
        print(f"export SLURM_CONF={folder / 'slurm.conf'}")
        return 0
    try:
        return subprocess.run(command, env=environment(folder), check=False).returncode
    finally:
        down(folder)
        if args.folder is None:
            shutil.rmtree(folder)


def environment(folder: Path) -> dict[str, str]:
    """In which Slurm's programs find this cluster and no other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return {**kept, "SLURM_CONF": str(folder / "slurm.conf")}


def up(folder: Path, cpus: int, grace: int) -> None:
    """Install what is missing, start the daemons, wait until the node takes jobs."""
    install()
    if any(process(folder, name) for name in DAEMONS):
        raise SystemExit(f"{folder} is in use by a running cluster: give `down {folder}` first")
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # munged wants its socket within everyone's reach
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    values = {
        "host": socket.gethostname().split(".")[0],
        "folder": folder,
        "cpus": cpus,
        "grace": grace,
        **free_ports(),
    }
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
    (folder / "gres.conf").write_text(GPUS)
    files = {"key-file": key, "socket": folder / "munge.socket", "pid-file": pid_file(folder)}
    files |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    try:
        start(folder, "munged", *(f"--{name}={path}" for name, path in files.items()))
        start(folder, "slurmctld", "-c")
        start(folder, "slurmd")
        wait_for("the node to take jobs", lambda: state(folder) == "idle", 30)
    except (RuntimeError, TimeoutError) as error:
        logs = "\n".join(tail(path) for path in sorted(folder.glob("*.log")))
        down(folder)
        raise SystemExit(f"Slurm did not start: {error}\n{logs}") from None


def install() -> None:
    """Debian's packages, unless the programs are here already.

    Raises:
        Unavailable: without root, or without both programs and apt-get.
    """
    if os.geteuid() != 0:
        raise Unavailable("its daemons need root")
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise Unavailable(f"{', '.join(missing)} missing, and apt-get is not at hand")
    print(f"installing {' '.join(PACKAGES)}", file=sys.stderr)
    # RUNLEVEL=1 keeps the packages from starting daemons of their own.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES]
    for step in (["apt-get", "update", "-q"], command):
        done = subprocess.run(step, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr}")


def start(folder: Path, name: str, *options: str | Path) -> None:
    """Start a daemon, which goes into the background when it is ready."""
    done = subprocess.run(
        [name, *map(str, options)],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"{name}: exit code {done.returncode}\n{done.stderr}")
    wait_for(f"{name}'s process", lambda: process(folder, name) is not None, 10)


def status(folder: Path) -> int:
    """Says what runs; 0 if the node takes jobs."""
    for name in DAEMONS:
        found = process(folder, name)
        print(f"{name}: {'not running' if found is None else f'process {found}'}")
    answer = state(folder)
    print(f"node: {answer or 'no answer'}")
    return 0 if answer in ("idle", "mixed", "allocated") else 1


def down(folder: Path) -> int:
    """Cancel all jobs, stop the daemons; files stay. 0 if nothing is left."""
    if process(folder, "slurmctld"):
        ask(folder, "scancel", "--quiet", "--user=root", "--full", "--signal=KILL")
        ask(folder, "scancel", "--quiet", "--user=root")
        wait_for("jobs to end", lambda: not ask(folder, "squeue", "--noheader"), 30, fail=False)
    for name in DAEMONS:
        found = process(folder, name)
        if found is not None:
            os.kill(found, signal.SIGTERM)
            wait_for(f"{name} to end", lambda n=name: process(folder, n) is None, 20, fail=False)
    for number in escaped(folder):
        os.kill(number, signal.SIGKILL)
    left = [name for name in DAEMONS if process(folder, name)]
    if left:
        print(f"still running: {', '.join(left)}", file=sys.stderr)
    return 1 if left else 0


def escaped(folder: Path) -> list[int]:
    """Processes of this cluster's jobs that outlived them: linuxproc loses sight of orphans."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        ours = f"SLURM_CONF={folder / 'slurm.conf'}".encode() in words
        if ours and any(word.startswith(b"SLURM_JOB_ID=") for word in words):
            found.append(int(path.parent.name))
    return found


def state(folder: Path) -> str:
    """The node's state in Slurm's words; empty without an answer."""
    return ask(folder, "sinfo", "--noheader", "--format=%T", "--partition=low")


def ask(folder: Path, *command: str) -> str:
    """The output of one of Slurm's programs; empty where it fails."""
    done = subprocess.run(
        command,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip()


def pid_file(folder: Path, name: str = "munged") -> Path:
    return folder / f"{name}.pid"


def process(folder: Path, name: str) -> int | None:
    """Id of this cluster's daemon if it runs: a process of that name that the pid file names."""
    try:
        number = int(pid_file(folder, name).read_text())
        running = Path(f"/proc/{number}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    return number if running == name else None


def free_ports() -> dict[str, int]:
    """Two that differ, for controller and node."""
    with socket.socket() as controller, socket.socket() as node:
        for probe in (controller, node):
            probe.bind(("127.0.0.1", 0))
        return {"controller_port": controller.getsockname()[1], "node_port": node.getsockname()[1]}


def wait_for(what: str, true: Callable[[], bool], seconds: float, *, fail: bool = True) -> None:
    """Until it is so; TimeoutError after so many seconds, unless told not to fail."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            if fail:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            return
        time.sleep(0.1)


def tail(path: Path, lines: int = 15) -> str:
    return f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
