"""Restart gates: after a stop, three conditions in order before a grid may be set up again. Pure.

They are a cooling-off rule. On recorded hours they showed no skill beyond keeping the grid off for a while;
`regimed calibrate` measures it again (docs/calibration.md). They block a setup, never a stop.
"""
