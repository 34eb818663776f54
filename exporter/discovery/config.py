"""The settings of service discovery."""

from typing import Annotated

from pydantic import BaseModel, Field, IPvAnyNetwork

from exporter.inputs.validation import STRICT

Port = Annotated[int, Field(ge=1, le=65_535)]


class DiscoverySettings(BaseModel):
    """Service discovery of the guests, `/sd/guests`."""

    model_config = STRICT

    port: Port = 9100
    """Port of a target whose tags name none. The parameter `port` of a request overrides it."""
    port_tag_category: str = ""
    """Category of the tags that name the ports of a VM's targets, such as the tag `9182`."""
    networks: tuple[IPvAnyNetwork, ...] = ()
    """Networks such as `10.20.0.0/16`: only an address within one of them is used. Default: the
    first IPv4 address that is not link-local, else such an IPv6 address. The parameter `network`
    overrides it."""
    tags: bool = False
    """Whether to read the tags of VMs, for labels and the parameter `tag`, also where recovery is
    off, which reads them in any case."""

    @property
    def needs_tags(self) -> bool:
        """Whether the tags of VMs are polled for it."""
        return self.tags or bool(self.port_tag_category)
