"""Where twins of one run are trained: together as a population where several are needed next, and each once.

Those that are trained together come out as they would alone, to within what float32 makes of sums that are taken in
another order (population/stack.py, about 1e-4 of a figure after a few dozen steps) and bit for bit where they were
trained one by one. Which way that is may be decided by measured times: from the same seeds verdicts are the same unless
a gain lies that close to what matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from limpid.config import Config
from limpid.config_reader import with_options
from limpid.population.executors import train_population
from limpid.population.ground import Ground
from limpid.population.host import Told
from limpid.population.member import Member
from limpid.population.member import Outcome as Grown
from limpid.practice.budget import Budget, Purse
from limpid.practice.lone_twin import train_alone
from limpid.practice.twins import Outcome, Twin
from limpid.practice.yardstick import judge_network

# Epochs from which on the length of a short twin is counted in them, as that of a whole training is: what ends within
# an epoch cannot be trained as one program with others. Fewer than a fifth of its steps are cut off.
FEWEST_EPOCHS = 5


class Nursery:
    """Trains twins of one run, each once, on data that are read once.

    Args:
        config: of the run, resolved; its training.on names the way in which several are trained.
        source, y: the data, where they were handed over in Python.
        budget: of all trainings together.

    Attributes:
        ground: the data.
        purse: what is left of the budget.
        trainings: so far.
    """

    def __init__(self, config: Config, source: Any = None, y: Any = None, *, budget: Budget | None = None) -> None:
        self.config = config
        self.ground = Ground(source, y, seed=config.training.seed)
        self.purse = Purse(budget or Budget())
        self.trainings = 0
        self._outcomes: dict[str, Outcome] = {}

    def raise_twins(self, twins: Sequence[Twin]) -> list[Outcome]:
        """Train those that are not known yet, together, and judge each on the validation rows.

        Raises OutOfBudget when the budget is used up before the last of them has ended, and the LimpidError of one that
        cannot be built.
        """
        missing = {twin.key: twin for twin in twins if twin.key not in self._outcomes}
        if len(missing) > 1:
            brood = _Brood(self, missing.values())
            with self.purse.spending() as stop:
                train_population(brood, self.ground, on=self.config.training.on, stop=stop)
        return [self.raise_twin(twin) for twin in twins]  # alone those that failed, to be judged or to say why

    def raise_twin(self, twin: Twin, *, examined: Sequence[str] | None = None) -> Outcome:
        """Train one with this configuration from this seed, and judge it on the validation rows.

        Args:
            examined: also write down what the doctor's checks read: monitors, and these probes besides the cheap ones.

        Raises OutOfBudget when the budget is used up, a LimpidError where the twin cannot be built.
        """
        known = self._outcomes.get(twin.key)
        if known is None or (examined is not None and not set(examined) <= known.asked):
            known = train_alone(self.member(twin), self.ground, twin.figure, self.purse, examined=examined)
            self.keep(twin, known)
        return known

    def member(self, twin: Twin, number: int = 0) -> Member:
        """A twin as a population trains it."""
        config = with_options(twin.config, {"seed": twin.seed})
        if twin.share < 1.0:
            config = with_options(config, self._shortened(config, twin.share))
        return Member(number, config, like=twin.like)

    def keep(self, twin: Twin, outcome: Outcome) -> None:
        """Remember what came of a training."""
        self.trainings += 1
        self._outcomes[twin.key] = outcome

    def _shortened(self, config: Config, share: float) -> dict[str, Any]:
        """The options of a training that takes this share of the steps, evaluated after every epoch."""
        often = {"training__evaluate_every": 1, "training__evaluate_from": 1}
        epochs = int(share * (config.training.epochs or 0))
        if epochs >= FEWEST_EPOCHS and config.training.steps is None:
            return {"training__epochs": epochs, **often}
        num_steps = self.ground.wiring(Member(0, config)).plan.num_steps
        return {"training__steps": max(1, int(share * num_steps)), **often}


class _Brood:
    """The host of twins that are trained together: spends their steps, and judges each that has finished.

    It takes no note of those that failed.
    """

    def __init__(self, nursery: Nursery, twins: Iterable[Twin]) -> None:
        self._nursery = nursery
        self._twins = list(twins)
        self._waiting = iter([nursery.member(twin, number) for number, twin in enumerate(self._twins)])
        self._spent = [0] * len(self._twins)  # steps

    def next(self) -> Member | None:
        return next(self._waiting, None)

    def epochs(self, told: Sequence[Told]) -> list[bool]:
        for member, row, _ in told:
            self._nursery.purse.spend(row["step"] - self._spent[member.number])
            self._spent[member.number] = row["step"]
        return [True] * len(told)

    def done(self, member: Member, outcome: Grown) -> None:
        if outcome.weights is None:
            return
        twin = self._twins[member.number]
        wiring = self._nursery.ground.wiring(member)
        wiring.network.load_state_dict(dict(outcome.weights))
        judgement = judge_network(wiring, twin.figure)
        self._nursery.keep(twin, Outcome(judgement, outcome.steps, outcome.seconds, failed=False))
