"""Many networks on one data set: what a member is, and the ways to train members that give the same result.

member.py       what is trained, and what came of it
host.py         who asks for members and hears of them
ground.py       the data that members share, read once
lone.py         one member, by the loop that trains a single network
one_by_one.py   the plainest executor, and the measure of the others
"""
