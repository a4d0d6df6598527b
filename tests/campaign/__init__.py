"""Nothing lost, proven: deaths, failing calls, damage, full disks, wrong clocks, each with a model check.

`python -m tests.campaign --minutes 10 --seed 1`, and `--replay CASE` for any line of what it found.
"""
