"""
Virtual networks, as the vendor's exporter shows them; latencies in microseconds.

It shows the traffic of the router's NIC, and the newest sample of gateways that are monitored.
"""

from typing import Any

import msgspec

from exporter.collectors.vnet_monitor import VNET_MONITOR, MonitorRow
from exporter.collectors.vnets import VNETS, VnetRow, nic_of
from exporter.exposition.view import Items, RenderView, escape
from exporter.vendor.families import flag, or_zero, vendor_counter, vendor_gauge, vendor_group
from exporter.vergeos.rows import key_number


class _Vnet(msgspec.Struct, frozen=True, gc=False):
    vnet: VnetRow
    nic: Any
    """Its row of ``machine_nics``, if there is one."""
    sample: MonitorRow | None


def _vnets(view: RenderView) -> list[_Vnet]:
    samples = view.rows(VNET_MONITOR.name)
    return [
        _Vnet(row, nic_of(view, row), samples.get(key))
        for key, row in view.rows(VNETS.name).items()
    ]


def _items(view: RenderView, vnets: list[_Vnet]) -> Items:
    return Items([_identity(view, one.vnet) for one in vnets], vnets)


def _identity(view: RenderView, row: VnetRow) -> tuple[str, ...]:
    cluster = key_number(row.cluster) or 0
    return (
        view.system,
        escape(row.name or ""),
        str(key_number(row.key)),
        escape(view.clusters[cluster]),
        escape(row.type or ""),
        escape(row.layer2_type or ""),
    )


def _every(view: RenderView) -> Items:
    return _items(view, _vnets(view))


def _with_nic(view: RenderView) -> Items:
    return _items(view, [one for one in _vnets(view) if one.nic is not None])


def _with_sample(view: RenderView) -> Items:
    found = [one for one in _vnets(view) if one.vnet.monitor_gateway and one.sample is not None]
    return _items(view, found)


_LABELS = "system_name vnet_name vnet_id cluster type layer2_type"
_VNET = vendor_group("network", _LABELS, "vnets clusters", _every)
_NIC = vendor_group("network traffic", _LABELS, "vnets clusters machine_nics", _with_nic)
_SAMPLE = vendor_group("gateway", _LABELS, "vnets clusters vnet_monitor", _with_sample)

FAMILIES = (
    vendor_gauge("vnet_enabled", _VNET, "1 if the network is enabled",
                 flag(lambda one: one.vnet.enabled)),
    vendor_gauge("vnet_powerstate", _VNET, "1 while the network's router is running",
                 flag(lambda one: one.vnet.running)),
    vendor_counter("vnet_tx_bytes_total", _NIC, "Bytes sent by the router's NIC",
                   "nic.stats.tx_bytes"),
    vendor_counter("vnet_rx_bytes_total", _NIC, "Bytes received by the router's NIC",
                   "nic.stats.rx_bytes"),
    vendor_counter("vnet_tx_packets_total", _NIC, "Packets sent by the router's NIC",
                   "nic.stats.tx_pckts"),
    vendor_counter("vnet_rx_packets_total", _NIC, "Packets received by the router's NIC",
                   "nic.stats.rx_pckts"),
    vendor_gauge("vnet_monitor_gateway", _VNET, "1 if the network's gateway is monitored",
                 flag(lambda one: one.vnet.monitor_gateway)),
    vendor_gauge("vnet_monitor_sent", _SAMPLE, "Packets sent to the gateway, of the newest sample",
                 or_zero("sample.sent")),
    vendor_gauge("vnet_monitor_quality", _SAMPLE,
                 "Percentage of packets that the gateway answered, of the newest sample",
                 or_zero("sample.quality")),
    vendor_gauge("vnet_monitor_dropped_pct", _SAMPLE,
                 "Percentage of packets that were lost, of the newest sample",
                 or_zero("sample.dropped_pct")),
    vendor_gauge("vnet_monitor_latency_usec_avg", _SAMPLE,
                 "Mean latency of the gateway in microseconds, of the newest sample",
                 or_zero("sample.latency_usec_avg")),
    vendor_gauge("vnet_monitor_latency_usec_peak", _SAMPLE,
                 "Highest latency of the gateway in microseconds, of the newest sample",
                 or_zero("sample.latency_usec_peak")),
    vendor_gauge("vnet_monitor_duplicates", _SAMPLE, "Duplicate packets, of the newest sample",
                 or_zero("sample.duplicates")),
    vendor_gauge("vnet_monitor_truncated", _SAMPLE, "Truncated packets, of the newest sample",
                 or_zero("sample.truncated")),
    vendor_gauge("vnet_monitor_dropped", _SAMPLE, "Lost packets, of the newest sample",
                 or_zero("sample.dropped")),
    vendor_gauge("vnet_monitor_bad_checksums", _SAMPLE,
                 "Packets with a wrong checksum, of the newest sample",
                 or_zero("sample.bad_checksums")),
    vendor_gauge("vnet_monitor_bad_data", _SAMPLE, "Packets with wrong data, of the newest sample",
                 or_zero("sample.bad_data")),
    vendor_gauge("vnet_monitor_timestamp_seconds", _SAMPLE,
                 "Unix time of the newest sample of the gateway", or_zero("sample.timestamp")),
)  # fmt: skip
