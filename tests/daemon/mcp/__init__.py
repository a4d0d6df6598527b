"""Agents as they ask: real clients over stdio, HTTP and in memory."""
