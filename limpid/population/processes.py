"""Members in worker processes: each alone, or as many as fit together as one program for each core.

Workers are forked from a server process that imports torch and Limpid once; where the system has no such server, each
imports them itself. They read the data at one place in memory, and tell of every epoch and wait for the answer, so that
their host decides as it would in one process. What kills a worker fails no member but that which was alone with it: the
others are trained elsewhere (see dealing.py), and a new worker takes the place. When the owner ends, however it ends,
so do its workers.

What it costs, in seconds of a Xeon core with torch 2.15: 1.9 for the server, once for a program and while the data
are read; 0.06 for a worker (and 17 MB that it shares with nobody); 0.002 for a member and 0.0003 for an epoch of all
that are trained as one program.
"""

from __future__ import annotations

from limpid.cores import usable_cores
from limpid.errors import Stopped
from limpid.population.crew import Crew, Worker
from limpid.population.dealing import Dealer
from limpid.population.ground import Ground
from limpid.population.host import Host
from limpid.population.lobby import MOST_WIDTH
from limpid.population.shared_data import Shelf
from limpid.population.worker import read_message
from limpid.training.signals import StopRequest

POLL_SECONDS = 0.1  # between looks at a request to stop; a person feels no delay below about that


def train_in_processes(host: Host, ground: Ground, *, stop: StopRequest | None = None, jobs: int | None = None) -> None:
    """Train every member that the host asks for, `jobs` at a time, each alone in its process.

    Each worker has max(1, cores // jobs) threads of torch, where a member does not say how many it takes. Sums may be
    taken in another order with another number of threads: results agree to about 1e-6 of their size then, and bit for
    bit where the numbers agree.

    Args:
        host: asks for members, and hears of them in the order in which they come.
        ground: the data, read here, once.
        stop: asked several times a second whether to leave.
        jobs: members at a time, at most; None: as many as this process may use cores. Fewer, where members ask for so
            many threads that there would be more of them than cores: they would wait for one another at every step.

    Raises:
        Stopped: `stop` asked for it; members in training are given up.
        DiskFull: there was no room to share the data.
    """
    train_dealt(Dealer(host, ground, ahead=1, width=1), stop=stop, jobs=jobs)


def train_in_stacks(host: Host, ground: Ground, *, stop: StopRequest | None = None, jobs: int | None = None) -> None:
    """The same, where each process trains members that fit together as one program (see stack.py, also for how
    closely results agree), and alone those who fit nobody."""
    train_dealt(Dealer(host, ground, ahead=most_ahead(jobs)), stop=stop, jobs=jobs)


def most_ahead(jobs: int | None = None) -> int:
    """How many members may wait for workers that train them as one program: enough to deal to each of them once."""
    return MOST_WIDTH * (jobs or usable_cores())


def train_dealt(dealer: Dealer, *, stop: StopRequest | None = None, jobs: int | None = None) -> None:
    """Train every member that comes to a dealer, in hands as it deals them. Arguments and errors as above."""
    with Shelf() as shelf, Crew(jobs or usable_cores(), str(shelf.folder)) as crew:
        while True:
            while crew.has_room and dealer.ask():
                hand = dealer.deal(crew.idle)
                crew.train(hand, shelf.lay(hand.kind.dataset))
            if not crew.busy:
                return
            for worker in crew.heard(POLL_SECONDS):
                _attend(worker, crew, dealer)
            if stop is not None and stop.requested:
                given_up = sum(len(worker.hand.members) for worker in crew.busy if worker.hand is not None)
                raise Stopped(
                    f"Stopped by {stop.requested}; {given_up} member(s) in training were given up.", stop.requested
                )


def _attend(worker: Worker, crew: Crew, dealer: Dealer) -> None:
    """Take what a worker says to the dealer, and the answer back; the hand of a dead one is lost."""
    hand = worker.hand
    assert hand is not None
    try:
        what, *said = read_message(worker.connection)
    except (EOFError, OSError):
        what, said = "lost", [crew.dismiss(worker)]
    if what == "epochs":
        worker.answer(dealer.hear(hand, said[0]))
    elif what == "next":
        worker.answer(dealer.successor(hand))
    elif what == "done":
        dealer.done(hand, said[0])
    else:
        worker.hand = None
        if what == "lost":
            dealer.lose(hand, said[0])
