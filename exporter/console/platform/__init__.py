"""The platform below the VMs as tables: values only, the worst rows first."""
