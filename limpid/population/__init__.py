"""Many networks on one data set: what a member is, and the ways to train members that give the same result.

member.py       what is trained, and what came of it
host.py         who asks for members and hears of them
ground.py       the data that members share, read once
lone.py         one member, by the loop that trains a single network
memory.py       what a lack of memory looks like, which fails a member and nobody else
one_by_one.py   the plainest executor, and the measure of the others
stack.py        many members as one program; stackable.py says which, lobby.py who with whom, stack_cohort.py runs them
slots.py        what belongs to one of them; stack_network, stack_layers, stack_objective, stack_optimizer ... to all
choice.py       the way that is likely to be the fastest, found by taking a few steps of each
processes.py    members in worker processes: dealing.py says who gets which, crew.py has the processes, worker.py is
                what runs there
on_ray.py       members on a Ray cluster, to which ray_cluster.py connects
shared_data.py  data sets that processes read at one place in memory
"""
