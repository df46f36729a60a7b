"""Members on a Ray cluster: one that is started here for the occasion, or any that can be reached.

The data are put into the cluster's store once. As many actors as the cluster has CPUs train members one after another,
each with one thread, or fewer where members ask for several; an actor says what a worker process says, and waits for
the answer in the same way. A member whose actor is lost (its machine, its memory) is trained once more from its
beginning, elsewhere; the host hears no epoch twice. Lost again, it has failed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from limpid.data.dataset import Dataset
from limpid.errors import LimpidError, Stopped
from limpid.population.ground import Ground
from limpid.population.host import Host, Told
from limpid.population.lone import train_member
from limpid.population.member import Member, Outcome
from limpid.population.ray_cluster import cluster, require_ray
from limpid.population.shared_data import pack, unpack, without_test
from limpid.population.worker import Bench, unexpected
from limpid.training.signals import StopRequest

POLL_SECONDS = 0.1  # between looks at a request to stop
TRIES = 2  # a worker that is lost twice is likely lost by what it does


def train_on_ray(host: Host, ground: Ground, *, stop: StopRequest | None = None, address: str | None = None) -> None:
    """Train every member that the host asks for, as many at a time as the cluster has CPUs.

    Args:
        host: asks for members, and hears of them in the order in which they come.
        ground: the data, read here, once.
        stop: asked several times a second whether to leave.
        address: `ray://host:port` or `host:port` of a cluster; None: that which this process is connected to already,
            else that of the environment variable RAY_ADDRESS, else one that is started here and ends with the training.

    Raises:
        MissingExtra: Ray is not installed.
        ConfigError: no cluster answers at the address, or it refuses.
        Stopped: `stop` asked for it; members in training are given up.
    """
    require_ray()
    with cluster(address) as is_local:
        crew = _Crew(is_local)
        try:
            _train(host, ground, crew, stop)
        finally:
            crew.dismiss()


class Seat:
    """What an actor runs: a training that stops after each thing it says until it is told to go on."""

    def __init__(self) -> None:
        self._bench = Bench(threads=1)
        self._datasets: dict[int, Dataset] = {}
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self._answers: SimpleQueue[bool] = SimpleQueue()

    def train(self, member: Member, number: int, box: list[Any]) -> bytes:
        """Begin with a member; the first thing said of it. `box` holds a reference to its data, which have a number."""
        if number not in self._datasets:
            import ray

            self._datasets[number] = unpack(*ray.get(box[0]))
        threading.Thread(target=self._run, args=(member, self._datasets[number]), daemon=True).start()
        return self._said.get()

    def go_on(self, answer: bool) -> bytes:
        """Answer what was said last; what is said next."""
        self._answers.put(answer)
        return self._said.get()

    def _run(self, member: Member, dataset: Dataset) -> None:
        try:
            outcome = train_member(member, self._bench.ready(member.config, dataset), self._heard)
        except Exception as error:
            outcome = Outcome(member.number, "failed", reason=unexpected(error))
        self._said.put(pack(("done", outcome)))

    def _heard(self, row: Mapping[str, Any], valid_row: Mapping[str, Any] | None) -> bool:
        self._said.put(pack(("epoch", row, valid_row)))
        return self._answers.get()


@dataclass(eq=False)
class _Task:
    """A member in training: by which actor, how often it was begun, and up to which epoch the host has heard of it."""

    member: Member
    dataset: Dataset
    actor: Any = None
    begun: int = 0
    heard: int = 0

    @property
    def threads(self) -> int:
        return self.member.config.training.threads or 1


class _Crew:
    """Actors of the cluster, and what they are waited for."""

    def __init__(self, is_local: bool) -> None:
        import ray

        self._ray, self._is_local = ray, is_local
        self._cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._latest = 1  # threads of the member that was begun last
        self._seat = ray.remote(num_cpus=1, max_restarts=0)(Seat)
        self._idle: list[Any] = []
        self._boxes: dict[int, tuple[Dataset, int, list[Any]]] = {}
        self.tasks: dict[Any, _Task] = {}  # by the reference to what the actor will say next

    @property
    def has_room(self) -> bool:
        """Whether another member like the latest would find CPUs."""
        return not self.tasks or sum(task.threads for task in self.tasks.values()) + self._latest <= self._cpus

    def begin(self, task: _Task) -> None:
        """Hand a member to an idle actor, or to a new one."""
        self._latest = task.threads
        task.actor = self._idle.pop() if self._idle else self._seat.remote()
        task.begun += 1
        _, number, box = self._box(task.dataset)
        self.tasks[task.actor.train.remote(task.member, number, box)] = task

    def go_on(self, task: _Task, answer: bool) -> None:
        self.tasks[task.actor.go_on.remote(answer)] = task

    def heard(self) -> tuple[_Task, Any] | None:
        """A member, and what was said of it, or Ray's error where its actor is lost; None: nothing so soon."""
        ready, _ = self._ray.wait(list(self.tasks), timeout=POLL_SECONDS)
        if not ready:
            return None
        task = self.tasks.pop(ready[0])
        try:
            said = unpack(self._ray.get(ready[0]))
        except self._ray.exceptions.RayError as error:
            self._ray.kill(task.actor)  # if it still lives, it is of no use
            return task, error
        if said[0] == "done":
            self._idle.append(task.actor)
        return task, said

    def dismiss(self) -> None:
        """End all actors, busy ones too."""
        for actor in [*self._idle, *(task.actor for task in self.tasks.values())]:
            self._ray.kill(actor)

    def _box(self, dataset: Dataset) -> tuple[Dataset, int, list[Any]]:
        """The data set in the cluster's store, where it is put once. Other machines do not have this one's files."""
        if id(dataset) not in self._boxes:
            taken: list[Any] = []
            head = pack(
                without_test(dataset),
                lambda buffer: taken.append(np.frombuffer(buffer.raw(), dtype=np.uint8)),
                keep_files=self._is_local,
            )
            self._boxes[id(dataset)] = dataset, len(self._boxes), [self._ray.put((head, taken))]
        return self._boxes[id(dataset)]


def _train(host: Host, ground: Ground, crew: _Crew, stop: StopRequest | None) -> None:
    while True:
        while crew.has_room and (member := host.next()) is not None:
            try:
                dataset = ground.dataset(member.config)
            except LimpidError as error:
                host.done(member, Outcome(member.number, "failed", reason=str(error)))
            else:
                crew.begin(_Task(member, dataset))
        if not crew.tasks:
            return
        heard = crew.heard()
        if heard is not None:
            _attend(*heard, crew, host)
        if stop is not None and stop.requested:
            text = f"Stopped by {stop.requested}; {len(crew.tasks)} member(s) in training were given up."
            raise Stopped(text, stop.requested)


def _attend(task: _Task, said: Any, crew: _Crew, host: Host) -> None:
    """Take what was said of a member to the host, and the answer back; begin it again where its actor was lost."""
    if isinstance(said, Exception):
        if task.begun < TRIES:
            crew.begin(task)
            return
        cause = str(said).strip().splitlines()
        reason = f"Its Ray worker was lost {TRIES} times. Ray says: {cause[-1] if cause else type(said).__name__}"
        said = "done", Outcome(task.member.number, "failed", reason=reason)
    if said[0] == "done":
        host.done(task.member, said[1])
        return
    _, row, valid_row = said
    if row["epoch"] <= task.heard:
        crew.go_on(task, True)  # it was told of before its first actor was lost, and went on
        return
    task.heard = row["epoch"]
    crew.go_on(task, host.epochs([Told(task.member, row, valid_row)])[0])
