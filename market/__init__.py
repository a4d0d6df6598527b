"""The ground floor: hours, candles, snapshots, units, costs, errors and the ports to the outside. Pure."""
