"""Metrics for Prometheus: figures of a node, read from its state, and the endpoint where they are served.

Modules:

    families        the metrics of a state, as plain data; of a home nobody needs to run
    machine_figures the metrics of the disk, and of a running process
    exposition      the same as OpenMetrics text, by prometheus-client (an extra)
    endpoint        the HTTP endpoint of a running node
"""
