"""A simulated shop: daily export files as a shop would drop them, with the truth about its users written beside them.

`simulate` writes `<home>/landing/shop/...` (what the pipeline reads) and `<home>/ground_truth/...` (what it must never
read). The same options always give the same bytes.
"""

from userops.simulate.campaign import CampaignOptions, CampaignResult, simulate_campaign
from userops.simulate.options import DirtKind, SimulationOptions
from userops.simulate.simulator import SimulationProgress, SimulationResult, simulate

__all__ = [
    "CampaignOptions", "CampaignResult", "DirtKind", "SimulationOptions", "SimulationProgress", "SimulationResult",
    "simulate", "simulate_campaign",
]  # fmt: skip
