"""Exchanges: the KuCoin client, what keeps it alive, collection, and a sandbox to try it all against."""
