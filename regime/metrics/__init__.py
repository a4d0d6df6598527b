"""The six metrics (and ATR), one file each.

Every file has the metric of one series at its newest bar, which raises `MetricUndefined` with a reason, and
the column of a whole fold, with NaN where the metric is undefined. The column takes `first`, the first row
wanted: its earlier rows serve as history only, so that one new bar costs one row.
"""
