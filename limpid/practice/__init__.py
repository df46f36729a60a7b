"""The doctor at work: runs are examined, dissected, audited and treated, with probes, checks and wired networks.

examination.py   before and during a training          attending.py   beside anybody's own loop
post_mortem.py   after it                               auditing.py    the rows and their labels
therapist.py     from findings to trials (trials.py) of treatments between twins (twins.py)
"""
